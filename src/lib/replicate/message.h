/*
 * What two nodes say to each other on a replication link, as bytes: docs/protocols/replication.md.
 * Pure; one thread per reader or writer.
 *
 * A frame is u32 bytes of what follows, u32 checksum of the rest (low half of XXH3-64), u8
 * type, u8 packed (1: the body is a zstd frame), u16 zero, u32 bytes of the body when unpacked, and
 * the body. Numbers are little-endian.
 */
#ifndef REPLICATE_MESSAGE_H
#define REPLICATE_MESSAGE_H

#include "replicate/core.h"
#include "replicate/members.h"

#define REPLICATE_PROTOCOL 2
#define REPLICATE_NONCE_BYTES 32
#define REPLICATE_MAC_BYTES 32
#define REPLICATE_FRAME_HEADER_BYTES 16
#define REPLICATE_BODY_BYTES_MAX (DATALOG_PAYLOAD_BYTES_MAX + (UINT32_C(1) << 20))
#define REPLICATE_GREETING_BYTES_MAX (UINT32_C(4) << 20) /* until the peer has proven itself */
#define REPLICATE_TEXT_BYTES_MAX 1024
#define REPLICATE_BATCH_BYTES_TARGET ((size_t)512 << 10) /* a frame of records is closed here */

enum replicate_message_type {
    REPLICATE_CHALLENGE = 1,      /* target: protocol, nonce */
    REPLICATE_HELLO = 2,          /* forwarder: protocol, nonce, mac, node, name, members, places */
    REPLICATE_WELCOME = 3,        /* target: mac, node, origin, members, places, doubt, needs */
    REPLICATE_REFUSED = 4,        /* either: text; the link ends */
    REPLICATE_SERIES = 5,         /* forwarder: numbers and keys of series, as in the datalog */
    REPLICATE_RECORDS = 6,        /* forwarder: a run of records */
    REPLICATE_PLACES = 7,         /* forwarder: log position, places: all was sent */
    REPLICATE_SNAPSHOT_BEGIN = 8, /* forwarder: horizon, needs that are met, places, doubt */
    REPLICATE_SNAPSHOT_PART = 9,  /* forwarder: a part: replicate/snapshot.h */
    REPLICATE_SNAPSHOT_END = 10,  /* forwarder: nothing more */
    REPLICATE_ACK = 11,           /* target: log position of the forwarder, places */
    REPLICATE_BEGIN_ANEW = 12,    /* target: a gap, or it became another origin: text */
    REPLICATE_TOPOLOGY = 13,      /* either: members, when there is news of them */
    REPLICATE_MESSAGE_TYPES,
};

/* Of which times a target needs elements. */
struct replicate_needs {
    int64_t since_ns;   /* it keeps nothing that is older */
    int64_t missing_ns; /* of [missing, missing_end) it may lack what its places say it holds: */
    int64_t missing_end_ns; /* it was in memory, or is damaged. Nothing when they are equal */
};

/* One message; which members count, its type says. */
struct replicate_message {
    enum replicate_message_type type;
    uint16_t protocol;
    uint8_t nonce[REPLICATE_NONCE_BYTES];
    uint8_t mac[REPLICATE_MAC_BYTES];
    struct uuid node;
    struct datalog_origin origin;
    struct span name; /* borrowed, as all spans here */
    struct span text;
    uint64_t position;
    int64_t horizon_ns; /* how far back the snapshot's data goes */
    struct replicate_needs needs;
    struct replicate_places places; /* owned, as the next */
    struct replicate_places doubt;
    struct replicate_members members; /* owned */
    struct span body;                 /* SERIES, RECORDS, SNAPSHOT_PART */
};

void replicate_message_deinit(struct replicate_message *message);

/* Appends the frame. `level` 0: plain, else zstd's; a body that does not get smaller stays plain.
 */
void replicate_message_write(struct buf *buf, const struct replicate_message *message, int level);

enum replicate_read_outcome {
    REPLICATE_CUT = 1, /* the frame's end is not there yet */
};

/* The message at the front of `bytes`. It borrows from `bytes` and `scratch`; its places and
 * members are reused memory: start with a zeroed message, deinit at the end. *ret_bytes is the
 * frame's length, or with CUT at least how many are needed. ERR_PROTOCOL says what is wrong, also
 * of a body of more than `bytes_max`, packed or not. */
MUST_CHECK int replicate_message_read(struct span bytes, uint32_t bytes_max, struct buf *scratch,
                                      struct replicate_message *message, size_t *ret_bytes);

/* One record of a REPLICATE_RECORDS body. */
struct replicate_record {
    uint64_t log_position; /* in the forwarder's log */
    struct replicate_head head;
    enum datalog_type type;
    struct span well;
    struct span payload; /* in the forwarder's numbers of series */
};

void replicate_record_put(struct buf *body, const struct replicate_record *record);

/* From the front of `*rest`, which moves on; false at its end or when it is malformed: then
 * `*rest` is not empty. */
bool replicate_record_next(struct span *rest, struct replicate_record *ret_record);

/* ---- who knows the secret ---- */

/* HMAC-SHA-256 under the secret over the role, both nonces and the node. */
void replicate_mac(struct span secret, bool forwarder,
                   const uint8_t target_nonce[REPLICATE_NONCE_BYTES],
                   const uint8_t forwarder_nonce[REPLICATE_NONCE_BYTES], struct uuid node,
                   uint8_t ret_mac[REPLICATE_MAC_BYTES]);

/* In constant time. */
bool replicate_mac_equal(const uint8_t a[REPLICATE_MAC_BYTES],
                         const uint8_t b[REPLICATE_MAC_BYTES]);

#endif
