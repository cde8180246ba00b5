/*
 * Answers selectors: the series of the condition with the fewest are looked at one by one.
 * Tested by catalogue_test.c.
 */
#include <stdlib.h>

#include "series/catalogue_internal.h"

/* One condition, as the catalogue can answer it. */
struct plan {
    const struct series_part *part;
    uint32_t name;      /* symbol of the label's name; 0: no series has such a label */
    uint32_t attribute; /* symbol of the attribute's name; 0: no series has one, or not asked */
    bool absent;        /* `name=`: neither is wanted */
    bool counted;       /* `refs` are all the values that match */
    numbers_vec refs;   /* symbols of values, sorted */
    uint64_t series;    /* that have one of them, or the attribute */
};

struct question {
    const struct series_catalogue *catalogue;
    const struct series_selector *selector;
    struct series_matcher matcher;
    numbers_vec classes; /* that match, sorted */
    uint64_t classes_series;
    struct plan *plans;
    size_t count;
};

static int ascending(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Many numbers of a range that is not much larger: one bit each. 2 million of several lists take
 * 10 ms, which qsort does in 100. */
static bool sort_by_bits(numbers_vec *numbers)
{
    uint32_t low = UINT32_MAX;
    uint32_t high = 0;
    for (size_t i = 0; i < numbers->count; i++) {
        low = MIN(low, numbers->items[i]);
        high = MAX(high, numbers->items[i]);
    }
    if (numbers->count < 256 || (high - low) / 64 > numbers->count) {
        return false;
    }
    size_t words = (high - low) / 64 + 1;
    uint64_t *bits = mem_alloc_array(words, sizeof(uint64_t));
    for (size_t i = 0; i < numbers->count; i++) {
        uint32_t number = numbers->items[i] - low;
        bits[number / 64] |= UINT64_C(1) << number % 64;
    }
    numbers->count = 0;
    for (size_t i = 0; i < words; i++) {
        for (uint64_t word = bits[i]; word != 0; word &= word - 1) {
            numbers->items[numbers->count++] =
                low + (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word);
        }
    }
    mem_free(bits);
    return true;
}

/* Sorts when it must, each once. */
static void sort_unique(numbers_vec *numbers)
{
    bool sorted = true;
    for (size_t i = 1; i < numbers->count && sorted; i++) {
        sorted = numbers->items[i - 1] < numbers->items[i];
    }
    if (sorted || sort_by_bits(numbers)) {
        return;
    }
    qsort(numbers->items, numbers->count, sizeof(uint32_t), ascending);
    size_t kept = 1;
    for (size_t i = 1; i < numbers->count; i++) {
        if (numbers->items[i] != numbers->items[kept - 1]) {
            numbers->items[kept++] = numbers->items[i];
        }
    }
    numbers->count = kept;
}

static bool contains(const numbers_vec *sorted, uint32_t number)
{
    size_t low = 0;
    size_t high = sorted->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted->items[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < sorted->count && sorted->items[low] == number;
}

/* Keeps those of `refs` whose text the part wants; returns how many postings they have. */
static uint64_t keep_matching(struct question *question, const struct series_part *part,
                              numbers_vec *refs)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    uint64_t postings = 0;
    size_t kept = 0;
    for (size_t i = 0; i < refs->count; i++) {
        const struct symbol *symbol = symbol_at(symbols, refs->items[i]);
        if (series_part_matches(part, &question->matcher, symbol_text(symbol))) {
            refs->items[kept++] = refs->items[i];
            postings += postings_count(&symbol->postings);
        }
    }
    refs->count = kept;
    return postings;
}

/* The symbols that an exact part names: one or none. */
static uint64_t find_exact(const struct symbols *symbols, uint32_t kind, struct span text,
                           numbers_vec *refs)
{
    uint32_t ref = symbols_find(symbols, kind, text);
    if (ref == 0) {
        return 0;
    }
    vec_push(refs, ref);
    return postings_count(&symbol_at(symbols, ref)->postings);
}

static void plan_class(struct question *question)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    const struct series_part *class = series_selector_class(question->selector);
    if (!class->regex) {
        question->classes_series =
            find_exact(symbols, SYMBOL_CLASS, class->text, &question->classes);
        return;
    }
    postings_get(&symbols->heap, &symbols->classes, &question->classes);
    question->classes_series = keep_matching(question, class, &question->classes);
    sort_unique(&question->classes);
}

static void plan_exact(struct question *question, struct plan *plan)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    bool labels_only =
        (series_selector_flags(question->selector) & SERIES_SELECTOR_LABELS_ONLY) != 0;
    plan->name = symbols_find(symbols, SYMBOL_NAME, plan->part->name);
    plan->attribute = labels_only ? 0 : symbols_find(symbols, SYMBOL_ATTRIBUTE, plan->part->name);
    plan->absent = !plan->part->regex && plan->part->text.bytes == 0;
    if (!plan->part->regex && plan->name != 0) {
        plan->series = find_exact(symbols, plan->name, plan->part->text, &plan->refs);
    }
    plan->counted = !plan->part->regex;
    if (plan->attribute != 0) {
        plan->series += postings_count(&symbol_at(symbols, plan->attribute)->postings);
    }
}

