#include "query/pattern.h"

#include <ctype.h>
#include <hs/hs.h>

#include "base/mem.h"
#include "base/vec.h"

/* One element of a wildcard pattern. */
struct element {
    enum { ELEMENT_BYTE, ELEMENT_ANY, ELEMENT_CLASS, ELEMENT_RUN } kind;
    uint8_t byte;
    uint8_t set[32]; /* CLASS: a bit per byte */
};

struct pattern {
    struct span text;         /* owned; of words: trimmed */
    struct element *elements; /* wildcard only */
    size_t element_count;
    struct span literal; /* owned: what must stand in the text; empty: nothing is known */
    bool exact;          /* the literal is the whole pattern */
};

struct query_patterns {
    struct pattern *list;
    size_t count;
    enum query_pattern_kind kind;
    bool caseless;
    hs_database_t *database; /* of the literals; NULL when no pattern has one */
    uint64_t always;         /* patterns without a literal: every entry is verified */
};

/* Where a picked entry's data lie in the scanned piece. */
struct place {
    size_t start;
    size_t end;
    size_t pick;
};

/* What is scanned: the picked entries' own memory, in their order or backwards, or copies. */
struct piece {
    struct span bytes;
    const struct query_block *block; /* NULL: copies, at `places` */
    bool backwards;
};

struct query_scanner {
    const struct query_patterns *patterns;
    hs_scratch_t *scratch;
    struct buf gathered;
    VEC(struct place) places;
    struct piece piece; /* of the call that runs, as what follows */
    size_t cursor;
    uint64_t *hits;
};

