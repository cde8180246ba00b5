/*
 * ip [-or] [-categorize] item …          item = value [OP address] [as name]
 * src OP address                         a filter on SRC
 * subnet [-4|-6] value /bits [as name] …
 *
 * Values become addresses. == and != compare with an address, ~ and !~ with a network, PRIVATE or
 * MULTICAST. What is no address passes unchanged without a filter, and fails one.
 * Tested by modules_values_test.c.
 */
#include <stdlib.h>

#include "base/text.h"
#include "query/modules/address.h"
#include "query/modules/extract.h"
#include "query/modules/modules.h"

#define ITEMS_MAX 64

enum { FLAG_OR, FLAG_CATEGORIZE };
enum { FLAG_4, FLAG_6 };

static const struct query_flag ip_flags[] = {
    [FLAG_OR] = {"or", false}, [FLAG_CATEGORIZE] = {"categorize", false}};
static const struct query_flag subnet_flags[] = {[FLAG_4] = {"4", false}, [FLAG_6] = {"6", false}};

struct item {
    struct span from;
    struct span to;
    struct span category; /* empty: none */
    struct extract_filter filter;
    struct address_set set;
    unsigned bits; /* of a subnet, of the 128 */
};

struct plan {
    struct item items[ITEMS_MAX];
    size_t count;
    bool any;   /* one filter is enough */
    bool typed; /* gives addresses: ip */
    bool v6;
};

static bool word_here(const struct query_args *args)
{
    return args->next < args->count && args->tokens[args->next].kind != QUERY_TOKEN_PUNCT &&
           args->tokens[args->next].kind != QUERY_TOKEN_OP;
}

/* An integer, 0x… or 32 digits of hexadecimal are addresses too. */
static bool number_address(struct span text, struct address_set *set)
{
    struct buf bytes = {0};
    uint64_t number = 0;
    struct query_value value = query_value_of_text(text);
    struct query_value read;
    bool whole = text.bytes == 32 && text_unhex(&bytes, text);
    set->networks[0].bits = 128;
    if (whole) {
        memcpy(set->networks[0].ip, bytes.data, ENTRY_SOURCE_BYTES);
    } else if (query_value_number(&value, &read) && read.type == QUERY_VALUE_I64 &&
               read.number >= 0 && read.number <= UINT32_MAX) {
        number = (uint64_t)read.number;
        uint8_t v4[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                         (uint8_t)number};
        entry_source_of_v4(v4, set->networks[0].ip);
        whole = true;
    }
    buf_deinit(&bytes);
    set->count = whole ? 1 : 0;
    return whole;
}

static int parse_filter(struct query_args *args, struct item *item)
{
    size_t at = args->next;
    int rc = extract_parse_filter(args, &item->filter);
    enum extract_op op = item->filter.op;
    if (rc < 0 || op == EXTRACT_NONE) {
        return rc;
    }
    const struct query_token *token = &args->tokens[at];
    if (op > EXTRACT_HAS_NOT) {
        return query_fault(args->error, token->offset, token->bytes,
                           "%s: addresses are compared by == != ~ !~", args->name);
    }
    if (!address_set_parse(item->filter.text, &item->set) &&
        !number_address(item->filter.text, &item->set)) {
        return query_fault(args->error, token[1].offset, token[1].bytes,
                           "%s: an address, a network such as 10.0.0.0/8, PRIVATE or MULTICAST "
                           "was expected",
                           args->name);
    }
    bool exact = op == EXTRACT_EQ || op == EXTRACT_NE;
    return !exact || (item->set.count == 1 && item->set.networks[0].bits == 128)
               ? 0
               : query_fault(args->error, token->offset, token->bytes,
                             "%s: a network is compared by ~ or !~", args->name);
}

static int parse_ip(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->typed = true;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    bool categorize = false;
    while ((rc = query_args_flag(args, ip_flags, ARRAY_COUNT(ip_flags), &flag, &value)) == 0) {
        plan->any = plan->any || flag == FLAG_OR;
        categorize = categorize || flag == FLAG_CATEGORIZE;
    }
    rc = rc < 0 ? rc : 0;
    while (rc == 0 && word_here(args)) {
        if (plan->count == ITEMS_MAX) {
            return query_args_fault(args, "more than %d items", ITEMS_MAX);
        }
        struct item *item = &plan->items[plan->count++];
        item->from = item->to = arena_span_dup(args->arena, args->tokens[args->next++].text);
        rc = parse_filter(args, item);
        rc = rc < 0 ? rc : query_args_as(args, &item->to);
        if (categorize) {
            item->category =
                span_of_str(arena_printf(args->arena, "%.*s_category", SPAN_ARG(item->to)));
        }
    }
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "a name is missing") : rc;
}

static int parse_src(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    plan->items[0].from = plan->items[0].to = SPAN_LIT("SRC");
    plan->count = 1;
    int rc = parse_filter(args, &plan->items[0]);
    return rc == 0 && plan->items[0].filter.op == EXTRACT_NONE
               ? query_args_fault(args, "== != ~ or !~ and an address were expected")
               : rc;
}

