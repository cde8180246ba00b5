/*
 * delete: what is matched is listed, then it goes. Tested by warp10_test.c and
 * tests/cluster/test_warp10.py.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "indexer/warp10_batch.h"
#include "indexer/warp10_internal.h"
#include "warp10/scope.h"

#define SERIES_MAX 10000 /* each is a delete to be remembered */

/* The token must be that of a producer who owns what he writes. */
static int check_token(struct warp10_call *call)
{
    struct span text = span_of_str(http_request_header(call->request, call->warp10->token_header));
    int rc = warp10_call_token(call, text, true, "Missing token.", ".nodelete");
    if (rc == 0 && !span_equal(call->token->owner, call->token->producer)) {
        rc = err_set(ERR_PROTOCOL, "Invalid write token for deletion.");
    }
    rc = rc == ERR_AUTH || rc == ERR_DENIED ? ERR_PROTOCOL : rc; /* 500, as there */
    if (rc == 0 && call->warp10->no_deletes && !call->forwarded) {
        rc = err_set(ERR_DENIED, "Deletes are disabled by the administrator.");
    }
    return rc;
}

/* What was signed at the origin must be what is asked here. */
static int check_query(struct warp10_call *call)
{
    if (call->forwarded && !span_equal(warp10_call_query(call), call->datalog.query)) {
        return err_set(ERR_PROTOCOL, "Invalid DatalogRequest.");
    }
    return 0;
}

static struct series_delete deletion_of(const struct warp10_delete *asked)
{
    struct series_delete deletion = {.start_ns = asked->start_ns, .end_ns = asked->end_ns};
    if (asked->all) {
        deletion = (struct series_delete){.flags = SERIES_DELETE_WHOLE,
                                          .start_ns = INT64_MIN,
                                          .end_ns = asked->metadata_only ? INT64_MIN : INT64_MAX};
    }
    return deletion;
}

/* All that the selector means, also what comes later with an older time. */
static int delete_selector(struct warp10_call *call, const struct warp10_delete *asked,
                           struct warp10_batch *batch)
{
    struct buf selector = {0};
    struct series_delete deletion = deletion_of(asked);
    int rc = scope_selector(&selector, call->token, asked->selector);
    deletion.selector = buf_span(&selector);
    rc = rc < 0 ? rc : warp10_batch_delete(batch, &deletion);
    buf_deinit(&selector);
    return rc;
}

/* Just these, one by one. */
static int delete_each(struct warp10_call *call, const struct warp10_delete *asked,
                       const struct series_numbers *numbers, struct warp10_batch *batch)
{
    struct series_catalogue *catalogue = storage_catalogue(call->warp10->storage);
    struct series_delete deletion = deletion_of(asked);
    struct buf key = {0};
    struct buf selector = {0};
    int rc = 0;
    deletion.flags |= SERIES_DELETE_EXACT;
    for (size_t i = 0; i < numbers->count && rc == 0; i++) {
        buf_clear(&key);
        buf_clear(&selector);
        if (series_catalogue_key(catalogue, numbers->items[i], &key)) {
            series_selector_print_exact(&selector, buf_span(&key));
            deletion.selector = buf_span(&selector);
            rc = warp10_batch_delete(batch, &deletion);
        }
    }
    buf_deinit(&key);
    buf_deinit(&selector);
    return rc;
}

static int perform(struct warp10_call *call, const struct warp10_delete *asked,
                   const struct series_numbers *numbers, bool by_name)
{
    struct warp10_batch batch;
    warp10_batch_init(&batch, call->warp10->storage);
    warp10_batch_begin(&batch, false, call->placed ? &call->place : NULL);
    int rc =
        by_name ? delete_each(call, asked, numbers, &batch) : delete_selector(call, asked, &batch);
    int finished = warp10_batch_finish(&batch);
    warp10_batch_deinit(&batch);
    return rc < 0 ? rc : finished;
}

/* Before they are gone, and their attributes with them. */
static void list(struct warp10_call *call, const struct series_numbers *numbers, struct buf *lines)
{
    struct warp10_series series = {0};
    for (size_t i = 0; i < numbers->count; i++) {
        if (warp10_series_load(call->warp10, numbers->items[i], &series)) {
            output_deleted(lines, &series.shown, warp10_shows_owner(call));
        }
    }
    warp10_series_deinit(&series);
}

static void send_list(struct warp10_call *call, struct buf *lines)
{
    struct warp10_out out;
    if (warp10_out_open(&out, call, "text/plain;charset=iso-8859-1") == 0) {
        out.buf = *lines;
        *lines = (struct buf){0};
        warp10_out_close(&out);
    }
}

/* What is asked for must be allowed here. */
static int check_allowed(const struct warp10_call *call, const struct warp10_delete *asked)
{
    const struct warp10 *warp10 = call->warp10;
    if (asked->metadata_only && !warp10->allow_metadata_deletes) {
        return err_set(ERR_PROTOCOL, "Parameter metaonly is not supported.");
    }
    if (asked->by_activity && !warp10->allow_activity_deletes) {
        return err_set(ERR_PROTOCOL, "Standalone version does not support the 'activeafter' and "
                                     "'quietafter' parameters in delete requests.");
    }
    return 0;
}

static bool is_same(const struct series_numbers *a, const struct series_numbers *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(*a->items)) == 0);
}

/* What is meant. Attributes and activity differ between nodes and times: when the selector's
 * labels mean others than just these, each is deleted by its name. */
static int find_meant(struct warp10_call *call, const struct warp10_delete *asked,
                      struct series_numbers *ret_numbers, bool *ret_by_name)
{
    struct series_numbers labelled = {0};
    int rc = warp10_select(call, asked->selector, SERIES_SELECTOR_LABELS_ONLY, &labelled);
    rc = rc < 0 ? rc : warp10_select(call, asked->selector, 0, ret_numbers);
    if (rc == 0) {
        warp10_narrow(call->warp10, ret_numbers, 0, WARP10_UNLIMITED, asked->active_after_ms,
                      asked->quiet_after_ms);
        *ret_by_name = asked->by_activity || !is_same(ret_numbers, &labelled);
        if (*ret_by_name && ret_numbers->count > SERIES_MAX) {
            rc = err_set(ERR_TOO_LARGE,
                         "At most %d series can be deleted by attribute or activity "
                         "at a time.",
                         SERIES_MAX);
        }
    }
    series_numbers_deinit(&labelled);
    return rc;
}

static int answer(struct warp10_call *call, const struct warp10_delete *asked)
{
    struct series_numbers numbers = {0};
    struct buf lines = {0};
    bool by_name = false;
    int rc = check_allowed(call, asked);
    rc = rc < 0 ? rc : find_meant(call, asked, &numbers, &by_name);
    if (rc == 0) {
        list(call, &numbers, &lines);
    }
    if (rc == 0 && !asked->dry_run) {
        rc = warp10_call_keep(call, WARP10_DELETE, false, 0);
        rc = rc < 0 ? rc : perform(call, asked, &numbers, by_name);
        rc = rc < 0 ? rc : request2x_publish(&call->kept);
    }
    if (rc == 0) {
        send_list(call, &lines);
    }
    buf_deinit(&lines);
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
