/*
 * The words of the Gravwell ingest protocol, version 9: numbers, bounds, and how each structure
 * is written and read. No state, no socket: session.h is the server's side of the conversation,
 * client.h the ingester's. Format: docs/protocols/ingest.md.
 *
 * Everything is little-endian. Nothing here allocates but into the caller's buf or arena.
 */
#ifndef INGEST_WIRE_H
#define INGEST_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "series/entry.h"

#define INGEST_VERSION 9
#define INGEST_PORT 4023
#define INGEST_TLS_PORT 4024

enum ingest_message {
    INGEST_NEW_ENTRY = 0xC7C95ACB,
    INGEST_DITTO_BLOCK = 0xDDCCBBAA,
    INGEST_FORCE_ACK = 0x1ADF7350,
    INGEST_CONFIRM_ENTRY = 0xF6E0307E,
    INGEST_THROTTLE = 0xBDEACC1E,
    INGEST_PING = 0x88770001,
    INGEST_PONG = 0x88770008,
    INGEST_TAG = 0x18675300,
    INGEST_CONFIRM_TAG = 0x18675301,
    INGEST_ERROR_TAG = 0x18675302,
    INGEST_ID = 0x22793400,
    INGEST_CONFIRM_ID = 0x22793401,
    INGEST_API_VER = 0x22334400,
    INGEST_CONFIRM_API_VER = 0x22334401,
    INGEST_OK = 0x33445500,
    INGEST_CONFIRM_OK = 0x33445501,
    INGEST_STATE = 0x44556600,
    INGEST_CONFIRM_STATE = 0x44556601,
    INGEST_CONFIRM_DITTO_BLOCK = 0x55667788,
};

/* Ids of a state response. */
#define INGEST_AUTHENTICATED 0x00BEEF42
#define INGEST_NOT_AUTHENTICATED 0x00FEED51
#define INGEST_HOT 0x00CAFE54

/* Compression ids of the stream configuration block. */
#define INGEST_PLAIN 0x00
#define INGEST_SNAPPY 0x10

#define INGEST_CHALLENGE_BYTES 36
#define INGEST_ANSWER_BYTES 32
#define INGEST_TENANT_HEADER_BYTES 32
#define INGEST_SECRET_HASH_BYTES 16
#define INGEST_ENTRY_BYTES 46 /* magic, header, id: what precedes the data */

#define INGEST_DATA_BYTES_WIRE_MAX 0x3FFFFFFFu
#define INGEST_DATA_BYTES_MAX (128u << 20) /* ours; a larger entry ends the connection */
#define INGEST_TENANT_BYTES_MAX 512
#define INGEST_STATE_RESPONSE_BYTES_MAX 4096
#define INGEST_TAG_LIST_BYTES_MAX (32u << 20)
#define INGEST_TAG_NAME_BYTES_MAX 4096
#define INGEST_IDENTITY_BYTES_MAX (64u << 10) /* each of name, version, uuid */
#define INGEST_CONFIG_BYTES_MAX (1u << 20)
#define INGEST_STATE_BYTES_MAX (1u << 20)
#define INGEST_WINDOW_MAX 4095 /* entries a client may have unconfirmed */
#define INGEST_HASH_ROUNDS_MIN 10000
#define INGEST_HASH_ROUNDS_MAX 19999

struct ingest_challenge {
    uint16_t rounds;
    uint8_t nonce[32];
    uint16_t version;
};

void ingest_challenge_write(struct buf *buf, const struct ingest_challenge *challenge);
void ingest_challenge_read(const uint8_t bytes[INGEST_CHALLENGE_BYTES],
                           struct ingest_challenge *ret_challenge);

/* The 16 bytes that stand for the secret; compute once. */
void ingest_secret_hash(struct span secret, uint8_t ret_hash[INGEST_SECRET_HASH_BYTES]);

/* The answer to a challenge: up to 20000 rounds of two hashes, some tens of milliseconds. */
void ingest_answer(const struct ingest_challenge *challenge,
                   const uint8_t hash[INGEST_SECRET_HASH_BYTES],
                   uint8_t ret_answer[INGEST_ANSWER_BYTES]);

/* The fixed 32 bytes that begin the tenant form of an answer. */
extern const uint8_t ingest_tenant_header[INGEST_TENANT_HEADER_BYTES];

/* {"ID":…,"Info":"…"} with its u16 length. */
void ingest_state_response_write(struct buf *buf, uint32_t id, const char *info);
/* `json` is what follows the length. ERR_PROTOCOL when it is not of that form. */
MUST_CHECK int ingest_state_response_read(struct span json, struct arena *arena, uint32_t *ret_id,
                                          const char **ret_info);

struct ingest_tag_list {
    const char **names;
    uint16_t *numbers; /* in a response only, else NULL */
    size_t count;
};

/* {"Count":n,"Tags":["a",…]} and {"Count":n,"Tags":{"a":0,…}} with their u32 length.
 * A response with count 0 is a refusal. */
void ingest_tag_request_write(struct buf *buf, const char *const *names, size_t count);
void ingest_tag_response_write(struct buf *buf, const struct ingest_tag_list *list);
MUST_CHECK int ingest_tag_request_read(struct span json, struct arena *arena,
                                       struct ingest_tag_list *ret_list);
MUST_CHECK int ingest_tag_response_read(struct span json, struct arena *arena,
                                        struct ingest_tag_list *ret_list);

/* Seconds since year 1 and nanoseconds, kept within what an int64 of nanoseconds can say. */
int64_t ingest_time_of_wire(int64_t seconds, uint32_t nanoseconds);
void ingest_time_to_wire(int64_t time_ns, int64_t *ret_seconds, uint32_t *ret_nanoseconds);

struct ingest_entry_header {
    uint32_t data_bytes;
    bool has_evs;
    int64_t time_ns;
    uint16_t tag;
    uint8_t source[16]; /* IPv4 in mapped form */
    uint64_t id;
};

/* `at`: the 42 bytes after the magic. */
void ingest_entry_header_read(const uint8_t *at, struct ingest_entry_header *ret_header);

/* A whole NEW_ENTRY message. `entry->enumerated` is a whole block or empty. */
void ingest_entry_write(struct buf *buf, const struct entry *entry, uint64_t id);

/* A message that is nothing but its magic; one with a u64 behind it. */
void ingest_message_write(struct buf *buf, enum ingest_message message);
void ingest_message_u64_write(struct buf *buf, enum ingest_message message, uint64_t value);

#endif
