#include "net/http_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"

enum piece_kind { PIECE_LITERAL, PIECE_PARAM, PIECE_REST };

struct piece {
    enum piece_kind kind;
    char *text; /* the literal, or the name of the parameter */
};

struct entry {
    const struct http_route *route;
    void *context;
    struct piece pieces[HTTP_SEGMENTS_MAX];
    size_t piece_count;
};

struct http_router {
    VEC(struct entry) entries; /* the more specific first */
};

static int add_piece(struct entry *entry, struct span text)
{
    struct piece *piece = &entry->pieces[entry->piece_count];
    if (text.data[0] != '{') {
        piece->kind = PIECE_LITERAL;
        piece->text = mem_strndup((const char *)text.data, text.bytes);
    } else {
        bool rest = span_ends_with(text, SPAN_LIT("*}"));
        size_t tail = rest ? 2 : 1;
        if (text.data[text.bytes - 1] != '}' || text.bytes <= 1 + tail) {
            return err_set(ERR_INVALID, "route %s: {name} expected", entry->route->path);
        }
        piece->kind = rest ? PIECE_REST : PIECE_PARAM;
        piece->text = mem_strndup((const char *)text.data + 1, text.bytes - 1 - tail);
    }
    entry->piece_count++;
    return 0;
}

static int parse_entry(struct entry *entry)
{
    struct span rest = span_of_str(entry->route->path);
    struct span text;
    size_t params = 0;
    if (rest.bytes == 0 || rest.data[0] != '/') {
        return err_set(ERR_INVALID, "route %s: must begin with /", entry->route->path);
    }
    while (span_split(&rest, '/', &text)) {
        if (text.bytes == 0) {
            continue;
        }
        bool after_rest =
            entry->piece_count > 0 && entry->pieces[entry->piece_count - 1].kind == PIECE_REST;
        if (entry->piece_count == HTTP_SEGMENTS_MAX || after_rest) {
            return err_set(ERR_INVALID, "route %s: too long, or {path*} not last",
                           entry->route->path);
        }
        int rc = add_piece(entry, text);
        if (rc < 0) {
            return rc;
        }
        params += entry->pieces[entry->piece_count - 1].kind != PIECE_LITERAL;
    }
    if (params > HTTP_PARAMS_MAX) {
        return err_set(ERR_INVALID, "route %s: more than %d parameters", entry->route->path,
                       HTTP_PARAMS_MAX);
    }
    return 0;
}

/* The more specific path first, segment by segment; equal shapes: a method before "*". */
static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    size_t count = MIN(a->piece_count, b->piece_count);
    for (size_t i = 0; i < count; i++) {
        if (a->pieces[i].kind != b->pieces[i].kind) {
            return a->pieces[i].kind < b->pieces[i].kind ? -1 : 1;
        }
        int order =
            a->pieces[i].kind == PIECE_LITERAL ? strcmp(a->pieces[i].text, b->pieces[i].text) : 0;
        if (order != 0) {
            return order;
        }
    }
    if (a->piece_count != b->piece_count) {
        /* "/a" before "/a/{rest*}"; otherwise they never match the same path. */
        return a->piece_count < b->piece_count ? -1 : 1;
    }
    bool a_any = strcmp(a->route->method, "*") == 0;
    bool b_any = strcmp(b->route->method, "*") == 0;
    return a_any != b_any ? (a_any ? 1 : -1) : strcmp(a->route->method, b->route->method);
}

int http_router_new(const struct http_routes *tables, size_t table_count,
                    struct http_router **ret_router)
{
    struct http_router *router = MEM_NEW(struct http_router);
    int rc = 0;
    for (size_t t = 0; t < table_count && rc == 0; t++) {
        for (size_t i = 0; i < tables[t].count && rc == 0; i++) {
            vec_push(&router->entries,
                     (struct entry){.route = &tables[t].routes[i], .context = tables[t].context});
            rc = parse_entry(&router->entries.items[router->entries.count - 1]);
        }
    }
    if (rc == 0 && router->entries.count > 0) {
        qsort(router->entries.items, router->entries.count, sizeof(struct entry), compare_entries);
    }
    for (size_t i = 1; i < router->entries.count && rc == 0; i++) {
        const struct entry *entry = &router->entries.items[i];
        if (compare_entries(entry - 1, entry) == 0) {
            rc = err_set(ERR_INVALID, "route %s %s is there twice", entry->route->method,
                         entry->route->path);
        }
    }
    if (rc < 0) {
        http_router_free(&router);
        return rc;
    }
    *ret_router = router;
    return 0;
}

void http_router_free(struct http_router **router)
{
    if (*router == NULL) {
        return;
    }
    for (size_t i = 0; i < (*router)->entries.count; i++) {
        struct entry *entry = &(*router)->entries.items[i];
        for (size_t p = 0; p < entry->piece_count; p++) {
            mem_free(entry->pieces[p].text);
        }
    }
    vec_deinit(&(*router)->entries);
    mem_free(*router);
    *router = NULL;
}

/* ── Targets ─────────────────────────────────────────────────────────────────────────────── */

