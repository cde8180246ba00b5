/*
 * Values of eval and its operators. Two unlike operands: the other one is converted to the first
 * kind of address, time, duration, fraction, integer that one of them has; what cannot be is
 * undefined, and so is all that is made of it. Tested by eval_test.c.
 */
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "query/modules/eval.h"

bool eval_bytes(struct eval_run *run, size_t bytes)
{
    if (bytes > EVAL_BYTES_MAX - run->made_bytes) {
        run->why = "it makes too much text";
        return false;
    }
    run->made_bytes += bytes;
    return true;
}

struct eval_value eval_of(struct query_value value)
{
    return (struct eval_value){.value = value};
}

struct eval_value eval_text(struct eval_run *run, struct span text)
{
    if (!eval_bytes(run, text.bytes)) {
        return (struct eval_value){0};
    }
    return eval_of(query_value_of_text(arena_span_dup(run->arena, text)));
}

bool eval_list(struct eval_run *run, size_t count, struct eval_value **ret_items)
{
    if (count > EVAL_BYTES_MAX / sizeof(**ret_items) ||
        !eval_bytes(run, count * sizeof(**ret_items))) {
        run->why = "it makes too long a list";
        return false;
    }
    *ret_items = arena_alloc_array(run->arena, count + 1, sizeof(**ret_items));
    return true;
}

static void put_text(const struct eval_value *value, struct buf *buf, size_t depth)
{
    if (!value->list) {
        query_value_put_text(&value->value, buf);
        return;
    }
    buf_append_byte(buf, '[');
    for (size_t i = 0; i < value->count && depth < EVAL_DEPTH_MAX; i++) {
        buf_append_byte(buf, ' ');
        put_text(&value->items[i], buf, depth + 1);
        if (buf->bytes > EVAL_BYTES_MAX) {
            return;
        }
    }
    buf_append_str(buf, " ]");
}

bool eval_value_text(struct eval_run *run, const struct eval_value *value, struct span *ret_text)
{
    enum query_value_type type = value->value.type;
    if (!value->list && (type == QUERY_VALUE_TEXT || type == QUERY_VALUE_BYTES)) {
        *ret_text = value->value.text;
        return true;
    }
    if (!value->list && type == QUERY_VALUE_NONE) {
        return false;
    }
    struct buf buf = {0};
    put_text(value, &buf, 0);
    struct eval_value made = eval_text(run, buf_span(&buf));
    buf_deinit(&buf);
    *ret_text = made.value.text;
    return made.value.type != QUERY_VALUE_NONE;
}

static bool to_number(const struct eval_value *value, struct query_value *ret_number)
{
    return !value->list && query_value_number(&value->value, ret_number);
}

bool eval_real(const struct eval_value *value, double *ret_real)
{
    struct query_value number;
    if (!to_number(value, &number)) {
        return false;
    }
    *ret_real = query_value_real(&number);
    return true;
}

bool eval_integer(const struct eval_value *value, int64_t *ret_integer)
{
    struct query_value number;
    if (!to_number(value, &number)) {
        return false;
    }
    if (number.type == QUERY_VALUE_F64) {
        if (!(fabs(number.real) < 9.2e18)) {
            return false;
        }
        number.number = (int64_t)number.real;
    }
    *ret_integer = number.number;
    return true;
}

bool eval_true(const struct eval_value *value)
{
    if (value->list) {
        return value->count > 0;
    }
    switch (value->value.type) {
    case QUERY_VALUE_NONE:
    case QUERY_VALUE_REMOVED:
        return false;
    case QUERY_VALUE_TEXT:
    case QUERY_VALUE_BYTES:
        return value->value.text.bytes > 0;
    case QUERY_VALUE_F64:
        return value->value.real != 0;
    case QUERY_VALUE_IP:
        return true;
    default:
        return value->value.number != 0;
    }
}

/* ── Two operands of one kind ────────────────────────────────────────────────────────────── */

static bool is_text(const struct query_value *value)
{
    return value->type == QUERY_VALUE_TEXT || value->type == QUERY_VALUE_BYTES;
}

static bool as_time(const struct query_value *value, struct query_value *ret)
{
    *ret = (struct query_value){.type = QUERY_VALUE_TIME};
    if (value->type == QUERY_VALUE_TIME) {
        ret->number = value->number;
        return true;
    }
    if (value->type == QUERY_VALUE_I64) {
        ret->number = time_of_parts(value->number, 0);
        return true;
    }
    return is_text(value) && time_parse(value->text, &ret->number);
}

static bool as_duration(const struct query_value *value, struct query_value *ret)
{
    *ret = (struct query_value){.type = QUERY_VALUE_DURATION};
    if (value->type == QUERY_VALUE_DURATION || value->type == QUERY_VALUE_I64) {
        ret->number = value->number;
        return true;
    }
    return is_text(value) && time_parse_duration(value->text, &ret->number);
}

