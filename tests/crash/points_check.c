/*
 * What must be found of the points, attributes and deletes of a world: points.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "world.h"

static bool is_later(struct order a, struct order b)
{
    return a.time != b.time ? a.time > b.time : a.rank > b.rank;
}

static bool covers(const struct removal *removal, size_t what, int64_t time_ns)
{
    return points_meant(removal, what) && removal->start_ns <= time_ns &&
           time_ns <= removal->end_ns;
}

/* The surest delete that covers it; *ret_only is the index of the one if it is but one. */
static enum status cover_of(const struct world *world, size_t what, int64_t time_ns,
                            struct order order, size_t *ret_only)
{
    enum status cover = STATUS_NEVER;
    size_t found = 0;
    for (size_t i = 0; i < world->points.removals.count; i++) {
        const struct removal *removal = &world->points.removals.items[i];
        if (removal->status != STATUS_NEVER && covers(removal, what, time_ns) &&
            is_later(removal->order, order)) {
            cover =
                removal->status == STATUS_SURE || cover == STATUS_SURE ? STATUS_SURE : STATUS_MAYBE;
            found++;
            *ret_only = i;
        }
    }
    *ret_only = found == 1 ? *ret_only : SIZE_MAX;
    return world->belief == BELIEF_NO_DELETES ? STATUS_NEVER : cover;
}

enum status points_cover_of_tag(const struct world *world, size_t tag, int64_t time_ns,
                                struct order order)
{
    size_t only;
    return cover_of(world, POINTS_SERIES + tag, time_ns, order, &only);
}

/* All writes of a time of a series. */
struct cell {
    VEC(size_t) writes;
    size_t found; /* SIZE_MAX: nothing is there */
    bool several; /* writes have the value that was found; it is taken for the latest of them */
    bool strict;  /* nothing but what was done can be the cause */
};

struct cells {
    struct cell at[POINTS_SERIES][POINTS_SLOTS];
};

static struct order order_of(const struct world *world, size_t write)
{
    if (world->belief == BELIEF_ARRIVAL) {
        return (struct order){write + 1, 0};
    }
    return world->points.points.items[write].order;
}

/* It may not be there for other reasons than deletes. */
static bool is_loose(const struct world *world, const struct point *point)
{
    return (point->place == PLACE_SYS && world->sys_away) ||
           (point->place == PLACE_MEMORY && !point->since_open) ||
           world_may_be_gone(world, point->place, world->points.times[point->slot]);
}

static struct cells *collect_cells(struct world *world)
{
    struct cells *cells = mem_alloc(sizeof(*cells));
    for (size_t i = 0; i < POINTS_SERIES * POINTS_SLOTS; i++) {
        struct cell *cell = &cells->at[i / POINTS_SLOTS][i % POINTS_SLOTS];
        cell->found = SIZE_MAX;
        cell->strict = true;
    }
    for (size_t i = 0; i < world->points.points.count; i++) {
        const struct point *point = &world->points.points.items[i];
        struct cell *cell = &cells->at[point->series][point->slot];
        vec_push(&cell->writes, i);
        cell->strict = cell->strict && !is_loose(world, point);
    }
    return cells;
}

static void free_cells(struct cells *cells)
{
    for (size_t i = 0; i < POINTS_SERIES * POINTS_SLOTS; i++) {
        vec_deinit(&cells->at[i / POINTS_SLOTS][i % POINTS_SLOTS].writes);
    }
    mem_free(cells);
}

static bool is_value(const struct world *world, size_t write, const struct element *got)
{
    struct points_value value;
    points_value(world, write, &value);
    if (value.element.type >= ELEMENT_TEXT) {
        value.element.value.bytes = span_of_str(value.text);
    }
    return element_equal_value(&value.element, got);
}

/* Which write it is: of those with the value the latest one that can be. */
static void meet(struct world *world, struct cells *cells, size_t series, const struct element *got)
{
    size_t slot = 0;
    while (slot < POINTS_SLOTS && world->points.times[slot] != got->time_ns) {
        slot++;
    }
    if (slot == POINTS_SLOTS) {
        world_complain(world, "a point of series %zu at %" PRId64 " was invented", series,
                       got->time_ns);
        return;
    }
    struct cell *cell = &cells->at[series][slot];
    if (cell->found != SIZE_MAX) {
        world_complain(world, "series %zu has slot %zu twice", series, slot);
        return;
    }
    bool known = false;
    for (size_t i = 0; i < cell->writes.count; i++) {
        size_t write = cell->writes.items[i];
        if (is_value(world, write, got)) {
            known = true;
            cell->several = cell->found != SIZE_MAX;
            if (world->points.points.items[write].status != STATUS_NEVER &&
                (cell->found == SIZE_MAX ||
                 is_later(order_of(world, write), order_of(world, cell->found)))) {
                cell->found = write;
            }
        }
    }
    if (cell->found == SIZE_MAX) {
        world_complain(world, "series %zu, slot %zu: a value %s", series, slot,
                       known ? "has come back" : "that nobody wrote");
    }
    world->tally.points_seen++;
}

