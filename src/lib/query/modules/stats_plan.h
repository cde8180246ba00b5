/*
 * What `stats` and its kin are asked to do, and the reading of it. Immutable once settled.
 *
 * Each set of keys is a table; the first is the one that rows come from: all keys of the stage.
 */
#ifndef QUERY_MODULES_STATS_PLAN_H
#define QUERY_MODULES_STATS_PLAN_H

#include "query/aggregate.h"
#include "query/module.h"

#define STATS_OPS_MAX 33 /* with the one that keeps entries */
#define STATS_KEYS_MAX 16
#define STATS_TABLES_MAX (STATS_OPS_MAX + 1)

struct stats_keys {
    struct span names[STATS_KEYS_MAX];
    size_t count;
};

struct stats_op {
    enum aggregate_op op;
    struct span operand; /* empty: none */
    struct span out;
    struct stats_keys keys;
    size_t table;
};

struct stats_table {
    struct stats_keys keys;
    size_t ops[STATS_OPS_MAX];
    size_t op_count;
};

struct stats_plan {
    struct stats_op ops[STATS_OPS_MAX];
    size_t op_count;
    bool keeps; /* -b: rows have the data and time of an entry: ops[op_count], in tables[0] */
    size_t keeps_best; /* ... the best one of this operation; op_count: the newest */
    struct stats_table tables[STATS_TABLES_MAX];
    size_t table_count;
    uint64_t tracked_max;
    int64_t over_ns;
    int64_t window_ns;   /* 0: the whole range is one */
    int64_t windows_max; /* more become wider ones (stats_windows.c); 0: as many as there are */
    int64_t start_ns;
    size_t series_max; /* of a chart behind it; 0: all */
};

/* The place of the name among the keys; their count: it is not there. */
size_t stats_key_index(const struct stats_keys *keys, struct span name);

/* Rows of struct query_module: of `stats`; of one operation, called like the module. */
int stats_parse(struct query_args *args, void **ret_plan);
int stats_parse_one(struct query_args *args, void **ret_plan);
void stats_settle(void *plan, const struct query *query, size_t stage);
bool stats_timeless(const void *plan);
bool stats_uses(const void *plan, struct span name);

#endif
