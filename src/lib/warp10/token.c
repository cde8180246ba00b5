#include "warp10/token.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/err.h"
#include "base/text.h"
#include "warp10/token_internal.h"

#define TABLE_BYTES_MAX (256u << 20)
#define LINE_BYTES_MAX 65536
#define KEY_BYTES_MAX 256

void token_hash(struct span token, uint8_t ret_hash[TOKEN_HASH_BYTES])
{
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, token.data, token.bytes, ret_hash);
    CHECK(rc == 0);
}

void token_of_random(struct buf *buf, const uint8_t random[TOKEN_RANDOM_BYTES])
{
    size_t begin = buf->bytes;
    text_base64(buf, span_of(random, TOKEN_RANDOM_BYTES));
    for (size_t i = begin; i < buf->bytes; i++) {
        uint8_t c = buf->data[i];
        buf->data[i] = c == '+' ? (i == begin ? '_' : '-') : c == '/' ? '_' : c;
    }
}

struct token_table *token_table_new(void)
{
    struct token_table *table = MEM_NEW(struct token_table);
    table->arena = arena_new(TABLE_BYTES_MAX);
    return table;
}

void token_table_free(struct token_table **table)
{
    if (*table == NULL) {
        return;
    }
    map_deinit(&(*table)->by_hash);
    vec_deinit(&(*table)->entries);
    arena_free(&(*table)->arena);
    mem_free(*table);
    *table = NULL;
}

size_t token_table_count(const struct token_table *table)
{
    return table->entries.count;
}

bool token_table_next(const struct token_table *table, size_t *cursor,
                      const struct token **ret_token, const uint8_t **ret_hash)
{
    if (*cursor >= table->entries.count) {
        return false;
    }
    struct token_entry *entry = table->entries.items[(*cursor)++];
    *ret_token = &entry->token;
    *ret_hash = entry->hash;
    return true;
}

/* ── Values in files ─────────────────────────────────────────────────────────────────────── */

static bool decode(struct arena *arena, struct span text, struct span *ret_text)
{
    struct buf buf = {0};
    bool good = text_url_decode(&buf, span_trim(text), false);
    if (good) {
        *ret_text = arena_span_dup(arena, buf_span(&buf));
    }
    buf_deinit(&buf);
    return good;
}

static size_t count_pieces(struct span text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.bytes; i++) {
        count += text.data[i] == ',';
    }
    return count;
}

bool token_list_parse(struct arena *arena, struct span text, struct token_list *ret_list)
{
    struct span piece;
    size_t count = count_pieces(text);
    if (count > TOKEN_LIST_MAX) {
        return false;
    }
    *ret_list = (struct token_list){arena_alloc_array(arena, count, sizeof(struct span)), 0};
    while (span_split(&text, ',', &piece)) {
        if (span_trim(piece).bytes == 0) {
            continue;
        }
        if (!decode(arena, piece, &ret_list->items[ret_list->count++])) {
            return false;
        }
    }
    return true;
}

/* The place of = or, for conditions, of ~: whichever comes first. */
static size_t find_operator(struct span text, bool conditions)
{
    size_t i = 0;
    while (i < text.bytes && text.data[i] != '=' && !(conditions && text.data[i] == '~')) {
        i++;
    }
    return i;
}

bool token_pairs_parse(struct arena *arena, struct span text, bool conditions,
                       struct token_pairs *ret_pairs)
{
    struct span piece;
    size_t count = count_pieces(text);
    if (count > TOKEN_LIST_MAX) {
        return false;
    }
    *ret_pairs =
        (struct token_pairs){arena_alloc_array(arena, count, sizeof(struct token_pair)), 0};
    while (span_split(&text, ',', &piece)) {
        if (span_trim(piece).bytes == 0) {
            continue;
        }
        struct token_pair *pair = &ret_pairs->items[ret_pairs->count++];
        size_t at = find_operator(piece, conditions);
        if (at == piece.bytes || !decode(arena, span_first(piece, at), &pair->name) ||
            !decode(arena, span_from(piece, at + (conditions ? 0 : 1)), &pair->value)) {
            return false;
        }
    }
    return true;
}

/* ── Lines ───────────────────────────────────────────────────────────────────────────────── */