/* The value of the item as an address. */
static bool address_of(const struct query_block *block, size_t index, const struct item *item,
                       struct query_value *ret)
{
    struct query_value value;
    ret->type = QUERY_VALUE_IP;
    return query_block_get(block, index, item->from, &value) && query_value_ip(&value, ret->ip);
}

static bool meets(const struct item *item, bool there, const struct query_value *address)
{
    enum extract_op op = item->filter.op;
    bool wanted = op == EXTRACT_EQ || op == EXTRACT_HAS;
    return op == EXTRACT_NONE || (there && address_set_has(&item->set, address->ip) == wanted);
}

static bool run_one(const void *pointer, struct query_block *block, size_t index)
{
    const struct plan *plan = pointer;
    bool all = true;
    bool any = false;
    bool filters = false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct item *item = &plan->items[i];
        struct query_value address;
        bool there = address_of(block, index, item, &address);
        bool met = meets(item, there, &address);
        filters = filters || item->filter.op != EXTRACT_NONE;
        any = any || (met && item->filter.op != EXTRACT_NONE);
        all = all && met;
        if (there && plan->typed) {
            query_block_column(block, item->to)[index] = address;
        }
        if (there && item->category.bytes > 0) {
            query_block_column(block, item->category)[index] =
                query_value_of_text(span_of_str(address_category(address.ip)));
        }
    }
    return plan->any && filters ? any : all;
}

static int run_ip(const void *plan, void *state, struct query_block *block)
{
    (void)state;
    query_block_keep(block, run_one, plan);
    return 0;
}

static bool uses(const void *pointer, struct span name)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        if (span_equal(plan->items[i].from, name)) {
            return true;
        }
    }
    return false;
}

/* ── subnet ──────────────────────────────────────────────────────────────────────────────── */

static int parse_bits(struct query_args *args, const struct plan *plan, struct item *item)
{
    uint64_t bits = 0;
    unsigned most = plan->v6 ? 128 : 32;
    bool slash = args->next + 1 < args->count && query_token_is(&args->tokens[args->next], '/');
    if (!slash || !span_to_u64(args->tokens[args->next + 1].text, &bits) || bits > most) {
        return query_args_fault(args, "a value and the bits of its network, such as ip /24, were "
                                      "expected");
    }
    args->next += 2;
    item->bits = (unsigned)bits + (plan->v6 ? 0 : 96);
    return 0;
}

static int parse_subnet(struct query_args *args, void **ret_plan)
{
    struct plan *plan = ARENA_NEW(args->arena, struct plan);
    *ret_plan = plan;
    size_t flag = 0;
    const char *value = NULL;
    int rc = 0;
    while ((rc = query_args_flag(args, subnet_flags, ARRAY_COUNT(subnet_flags), &flag, &value)) ==
           0) {
        plan->v6 = flag == FLAG_6;
    }
    rc = rc < 0 ? rc : 0;
    while (rc == 0 && word_here(args)) {
        if (plan->count == ITEMS_MAX) {
            return query_args_fault(args, "more than %d items", ITEMS_MAX);
        }
        struct item *item = &plan->items[plan->count++];
        item->from = arena_span_dup(args->arena, args->tokens[args->next++].text);
        item->to = SPAN_LIT("subnet");
        rc = parse_bits(args, plan, item);
        rc = rc < 0 ? rc : query_args_as(args, &item->to);
    }
    return rc == 0 && plan->count == 0 ? query_args_fault(args, "a name is missing") : rc;
}

static int run_subnet(const void *pointer, void *state, struct query_block *block)
{
    (void)state;
    const struct plan *plan = pointer;
    for (size_t j = 0; j < plan->count; j++) {
        const struct item *item = &plan->items[j];
        for (size_t i = 0; i < block->count; i++) {
            struct query_value address;
            if (address_of(block, block->picks[i], item, &address) &&
                address_is_v4(address.ip) != plan->v6) {
                address_mask(address.ip, item->bits);
                query_block_column(block, item->to)[block->picks[i]] = address;
            }
        }
    }
    return 0;
}

static void tell(const void *pointer, query_tell *each, void *context)
{
    const struct plan *plan = pointer;
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->items[i].to);
        if (plan->items[i].category.bytes > 0) {
            each(context, plan->items[i].category);
        }
    }
}

const struct query_module query_module_ip = {
    .name = "ip",
    .summary = "makes values addresses, filters and sorts them into categories",
    .parse = parse_ip,
    .tell = tell,
    .run = run_ip,
    .uses = uses,
};

const struct query_module query_module_src = {
    .name = "src",
    .summary = "filters by the source",
    .parse = parse_src,
    .run = run_ip,
    .uses = uses,
};

const struct query_module query_module_subnet = {
    .name = "subnet",
    .summary = "gives the networks of addresses",
    .parse = parse_subnet,
    .tell = tell,
    .run = run_subnet,
    .uses = uses,
};
