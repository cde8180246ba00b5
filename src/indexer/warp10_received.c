/*
 * What Warp 10 2.x nodes forward: its place among our records, and what becomes of that which
 * cannot be applied. Tested by datalog2x_test.c and tests/cluster/test_warp10_datalog.py.
 */
#include <stdio.h>

#include "base/err.h"
#include "indexer/warp10_internal.h"
#include "service/log.h"
#include "warp10/refused.h"

#define ASIDE_BYTES_MAX ((size_t)64 << 20)

int warp10_call_place(struct warp10_call *call)
{
    struct warp10 *warp10 = call->warp10;
    if (!call->forwarded) {
        return 0;
    }
    int rc = datalog2x_begin(warp10->datalog2x, &call->datalog, &call->place);
    atomic_fetch_add(&warp10->received, 1);
    call->placed = rc == 0;
    if (rc > 0) {
        atomic_fetch_add(&warp10->known, 1);
        return 1;
    }
    return rc;
}

int warp10_call_keep(struct warp10_call *call, enum warp10_action action, bool delta, int64_t now)
{
    struct warp10_datalog datalog = {
        .time_ns = call->now_ns, .action = action, .token = call->token_text, .delta = delta};
    if (call->forwarded || call->warp10->requests_kept == NULL) {
        return 0;
    }
    if (action == WARP10_UPDATE) {
        datalog.now = span_of_str(arena_printf(call->arena, "%lld", (long long)now));
    } else if (action == WARP10_DELETE) {
        datalog.query = warp10_call_query(call);
    }
    return request2x_begin(call->warp10->requests_kept, &datalog, &call->kept);
}

void warp10_call_leave(struct warp10_call *call, bool whole)
{
    if (call->placed) {
        datalog2x_end(&call->place, whole && !call->quarantined);
        call->placed = false;
    }
    request2x_drop(&call->kept);
    buf_deinit(&call->aside);
}

int warp10_call_set_aside(struct warp10_call *call, const struct gts_reader *reader)
{
    char text[ERR_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text());
    if (call->aside.bytes == 0) {
        (void)snprintf(call->aside_reason, sizeof(call->aside_reason), "%s", text);
    }
    size_t before = call->aside.bytes;
    gts_reader_wrong_line(reader, &call->aside);
    if (call->aside.bytes == before + 1 || call->aside.bytes > ASIDE_BYTES_MAX) {
        return err_set(ERR_TOO_LARGE, "%s", text);
    }
    atomic_fetch_add(&call->warp10->quarantined, 1);
    return 0;
}

int warp10_call_quarantine(struct warp10_call *call, const char *reason)
{
    struct warp10 *warp10 = call->warp10;
    struct refused_item item = {.time_ns = call->now_ns,
                                .link = SPAN_LIT("received"),
                                .reason = span_of_str(reason),
                                .tries = 1};
    const char *header = http_request_header(call->request, warp10->datalog_header);
    struct buf request = {0};
    buf_append_str(&request, header);
    buf_append_byte(&request, '\n');
    buf_append(&request, buf_span(&call->aside));
    item.request = buf_span(&request);
    call->quarantined = true; /* it may be sent again from there, and is not known then */
    int rc = refused_put(warp10->io, warp10->quarantine_dir, &item);
    buf_deinit(&request);
    log_warn("datalog-quarantine", "a forwarded request could not be applied; it is set aside",
             "origin", LOG_SPAN(call->datalog.id), "reason", reason, NULL);
    return rc;
}
