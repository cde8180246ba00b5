/*
 * The insides of eval: a small expression language, run once for each entry.
 *
 *     text ──eval_parse──> program (immutable, in the query's arena) ──eval_run──> flow, values
 *
 * A program that is one expression decides whether the entry passes; one of statements sets
 * values, and decides only by `return`. Every loop, text and list has a bound; an entry on which
 * one is reached is dropped and counted. The language: docs/query-language.md.
 */
#ifndef QUERY_MODULES_EVAL_H
#define QUERY_MODULES_EVAL_H

#include "base/map.h"
#include "query/module.h"
#include "query/modules/expression.h"
#include "query/value.h"

#define EVAL_DEPTH_MAX 200 /* of brackets and statements in each other */
#define EVAL_HEIGHT_MAX                                                                            \
    2000 /* of the tree: 1 + 1 + 1 is as high as it is long; it runs on the stack */
#define EVAL_VARIABLES_MAX 64
#define EVAL_PATTERNS_MAX 64
#define EVAL_NAMES_MAX 256
#define EVAL_STEPS_MAX 1000000                     /* for one entry */
#define EVAL_BYTES_MAX ((size_t)256 * 1024 * 1024) /* made for one block of entries */
#define EVAL_MAP_KEYS_MAX 1000000
#define EVAL_KEPT_BYTES_MAX ((size_t)256 * 1024 * 1024) /* in variables and maps */

/* A value as expressions have it: an array is a list of such. NONE: undefined. */
struct eval_value {
    struct query_value value;
    const struct eval_value *items;
    size_t count;
    bool list;
};

enum eval_kind {
    EVAL_CONST = 1,
    EVAL_NAME,     /* of a value of the entry */
    EVAL_VARIABLE, /* slot */
    EVAL_UNARY,
    EVAL_BINARY,
    EVAL_TERNARY,
    EVAL_CALL,
    EVAL_INDEX,
    EVAL_SLICE,
    EVAL_LIST,
    EVAL_ASSIGN, /* items: target, value */
    EVAL_BLOCK,  /* from here on: statements */
    EVAL_IF,     /* condition, then [, else] */
    EVAL_FOR,    /* first, condition, next, body */
    EVAL_SWITCH, /* value, then CASEs */
    EVAL_CASE,   /* [value,] statements; `slot` 1: default */
    EVAL_RETURN,
    EVAL_BREAK,
    EVAL_CONTINUE,
    EVAL_EMPTY,
};

enum eval_op {
    EVAL_OP_NONE,
    EVAL_OR,
    EVAL_AND,
    EVAL_BIT_OR,
    EVAL_BIT_XOR,
    EVAL_BIT_AND,
    EVAL_EQ,
    EVAL_NE,
    EVAL_HAS,
    EVAL_HAS_NOT,
    EVAL_LT,
    EVAL_GT,
    EVAL_LE,
    EVAL_GE,
    EVAL_SHL,
    EVAL_SHR,
    EVAL_ADD,
    EVAL_SUB,
    EVAL_MUL,
    EVAL_DIV,
    EVAL_MOD,
    EVAL_NOT,
    EVAL_NEGATE,
};

struct eval_run;
struct eval_node;

/* Arguments are evaluated; what it makes lives in run->arena. False: undefined. */
typedef bool eval_call(struct eval_run *run, const struct eval_node *node,
                       const struct eval_value *args, size_t count, struct eval_value *ret);

struct eval_function {
    const char *name;
    uint8_t args_min;
    uint8_t args_max; /* 255: any number */
    bool effect;      /* called for what it does: alone it is a statement, no filter */
    eval_call *call;
};

struct eval_node {
    enum eval_kind kind;
    enum eval_op op;
    size_t offset; /* in the query */
    struct span name;
    struct query_value value;
    const struct eval_function *function;
    size_t slot; /* of a variable; of a pattern, for match(); bits of a cast */
    const struct eval_node **items;
    size_t count;
    size_t height; /* of what is below it */
};

struct eval_variable {
    struct span name;
    bool map;
    const struct eval_node *first; /* or NULL */
};

struct eval_program {
    const struct eval_node *root;
    bool filter;
    struct eval_variable variables[EVAL_VARIABLES_MAX];
    size_t variable_count;
    struct expression *patterns[EVAL_PATTERNS_MAX]; /* owned */
    size_t pattern_count;
    struct span names[EVAL_NAMES_MAX]; /* of values that it looks at */
    size_t name_count;
    bool any_name;                    /* it may look at others */
    struct span sets[EVAL_NAMES_MAX]; /* names of values that it sets; further ones are left out */
    size_t set_count;
};

/* `text` stands at `offset` of the query. The program's patterns are freed by its owner, after a
 * fault too. */
MUST_CHECK int eval_parse(struct query_args *args, struct span text, size_t offset,
                          struct eval_program *program);

const struct eval_function *eval_function_find(struct span name);
const char *eval_function_nearest(struct span name);

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

/* What goes on from entry to entry. */
struct eval_kept {
    struct eval_value value; /* its text is owned */
    struct map map;          /* of struct eval_kept, owned */
};

struct eval_run {
    const struct eval_program *program;
    struct query_block *block;
    size_t index; /* of the entry */
    struct arena *arena;
    struct eval_kept *variables;
    struct expression_run **patterns;
    bool begun; /* variables have their first values */
    uint64_t steps;
    size_t made_bytes;
    size_t kept_bytes;
    uint64_t seed;   /* of rand_*() */
    const char *why; /* the entry cannot be evaluated: NULL, or what bound was reached */
};

/* One entry: may set its values and says whether it passes. */
bool eval_entry(struct eval_run *run);

/* For functions. A text of the arena, counted; NONE and run->why beyond the bound. */
struct eval_value eval_text(struct eval_run *run, struct span text);
struct eval_value eval_of(struct query_value value);
bool eval_value_text(struct eval_run *run, const struct eval_value *value, struct span *ret_text);
bool eval_real(const struct eval_value *value, double *ret_real);
bool eval_integer(const struct eval_value *value, int64_t *ret_integer);
bool eval_true(const struct eval_value *value);
bool eval_list(struct eval_run *run, size_t count, struct eval_value **ret_items);
bool eval_bytes(struct eval_run *run, size_t bytes); /* false: the bound is reached */

/* Operators on two values (eval_value.c). False: undefined. */
bool eval_binary(struct eval_run *run, enum eval_op op, const struct eval_value *a,
                 const struct eval_value *b, struct eval_value *ret);
bool eval_equal(const struct eval_value *a, const struct eval_value *b);

/* The tables of functions, each ended by a row without a name. */
extern const struct eval_function eval_functions_core[];
extern const struct eval_function eval_functions_text[];
extern const struct eval_function eval_functions_math[];
extern const struct eval_function eval_functions_json[];

/* For the files of functions: the head of one, and the arguments that it has no use for. */
#define FUNCTION(function)                                                                         \
    static bool function(struct eval_run *run, const struct eval_node *node,                       \
                         const struct eval_value *args, size_t count, struct eval_value *ret)
#define UNUSED_ARGS()                                                                              \
    do {                                                                                           \
        (void)run;                                                                                 \
        (void)node;                                                                                \
        (void)args;                                                                                \
        (void)count;                                                                               \
        (void)ret;                                                                                 \
    } while (0)

#endif