static int fetch(struct world *world, struct cells *cells, const uint32_t *numbers,
                 const uint16_t *series, size_t count)
{
    struct well_fetch all = {.series = numbers,
                             .series_count = count,
                             .start_ns = INT64_MIN,
                             .end_ns = INT64_MAX,
                             .ascending = one_in(&world->chance, 2),
                             .count_max = UINT64_MAX};
    struct well_points_cursor *cursor = NULL;
    struct well_points batch;
    uint32_t last_series = 0;
    int64_t last_ns = 0;
    int rc = storage_fetch(world->storage, &all, &cursor);
    while (rc == 0 && (rc = well_points_cursor_next(cursor, &batch)) == 0) {
        size_t at = 0;
        while (at < count && numbers[at] != batch.series) {
            at++;
        }
        CHECK(at < count);
        for (size_t i = 0; i < batch.count && world->wrong[0] == 0; i++) {
            struct element element = well_points_at(&batch, i);
            meet(world, cells, series[at], &element);
            if (batch.series == last_series &&
                (all.ascending ? element.time_ns <= last_ns : element.time_ns >= last_ns)) {
                world_complain(world, "points of series %u are not in order", batch.series);
            }
            last_series = batch.series;
            last_ns = element.time_ns;
        }
    }
    if (rc == WELL_END && well_points_cursor_skipped(cursor) > 0 && !world->damaged) {
        world_complain(world, "a block of points is damaged that nobody damaged");
    }
    well_points_cursor_close(&cursor);
    return rc == WELL_END ? 0 : rc;
}

static void lose(struct world *world, size_t write, const char *what)
{
    const struct point *point = &world->points.points.items[write];
    if (world->damaged) {
        vec_push(&world->points.lost, write);
    } else {
        world_complain(world, "series %u, slot %u: write %zu is lost: %s", point->series,
                       point->slot, write, what);
    }
}

static void check_found(struct world *world, struct cell *cell, size_t series, size_t slot,
                        bool opened)
{
    struct points *points = &world->points;
    struct point *found = &points->points.items[cell->found];
    struct order order = order_of(world, cell->found);
    size_t only;
    if (cover_of(world, series, points->times[slot], found->order, &only) == STATUS_SURE &&
        !world->damaged_log) {
        world_complain(world, "series %zu, slot %zu: write %zu was deleted and is there", series,
                       slot, cell->found);
    }
    for (size_t i = 0; i < cell->writes.count && cell->strict; i++) {
        size_t write = cell->writes.items[i];
        struct point *point = &points->points.items[write];
        if (write == cell->found || !is_later(order_of(world, write), order)) {
            continue;
        }
        if (point->status == STATUS_SURE) {
            lose(world, write, "another write stands");
        } else if (opened) {
            point->status = STATUS_NEVER;
        }
    }
    if (cell->several) {
        return;
    }
    found->status = STATUS_SURE;
    for (size_t i = 0; i < points->removals.count && opened; i++) {
        struct removal *removal = &points->removals.items[i];
        if (removal->status == STATUS_MAYBE && covers(removal, series, points->times[slot]) &&
            is_later(removal->order, found->order)) {
            removal->status = STATUS_NEVER;
        }
    }
}

static void check_nothing_found(struct world *world, struct cell *cell, size_t series, size_t slot,
                                bool opened)
{
    struct points *points = &world->points;
    for (size_t i = 0; i < cell->writes.count && cell->strict; i++) {
        size_t write = cell->writes.items[i];
        struct point *point = &points->points.items[write];
        size_t only;
        enum status cover = cover_of(world, series, points->times[slot], point->order, &only);
        if (point->status == STATUS_SURE && cover == STATUS_NEVER) {
            lose(world, write, "nothing stands");
        } else if (point->status == STATUS_SURE && cover == STATUS_MAYBE && only != SIZE_MAX) {
            points->removals.items[only].status = STATUS_SURE; /* it has happened */
        } else if (point->status == STATUS_MAYBE && cover == STATUS_NEVER && opened) {
            point->status = STATUS_NEVER;
        }
    }
}

static void tell_cell(struct world *world, const struct cell *cell)
{
    for (size_t i = 0; i < cell->writes.count; i++) {
        const struct point *point = &world->points.points.items[cell->writes.items[i]];
        world_say(world, "  write %zu: at %" PRIu64 ", status %d, place %d", cell->writes.items[i],
                  point->order.time, point->status, point->place);
    }
}

static void check_cells(struct world *world, struct cells *cells, bool opened)
{
    for (size_t i = 0; i < POINTS_SERIES * POINTS_SLOTS && world->wrong[0] == 0; i++) {
        struct cell *cell = &cells->at[i / POINTS_SLOTS][i % POINTS_SLOTS];
        if (cell->found != SIZE_MAX) {
            check_found(world, cell, i / POINTS_SLOTS, i % POINTS_SLOTS, opened);
        } else {
            check_nothing_found(world, cell, i / POINTS_SLOTS, i % POINTS_SLOTS, opened);
        }
        if (world->wrong[0] != 0) {
            tell_cell(world, cell);
        }
    }
}

