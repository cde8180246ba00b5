/*
 * base64 [-d] [-raw] [-u] [-s] [-t out] [value]   encodes, -d decodes; -raw: no = at the end, -u:
 * the alphabet of URLs; -s: what is not base64 is dropped unescape [-url] [value …] decodes \n,
 * \u00e9 … as in quotes and in JSON
 *
 * Without values: DATA. Tested by modules_text_test.c.
 */
#include "base/text.h"
#include "query/lex.h"
#include "query/modules/modules.h"

#define NAMES_MAX 64

enum { FLAG_D, FLAG_RAW, FLAG_U, FLAG_S, FLAG_T };

static const struct query_flag base64_flags[] = {[FLAG_D] = {"d", false},
                                                 [FLAG_RAW] = {"raw", false},
                                                 [FLAG_U] = {"u", false},
                                                 [FLAG_S] = {"s", false},
                                                 [FLAG_T] = {"t", true}};
static const struct query_flag unescape_flags[] = {{"url", false}};

struct plan {
    struct span names[NAMES_MAX];
    size_t count;
    struct span out; /* empty: in place */
    bool given[FLAG_T];
    bool url;
};

/* Appends what `text` becomes; false: it cannot. */
typedef bool code(const struct plan *plan, struct span text, struct buf *buf);

static int parse_names(struct query_args *args, struct plan *plan, size_t max)
{
    int rc = query_args_names(args, plan->names, max, &plan->count);
    if (rc == 0 && plan->count == 0) {
        plan->names[plan->count++] = SPAN_LIT("DATA");
    }
    return rc;
}

static int parse_base64(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, base64_flags, ARRAY_COUNT(base64_flags), &flag, &value)) ==
           0) {
        if (flag == FLAG_T) {
            plan->out = span_of_str(value);
        } else {
            plan->given[flag] = true;
        }
    }
    return rc < 0 ? rc : parse_names(args, plan, 1);
}

static int parse_unescape(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, unescape_flags, ARRAY_COUNT(unescape_flags), &flag,
                                 &value)) == 0) {
        plan->url = true;
    }
    return rc < 0 ? rc : parse_names(args, plan, NAMES_MAX);
}

/* ── base64 ──────────────────────────────────────────────────────────────────────────────── */

static void swap(struct buf *buf, size_t from, const char *these, const char *those)
{
    for (size_t i = from; i < buf->bytes; i++) {
        const char *at = buf->data[i] == 0 ? NULL : strchr(these, buf->data[i]);
        buf->data[i] = at == NULL ? buf->data[i] : (uint8_t)those[at - these];
    }
}

static bool encode(const struct plan *plan, struct span text, struct buf *buf)
{
    text_base64(buf, text);
    while (plan->given[FLAG_RAW] && buf->bytes > 0 && buf->data[buf->bytes - 1] == '=') {
        buf->bytes--;
    }
    if (plan->given[FLAG_U]) {
        swap(buf, 0, "+/", "-_");
    }
    return true;
}

/* As much of it as can be decoded, unless -s. */
static bool decode(const struct plan *plan, struct span text, struct buf *buf)
{
    struct buf copy = {0};
    buf_append(&copy, text);
    if (plan->given[FLAG_U]) {
        swap(&copy, 0, "-_+/", "+/\x01\x01");
    }
    bool whole = text_unbase64(buf, buf_span(&copy));
    while (!whole && !plan->given[FLAG_S] && copy.bytes > 0) {
        size_t good = 0;
        while (good < copy.bytes && copy.data[good] != 0 &&
               strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                      copy.data[good]) != NULL) {
            good++;
        }
        copy.bytes = good - (good % 4 == 1 ? 1 : 0);
        whole = text_unbase64(buf, buf_span(&copy));
        if (!whole) { /* bits behind the last byte */
            copy.bytes -= copy.bytes % 4;
            whole = text_unbase64(buf, buf_span(&copy));
            break;
        }
    }
    buf_deinit(&copy);
    return whole;
}

static bool code_base64(const struct plan *plan, struct span text, struct buf *buf)
{
    return (plan->given[FLAG_D] ? decode : encode)(plan, text, buf);
}

/* ── unescape ────────────────────────────────────────────────────────────────────────────── */

/* Two halves of one character, \ud83d\ude00 as JSON has it: bytes behind the first backslash. */
static size_t pair(struct span after, struct buf *buf)
{
    struct buf hex = {0};
    bool two = after.bytes >= 11 && after.data[0] == 'u' && after.data[5] == '\\' &&
               after.data[6] == 'u' && text_unhex(&hex, span_first(span_from(after, 1), 4)) &&
               text_unhex(&hex, span_first(span_from(after, 7), 4));
    uint32_t high = two ? (uint32_t)hex.data[0] << 8 | hex.data[1] : 0;
    uint32_t low = two ? (uint32_t)hex.data[2] << 8 | hex.data[3] : 0;
    two = two && high >= 0xD800 && high <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF;
    if (two) {
        text_utf8_put(buf, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
    }
    buf_deinit(&hex);
    return two ? 11 : 0;
}

static bool code_unescape(const struct plan *plan, struct span text, struct buf *buf)
{
    if (plan->url) {
        return text_url_decode(buf, text, true);
    }
    for (size_t i = 0; i < text.bytes; i++) {
        struct span after = span_from(text, i + 1);
        size_t used = 0;
        if (text.data[i] == '\\' && after.bytes > 0 && after.data[0] == '/') {
            buf_append_byte(buf, '/');
            used = 1;
        } else if (text.data[i] == '\\') {
            used = pair(after, buf);
            used = used > 0 ? used : query_lex_escape(after, buf);
        }
        if (used == 0) {
            buf_append_byte(buf, text.data[i]);
        }
        i += used;
    }
    return true;
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

/* False: the entry is dropped. */
static bool run_one(const struct plan *plan, struct query_block *block, size_t index, code *how)
{
    bool all = true;
    for (size_t i = 0; i < plan->count; i++) {
        struct span text;
        struct buf made = {0};
        if (query_block_text(block, index, plan->names[i], &text) && how(plan, text, &made)) {
            struct span copy = arena_span_dup(block->columns->arena, buf_span(&made));
            query_block_set(block, index, plan->out.bytes > 0 ? plan->out : plan->names[i],
                            query_value_of_text(copy));
        } else {
            all = false;
        }
        buf_deinit(&made);
    }
    return all || !plan->given[FLAG_S];
}

static int run_with(const struct plan *plan, struct query_block *block, code *how)
{
    size_t kept = 0;
    for (size_t i = 0; i < block->count; i++) {
        if (run_one(plan, block, block->picks[i], how)) {
            block->picks[kept++] = block->picks[i];
        }
    }
    block->count = kept;
    return 0;
}

static int run_base64(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    return run_with(plan, block, code_base64);
}

static int run_unescape(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    return run_with(plan, block, code_unescape);
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->out.bytes > 0 ? plan->out : plan->names[i]);
    }
}

const struct query_module query_module_base64 = {
    .name = "base64",
    .summary = "encodes a value as base64, or decodes it",
    .parse = parse_base64,
    .run = run_base64,
    .tell = tell,
    .uses = uses,
};

const struct query_module query_module_unescape = {
    .name = "unescape",
    .summary = "decodes the escapes of values",
    .parse = parse_unescape,
    .run = run_unescape,
    .tell = tell,
    .uses = uses,
};
