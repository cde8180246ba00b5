/*
 * What a stats stage has found: groups, one for each combination of keys and window, in memory, or
 * in runs when that does not do (runs.h). An indexer gives states, a group each, which the
 * webserver adds up (docs/protocols/search.md). One thread, but for the plan.
 */
#ifndef QUERY_MODULES_STATS_GROUPS_H
#define QUERY_MODULES_STATS_GROUPS_H

#include "base/map.h"
#include "base/vec.h"
#include "query/modules/stats_plan.h"
#include "query/runs.h"

#define STATS_RECENT_MAX 1024 /* a power of two */

struct stats_group {
    size_t table;
    int64_t window_ns;
    uint16_t tag;
    struct span key; /* owned; its values, each with its length before it */
    struct aggregate states[];
};

/* The groups in order: newest window first, the table that rows come from last, then by keys. */
struct stats_place {
    struct span order; /* bytes that compare as the places do */
    struct stats_group *group;
};

struct stats_state {
    const struct stats_plan *plan;
    enum query_part part;
    struct map groups[STATS_TABLES_MAX];
    struct stats_group **recent; /* per table: those found last, by a part of their keys */
    int64_t window_ns;           /* the width at present */
    int64_t first_ns, last_ns;   /* where there is a most of windows: times that came */
    bool any_window;
    uint64_t tracked; /* groups in memory, or those that came out of the runs */
    struct buf key;
    struct buf kept;
    struct query_holder holder;
    const char *(*tag_name)(const void *context, uint16_t tag); /* of the block at hand */
    const void *context;

    /* Once the input has ended. */
    VEC(struct stats_place) list;
    struct buf order_bytes;
    size_t next;
    struct query_runs *runs;    /* NULL: all is in memory */
    int64_t run_window_ns;      /* the width when the first was written */
    struct stats_group *merged; /* of the runs, given last; owned */
    struct span record;         /* the first one behind it; empty: none */
    bool ended;
    bool estimated; /* some count of distinct values that was given is one */

    VEC(struct entry) entries; /* of one block that goes on */
    VEC(uint32_t) picks;
    struct buf bytes;
};

/* Of what stats_state.key and group->key are made. */
void stats_put_key(struct buf *key, struct span value);
struct span stats_next_key(struct span *rest);

/* The group of state->key, which begins with the window; a new one if there is none. */
struct stats_group *stats_group_of(struct stats_state *state, size_t table, uint16_t tag);

/* Of the tags of its entries a group has the first by name, in whatever order they come. */
void stats_note_tag(const struct stats_state *state, struct stats_group *group, uint16_t tag);
void stats_group_free(const struct stats_plan *plan, struct stats_group *group);
void stats_free_groups(struct stats_state *state, size_t table); /* all of a table */

int stats_too_many(const struct stats_plan *plan); /* a fault that names -maxtracked */

int64_t stats_group_bytes(const struct stats_plan *plan, const struct stats_group *group);
void stats_forget_recent(struct stats_state *state);

/* The states of one group are added to another's. Returns how many bytes more that holds. */
int64_t stats_add_group(const struct stats_plan *plan, struct stats_group *to,
                        const struct stats_group *from);

/* stats_windows.c: the beginning of the window of a time that is new, where there is a most of
 * them: groups may have moved to wider windows. Windows become as wide as that at least. */
int64_t stats_reach(struct stats_state *state, int64_t time_ns);
void stats_widen(struct stats_state *state, int64_t width_ns);

/* stats_add.c: the entries of the block, to the groups of one table. */
void stats_add_block(struct stats_state *state, const struct query_block *block, size_t table);

/* stats_order.c: all groups in order, one after the other; QUERY_MODULE_END. Valid until the next
 * call. From the first one on again after stats_rewind(). */
MUST_CHECK int stats_spill(struct stats_state *state); /* memory becomes a run */
MUST_CHECK int stats_next_group(struct stats_state *state, struct stats_group **ret_group);
void stats_rewind(struct stats_state *state);
MUST_CHECK int stats_widen_runs(struct stats_state *state); /* to the windows of now */

/* stats_fold.c: a chart shows series_max series: the groups of all others become one, "other". */
MUST_CHECK int stats_fold(struct stats_state *state);

/* stats_groups.c: of struct query_module. */
int stats_start(const void *plan, void **ret_state);
void stats_stop(void *state);
void stats_lend(void *state, struct query_scratch *scratch);
void stats_take_part(void *state, enum query_part part);
int stats_run(const void *plan, void *state, struct query_block *block);
int stats_finish(const void *plan, void *state, struct query_block *block);
bool stats_remark(const void *plan, const void *state, struct buf *text);

#endif
