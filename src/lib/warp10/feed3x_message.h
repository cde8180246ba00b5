/*
 * Frames and messages of a Warp 10 3.x feed: docs/protocols/warp10-datalog-3x.md. Pure.
 *
 * A frame is a length and a body; a body is a message, or a message that is sealed
 * (feed3x_keys.h). Readers take any order of fields and pass over those they do not know.
 */
#ifndef WARP10_FEED3X_MESSAGE_H
#define WARP10_FEED3X_MESSAGE_H

#include "base/buf.h"
#include "base/check.h"

#define FEED3X_PORT 3564
#define FEED3X_FRAME_BYTES_MAX (1u << 20) /* of a body */
#define FEED3X_SHARDS_MAX 256u
#define FEED3X_EXCLUDED_MAX 256u
#define FEED3X_ID_BYTES_MAX 256u
#define FEED3X_REF_BYTES_MAX 512u
#define FEED3X_SHIFT_DEFAULT 48

enum feed3x_outcome { FEED3X_CUT = 1 };

/* Cuts the first frame off `*rest`: 0, FEED3X_CUT (not whole yet), ERR_PROTOCOL (empty, or longer
 * than FEED3X_FRAME_BYTES_MAX). */
MUST_CHECK int feed3x_frame_next(struct span *rest, struct span *ret_body);
void feed3x_frame_put(struct buf *buf, struct span body);

enum feed3x_type {
    FEED3X_WELCOME = 1,
    FEED3X_INIT = 2,
    FEED3X_SEEK = 3,
    FEED3X_TSEEK = 4,
    FEED3X_COMMIT = 5,
    FEED3X_DATA = 6,
    FEED3X_KEEPALIVE = 7,
};
const char *feed3x_type_name(enum feed3x_type type);

struct feed3x_shard {
    uint32_t modulus, remainder;
};

struct feed3x_message {
    enum feed3x_type type;
    int64_t nonce, time_ms; /* WELCOME */
    bool encrypt;
    struct span id, signature; /* WELCOME, INIT */
    struct feed3x_shard shards[FEED3X_SHARDS_MAX];
    size_t shard_count;
    int64_t shard_shift;
    struct span excluded[FEED3X_EXCLUDED_MAX];
    size_t excluded_count;
    struct span ref;    /* SEEK, COMMIT; of DATA its own */
    int64_t seek_ms;    /* TSEEK */
    struct span record; /* DATA */
};

/* Borrows. ERR_PROTOCOL: not a message, or one that lacks what its type must have. */
MUST_CHECK int feed3x_message_read(struct span body, struct feed3x_message *ret_message);
/* Only the fields of its type. */
void feed3x_message_write(struct buf *buf, const struct feed3x_message *message);

/* "MODULUS:REMAINDER". ERR_INVALID: not of the form, or a remainder that cannot be. */
MUST_CHECK int feed3x_shard_parse(struct span text, struct feed3x_shard *ret_shard);
bool feed3x_shard_is_good(struct feed3x_shard shard);

/* Whether a series is in one of the shards; without shards it is. */
bool feed3x_is_wanted(const struct feed3x_shard *shards, size_t count, int64_t shift,
                      uint64_t class_id, uint64_t labels_id);

#endif
