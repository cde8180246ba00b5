/*
 * A client of etcd 3.4 and later: its HTTP/JSON gateway, through libcurl. Knows nothing of what we
 * keep there (layout.h).
 *
 * Calls go to one member as long as it answers, then to the next; each is repeated on the others
 * until its time is over, so only what may safely happen twice is called: reads, and transactions
 * whose comparisons fail the second time. Any number of threads.
 */
#ifndef ETCD_CLIENT_H
#define ETCD_CLIENT_H

#include <jansson.h>

#include "io/io.h"
#include "net/http_client.h"

#define ETCD_MEMBERS_MAX 16
#define ETCD_ATTEMPT_MS 400      /* for one member, before the next one is asked */
#define ETCD_TLS_ATTEMPT_MS 1000 /* a handshake may belong to it */
#define ETCD_CALL_MS 2500        /* for a call, all members together */
#define ETCD_PUTS_MAX 100        /* in a transaction; etcd's own default is 128 operations */
#define ETCD_BYTES_MAX                                                                             \
    1400000 /* of keys and values in a transaction; etcd's default is 1.5 MiB                      \
             */
#define ETCD_ANSWER_BYTES_MAX (512u << 20)

struct etcd;

/* PEM files for "etcds://"; NULL or "": the system's authorities, no certificate of ours. */
struct etcd_tls {
    const char *ca_path;
    const char *cert_path, *key_path; /* both or none */
};

/* "etcd://host:port,host:port/prefix" (port 2379 and prefix "aquifer" unless given), "etcds://"
 * for TLS. `tls` may be NULL; copied. ERR_INVALID says what is wrong. Does not connect. */
MUST_CHECK int etcd_new(struct io *io, const char *url, const struct etcd_tls *tls,
                        struct etcd **ret_etcd);
void etcd_free(struct etcd **etcd);  /* may be NULL; no call may be running */
void etcd_cancel(struct etcd *etcd); /* ends all calls, those to come too: ERR_CANCELLED */
bool etcd_cancelled(struct etcd *etcd);

const char *etcd_prefix(const struct etcd *etcd);

/* POSTs and gives the answer, a new reference. ERR_UNAVAILABLE or ERR_TIMEOUT: no member answered
 * in time, and what was asked may have happened. ERR_INVALID: etcd will not have it.
 * ERR_NO_SPACE: its quota is used up, an operator must see to it. */
MUST_CHECK int etcd_call(struct etcd *etcd, const char *path, const json_t *body,
                         unsigned timeout_ms, json_t **ret_answer);

/* ---- pieces of requests; all are new references ---- */

json_t *etcd_bytes(struct span bytes); /* base64, as the gateway wants keys and values */
json_t *etcd_text(const char *text);
json_t *etcd_number(uint64_t number); /* the gateway writes 64-bit numbers as strings */
json_t *etcd_put(const char *key, struct span value, uint64_t lease);
json_t *etcd_get(const char *key);
json_t *etcd_get_prefix(const char *prefix);
json_t *etcd_delete_prefix(const char *prefix);
json_t *etcd_if_mod(const char *key, uint64_t mod_revision); /* 0: there is no such key */

/* ---- pieces of answers ---- */

uint64_t etcd_answer_number(const json_t *json, const char *key);
uint64_t etcd_answer_revision(const json_t *answer); /* of the header */
/* Appends the decoded member; nothing when it is absent. ERR_PROTOCOL: not base64. */
MUST_CHECK int etcd_answer_bytes(const json_t *json, const char *key, struct buf *buf);

/* ---- transactions ---- */

enum etcd_txn_outcome { ETCD_TXN_ELSE = 1 };

/* Takes the three lists, each of which may be NULL. 0: the comparisons held; ETCD_TXN_ELSE: they
 * did not. *ret_answer (may be NULL) is a new reference in both cases. */
MUST_CHECK int etcd_txn(struct etcd *etcd, json_t *compare, json_t *success, json_t *failure,
                        unsigned timeout_ms, json_t **ret_answer);

/* ---- watching ---- */

struct etcd_watch {
    const char *prefix;
    uint64_t start;   /* from this revision of etcd on */
    unsigned idle_ms; /* silent for so long: ERR_TIMEOUT */
    /* One answer of the stream; non-zero ends the watch and is returned. */
    int (*each)(void *context, const json_t *result);
    void *context;
    struct http_cancel *cancel;
};

/* Blocks; ends with a fault. The next call asks the next member. */
MUST_CHECK int etcd_watch(struct etcd *etcd, const struct etcd_watch *watch);

#endif