static bool set_hash(struct token_entry *entry, struct span hex)
{
    struct buf bytes = {0};
    bool good = text_unhex(&bytes, hex) && bytes.bytes == TOKEN_HASH_BYTES;
    if (good) {
        memcpy(entry->hash, bytes.data, TOKEN_HASH_BYTES);
        entry->has_hash = true;
    }
    buf_deinit(&bytes);
    return good;
}

static bool set_name(struct token_entry *entry, struct span token)
{
    token_hash(token, entry->hash);
    entry->has_hash = true;
    return token.bytes > 0 && token.bytes <= TOKEN_BYTES_MAX;
}

/* A single name is a list of one for those who read. */
static bool set_one(struct arena *arena, struct span value, struct span *one,
                    struct token_list *list)
{
    *one = arena_span_dup(arena, value);
    list->items = ARENA_NEW(arena, struct span);
    list->items[0] = *one;
    list->count = 1;
    return true;
}

static bool set_count(struct span value, uint64_t *count)
{
    return span_to_u64(value, count);
}

static bool set_time(struct span value, int64_t *time_ms)
{
    return span_to_i64(value, time_ms) && *time_ms >= 0;
}

static bool set_value(struct arena *arena, struct token_entry *entry, struct span key,
                      struct span value)
{
    struct token *token = &entry->token;
    if (span_equal_str(key, "name") || span_equal_str(key, "id")) {
        return set_name(entry, value);
    }
    if (span_equal_str(key, "hash")) {
        return set_hash(entry, value);
    }
    if (span_equal_str(key, "owner")) {
        return set_one(arena, value, &token->owner, &token->owners);
    }
    if (span_equal_str(key, "producer")) {
        return set_one(arena, value, &token->producer, &token->producers);
    }
    if (span_equal_str(key, "app")) {
        return set_one(arena, value, &token->application, &token->applications);
    }
    if (span_equal_str(key, "owners")) {
        return token_list_parse(arena, value, &token->owners);
    }
    if (span_equal_str(key, "producers")) {
        return token_list_parse(arena, value, &token->producers);
    }
    if (span_equal_str(key, "apps")) {
        return token_list_parse(arena, value, &token->applications);
    }
    if (span_equal_str(key, "labels")) {
        return token_pairs_parse(arena, value, !token->write, &token->labels);
    }
    if (span_equal_str(key, "attributes")) {
        return token_pairs_parse(arena, value, false, &token->attributes);
    }
    if (span_equal_str(key, "expiry")) {
        return set_time(value, &token->expiry_ms);
    }
    if (span_equal_str(key, "issued")) {
        return set_time(value, &token->issued_ms);
    }
    if (span_equal_str(key, "maxrate")) {
        return set_count(value, &token->points_per_s);
    }
    if (span_equal_str(key, "maxseries")) {
        return set_count(value, &token->series_max);
    }
    if (span_equal_str(key, "revoked")) {
        token->revoked = span_equal_nocase(value, SPAN_LIT("true"));
        return token->revoked || span_equal_nocase(value, SPAN_LIT("false"));
    }
    return span_equal_str(key, "billed"); /* of no consequence here */
}

/* "token.write.7.key" taken apart; `name` is "write.7". */
static bool split_key(struct span text, bool *ret_write, struct span *ret_name, struct span *ret_id,
                      struct span *ret_key)
{
    struct span prefix = SPAN_LIT("token.");
    struct span kind;
    if (!span_starts_with(text, prefix) || text.bytes > KEY_BYTES_MAX) {
        return false;
    }
    struct span rest = span_from(text, prefix.bytes);
    const uint8_t *begin = rest.data;
    if (!span_split(&rest, '.', &kind) || !span_split(&rest, '.', ret_id) || ret_id->bytes == 0) {
        return false;
    }
    *ret_name = span_of(begin, (size_t)(ret_id->data + ret_id->bytes - begin));
    *ret_key = rest;
    *ret_write = span_equal_str(kind, "write");
    return rest.bytes > 0 && (*ret_write || span_equal_str(kind, "read"));
}

static struct token_entry *entry_of(struct token_table *table, struct map *names, struct span name,
                                    struct span id, bool write, size_t line)
{
    struct token_entry *entry = map_get(names, name);
    if (entry != NULL) {
        return entry;
    }
    entry = ARENA_NEW(table->arena, struct token_entry);
    entry->token.id = arena_span_dup(table->arena, id);
    entry->token.write = write;
    entry->line = line;
    (void)map_put(names, name, entry);
    vec_push(&table->entries, entry);
    return entry;
}

