#include "query/aggregate.h"

#include <math.h>

#include "base/mem.h"

#define TEXT_BYTES_MAX (UINT32_C(128) << 20)
#define ROOT_MAX INT64_C(3000000000) /* its square is an int64_t */
#define PARTS_MAX UINT32_C(64)       /* doubles span 2098 bits, a part holds 53 of them */
#define ADDED_MAX 1e290              /* so that no sum of what is added can be too large */
#define SQUARED_MAX 1e145
#define WHOLE_MAX 9223372036854775808.0 /* no int64_t is greater */

static const char *const names[] = {
    [AGGREGATE_COUNT] = "count",
    [AGGREGATE_SUM] = "sum",
    [AGGREGATE_TOTAL] = "total",
    [AGGREGATE_MEAN] = "mean",
    [AGGREGATE_STDDEV] = "stddev",
    [AGGREGATE_VARIANCE] = "variance",
    [AGGREGATE_MIN] = "min",
    [AGGREGATE_MAX] = "max",
    [AGGREGATE_UNIQUE_COUNT] = "unique_count",
};

enum aggregate_op aggregate_find(struct span name)
{
    for (size_t i = AGGREGATE_COUNT; i < ARRAY_COUNT(names); i++) {
        if (span_equal_str(name, names[i])) {
            return (enum aggregate_op)i;
        }
    }
    return span_equal_str(name, "avg") ? AGGREGATE_MEAN : (enum aggregate_op)0;
}

const char *aggregate_name(enum aggregate_op op)
{
    return names[op];
}

void aggregate_deinit(struct aggregate *aggregate)
{
    mem_free(aggregate->sum.parts);
    mem_free(aggregate->squares.parts);
    if (aggregate->best.type == QUERY_VALUE_TEXT) {
        mem_free((void *)(uintptr_t)aggregate->best.text.data);
    }
    if (aggregate->distinct != NULL) {
        distinct_deinit(aggregate->distinct);
        mem_free(aggregate->distinct);
    }
    *aggregate = (struct aggregate){0};
}

/* ── Exact sums ──────────────────────────────────────────────────────────────────────────── */

/* Adds to the parts, smallest first; what each addition rounds away stays as a part (Shewchuk). */
static void sum_add(struct aggregate_sum *sum, double x)
{
    uint32_t kept = 0;
    if (sum->count == sum->capacity) {
        sum->capacity = MAX(sum->capacity * 2, UINT32_C(2));
        sum->parts = mem_realloc(sum->parts, sum->capacity * sizeof(double));
    }
    for (uint32_t i = 0; i < sum->count; i++) {
        double y = sum->parts[i];
        double large = fabs(x) < fabs(y) ? y : x;
        double small = fabs(x) < fabs(y) ? x : y;
        double high = large + small;
        double low = small - (high - large);
        if (!isfinite(high)) {
            return; /* beyond what a double holds: that value is left out */
        }
        if (low != 0) {
            sum->parts[kept++] = low;
        }
        x = high;
    }
    sum->parts[kept++] = x;
    sum->count = kept;
}

/* x·y exactly. */
static void sum_add_product(struct aggregate_sum *sum, double x, double y)
{
    double high = x * y;
    if (isfinite(high)) {
        sum_add(sum, high);
        sum_add(sum, fma(x, y, -high));
    }
}

/* As two doubles without rounding. */
static void put_whole(struct aggregate_sum *sum, int64_t whole)
{
    int64_t low = whole & 0xFFFFFFFF;
    sum_add(sum, (double)(whole - low));
    sum_add(sum, (double)low);
}

static void put_square(struct aggregate_sum *sum, int64_t root)
{
    int64_t low = root & 0xFFFFFFFF;
    double high = (double)(root - low);
    sum_add_product(sum, high, high);
    sum_add_product(sum, 2 * high, (double)low);
    sum_add_product(sum, (double)low, (double)low);
}

static void sum_add_i64(struct aggregate_sum *sum, int64_t number)
{
    int64_t whole;
    if (__builtin_add_overflow(sum->whole, number, &whole)) {
        put_whole(sum, sum->whole);
        whole = number;
    }
    sum->whole = whole;
}

/* The same sum in doubles alone, which the caller frees. */
static struct aggregate_sum in_parts(const struct aggregate_sum *sum)
{
    struct aggregate_sum all = {0};
    for (uint32_t i = 0; i < sum->count; i++) {
        sum_add(&all, sum->parts[i]);
    }
    if (sum->whole != 0) {
        put_whole(&all, sum->whole);
    }
    return all;
}

