#include "warp10/source.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#define DECODE_BYTES_MAX ((size_t)4 << 20)

struct names {
    VEC(char *) all;
};

static int collect(void *context, const char *name)
{
    struct names *names = context;
    struct span span = span_of_str(name);
    if (span_ends_with(span, SPAN_LIT(SOURCE_SUFFIX))) {
        vec_push(&names->all, mem_dup(span.data, span.bytes + 1));
    }
    return 0;
}

/* The request and the name that it has. ERR_PROTOCOL. */
static int decode(const struct source *source, struct arena *arena, const char *name,
                  struct span text, struct warp10_datalog *datalog)
{
    int64_t time_ns;
    struct span id;
    uint64_t number;
    struct span line = SPAN_NONE;
    struct span rest = text;
    (void)span_split(&rest, '\n', &line);
    int rc = warp10_datalog_decode(arena, line, source->psk, datalog);
    if (rc == 0 && (!warp10_file_name_parse(arena, span_of_str(name), &time_ns, &id, &number) ||
                    time_ns != datalog->time_ns || !span_equal(id, datalog->id))) {
        rc = err_set(ERR_PROTOCOL, "the file's name is not that of its request");
    }
    return rc;
}

static bool is_ignored(const struct source *source, struct span id)
{
    for (size_t i = 0; i < source->ignored_count; i++) {
        if (span_equal(source->ignored[i], id)) {
            return true;
        }
    }
    return false;
}

static int set_aside(const struct source *source, const char *name, struct span text)
{
    const struct post_target *target = source->target;
    struct buf reason = {0};
    buf_printf(&reason, "%s: %s", name, err_text());
    struct refused_item item = {.time_ns = io_now_ns(target->io),
                                .link = span_of_str(target->link),
                                .target = span_of_str(target->url),
                                .reason = buf_span(&reason),
                                .tries = 1,
                                .request = text};
    int rc = refused_put(target->io, target->quarantine_dir, &item);
    if (rc == 0 && target->tell != NULL) {
        target->tell(target->tell_context, buf_str(&reason), true);
    }
    buf_deinit(&reason);
    return rc;
}

/* 0: the file has been dealt with. */
static int handle(const struct source *source, const char *name, struct span text,
                  struct source_counts *counts)
{
    struct warp10_datalog datalog;
    struct post_request request;
    if (text.bytes == 0) {
        return 0;
    }
    struct arena *arena = arena_new(DECODE_BYTES_MAX);
    int rc = decode(source, arena, name, text, &datalog);
    if (rc < 0) {
        rc = set_aside(source, name, text);
        counts->set_aside++;
    } else if (is_ignored(source, datalog.id)) {
        counts->ignored++;
    } else {
        post_request_of(text, &datalog, &request);
        rc = post_deliver(source->target, &request);
        counts->sent += rc == 0;
        counts->set_aside += rc == 1;
    }
    arena_free(&arena);
    return rc < 0 ? rc : 0;
}

static int forward_one(const struct source *source, const char *name, struct source_counts *counts)
{
    struct io *io = source->target->io;
    struct buf path = {0};
    struct buf text = {0};
    buf_printf(&path, "%s/%s", source->dir, name);
    int rc = io_read_file(io, buf_str(&path), REFUSED_ITEM_BYTES_MAX, &text);
    rc = rc < 0 ? rc : handle(source, name, buf_span(&text), counts);
    rc = rc < 0 ? rc : io_remove(io, buf_str(&path));
    buf_deinit(&path);
    buf_deinit(&text);
    return rc;
}

int source_forward(const struct source *source, struct source_counts *counts)
{
    struct names names = {0};
    int rc = io_list(source->target->io, source->dir, collect, &names);
    for (size_t i = 0; i < names.all.count; i++) {
        rc = rc < 0 ? rc : forward_one(source, names.all.items[i], counts);
        mem_free(names.all.items[i]);
    }
    vec_deinit(&names.all);
    return rc;
}
