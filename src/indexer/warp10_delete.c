/*
 * delete: what is matched is listed, then it goes. Tested by warp10_test.c and
 * tests/cluster/test_warp10.py.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "indexer/warp10_internal.h"
#include "warp10/scope.h"

/* The token must be that of a producer who owns what he writes. */
static int check_token(struct warp10_call *call)
{
    struct span text = span_of_str(http_request_header(call->request, call->warp10->token_header));
    int rc = warp10_call_token(call, text, true, "Missing token.", ".nodelete");
    if (rc == 0 && !span_equal(call->token->owner, call->token->producer)) {
        rc = err_set(ERR_PROTOCOL, "Invalid write token for deletion.");
    }
    return rc == ERR_AUTH || rc == ERR_DENIED ? ERR_PROTOCOL : rc; /* 500, as there */
}

/* What was signed at the origin must be what is asked here. */
static int check_query(struct warp10_call *call)
{
    if (call->forwarded && !span_equal(warp10_call_query(call), call->datalog.query)) {
        return err_set(ERR_PROTOCOL, "Invalid DatalogRequest.");
    }
    return 0;
}

static int perform_received(struct warp10_call *call, const struct series_delete *deletion)
{
    struct storage_waiter waiter = STORAGE_WAITER;
    struct storage_received received;
    int rc = datalog2x_next(&call->place, &received);
    return rc < 0 ? rc
                  : storage_wait(&waiter, storage_submit_delete(call->warp10->storage, deletion,
                                                                &received, storage_wake, &waiter));
}

static int perform(struct warp10_call *call, const struct warp10_delete *asked)
{
    struct buf selector = {0};
    int rc = scope_selector(&selector, call->token, asked->selector);
    if (rc == 0) {
        struct series_delete deletion = {.flags = asked->all ? SERIES_DELETE_WHOLE : 0,
                                         .start_ns = asked->all ? INT64_MIN : asked->start_ns,
                                         .end_ns = asked->all ? INT64_MAX : asked->end_ns,
                                         .selector = buf_span(&selector)};
        rc = call->placed ? perform_received(call, &deletion)
                          : storage_delete(call->warp10->storage, &deletion, NULL);
    }
    buf_deinit(&selector);
    return rc;
}

static void list(struct warp10_call *call, const struct series_numbers *numbers)
{
    struct warp10_out out;
    struct warp10_series series = {0};
    if (warp10_out_open(&out, call, "text/plain;charset=iso-8859-1") != 0) {
        return;
    }
    for (size_t i = 0; i < numbers->count && warp10_out_flush(&out, false) == 0; i++) {
        if (warp10_series_load(call->warp10, numbers->items[i], &series)) {
            output_deleted(&out.buf, &series.shown, warp10_shows_owner(call));
        }
    }
    warp10_out_close(&out);
    warp10_series_deinit(&series);
}

static int answer(struct warp10_call *call, const struct warp10_delete *asked)
{
    struct series_numbers numbers = {0};
    if (asked->metadata_only) {
        return err_set(ERR_PROTOCOL, "Parameter metaonly is not supported.");
    }
    int rc = warp10_select(call, asked->selector, SERIES_SELECTOR_LABELS_ONLY, &numbers);
    if (rc == 0 && !asked->dry_run) {
        rc = warp10_call_keep(call, WARP10_DELETE, false, 0);
        rc = rc < 0 ? rc : perform(call, asked);
        rc = rc < 0 ? rc : request2x_publish(&call->kept);
    }
    if (rc == 0) {
        list(call, &numbers);
    }
    series_numbers_deinit(&numbers);
    return rc;
}

/* A delete that its origin published although it failed there, or that we do not have, would be
 * sent again for ever. */
static bool is_hopeless(const struct warp10_call *call, int rc)
{
    return call->placed && (rc == ERR_INVALID || rc == ERR_PROTOCOL || rc == ERR_UNSUPPORTED ||
                            rc == ERR_TOO_LARGE);
}

static int finish(struct warp10_call *call, int rc)
{
    char text[ERR_TEXT_BYTES_MAX];
    if (is_hopeless(call, rc)) {
        (void)snprintf(text, sizeof(text), "%s", err_text());
        rc = warp10_call_quarantine(call, text);
        if (rc == 0) {
            warp10_call_done(call);
        }
    }
    warp10_call_leave(call, rc == 0);
    return rc;
}

void warp10_delete(struct http_request *request, void *context)
{
    struct warp10_call call;
    struct warp10_args args = {0};
    struct warp10_delete asked;
    if (!warp10_call_begin(&call, context, request)) {
        return;
    }
    int rc = warp10_call_datalog(&call);
    rc = rc < 0 ? rc : check_token(&call);
    rc = rc < 0 ? rc : check_query(&call);
    rc = rc < 0 ? rc : warp10_call_place(&call);
    bool known = rc > 0;
    rc = rc != 0 ? rc : warp10_call_args(&call, &args);
    rc = rc != 0 ? rc : warp10_delete_parse(&args, call.warp10->unit, &asked);
    rc = rc != 0 ? rc : answer(&call, &asked);
    rc = finish(&call, rc);
    if (known) {
        warp10_call_done(&call);
    } else if (rc < 0) {
        warp10_call_fault(&call, rc);
    }
    warp10_call_end(&call);
}