/* Of a sum in doubles alone: it, rounded to the nearest double. */
static double sum_round(const struct aggregate_sum *sum)
{
    uint32_t i = sum->count;
    if (i == 0) {
        return 0;
    }
    double high = sum->parts[--i];
    double low = 0;
    while (i > 0) {
        double before = high;
        double part = sum->parts[--i];
        high = before + part;
        low = part - (high - before);
        if (low != 0) {
            break;
        }
    }
    /* Half way between two doubles: the parts that are left decide. */
    if (i > 0 && ((low < 0 && sum->parts[i - 1] < 0) || (low > 0 && sum->parts[i - 1] > 0))) {
        double twice = low * 2;
        double next = high + twice;
        high = twice == next - high ? next : high;
    }
    return high + 0.0; /* no negative zero */
}

/* The sum as two doubles, whatever parts it happens to have. */
static void sum_split(const struct aggregate_sum *sum, double *ret_high, double *ret_low)
{
    struct aggregate_sum rest = in_parts(sum);
    *ret_high = sum_round(&rest);
    sum_add(&rest, -*ret_high);
    *ret_low = sum_round(&rest);
    mem_free(rest.parts);
}

/* ── Adding ──────────────────────────────────────────────────────────────────────────────── */

static void add_square(struct aggregate *aggregate, const struct query_value *number)
{
    if (number->type == QUERY_VALUE_F64) {
        sum_add_product(&aggregate->squares, number->real, number->real);
    } else if (number->number >= -ROOT_MAX && number->number <= ROOT_MAX) {
        sum_add_i64(&aggregate->squares, number->number * number->number);
    } else {
        put_square(&aggregate->squares, number->number);
    }
}

static void add_number(struct aggregate *aggregate, enum aggregate_op op,
                       const struct query_value *value)
{
    struct query_value number;
    bool squares = op == AGGREGATE_VARIANCE || op == AGGREGATE_STDDEV;
    if (!query_value_number(value, &number)) {
        return;
    }
    bool real = number.type == QUERY_VALUE_F64;
    if (real && fabs(number.real) > (squares ? SQUARED_MAX : ADDED_MAX)) {
        return;
    }
    aggregate->count++;
    aggregate->real = aggregate->real || real;
    if (real) {
        sum_add(&aggregate->sum, number.real);
    } else {
        sum_add_i64(&aggregate->sum, number.number);
    }
    if (squares) {
        add_square(aggregate, &number);
    }
}

/* Numbers and addresses as such: "7" and "7.0" are one value, however it was written. The text is
 * borrowed. */
static void best_of(const struct query_value *value, struct query_value *ret_best)
{
    if (query_value_number(value, ret_best)) {
        bool whole = ret_best->type == QUERY_VALUE_F64 && ret_best->real >= -WHOLE_MAX &&
                     ret_best->real < WHOLE_MAX && ret_best->real == floor(ret_best->real);
        if (whole) {
            *ret_best = query_value_of_i64((int64_t)ret_best->real);
        }
        if (value->type == QUERY_VALUE_TIME || value->type == QUERY_VALUE_DURATION) {
            ret_best->type = value->type;
        }
    } else if (query_value_ip(value, ret_best->ip)) {
        ret_best->type = QUERY_VALUE_IP;
    } else {
        *ret_best = query_value_of_text(value->text);
    }
}

/* Any number is better than any address, that than any text: a "-" is not the largest size. */
static int rank_of(const struct query_value *value)
{
    return value->type == QUERY_VALUE_TEXT ? 2 : value->type == QUERY_VALUE_IP ? 1 : 0;
}

static bool is_better(enum aggregate_op op, const struct query_value *a,
                      const struct query_value *b)
{
    if (a->type == QUERY_VALUE_I64 && b->type == QUERY_VALUE_I64) {
        return op == AGGREGATE_MIN ? a->number < b->number : a->number > b->number;
    }
    if (rank_of(a) != rank_of(b)) {
        return rank_of(a) < rank_of(b);
    }
    int order = query_value_compare(a, b);
    order = order == 0 ? (int)a->type - (int)b->type : order;
    return op == AGGREGATE_MIN ? order < 0 : order > 0;
}

static size_t text_bytes(const struct query_value *value)
{
    return value->type == QUERY_VALUE_TEXT ? value->text.bytes : 0;
}

/* Returns how many bytes more are held. */
static int64_t add_best(struct aggregate *aggregate, enum aggregate_op op,
                        const struct query_value *value)
{
    struct query_value *best = &aggregate->best;
    struct query_value candidate;
    best_of(value, &candidate);
    int64_t before = (int64_t)text_bytes(best);
    aggregate->count++;
    if (best->type != QUERY_VALUE_NONE && !is_better(op, &candidate, best)) {
        return 0;
    }
    if (best->type == QUERY_VALUE_TEXT) {
        mem_free((void *)(uintptr_t)best->text.data);
    }
    *best = candidate;
    if (best->type == QUERY_VALUE_TEXT) {
        best->text.data = mem_dup(candidate.text.data, candidate.text.bytes);
    }
    return (int64_t)text_bytes(best) - before;
}