static const char *decode(struct arena *arena, struct span text, bool plus)
{
    struct buf buf = {0};
    bool ok = text_url_decode(&buf, text, plus) && span_find_byte(buf_span(&buf), 0) < 0;
    const char *decoded = ok ? arena_span_str(arena, buf_span(&buf)) : NULL;
    buf_deinit(&buf);
    return decoded;
}

/* Slashes that were escaped count: what is decoded may become the path of a file. */
static bool climbs(const char *segment)
{
    struct span rest = span_of_str(segment);
    struct span piece;
    bool found = false;
    while (!found && span_split(&rest, '/', &piece)) {
        found = span_equal_str(piece, ".") || span_equal_str(piece, "..");
    }
    return found;
}

static int parse_path(struct arena *arena, struct span raw, struct http_target *target)
{
    target->path = decode(arena, raw, false);
    if (target->path == NULL) {
        return err_set(ERR_INVALID, "the path has a bad %% escape");
    }
    struct span rest = raw;
    struct span piece;
    while (span_split(&rest, '/', &piece)) {
        if (piece.bytes == 0) {
            continue;
        }
        if (target->segment_count == HTTP_SEGMENTS_MAX) {
            return err_set(ERR_INVALID, "the path has more than %d segments", HTTP_SEGMENTS_MAX);
        }
        const char *segment = decode(arena, piece, false);
        if (segment == NULL || climbs(segment)) {
            return err_set(ERR_INVALID, "the path has a segment that is not allowed");
        }
        target->rests[target->segment_count] =
            decode(arena, span_of(piece.data, raw.bytes - (size_t)(piece.data - raw.data)), false);
        target->segments[target->segment_count++] = segment;
    }
    target->rests[target->segment_count] = "";
    return 0;
}

static int parse_query(struct arena *arena, struct span raw, struct http_target *target)
{
    size_t count = 1;
    for (size_t i = 0; i < raw.bytes; i++) {
        count += raw.data[i] == '&';
    }
    target->query = arena_alloc_array(arena, count, sizeof(*target->query));
    struct span pair;
    while (span_split(&raw, '&', &pair)) {
        struct span value = pair;
        struct span name = SPAN_NONE;
        if (pair.bytes == 0) {
            continue;
        }
        (void)span_split(&value, '=', &name);
        struct http_pair *to = &target->query[target->query_count++];
        to->name = decode(arena, name, true);
        to->value = decode(arena, value, true);
        if (to->name == NULL || to->value == NULL) {
            return err_set(ERR_INVALID, "the query has a bad %% escape");
        }
    }
    return 0;
}

int http_target_parse(struct arena *arena, const char *target, struct http_target *ret_target)
{
    struct span path = span_of_str(target);
    struct span query = SPAN_NONE;
    ptrdiff_t mark = span_find_byte(path, '?');
    if (mark >= 0) {
        query = span_from(path, (size_t)mark + 1);
        path = span_first(path, (size_t)mark);
    }
    *ret_target = (struct http_target){0};
    int rc = parse_path(arena, path, ret_target);
    return rc < 0 ? rc : parse_query(arena, query, ret_target);
}

/* ── Matching ────────────────────────────────────────────────────────────────────────────── */

static bool path_matches(const struct entry *entry, const struct http_target *target)
{
    for (size_t i = 0; i < entry->piece_count; i++) {
        const struct piece *piece = &entry->pieces[i];
        if (piece->kind == PIECE_REST) {
            return true;
        }
        if (i >= target->segment_count) {
            return false;
        }
        if (piece->kind == PIECE_LITERAL && strcmp(piece->text, target->segments[i]) != 0) {
            return false;
        }
    }
    return entry->piece_count == target->segment_count;
}

static bool method_matches(const char *route_method, const char *method)
{
    return strcmp(route_method, method) == 0 || strcmp(route_method, "*") == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route_method, "GET") == 0);
}

static void take(const struct entry *entry, const struct http_target *target,
                 struct http_match *match)
{
    match->route = entry->route;
    match->context = entry->context;
    for (size_t i = 0; i < entry->piece_count; i++) {
        const struct piece *piece = &entry->pieces[i];
        if (piece->kind != PIECE_LITERAL) {
            match->params[match->param_count++] = (struct http_pair){
                piece->text, piece->kind == PIECE_REST ? target->rests[i] : target->segments[i]};
        }
    }
}

static void allow(struct http_match *match, const char *method)
{
    size_t used = strlen(match->allow);
    if (strstr(match->allow, method) == NULL) {
        (void)snprintf(match->allow + used, sizeof(match->allow) - used, "%s%s",
                       used > 0 ? ", " : "", method);
    }
}

void http_router_match(const struct http_router *router, const char *method,
                       const struct http_target *target, struct http_match *ret_match)
{
    *ret_match = (struct http_match){0};
    for (size_t i = 0; i < router->entries.count; i++) {
        const struct entry *entry = &router->entries.items[i];
        if (!path_matches(entry, target)) {
            continue;
        }
        if (method_matches(entry->route->method, method)) {
            take(entry, target, ret_match);
            return;
        }
        /* A catch-all says nothing about whether the path exists. */
        if (entry->piece_count > 0 && entry->pieces[entry->piece_count - 1].kind != PIECE_REST) {
            allow(ret_match, entry->route->method);
        }
    }
}
