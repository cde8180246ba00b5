/*
 * Tokens of the Warp 10 API: who writes and what a reader sees. A token is opaque to clients; here
 * it stands for a descriptor. Descriptors come from token files in the form of the reference
 * (`token.write.0.name=…`, docs/protocols/warp10-http.md lists the keys) and, with the keys of a
 * real Warp 10, from its sealed tokens.
 *
 * A file may name a token itself (name=) or its hash (hash=, what `aquifer token` writes): SHA-256
 * as hex; whoever reads the file cannot use such a token. In memory there are only hashes.
 *
 * A table is made once and then only read, by any thread; a change makes another table.
 */
#ifndef WARP10_TOKEN_H
#define WARP10_TOKEN_H

#include "base/arena.h"
#include "base/buf.h"

#define TOKEN_BYTES_MAX 8192  /* of a token as clients send it */
#define TOKEN_HASH_BYTES 32   /* SHA-256 */
#define TOKEN_RANDOM_BYTES 33 /* of a token that is made here; 44 characters */
#define TOKENS_MAX 100000     /* in a table */
#define TOKEN_LIST_MAX 1024   /* owners, producers, applications, labels, attributes of one */

struct token_pair {
    struct span name, value;
};

struct token_pairs {
    struct token_pair *items;
    size_t count;
};

struct token_list {
    struct span *items;
    size_t count;
};

struct token {
    struct span id; /* how operators call it: the number in its key, or "" */
    bool write;
    int64_t issued_ms, expiry_ms; /* since 1970; expiry 0: never */
    bool revoked;
    bool has_hooks; /* read: scripts of the reference, which do not run here */

    /* Write: what every series gets. Empty: without that label. */
    struct span owner, producer, application;
    struct token_pairs labels; /* write: put over the client's; read: conditions, whose values
                                  begin with = or ~ */

    /* Read: one of these; an empty list does not constrain. */
    struct token_list owners, producers, applications;

    struct token_pairs attributes; /* ".noupdate", ".maxsize" … */
    uint64_t points_per_s;         /* 0: no limit */
    uint64_t series_max;           /* of its application; 0: no limit */
};

struct token_table;

struct token_table *token_table_new(void);
void token_table_free(struct token_table **table);

/* Adds the tokens of a file's text. ERR_INVALID names the line, ERR_TOO_LARGE. After a fault some
 * of them may have been added. */
MUST_CHECK int token_table_read(struct token_table *table, struct span text);
size_t token_table_count(const struct token_table *table);

/* Walks over all: start with *cursor = 0, stop on false. */
bool token_table_next(const struct token_table *table, size_t *cursor,
                      const struct token **ret_token, const uint8_t **ret_hash);

/* Keys of a real Warp 10: its tokens are understood too. `aes` has 16, 24 or 32 bytes. */
MUST_CHECK int token_table_keys(struct token_table *table, struct span aes, struct span hash);

/*
 * The descriptor, for the life of the table (or of the arena, for sealed tokens). ERR_AUTH with
 * the texts that clients look for: "Invalid token.", "Token Expired.", "Token revoked.".
 */
MUST_CHECK int token_find(const struct token_table *table, struct span token, bool write,
                          int64_t now_ms, struct arena *arena, const struct token **ret_token);

/* The value of an attribute; false when it has none of that name. */
bool token_attribute(const struct token *token, const char *name, struct span *ret_value);

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

/* A new token from random bytes: letters, digits, - and _; it does not begin as an option
 * of a command does. */
void token_of_random(struct buf *buf, const uint8_t random[TOKEN_RANDOM_BYTES]);
void token_hash(struct span token, uint8_t ret_hash[TOKEN_HASH_BYTES]);

/* The lines of a token file that stand for `token`, with its hash. */
void token_print(struct buf *buf, const struct token *token, const uint8_t hash[TOKEN_HASH_BYTES]);

/* The descriptors inside of a real Warp 10's tokens. */
MUST_CHECK int token_seal(struct buf *buf, struct span aes, struct span hash_key,
                          struct span descriptor);
MUST_CHECK int token_open(struct buf *descriptor, struct span aes, struct span hash_key,
                          struct span token);

#endif