static int64_t add_least(struct aggregate *aggregate, struct span text)
{
    struct query_value *best = &aggregate->best;
    int64_t before = (int64_t)text_bytes(best);
    aggregate->count++;
    if (best->type != QUERY_VALUE_NONE && span_compare(text, best->text) >= 0) {
        return 0;
    }
    mem_free((void *)(uintptr_t)best->text.data);
    *best = query_value_of_text(span_of(mem_dup(text.data, text.bytes), text.bytes));
    return (int64_t)text.bytes - before;
}

static struct distinct *distinct_of(struct aggregate *aggregate)
{
    if (aggregate->distinct == NULL) {
        aggregate->distinct = MEM_NEW(struct distinct);
    }
    return aggregate->distinct;
}

static int64_t add_distinct(struct aggregate *aggregate, const struct query_value *value)
{
    struct distinct *distinct = distinct_of(aggregate);
    size_t before = distinct_bytes(distinct);
    if (value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES) {
        distinct_add(distinct, value->text);
    } else {
        struct buf text = {0};
        query_value_put_text(value, &text);
        distinct_add(distinct, buf_span(&text));
        buf_deinit(&text);
    }
    return (int64_t)distinct_bytes(distinct) - (int64_t)before;
}

int64_t aggregate_add(struct aggregate *aggregate, enum aggregate_op op,
                      const struct query_value *value)
{
    switch (op) {
    case AGGREGATE_COUNT:
        aggregate->count++;
        return 0;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        return add_best(aggregate, op, value);
    case AGGREGATE_UNIQUE_COUNT:
        return add_distinct(aggregate, value);
    case AGGREGATE_LEAST:
        return add_least(aggregate, value->text);
    default:
        add_number(aggregate, op, value);
        return 0;
    }
}

/* ── Results ─────────────────────────────────────────────────────────────────────────────── */

/* (n·Σx² − (Σx)²) / n², the numerator exact but for one rounding. */
static double variance(const struct aggregate *aggregate)
{
    struct aggregate_sum numerator = {0};
    struct aggregate_sum squares = in_parts(&aggregate->squares);
    double n = (double)aggregate->count;
    double high = 0;
    double low = 0;
    for (uint32_t i = 0; i < squares.count; i++) {
        sum_add_product(&numerator, n, squares.parts[i]);
    }
    sum_split(&aggregate->sum, &high, &low);
    sum_add_product(&numerator, -high, high);
    sum_add_product(&numerator, -2 * high, low);
    sum_add_product(&numerator, -low, low);
    double result = sum_round(&numerator) / (n * n);
    mem_free(numerator.parts);
    mem_free(squares.parts);
    return MAX(result, 0.0);
}

static double mean(const struct aggregate *aggregate)
{
    struct aggregate_sum sum = in_parts(&aggregate->sum);
    double result = sum_round(&sum) / (double)aggregate->count;
    mem_free(sum.parts);
    return result;
}

static struct query_value total(const struct aggregate *aggregate)
{
    double high = 0;
    double low = 0;
    sum_split(&aggregate->sum, &high, &low);
    bool fits = !aggregate->real && fabs(high) < 9.2e18;
    return fits ? query_value_of_i64((int64_t)high + (int64_t)low) : query_value_of_f64(high);
}

bool aggregate_result(const struct aggregate *aggregate, enum aggregate_op op,
                      struct query_value *ret_value)
{
    if (aggregate->count == 0 && op != AGGREGATE_COUNT && op != AGGREGATE_UNIQUE_COUNT) {
        return false;
    }
    switch (op) {
    case AGGREGATE_COUNT:
        *ret_value = query_value_of_i64((int64_t)aggregate->count);
        break;
    case AGGREGATE_UNIQUE_COUNT:
        *ret_value = query_value_of_i64(
            aggregate->distinct == NULL ? 0 : (int64_t)distinct_count(aggregate->distinct));
        break;
    case AGGREGATE_SUM:
    case AGGREGATE_TOTAL:
        *ret_value = total(aggregate);
        break;
    case AGGREGATE_MEAN:
        *ret_value = query_value_of_f64(mean(aggregate));
        break;
    case AGGREGATE_VARIANCE:
        *ret_value = query_value_of_f64(variance(aggregate));
        break;
    case AGGREGATE_STDDEV:
        *ret_value = query_value_of_f64(sqrt(variance(aggregate)));
        break;
    default:
        *ret_value = aggregate->best;
    }
    return true;
}