/* `whole` is the line with the space around it. */
static int read_line(struct token_table *table, struct map *names, struct span whole, size_t number)
{
    struct span line = span_trim(whole);
    bool write;
    struct span name;
    struct span id;
    struct span key;
    ptrdiff_t equals = span_find_byte(line, '=');
    if (equals < 0 || line.bytes > LINE_BYTES_MAX ||
        !split_key(span_trim(span_first(line, (size_t)equals)), &write, &name, &id, &key)) {
        return err_set(ERR_INVALID,
                       "line %zu column %zu: it must be token.read.N.KEY=VALUE or "
                       "token.write.N.KEY=VALUE",
                       number,
                       (size_t)(line.data - whole.data) + (equals < 0 ? line.bytes + 1 : 1));
    }
    if (table->entries.count >= TOKENS_MAX || arena_left(table->arena) < 4 * LINE_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "line %zu: too many tokens", number);
    }
    struct token_entry *entry = entry_of(table, names, name, id, write, number);
    struct span value = span_trim(span_from(line, (size_t)equals + 1));
    if (!set_value(table->arena, entry, key, value)) {
        return err_set(ERR_INVALID,
                       "line %zu column %zu: %.*s is not a key of tokens, or its value is not "
                       "of its form",
                       number, (size_t)(key.data - whole.data) + 1, SPAN_ARG(key));
    }
    return 0;
}

/* Completes the tokens from `first` on and makes them known. */
static int finish(struct token_table *table, size_t first)
{
    for (size_t i = first; i < table->entries.count; i++) {
        struct token_entry *entry = table->entries.items[i];
        struct token *token = &entry->token;
        if (!entry->has_hash) {
            return err_set(ERR_INVALID, "line %zu: this token has neither name nor hash",
                           entry->line);
        }
        if (token->write && token->owner.bytes == 0) {
            return err_set(ERR_INVALID, "line %zu: this token to write has no owner", entry->line);
        }
        if (token->write && token->producer.bytes == 0) {
            token->producer = token->owner;
        }
        if (map_put(&table->by_hash, span_of(entry->hash, TOKEN_HASH_BYTES), entry) != NULL) {
            return err_set(ERR_INVALID, "line %zu: this token is there twice", entry->line);
        }
    }
    return 0;
}

int token_table_read(struct token_table *table, struct span text)
{
    struct map names = {0};
    struct span line;
    size_t first = table->entries.count;
    size_t number = 0;
    int rc = 0;
    while (rc == 0 && span_split(&text, '\n', &line)) {
        struct span content = span_trim(line);
        number++;
        if (content.bytes > 0 && content.data[0] != '#' &&
            !span_starts_with(content, SPAN_LIT("//"))) {
            rc = read_line(table, &names, line, number);
        }
    }
    map_deinit(&names);
    return rc != 0 ? rc : finish(table, first);
}

/* ── Questions ───────────────────────────────────────────────────────────────────────────── */

int token_table_keys(struct token_table *table, struct span aes, struct span hash)
{
    if ((aes.bytes != 16 && aes.bytes != 24 && aes.bytes != 32) || hash.bytes != 16) {
        return err_set(ERR_INVALID, "the keys of tokens: AES needs 16, 24 or 32 bytes, the hash "
                                    "16");
    }
    table->aes = arena_span_dup(table->arena, aes);
    table->hash_key = arena_span_dup(table->arena, hash);
    return 0;
}

static int open_sealed(const struct token_table *table, struct span text, struct arena *arena,
                       const struct token **ret_token)
{
    struct buf descriptor = {0};
    int rc = table->aes.bytes == 0 ? ERR_AUTH
                                   : token_open(&descriptor, table->aes, table->hash_key, text);
    if (rc == 0) {
        struct token *token = ARENA_NEW(arena, struct token);
        rc = token_descriptor_read(arena, arena_span_dup(arena, buf_span(&descriptor)), token);
        *ret_token = token;
    }
    buf_deinit(&descriptor);
    return rc == 0 ? 0 : err_set(ERR_AUTH, "Invalid token.");
}

