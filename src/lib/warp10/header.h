/*
 * The header X-Warp10-Datalog and the names of datalog files: how Warp 10 2.x tells another node
 * where a request came from. docs/protocols/warp10-http.md, "Datalog".
 */
#ifndef WARP10_HEADER_H
#define WARP10_HEADER_H

#include "base/arena.h"
#include "base/buf.h"

#define WARP10_DATALOG_HEADER "X-Warp10-Datalog"
#define WARP10_DATALOG_BYTES_MAX (64u << 10) /* of the header's value */
#define WARP10_NAME_BYTES_MAX 255            /* of a file name */

enum warp10_action { WARP10_UPDATE = 1, WARP10_META, WARP10_DELETE };

struct warp10_option {
    struct span name, value;
};

struct warp10_datalog {
    int64_t time_ns; /* when the origin took the request */
    struct span id;  /* of the origin, as its operator wrote it */
    enum warp10_action action;
    struct span token; /* as the client gave it */
    struct span now;   /* decimal, units; UPDATE. Empty: absent */
    struct span query; /* the query string of a DELETE, verbatim */
    bool delta;        /* attributes amend */
    const struct warp10_option *options;
    size_t option_count;
};

/* The value of the header; sealed when `psk` is not empty. Byte for byte what Warp 10 writes. */
MUST_CHECK int warp10_datalog_encode(struct buf *buf, const struct warp10_datalog *datalog,
                                     struct span psk);

/* From a header's value or the first line of a file (a leading # is skipped). ERR_PROTOCOL:
 * not of the form, or not sealed with `psk`. */
MUST_CHECK int warp10_datalog_decode(struct arena *arena, struct span text, struct span psk,
                                     struct warp10_datalog *ret_datalog);

/* Keys as operators write them: "hex:…", "base64:…" or plain text to bytes. ERR_INVALID; of a PSK
 * also with another length than 16, 24, 32 or nothing. */
MUST_CHECK int warp10_key_bytes(struct buf *bytes, const char *text);
MUST_CHECK int warp10_psk(struct buf *psk, const char *text);

/* "18e9e3fb4ff9ac74-QaxZOHpW-20261120T231635.001912436Z-..........3.datalog" */
void warp10_file_name(struct buf *buf, int64_t time_ns, struct span id, uint64_t number);

/* False: no name of a datalog file. The number is 0 when the name has none (before 2.7.4). */
bool warp10_file_name_parse(struct arena *arena, struct span name, int64_t *ret_time_ns,
                            struct span *ret_id, uint64_t *ret_number);

#endif