static bool as_ip(const struct query_value *value, struct query_value *ret)
{
    ret->type = QUERY_VALUE_IP;
    return query_value_ip(value, ret->ip);
}

/* Either both stay texts, or both become one of the kinds above. */
static bool promote(const struct query_value *a, const struct query_value *b,
                    struct query_value *ret_a, struct query_value *ret_b)
{
    if (is_text(a) && is_text(b)) {
        *ret_a = *a;
        *ret_b = *b;
        return true;
    }
    if (a->type == QUERY_VALUE_IP || b->type == QUERY_VALUE_IP) {
        return as_ip(a, ret_a) && as_ip(b, ret_b);
    }
    if (a->type == QUERY_VALUE_TIME || b->type == QUERY_VALUE_TIME) {
        return as_time(a, ret_a) && as_time(b, ret_b);
    }
    if (a->type == QUERY_VALUE_DURATION || b->type == QUERY_VALUE_DURATION) {
        return as_duration(a, ret_a) && as_duration(b, ret_b);
    }
    if (a->type == QUERY_VALUE_BOOL && is_text(b)) {
        *ret_a = *a;
        *ret_b = query_value_of_bool(span_equal_str(b->text, "true"));
        return span_equal_str(b->text, "true") || span_equal_str(b->text, "false");
    }
    if (b->type == QUERY_VALUE_BOOL && is_text(a)) {
        return promote(b, a, ret_b, ret_a);
    }
    return query_value_number(a, ret_a) && query_value_number(b, ret_b);
}

static bool compare(const struct query_value *a, const struct query_value *b, int *ret_order)
{
    struct query_value x;
    struct query_value y;
    if (!promote(a, b, &x, &y)) {
        return false;
    }
    *ret_order = is_text(&x) ? span_compare(x.text, y.text) : query_value_compare(&x, &y);
    return true;
}

bool eval_equal(const struct eval_value *a, const struct eval_value *b)
{
    int order = 1;
    if (a->list || b->list) {
        bool same = a->list && b->list && a->count == b->count;
        for (size_t i = 0; same && i < a->count; i++) {
            same = !a->items[i].list && !b->items[i].list && eval_equal(&a->items[i], &b->items[i]);
        }
        return same;
    }
    return compare(&a->value, &b->value, &order) && order == 0;
}

static bool ordered(enum eval_op op, const struct eval_value *a, const struct eval_value *b)
{
    int order = 0;
    if (a->list || b->list || !compare(&a->value, &b->value, &order)) {
        return false;
    }
    return op == EVAL_LT   ? order < 0
           : op == EVAL_GT ? order > 0
           : op == EVAL_LE ? order <= 0
                           : order >= 0;
}

/* ── Arithmetic ──────────────────────────────────────────────────────────────────────────── */

static bool integers(enum eval_op op, int64_t a, int64_t b, int64_t *ret)
{
    switch (op) {
    case EVAL_ADD:
        *ret = (int64_t)((uint64_t)a + (uint64_t)b);
        return true;
    case EVAL_SUB:
        *ret = (int64_t)((uint64_t)a - (uint64_t)b);
        return true;
    case EVAL_MUL:
        *ret = (int64_t)((uint64_t)a * (uint64_t)b);
        return true;
    case EVAL_DIV:
        *ret = b == -1 ? (int64_t)(0 - (uint64_t)a) : b == 0 ? 0 : a / b;
        return b != 0;
    case EVAL_MOD:
        *ret = b == -1 || b == 0 ? 0 : a % b;
        return b != 0;
    case EVAL_SHL:
        *ret = b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
        return true;
    case EVAL_SHR:
        *ret = a >> (b < 0 || b > 63 ? 63 : b);
        return true;
    case EVAL_BIT_AND:
        *ret = a & b;
        return true;
    case EVAL_BIT_OR:
        *ret = a | b;
        return true;
    default:
        *ret = a ^ b;
        return true;
    }
}

static bool reals(enum eval_op op, double a, double b, double *ret)
{
    switch (op) {
    case EVAL_ADD:
        *ret = a + b;
        break;
    case EVAL_SUB:
        *ret = a - b;
        break;
    case EVAL_MUL:
        *ret = a * b;
        break;
    case EVAL_DIV:
        *ret = b == 0 ? INFINITY : a / b;
        break;
    case EVAL_MOD:
        *ret = b == 0 ? INFINITY : fmod(a, b);
        break;
    default:
        return false;
    }
    return isfinite(*ret);
}