/* Which values a regex means is found out when that is less than trying it on `series` series. */
static void plan_regex(struct question *question, struct plan *plan, uint64_t series)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    if (plan->name != 0) {
        const struct postings *values = &symbol_at(symbols, plan->name)->postings;
        if (postings_count(values) > series) {
            return;
        }
        postings_get(&symbols->heap, values, &plan->refs);
        plan->series += keep_matching(question, plan->part, &plan->refs);
        sort_unique(&plan->refs);
    }
    plan->counted = true;
}

static void make_plans(struct question *question)
{
    const struct series_part *parts =
        series_selector_conditions(question->selector, &question->count);
    question->plans = mem_alloc_array(question->count + 1, sizeof(struct plan));
    plan_class(question);
    uint64_t fewest = question->classes_series;
    for (size_t i = 0; i < question->count; i++) {
        struct plan *plan = &question->plans[i];
        plan->part = &parts[i];
        plan_exact(question, plan);
        if (plan->counted && !plan->absent) {
            fewest = MIN(fewest, plan->series);
        }
    }
    for (size_t i = 0; i < question->count; i++) {
        if (question->plans[i].part->regex) {
            plan_regex(question, &question->plans[i], fewest);
        }
    }
}

/* The series of the symbols. */
static void gather(const struct symbols *symbols, const numbers_vec *refs, numbers_vec *out)
{
    for (size_t i = 0; i < refs->count; i++) {
        postings_get(&symbols->heap, &symbol_at(symbols, refs->items[i])->postings, out);
    }
}

/* Every series that the selector means is among these. */
static void candidates(const struct question *question, numbers_vec *out)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    const struct plan *best = NULL;
    uint64_t fewest = question->classes_series;
    for (size_t i = 0; i < question->count; i++) {
        const struct plan *plan = &question->plans[i];
        if (plan->counted && !plan->absent && plan->series < fewest) {
            best = plan;
            fewest = plan->series;
        }
    }
    if (best == NULL) {
        gather(symbols, &question->classes, out);
        return;
    }
    gather(symbols, &best->refs, out);
    if (best->attribute != 0) {
        postings_get(&symbols->heap, &symbol_at(symbols, best->attribute)->postings, out);
    }
}

