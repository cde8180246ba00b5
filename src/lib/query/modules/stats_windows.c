/*
 * Windows for a chart: as narrow as what is there permits, not as the range asked for. They are
 * made wider as entries of other times come; each width is a multiple of the ones before, so that
 * groups of narrow windows add up to those of wide ones, and the width at the end depends on the
 * first and the last entry alone. Tested by modules_windows_test.c.
 */
#include "base/time.h"
#include "query/modules/stats_groups.h"
#include "query/stats.h"

static int64_t wider(const struct stats_plan *plan, int64_t width_ns)
{
    return plan->over_ns > 0 ? width_ns * 2
                             : query_histogram_wider_s(width_ns / TIME_S_NS) * TIME_S_NS;
}

static bool fits(const struct stats_plan *plan, int64_t first_ns, int64_t last_ns, int64_t width_ns)
{
    __extension__ typedef __int128 wide;
    wide range = (wide)time_floor(last_ns, width_ns) - time_floor(first_ns, width_ns);
    return range / width_ns < plan->windows_max;
}

/* The groups of one table in the windows of now. */
static void widen_table(struct stats_state *state, size_t table)
{
    struct map before = state->groups[table];
    size_t cursor = 0;
    struct span key;
    void *item = NULL;
    state->groups[table] = (struct map){0};
    while (map_next(&before, &cursor, &key, &item)) {
        struct stats_group *group = item;
        group->window_ns = time_floor(group->window_ns, state->window_ns);
        buf_clear(&state->key);
        buf_append(&state->key, span_of(&group->window_ns, sizeof(group->window_ns)));
        buf_append(&state->key, group->key);
        struct stats_group *to = map_get(&state->groups[table], buf_span(&state->key));
        if (to == NULL) {
            (void)map_put(&state->groups[table], buf_span(&state->key), group);
            continue;
        }
        int64_t more = stats_add_group(state->plan, to, group);
        stats_note_tag(state, to, group->tag);
        query_holder_add(&state->holder, more - stats_group_bytes(state->plan, group));
        stats_group_free(state->plan, group);
        state->tracked--;
    }
    map_deinit(&before);
}

void stats_widen(struct stats_state *state, int64_t width_ns)
{
    if (width_ns <= state->window_ns) {
        return;
    }
    state->window_ns = width_ns;
    for (size_t i = 0; i < state->plan->table_count; i++) {
        widen_table(state, i);
    }
    stats_forget_recent(state);
}

int64_t stats_reach(struct stats_state *state, int64_t time_ns)
{
    int64_t first_ns = state->any_window ? MIN(state->first_ns, time_ns) : time_ns;
    int64_t last_ns = state->any_window ? MAX(state->last_ns, time_ns) : time_ns;
    int64_t width_ns = state->window_ns;
    while (!fits(state->plan, first_ns, last_ns, width_ns)) {
        width_ns = wider(state->plan, width_ns);
    }
    state->any_window = true;
    state->first_ns = first_ns;
    state->last_ns = last_ns;
    stats_widen(state, width_ns);
    return time_floor(time_ns, state->window_ns);
}