/* time ± duration, time - time, duration ± duration, duration * number. */
static bool times(enum eval_op op, const struct query_value *a, const struct query_value *b,
                  struct query_value *ret)
{
    struct query_value x;
    struct query_value y;
    if (a->type == QUERY_VALUE_TIME && op == EVAL_SUB &&
        (b->type == QUERY_VALUE_TIME || (is_text(b) && as_time(b, &y)))) {
        (void)as_time(b, &y);
        ret->type = QUERY_VALUE_DURATION;
        return !__builtin_sub_overflow(a->number, y.number, &ret->number);
    }
    if (a->type == QUERY_VALUE_TIME || b->type == QUERY_VALUE_TIME) {
        bool swap = b->type == QUERY_VALUE_TIME;
        const struct query_value *at = swap ? b : a;
        ret->type = QUERY_VALUE_TIME;
        if (!as_duration(swap ? a : b, &y) || (op != EVAL_ADD && (op != EVAL_SUB || swap))) {
            return false;
        }
        return op == EVAL_ADD ? !__builtin_add_overflow(at->number, y.number, &ret->number)
                              : !__builtin_sub_overflow(at->number, y.number, &ret->number);
    }
    struct query_value number;
    ret->type = QUERY_VALUE_DURATION;
    if ((op == EVAL_MUL || op == EVAL_DIV) && a->type == QUERY_VALUE_DURATION &&
        b->type != QUERY_VALUE_DURATION && query_value_number(b, &number)) {
        double by = query_value_real(&number);
        double made = op == EVAL_MUL ? (double)a->number * by : (double)a->number / by;
        ret->number = fabs(made) < 9.2e18 ? (int64_t)made : 0;
        return fabs(made) < 9.2e18;
    }
    return as_duration(a, &x) && as_duration(b, &y) && (op == EVAL_ADD || op == EVAL_SUB) &&
           integers(op, x.number, y.number, &ret->number);
}

static bool is_instant(const struct query_value *value)
{
    return value->type == QUERY_VALUE_TIME || value->type == QUERY_VALUE_DURATION;
}

static bool arithmetic(enum eval_op op, const struct query_value *a, const struct query_value *b,
                       struct query_value *ret)
{
    struct query_value x;
    struct query_value y;
    if (is_instant(a) || is_instant(b)) {
        return times(op, a, b, ret);
    }
    if (!query_value_number(a, &x) || !query_value_number(b, &y)) {
        return false;
    }
    if (x.type == QUERY_VALUE_I64 && y.type == QUERY_VALUE_I64) {
        ret->type = QUERY_VALUE_I64;
        return integers(op, x.number, y.number, &ret->number);
    }
    ret->type = QUERY_VALUE_F64;
    return reals(op, query_value_real(&x), query_value_real(&y), &ret->real);
}

static bool join(struct eval_run *run, struct span a, struct span b, struct eval_value *ret)
{
    if (!eval_bytes(run, a.bytes + b.bytes)) {
        return false;
    }
    uint8_t *text = arena_alloc(run->arena, a.bytes + b.bytes + 1);
    if (a.bytes > 0) {
        memcpy(text, a.data, a.bytes);
    }
    if (b.bytes > 0) {
        memcpy(text + a.bytes, b.data, b.bytes);
    }
    *ret = eval_of(query_value_of_text(span_of(text, a.bytes + b.bytes)));
    return true;
}

static bool contains(struct eval_run *run, const struct eval_value *a, const struct eval_value *b)
{
    struct span text;
    struct span part;
    for (size_t i = 0; a->list && i < a->count; i++) {
        if (eval_equal(&a->items[i], b)) {
            return true;
        }
    }
    return !a->list && eval_value_text(run, a, &text) && eval_value_text(run, b, &part) &&
           span_find(text, part) >= 0;
}

static bool undefined(const struct eval_value *value)
{
    return !value->list && value->value.type == QUERY_VALUE_NONE;
}

bool eval_binary(struct eval_run *run, enum eval_op op, const struct eval_value *a,
                 const struct eval_value *b, struct eval_value *ret)
{
    bool missing = undefined(a) || undefined(b);
    *ret = (struct eval_value){0};
    switch (op) {
    case EVAL_EQ:
    case EVAL_NE:
        *ret = eval_of(query_value_of_bool(!missing && eval_equal(a, b) == (op == EVAL_EQ)));
        return true;
    case EVAL_HAS:
    case EVAL_HAS_NOT:
        *ret = eval_of(query_value_of_bool(!missing && contains(run, a, b) == (op == EVAL_HAS)));
        return true;
    case EVAL_LT:
    case EVAL_GT:
    case EVAL_LE:
    case EVAL_GE:
        *ret = eval_of(query_value_of_bool(!missing && ordered(op, a, b)));
        return true;
    default:
        break;
    }
    if (missing || a->list || b->list) {
        return false;
    }
    if (op == EVAL_ADD && is_text(&a->value) && is_text(&b->value)) {
        return join(run, a->value.text, b->value.text, ret);
    }
    return arithmetic(op, &a->value, &b->value, &ret->value);
}