/* An attribute against a part, absent included. */
static bool attribute_fits(struct question *question, const struct plan *plan, uint32_t number)
{
    struct series_catalogue *catalogue = (struct series_catalogue *)(uintptr_t)question->catalogue;
    const struct attribute *item = NULL;
    bool fits = false;
    pthread_rwlock_rdlock(&catalogue->attributes_lock);
    const struct attributes *attributes = catalogue_attributes(catalogue, number);
    item = attributes_find(attributes, plan->part->name);
    if (item != NULL && item->stamp.time < catalogue_died(chunk_of(catalogue, number), number)) {
        item = NULL;
    }
    if (plan->absent) {
        fits = item == NULL;
    } else if (item != NULL) {
        struct span value = attribute_value(attributes, (size_t)(item - attributes->items));
        fits = series_part_matches(plan->part, &question->matcher, value);
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
    return fits;
}

static bool fits(struct question *question, const struct plan *plan, const struct record *record)
{
    const struct symbols *symbols = &question->catalogue->symbols;
    if (plan->counted && !plan->part->regex && !plan->absent && plan->attribute == 0) {
        uint32_t wanted = plan->refs.count > 0 ? plan->refs.items[0] : 0;
        for (size_t i = 0; i < record->count; i++) {
            if (record->values[i] == wanted) {
                return true;
            }
        }
        return false;
    }
    for (size_t i = 0; plan->name != 0 && i < record->count; i++) {
        const struct symbol *value = symbol_at(symbols, record->values[i]);
        if (value->kind == plan->name) {
            if (plan->absent) {
                return false;
            }
            return plan->counted
                       ? contains(&plan->refs, record->values[i])
                       : series_part_matches(plan->part, &question->matcher, symbol_text(value));
        }
    }
    return plan->attribute == 0 ? plan->absent : attribute_fits(question, plan, record->number);
}

static bool is_meant(struct question *question, const struct record *record)
{
    if (!contains(&question->classes, record->class)) {
        return false;
    }
    for (size_t i = 0; i < question->count; i++) {
        if (!fits(question, &question->plans[i], record)) {
            return false;
        }
    }
    return true;
}

static void question_begin(struct question *question, const struct series_catalogue *catalogue,
                           const struct series_selector *selector)
{
    *question = (struct question){.catalogue = catalogue, .selector = selector};
    series_matcher_init(&question->matcher);
}

static void question_end(struct question *question)
{
    for (size_t i = 0; i < question->count; i++) {
        vec_deinit(&question->plans[i].refs);
    }
    mem_free(question->plans);
    vec_deinit(&question->classes);
    series_matcher_deinit(&question->matcher);
}

/* The key that an exact selector is about, when it can be one. */
static bool find_exact_series(struct series_catalogue *catalogue,
                              const struct series_selector *selector, uint32_t *ret_number)
{
    size_t count = 0;
    const struct series_part *parts = series_selector_conditions(selector, &count);
    struct series_label *labels = mem_alloc_array(count + 1, sizeof(struct series_label));
    struct buf key = {0};
    for (size_t i = 0; i < count; i++) {
        labels[i] = (struct series_label){parts[i].name, parts[i].text};
    }
    bool found = series_key_make(&key, series_selector_class(selector)->text, labels, count) == 0 &&
                 series_catalogue_find(catalogue, buf_span(&key), ret_number);
    buf_deinit(&key);
    mem_free(labels);
    return found;
}

static int select_many(struct series_catalogue *catalogue, const struct series_selector *selector,
                       bool dead_too, numbers_vec *numbers)
{
    struct question question;
    question_begin(&question, catalogue, selector);
    make_plans(&question);
    candidates(&question, numbers);
    size_t kept = 0;
    for (size_t i = 0; i < numbers->count; i++) {
        const struct record *record = record_of(catalogue, numbers->items[i]);
        if (record != NULL &&
            (dead_too || (__atomic_load_n(&record->state, __ATOMIC_ACQUIRE) & RECORD_LIVES) != 0) &&
            is_meant(&question, record)) {
            numbers->items[kept++] = numbers->items[i];
        }
    }
    numbers->count = kept;
    sort_unique(numbers);
    int rc = question.matcher.exceeded
                 ? err_set(ERR_TOO_LARGE, "selector: a regex takes too long on some of the values")
                 : 0;
    question_end(&question);
    return rc;
}

int series_catalogue_select(struct series_catalogue *catalogue,
                            const struct series_selector *selector, unsigned flags,
                            struct series_numbers *ret_numbers)
{
    numbers_vec numbers = {0};
    int rc = 0;
    bool dead_too = (flags & SERIES_SELECT_DEAD) != 0;
    if ((series_selector_flags(selector) & SERIES_SELECTOR_EXACT) != 0) {
        uint32_t number = 0;
        if (find_exact_series(catalogue, selector, &number) &&
            (dead_too || series_catalogue_lives(catalogue, number))) {
            vec_push(&numbers, number);
        }
    } else {
        rc = select_many(catalogue, selector, dead_too, &numbers);
    }
    if (rc < 0) {
        vec_deinit(&numbers);
        return rc;
    }
    *ret_numbers = (struct series_numbers){numbers.items, numbers.count};
    return 0;
}

void series_numbers_deinit(struct series_numbers *numbers)
{
    mem_free(numbers->items);
    *numbers = (struct series_numbers){0};
}

/* For series_selector_matches(). The value must outlive the lock: it is copied. */
struct asked {
    struct series_catalogue *catalogue;
    uint32_t number;
    struct buf value;
};

static bool ask_attribute(void *context, struct span name, struct span *ret_value)
{
    struct asked *asked = context;
    struct series_catalogue *catalogue = asked->catalogue;
    pthread_rwlock_rdlock(&catalogue->attributes_lock);
    const struct attributes *attributes = catalogue_attributes(catalogue, asked->number);
    const struct attribute *item = attributes_find(attributes, name);
    bool found =
        item != NULL &&
        item->stamp.time >= catalogue_died(chunk_of(catalogue, asked->number), asked->number);
    if (found) {
        buf_clear(&asked->value);
        buf_append(&asked->value, attribute_value(attributes, (size_t)(item - attributes->items)));
        *ret_value = buf_span(&asked->value);
    }
    pthread_rwlock_unlock(&catalogue->attributes_lock);
    return found;
}

bool series_catalogue_matches(struct series_catalogue *catalogue,
                              const struct series_selector *selector, uint32_t number)
{
    const struct record *record = record_of(catalogue, number);
    if (record == NULL) {
        return false;
    }
    struct asked asked = {.catalogue = catalogue, .number = number};
    struct series_matcher matcher;
    struct buf key = {0};
    record_key(catalogue, record, &key);
    series_matcher_init(&matcher);
    bool result =
        series_selector_matches(selector, &matcher, buf_span(&key), ask_attribute, &asked);
    series_matcher_deinit(&matcher);
    buf_deinit(&key);
    buf_deinit(&asked.value);
    return result;
}