bool aggregate_is_estimate(const struct aggregate *aggregate)
{
    return aggregate->distinct != NULL && distinct_is_estimate(aggregate->distinct);
}

/* ── As bytes ────────────────────────────────────────────────────────────────────────────── */

static void put_double(struct buf *buf, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    wire_put_u64(buf, bits);
}

static double get_double(struct wire_reader *reader)
{
    uint64_t bits = wire_get_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return isfinite(value) ? value : 0;
}

static void put_sum(struct buf *buf, const struct aggregate_sum *sum)
{
    struct aggregate_sum all = in_parts(sum);
    wire_put_u32(buf, all.count);
    for (uint32_t i = 0; i < all.count; i++) {
        put_double(buf, all.parts[i]);
    }
    mem_free(all.parts);
}

static void take_sum(struct aggregate_sum *sum, struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);
    for (uint32_t i = 0; i < MIN(count, PARTS_MAX); i++) {
        sum_add(sum, get_double(reader));
    }
}

static void put_best(struct buf *buf, const struct query_value *best)
{
    wire_put_u8(buf, (uint8_t)best->type);
    if (best->type == QUERY_VALUE_TEXT) {
        wire_put_bytes(buf, best->text);
    } else if (best->type == QUERY_VALUE_IP) {
        buf_append(buf, span_of(best->ip, sizeof(best->ip)));
    } else if (best->type == QUERY_VALUE_F64) {
        put_double(buf, best->real);
    } else {
        wire_put_u64(buf, (uint64_t)best->number);
    }
}

static int64_t take_best(struct aggregate *aggregate, enum aggregate_op op,
                         struct wire_reader *reader)
{
    int64_t more = 0;
    struct query_value best = {.type = wire_get_u8(reader)};
    if (best.type == QUERY_VALUE_TEXT) {
        best.text = wire_get_bytes(reader, TEXT_BYTES_MAX);
    } else if (best.type == QUERY_VALUE_IP) {
        struct span ip = wire_get_raw(reader, sizeof(best.ip));
        if (ip.bytes == sizeof(best.ip)) {
            memcpy(best.ip, ip.data, sizeof(best.ip));
        }
    } else if (best.type == QUERY_VALUE_F64) {
        best.real = get_double(reader);
    } else {
        best.number = (int64_t)wire_get_u64(reader);
    }
    if (best.type > QUERY_VALUE_NONE && best.type <= QUERY_VALUE_DURATION &&
        best.type != QUERY_VALUE_BYTES) {
        more = add_best(aggregate, op, &best);
        aggregate->count--;
    }
    return more;
}

void aggregate_put(const struct aggregate *aggregate, enum aggregate_op op, struct buf *buf)
{
    static const struct distinct none;
    if (op == AGGREGATE_UNIQUE_COUNT) {
        distinct_put(aggregate->distinct == NULL ? &none : aggregate->distinct, buf);
        return;
    }
    wire_put_u64(buf, aggregate->count);
    if (op == AGGREGATE_LEAST) {
        wire_put_bytes(buf, aggregate->best.text);
    } else if (op == AGGREGATE_MIN || op == AGGREGATE_MAX) {
        put_best(buf, &aggregate->best);
    } else if (op != AGGREGATE_COUNT) {
        wire_put_u8(buf, aggregate->real);
        put_sum(buf, &aggregate->sum);
        put_sum(buf, &aggregate->squares);
    }
}

int64_t aggregate_take(struct aggregate *aggregate, enum aggregate_op op,
                       struct wire_reader *reader)
{
    if (op == AGGREGATE_UNIQUE_COUNT) {
        struct distinct *distinct = distinct_of(aggregate);
        size_t before = distinct_bytes(distinct);
        distinct_take(distinct, reader);
        return (int64_t)distinct_bytes(distinct) - (int64_t)before;
    }
    uint64_t count = wire_get_u64(reader);
    if (op == AGGREGATE_LEAST) {
        struct span text = wire_get_bytes(reader, TEXT_BYTES_MAX);
        return count > 0 && !reader->failed ? add_least(aggregate, text) : 0;
    }
    aggregate->count += count;
    if (op == AGGREGATE_MIN || op == AGGREGATE_MAX) {
        return take_best(aggregate, op, reader);
    }
    if (op != AGGREGATE_COUNT) {
        aggregate->real = (wire_get_u8(reader) != 0) || aggregate->real;
        take_sum(&aggregate->sum, reader);
        take_sum(&aggregate->squares, reader);
    }
    return 0;
}