static bool is_whole(const struct removal *removal, size_t series)
{
    return (removal->flags & SERIES_DELETE_WHOLE) != 0 && points_meant(removal, series) &&
           removal->status != STATUS_NEVER;
}

/* It lives when a write is later than every delete of it. */
static void check_life(struct world *world, size_t series, bool lives)
{
    const struct points *points = &world->points;
    bool may = false;
    bool must = false;
    for (size_t i = 0; i < points->points.count; i++) {
        const struct point *point = &points->points.items[i];
        bool may_die = false;
        bool must_die = false;
        for (size_t j = 0; j < points->removals.count && point->series == series; j++) {
            const struct removal *removal = &points->removals.items[j];
            if (is_whole(removal, series) && is_later(removal->order, point->order)) {
                may_die = true;
                /* of one nanosecond the life of a series does not compare the nodes */
                must_die = must_die || (removal->status == STATUS_SURE &&
                                        removal->order.time > point->order.time);
            }
        }
        if (point->series == series) {
            may = may || !must_die;
            must = must || (point->status == STATUS_SURE && !may_die && !is_loose(world, point));
        }
    }
    if ((lives && !may && !world->damaged_catalogue) || (!lives && must && !world->damaged_log)) {
        world_complain(world, "series %zu %s", series, lives ? "lives" : "does not live");
    }
}

struct attributes {
    char values[POINTS_ATTRIBUTES][40];
};

static int note_attribute(void *context, struct span name, struct span value)
{
    struct attributes *attributes = context;
    for (size_t i = 0; i < POINTS_ATTRIBUTES; i++) {
        if (span_equal_str(name, points_attributes[i])) {
            snprintf(attributes->values[i], sizeof(attributes->values[i]), "%.*s", SPAN_ARG(value));
        }
    }
    return 0;
}

static void check_attribute(struct world *world, size_t series, size_t name, const char *value)
{
    const struct points *points = &world->points;
    struct order order = {0};
    bool forgotten = false;
    bool known = value[0] == 0;
    for (size_t i = 0; i < points->changes.count && value[0] != 0; i++) {
        const struct change *change = &points->changes.items[i];
        char text[40];
        snprintf(text, sizeof(text), "value %zu", i);
        if (change->series == series && change->name == name && !change->removed &&
            strcmp(text, value) == 0) {
            order = change->order;
            known = true;
        }
    }
    for (size_t i = 0; i < points->removals.count; i++) { /* takes the attributes with it */
        forgotten = forgotten || is_whole(&points->removals.items[i], series);
    }
    if (!known) {
        world_complain(world, "series %zu has the attribute \"%s\"", series, value);
    }
    for (size_t i = 0; i < points->changes.count && !forgotten; i++) {
        const struct change *change = &points->changes.items[i];
        if (change->series == series && change->name == name && change->status == STATUS_SURE &&
            is_later(change->order, order) && !(change->removed && value[0] == 0)) {
            bool removed_later = false;
            for (size_t j = 0; j < points->changes.count && value[0] == 0; j++) {
                const struct change *other = &points->changes.items[j];
                removed_later =
                    removed_later || (other->series == series && other->name == name &&
                                      other->removed && is_later(other->order, change->order));
            }
            if (!removed_later) {
                world_complain(world, "series %zu has the attribute \"%s\", not change %zu", series,
                               value, i);
            }
        }
    }
}

static void check_series(struct world *world, size_t series, uint32_t number, bool known)
{
    struct series_catalogue *catalogue = storage_catalogue(world->storage);
    bool lives = known && series_catalogue_lives(catalogue, number);
    check_life(world, series, lives);
    if (lives && !world->damaged_catalogue) {
        struct attributes attributes = {0};
        CHECK(series_catalogue_attributes(catalogue, number, note_attribute, &attributes) == 0);
        for (size_t i = 0; i < POINTS_ATTRIBUTES; i++) {
            check_attribute(world, series, i, attributes.values[i]);
        }
    }
}

void points_check(struct world *world, bool opened)
{
    vec_clear(&world->points.lost);
    uint32_t numbers[POINTS_SERIES];
    uint16_t series[POINTS_SERIES];
    size_t count = 0;
    for (size_t i = 0; i < POINTS_SERIES; i++) {
        struct buf key = {0};
        points_key(&key, i);
        bool known = series_catalogue_find(storage_catalogue(world->storage), buf_span(&key),
                                           &numbers[count]);
        check_series(world, i, numbers[count], known);
        series[count] = (uint16_t)i;
        count += known ? 1 : 0;
        buf_deinit(&key);
    }
    struct cells *cells = collect_cells(world);
    int rc = fetch(world, cells, numbers, series, count);
    if (rc < 0 && !world_has_trouble(world)) {
        world_complain(world, "points cannot be fetched on a good disk: %s", err_text());
    }
    if (rc == 0) {
        check_cells(world, cells, opened);
    }
    free_cells(cells);
}