static uint8_t fold(const struct query_patterns *patterns, uint8_t byte)
{
    return patterns->caseless && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static void set_add(uint8_t set[32], uint8_t byte)
{
    set[byte / 8] |= (uint8_t)(1U << (byte % 8));
}

/* [abc], [a-z], [!a], [^a]; `*at` stands after the bracket. False when it never ends. */
static bool parse_class(struct span text, size_t *at, bool caseless, struct element *element)
{
    size_t i = *at;
    bool negated = i < text.bytes && (text.data[i] == '!' || text.data[i] == '^');
    i += negated ? 1 : 0;
    bool first = true;
    for (; i < text.bytes && (text.data[i] != ']' || first); i++, first = false) {
        uint8_t from = text.data[i];
        uint8_t to = from;
        if (i + 2 < text.bytes && text.data[i + 1] == '-' && text.data[i + 2] != ']') {
            to = text.data[i + 2];
            i += 2;
        }
        for (unsigned byte = from; byte <= to; byte++) {
            set_add(element->set, (uint8_t)byte);
            if (caseless && isalpha((int)byte) != 0) {
                set_add(element->set, (uint8_t)tolower((int)byte));
                set_add(element->set, (uint8_t)toupper((int)byte));
            }
        }
    }
    if (i >= text.bytes) {
        return false;
    }
    for (size_t j = 0; negated && j < sizeof(element->set); j++) {
        element->set[j] = (uint8_t)~element->set[j];
    }
    *at = i + 1;
    return true;
}

/* A bracket without its end stands for itself, as in a shell. */
static void parse_elements(struct pattern *pattern, const struct query_patterns *patterns)
{
    struct span text = pattern->text;
    pattern->elements = mem_alloc_array(text.bytes + 1, sizeof(*pattern->elements));
    for (size_t at = 0; at < text.bytes;) {
        struct element *element = &pattern->elements[pattern->element_count];
        uint8_t byte = text.data[at++];
        element->kind = ELEMENT_BYTE;
        if (byte == '*') {
            element->kind = ELEMENT_RUN;
        } else if (byte == '?') {
            element->kind = ELEMENT_ANY;
        } else if (byte == '[' && parse_class(text, &at, patterns->caseless, element)) {
            element->kind = ELEMENT_CLASS;
        } else {
            if (byte == '\\' && at < text.bytes) {
                byte = text.data[at++];
            }
            element->byte = fold(patterns, byte);
        }
        pattern->element_count++;
    }
}

/* A leading or trailing `*` says nothing in an unanchored pattern. */
static void trim_runs(struct pattern *pattern)
{
    size_t lead = 0;
    while (lead < pattern->element_count && pattern->elements[lead].kind == ELEMENT_RUN) {
        lead++;
    }
    pattern->element_count -= lead;
    memmove(pattern->elements, pattern->elements + lead,
            pattern->element_count * sizeof(struct element));
    while (pattern->element_count > 0 &&
           pattern->elements[pattern->element_count - 1].kind == ELEMENT_RUN) {
        pattern->element_count--;
    }
}

/* The longest run of plain bytes: what the block scan looks for. */
static void find_literal(struct pattern *pattern)
{
    size_t best = 0;
    size_t best_count = 0;
    size_t count = 0;
    for (size_t i = 0; i < pattern->element_count; i++) {
        count = pattern->elements[i].kind == ELEMENT_BYTE ? count + 1 : 0;
        if (count > best_count) {
            best_count = count;
            best = i + 1 - count;
        }
    }
    uint8_t *bytes = mem_alloc(best_count + 1);
    for (size_t i = 0; i < best_count; i++) {
        bytes[i] = pattern->elements[best + i].byte;
    }
    pattern->literal = span_of(bytes, best_count);
    pattern->exact = best_count == pattern->element_count;
}

static int prepare_word(struct pattern *pattern)
{
    struct span split;
    struct span rest = pattern->text;
    struct span word = SPAN_NONE;
    if (query_word_split(pattern->text, &split)) {
        return err_set(ERR_INVALID, "holds '%.*s', which separates words", SPAN_ARG(split));
    }
    if (!query_word_next(&rest, &word)) {
        return err_set(ERR_INVALID, "holds no word");
    }
    pattern->literal = span_of(mem_dup(word.data, word.bytes), word.bytes);
    return 0;
}

static int prepare(struct query_patterns *patterns, struct pattern *pattern, struct span text)
{
    if (text.bytes == 0 || text.bytes > QUERY_PATTERN_BYTES_MAX) {
        return err_set(ERR_INVALID, text.bytes == 0 ? "is empty" : "is longer than %d bytes",
                       QUERY_PATTERN_BYTES_MAX);
    }
    pattern->text = span_of(mem_dup(text.data, text.bytes), text.bytes);
    if (patterns->kind == QUERY_PATTERN_WORD) {
        return prepare_word(pattern);
    }
    if (patterns->kind == QUERY_PATTERN_LITERAL) {
        pattern->literal = span_of(mem_dup(text.data, text.bytes), text.bytes);
        pattern->exact = true;
        return 0;
    }
    parse_elements(pattern, patterns);
    trim_runs(pattern);
    find_literal(pattern);
    return 0;
}

static int compile(struct query_patterns *patterns)
{
    const char *texts[QUERY_PATTERNS_MAX];
    size_t lengths[QUERY_PATTERNS_MAX];
    unsigned flags[QUERY_PATTERNS_MAX];
    unsigned ids[QUERY_PATTERNS_MAX];
    unsigned count = 0;
    for (size_t i = 0; i < patterns->count; i++) {
        struct span literal = patterns->list[i].literal;
        if (literal.bytes == 0) {
            patterns->always |= UINT64_C(1) << i;
            continue;
        }
        texts[count] = (const char *)literal.data;
        lengths[count] = literal.bytes;
        flags[count] = patterns->caseless ? HS_FLAG_CASELESS : 0;
        ids[count] = (unsigned)i;
        count++;
    }
    if (count == 0) {
        return 0;
    }
    hs_compile_error_t *error = NULL;
    if (hs_compile_lit_multi(texts, flags, ids, lengths, count, HS_MODE_BLOCK, NULL,
                             &patterns->database, &error) != HS_SUCCESS) {
        int rc = err_set(ERR_INVALID, "cannot be compiled: %s", error->message);
        (void)hs_free_compile_error(error);
        return rc;
    }
    return 0;
}

int query_patterns_new(const struct span *list, size_t count, enum query_pattern_kind kind,
                       bool caseless, struct query_patterns **ret_patterns, size_t *ret_bad)
{
    *ret_bad = 0;
    if (count == 0 || count > QUERY_PATTERNS_MAX) {
        return err_set(ERR_INVALID, "between 1 and %d patterns are needed", QUERY_PATTERNS_MAX);
    }
    struct query_patterns *patterns = MEM_NEW(struct query_patterns);
    patterns->kind = kind;
    patterns->caseless = caseless;
    patterns->list = mem_alloc_array(count, sizeof(*patterns->list));
    int rc = 0;
    while (rc == 0 && patterns->count < count) {
        *ret_bad = patterns->count;
        rc = prepare(patterns, &patterns->list[patterns->count], list[patterns->count]);
        patterns->count++;
    }
    rc = rc < 0 ? rc : compile(patterns);
    if (rc < 0) {
        query_patterns_free(&patterns);
        return rc;
    }
    *ret_patterns = patterns;
    return 0;
}

void query_patterns_free(struct query_patterns **patterns)
{
    if (*patterns == NULL) {
        return;
    }
    for (size_t i = 0; i < (*patterns)->count; i++) {
        struct pattern *pattern = &(*patterns)->list[i];
        mem_free((void *)(uintptr_t)pattern->text.data);
        mem_free((void *)(uintptr_t)pattern->literal.data);
        mem_free(pattern->elements);
    }
    (void)hs_free_database((*patterns)->database);
    mem_free((*patterns)->list);
    mem_free(*patterns);
    *patterns = NULL;
}

static bool is_letter_or_digit(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* What stands between the first and the last byte that is neither letter nor digit. */
static struct span inside(struct span literal)
{
    size_t from = 0;
    size_t to = literal.bytes;
    while (from < to && is_letter_or_digit(literal.data[from])) {
        from++;
    }
    while (to > from && is_letter_or_digit(literal.data[to - 1])) {
        to--;
    }
    return to - from < 2 ? SPAN_NONE : span_of(literal.data + from + 1, to - from - 2);
}

struct span query_patterns_required(const struct query_patterns *patterns, size_t index)
{
    const struct pattern *pattern = &patterns->list[index];
    return patterns->kind == QUERY_PATTERN_WORD ? pattern->text : inside(pattern->literal);
}

size_t query_patterns_count(const struct query_patterns *patterns)
{
    return patterns->count;
}

static bool element_fits(const struct query_patterns *patterns, const struct element *element,
                         uint8_t byte)
{
    switch (element->kind) {
    case ELEMENT_BYTE:
        return element->byte == fold(patterns, byte);
    case ELEMENT_CLASS:
        return (element->set[byte / 8] >> (byte % 8) & 1) != 0;
    case ELEMENT_ANY:
        return true;
    case ELEMENT_RUN:
        break;
    }
    return false;
}

/* Somewhere in the text: as if a `*` stood at both ends. Goes back to the last `*` only. */
static bool wildcard_in(const struct query_patterns *patterns, const struct pattern *pattern,
                        struct span text)
{
    size_t element = 0;
    size_t at = 0;
    size_t back_element = 0;
    size_t back_at = 0;
    for (;;) {
        if (element == pattern->element_count) {
            return true;
        }
        if (pattern->elements[element].kind == ELEMENT_RUN) {
            back_element = ++element;
            back_at = at;
        } else if (at == text.bytes) {
            return false; /* further back would only leave less text */
        } else if (element_fits(patterns, &pattern->elements[element], text.data[at])) {
            element++;
            at++;
        } else {
            element = back_element;
            at = ++back_at;
        }
    }
}

static bool word_is(const struct query_patterns *patterns, struct span a, struct span b)
{
    return patterns->caseless ? span_equal_nocase(a, b) : span_equal(a, b);
}

/* Which of the candidate words are in the text. */
static uint64_t words_in(const struct query_patterns *patterns, uint64_t candidates,
                         struct span text)
{
    uint64_t found = 0;
    struct span word;
    while (found != candidates && query_word_next(&text, &word)) {
        for (size_t i = 0; i < patterns->count; i++) {
            uint64_t bit = UINT64_C(1) << i;
            if ((candidates & bit & ~found) != 0 &&
                word_is(patterns, word, patterns->list[i].literal)) {
                found |= bit;
            }
        }
    }
    return found;
}

/* Keeps of the candidates what is really there. */
static uint64_t verify(const struct query_patterns *patterns, uint64_t candidates, struct span text)
{
    candidates |= patterns->always;
    if (candidates == 0) {
        return 0;
    }
    if (patterns->kind == QUERY_PATTERN_WORD) {
        return words_in(patterns, candidates, text);
    }
    uint64_t found = 0;
    for (size_t i = 0; i < patterns->count; i++) {
        const struct pattern *pattern = &patterns->list[i];
        uint64_t bit = UINT64_C(1) << i;
        if ((candidates & bit) != 0 &&
            (pattern->exact && pattern->literal.bytes > 0 ? true
                                                          : wildcard_in(patterns, pattern, text))) {
            found |= bit;
        }
    }
    return found;
}

int query_scanner_new(const struct query_patterns *patterns, struct query_scanner **ret_scanner)
{
    struct query_scanner *scanner = MEM_NEW(struct query_scanner);
    scanner->patterns = patterns;
    if (patterns->database != NULL &&
        hs_alloc_scratch(patterns->database, &scanner->scratch) != HS_SUCCESS) {
        query_scanner_free(&scanner);
        return err_set(ERR_UNAVAILABLE, "no memory to scan with");
    }
    *ret_scanner = scanner;
    return 0;
}

void query_scanner_free(struct query_scanner **scanner)
{
    if (*scanner == NULL) {
        return;
    }
    (void)hs_free_scratch((*scanner)->scratch);
    buf_deinit(&(*scanner)->gathered);
    vec_deinit(&(*scanner)->places);
    mem_free(*scanner);
    *scanner = NULL;
}

static struct span picked(const struct query_block *block, size_t pick)
{
    return block->entries[block->picks[pick]].data;
}

static size_t place_count(const struct query_scanner *scanner)
{
    return scanner->piece.block != NULL ? scanner->piece.block->count : scanner->places.count;
}

static struct place place_at(const struct query_scanner *scanner, size_t index)
{
    const struct query_block *block = scanner->piece.block;
    if (block == NULL) {
        return scanner->places.items[index];
    }
    size_t pick = scanner->piece.backwards ? block->count - 1 - index : index;
    struct span data = picked(block, pick);
    if (data.bytes == 0) { /* wherever that is */
        return (struct place){.pick = pick};
    }
    size_t start = (size_t)(data.data - scanner->piece.bytes.data);
    return (struct place){.start = start, .end = start + data.bytes, .pick = pick};
}

/* Matches come by their end, ascending. One that began before its entry is none: it runs over
 * the border between two entries. */
static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context)
{
    (void)from;
    (void)flags;
    struct query_scanner *scanner = context;
    size_t count = place_count(scanner);
    struct place place = {0};
    while (scanner->cursor < count && (place = place_at(scanner, scanner->cursor)).end < to) {
        scanner->cursor++;
    }
    if (scanner->cursor == count) {
        return 1; /* the rest of the piece belongs to nobody */
    }
    if (to - scanner->patterns->list[id].literal.bytes >= place.start &&
        to >= scanner->patterns->list[id].literal.bytes) {
        scanner->hits[place.pick] |= UINT64_C(1) << id;
    }
    return 0;
}

static int scan(struct query_scanner *scanner)
{
    struct span bytes = scanner->piece.bytes;
    scanner->cursor = 0;
    if (bytes.bytes == 0) {
        return 0;
    }
    if (bytes.bytes > UINT32_MAX) {
        return err_set(ERR_TOO_LARGE, "a block of %zu bytes cannot be scanned", bytes.bytes);
    }
    hs_error_t rc = hs_scan(scanner->patterns->database, (const char *)bytes.data,
                            (unsigned)bytes.bytes, 0, scanner->scratch, on_match, scanner);
    if (rc != HS_SUCCESS && rc != HS_SCAN_TERMINATED) {
        return err_set(ERR_INVALID, "scan failed with code %d", rc);
    }
    return 0;
}

/* The block's own memory when most of what lies between the first and the last picked entry is
 * still in the stream. Entries are looked at only where something is found. */
static bool use_region(struct query_scanner *scanner, const struct query_block *block)
{
    size_t first = 0;
    size_t last = block->count;
    while (first < last && picked(block, first).bytes == 0) {
        first++;
    }
    while (last > first && picked(block, last - 1).bytes == 0) {
        last--;
    }
    if (block->region.bytes == 0 || first == last ||
        (last - first) * 2 < block->picks[last - 1] - block->picks[first]) {
        return false;
    }
    struct span a = picked(block, first);
    struct span b = picked(block, last - 1);
    bool backwards = a.data > b.data;
    const uint8_t *begin = backwards ? b.data : a.data;
    const uint8_t *end = backwards ? a.data + a.bytes : b.data + b.bytes;
    CHECK(begin >= block->region.data && end <= block->region.data + block->region.bytes);
    scanner->piece = (struct piece){span_of(begin, (size_t)(end - begin)), block, backwards};
    return true;
}

static void gather(struct query_scanner *scanner, const struct query_block *block)
{
    vec_clear(&scanner->places);
    buf_clear(&scanner->gathered);
    for (size_t i = 0; i < block->count; i++) {
        struct span data = picked(block, i);
        struct place place = {
            .start = scanner->gathered.bytes,
            .end = scanner->gathered.bytes + data.bytes,
            .pick = i,
        };
        if (data.bytes > 0) {
            buf_append(&scanner->gathered, data);
            vec_push(&scanner->places, place);
        }
    }
    scanner->piece = (struct piece){.bytes = buf_span(&scanner->gathered)};
}

int query_scanner_block(struct query_scanner *scanner, const struct query_block *block,
                        uint64_t *ret_hits)
{
    memset(ret_hits, 0, block->count * sizeof(*ret_hits));
    if (scanner->patterns->database != NULL) {
        scanner->hits = ret_hits;
        if (!use_region(scanner, block)) {
            gather(scanner, block);
        }
        int rc = scan(scanner);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < block->count; i++) {
        if ((ret_hits[i] | scanner->patterns->always) != 0) {
            ret_hits[i] = verify(scanner->patterns, ret_hits[i], picked(block, i));
        }
    }
    return 0;
}

int query_scanner_text(struct query_scanner *scanner, struct span text, uint64_t *ret_hits)
{
    struct entry entry = {.data = text};
    uint32_t pick = 0;
    struct query_block block = {.entries = &entry, .picks = &pick, .count = 1};
    return query_scanner_block(scanner, &block, ret_hits);
}