int token_find(const struct token_table *table, struct span text, bool write, int64_t now_ms,
               struct arena *arena, const struct token **ret_token)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    const struct token *token = NULL;
    if (text.bytes == 0 || text.bytes > TOKEN_BYTES_MAX) {
        return err_set(ERR_AUTH, "Invalid token.");
    }
    token_hash(text, hash);
    const struct token_entry *entry = map_get(&table->by_hash, span_of(hash, sizeof(hash)));
    if (entry != NULL) {
        token = &entry->token;
    } else {
        int rc = open_sealed(table, text, arena, &token);
        if (rc != 0) {
            return rc;
        }
    }
    if (token->write != write) {
        return err_set(ERR_AUTH, "Invalid token.");
    }
    if (token->revoked) {
        return err_set(ERR_AUTH, "Token revoked.");
    }
    if (token->expiry_ms != 0 && token->expiry_ms < now_ms) {
        return err_set(ERR_AUTH, "Token Expired.");
    }
    *ret_token = token;
    return 0;
}

bool token_attribute(const struct token *token, const char *name, struct span *ret_value)
{
    for (size_t i = 0; i < token->attributes.count; i++) {
        if (span_equal_str(token->attributes.items[i].name, name)) {
            *ret_value = token->attributes.items[i].value;
            return true;
        }
    }
    return false;
}

/* ── Writing files ───────────────────────────────────────────────────────────────────────── */

static void put_key(struct buf *buf, const struct token *token, const char *key)
{
    buf_printf(buf, "token.%s.%.*s.%s=", token->write ? "write" : "read", SPAN_ARG(token->id), key);
}

static void put_text(struct buf *buf, const struct token *token, const char *key, struct span value)
{
    if (value.bytes > 0) {
        put_key(buf, token, key);
        buf_append(buf, value);
        buf_append_byte(buf, '\n');
    }
}

static void put_number(struct buf *buf, const struct token *token, const char *key, uint64_t value)
{
    if (value > 0) {
        put_key(buf, token, key);
        buf_printf(buf, "%llu\n", (unsigned long long)value);
    }
}

static void put_list(struct buf *buf, const struct token *token, const char *key,
                     const struct token_list *list)
{
    if (list->count == 0) {
        return;
    }
    put_key(buf, token, key);
    for (size_t i = 0; i < list->count; i++) {
        buf_append_str(buf, i == 0 ? "" : ",");
        text_url_encode(buf, list->items[i]);
    }
    buf_append_byte(buf, '\n');
}

static void put_pairs(struct buf *buf, const struct token *token, const char *key,
                      const struct token_pairs *pairs, bool conditions)
{
    if (pairs->count == 0) {
        return;
    }
    put_key(buf, token, key);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct token_pair *pair = &pairs->items[i];
        buf_append_str(buf, i == 0 ? "" : ",");
        text_url_encode(buf, pair->name);
        buf_append_byte(buf, conditions ? pair->value.data[0] : '=');
        text_url_encode(buf, span_from(pair->value, conditions));
    }
    buf_append_byte(buf, '\n');
}

void token_print(struct buf *buf, const struct token *token, const uint8_t hash[TOKEN_HASH_BYTES])
{
    put_key(buf, token, "hash");
    text_hex(buf, span_of(hash, TOKEN_HASH_BYTES));
    buf_append_byte(buf, '\n');
    if (token->write) {
        put_text(buf, token, "owner", token->owner);
        put_text(buf, token, "producer", token->producer);
        put_text(buf, token, "app", token->application);
    } else {
        put_list(buf, token, "owners", &token->owners);
        put_list(buf, token, "producers", &token->producers);
        put_list(buf, token, "apps", &token->applications);
    }
    put_pairs(buf, token, "labels", &token->labels, !token->write);
    put_pairs(buf, token, "attributes", &token->attributes, false);
    put_number(buf, token, "issued", (uint64_t)token->issued_ms);
    put_number(buf, token, "expiry", (uint64_t)token->expiry_ms);
    put_number(buf, token, "maxrate", token->points_per_s);
    put_number(buf, token, "maxseries", token->series_max);
    if (token->revoked) {
        put_text(buf, token, "revoked", SPAN_LIT("true"));
    }
}
