/*
 * Inside of the token table: what the files give and what sealed tokens give.
 */
#ifndef WARP10_TOKEN_INTERNAL_H
#define WARP10_TOKEN_INTERNAL_H

#include "base/map.h"
#include "base/vec.h"
#include "warp10/token.h"

struct token_entry {
    struct token token;
    uint8_t hash[TOKEN_HASH_BYTES];
    bool has_hash;
    size_t line; /* where it begins */
};

struct token_table {
    struct arena *arena;
    VEC(struct token_entry *) entries;
    struct map by_hash;
    struct span aes, hash_key; /* empty: sealed tokens are not known */
};

/* Lists "a,b" and pairs "a=b,c=d" with percent-escapes. False: not of the form. */
bool token_list_parse(struct arena *arena, struct span text, struct token_list *ret_list);
bool token_pairs_parse(struct arena *arena, struct span text, bool conditions,
                       struct token_pairs *ret_pairs);

/* The descriptor of a sealed token (token_sealed.c). */
MUST_CHECK int token_descriptor_read(struct arena *arena, struct span bytes,
                                     struct token *ret_token);

#endif
