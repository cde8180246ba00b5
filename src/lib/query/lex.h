/*
 * From the text of a query to tokens: white space, comments, quotes, operators and the value
 * that follows an operator. Tokens borrow from the text or from the arena.
 */
#ifndef QUERY_LEX_H
#define QUERY_LEX_H

#include "base/arena.h"
#include "base/vec.h"
#include "query/query.h"

enum query_token_kind {
    QUERY_TOKEN_WORD = 1, /* letters, digits, hyphen, underscore and all that is not reserved */
    QUERY_TOKEN_QUOTED,   /* "…", escapes decoded */
    QUERY_TOKEN_RAW,      /* `…` */
    QUERY_TOKEN_VALUE,    /* the unquoted value after an operator */
    QUERY_TOKEN_OP,       /* == != <= >= < > ~ !~ */
    QUERY_TOKEN_PUNCT,    /* one reserved character */
};

struct query_token {
    enum query_token_kind kind;
    struct span text; /* decoded */
    size_t offset;    /* in the query, quotes included */
    size_t bytes;
    bool glued; /* touches the token before it */
};

struct query_tokens {
    VEC(struct query_token) list;
};

/* The whole text. On a fault *ret_error says where (stage is left to the parser). */
MUST_CHECK int query_lex(struct span text, struct arena *arena, struct query_tokens *ret_tokens,
                         struct query_error *ret_error);
void query_tokens_deinit(struct query_tokens *tokens);

bool query_token_is(const struct query_token *token, char punct);
bool query_token_is_op(const struct query_token *token, const char *op);

/* Fills the error and err_text(); returns ERR_INVALID. The stage stays as it is. */
int query_fault(struct query_error *error, size_t offset, size_t bytes, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The length of the quoted text at the front of `text`, quotes included, and what it says; 0 when
 * it never ends. */
size_t query_lex_string(struct span text, struct arena *arena, struct span *ret_decoded);

/* Decodes the escape after a backslash; returns its length, 0 for one that is not known. */
size_t query_lex_escape(struct span after, struct buf *buf);

/* Bytes of the white space at the front of `text`, 0 when there is none (Unicode's set). */
size_t query_space(struct span text);

/* Bytes of the quoted text or comment at the front of `text`, all of it when that has no end; 0
 * when there is neither. */
size_t query_aside_bytes(struct span text);

/* Copies `text` without comments; each becomes one space, runs of white space outside quotes
 * too, none at the ends. The text must have passed query_lex(). */
void query_strip(struct span text, struct buf *buf);

#endif
