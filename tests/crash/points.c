#include "points.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/time.h"
#include "world.h"

#define GAP_NS 1000000 /* between two writes, for the stamps of other nodes */
#define RECORDS_MAX 64 /* of one submission, and more than there are */
#define OTHER_NODE_INCARNATION 5
#define RECEIVED_AGE_MAX (7 * TIME_DAY_NS) /* deletes are kept for longer */

static const struct {
    const char *class;
    const char *host;
    const char *dc;
    uint8_t place;
} series_list[POINTS_SERIES] = {
    {"cpu", "h0", "a", PLACE_DEFAULT}, {"cpu", "h1", "a", PLACE_DEFAULT},
    {"cpu", "h2", "b", PLACE_DEFAULT}, {"nginx-p", "h0", NULL, PLACE_WEB},
    {"nginx-p", "h1", "b", PLACE_WEB}, {"net", "h0", NULL, PLACE_SYS},
    {"net", "h1", NULL, PLACE_SYS},    {"mem-p", "h0", NULL, PLACE_MEMORY},
    {"web", NULL, NULL, PLACE_WEB},    {"disk", NULL, NULL, PLACE_DEFAULT},
};

static const struct {
    const char *text;
    uint8_t flags;
} selectors[] = {
    {"cpu{}", 0},
    {"cpu{host=h0}", 0},
    {"~.*{host~h[12]}", 0},
    {"~web|disk{}", 0},
    {"web{}", 0},
    {"~n.*{}", 0},
    {"cpu{dc=b}", 0},
    {"mem-p{}", 0},
    {"~.*{dc=a}", 0},
    {"syslog{}", 0},
    {"net{host=h1}", 0},
    {"~.*{host=}", 0},
    {"nginx-p{host=h0}", 2},
    {"other{}", 0},
    {"~later|mem-a{}", 0},
};

#define SELECTORS ARRAY_COUNT(selectors)

const char *const points_attributes[POINTS_ATTRIBUTES] = {"owner", "unit"};

/* ---- waiting ---- */

void waiting_init(struct waiting *waiting)
{
    *waiting =
        (struct waiting){.lock = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};
}

void waiting_done(void *context, int rc)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    waiting->rc = rc;
    waiting->is_done = true;
    snprintf(waiting->text, sizeof(waiting->text), "%s", rc < 0 ? err_text() : "");
    pthread_cond_signal(&waiting->finished);
    pthread_mutex_unlock(&waiting->lock);
}

int waiting_end(struct waiting *waiting, int submit_rc)
{
    pthread_mutex_lock(&waiting->lock);
    while (submit_rc == 0 && !waiting->is_done) {
        pthread_cond_wait(&waiting->finished, &waiting->lock);
    }
    pthread_mutex_unlock(&waiting->lock);
    pthread_mutex_destroy(&waiting->lock);
    pthread_cond_destroy(&waiting->finished);
    if (submit_rc < 0) {
        return submit_rc;
    }
    return waiting->rc < 0 ? err_set((enum err)waiting->rc, "%s", waiting->text) : 0;
}

/* ---- what series and selectors are ---- */

void points_key(struct buf *key, size_t series)
{
    struct series_label labels[2];
    size_t count = 0;
    if (series_list[series].host != NULL) {
        labels[count++] =
            (struct series_label){SPAN_LIT("host"), span_of_str(series_list[series].host)};
    }
    if (series_list[series].dc != NULL) {
        labels[count++] =
            (struct series_label){SPAN_LIT("dc"), span_of_str(series_list[series].dc)};
    }
    CHECK(series_key_make(key, span_of_str(series_list[series].class), labels, count) == 0);
}

static struct series_delete deletion_of(const struct removal *removal)
{
    return (struct series_delete){.flags = removal->flags,
                                  .start_ns = removal->start_ns,
                                  .end_ns = removal->end_ns,
                                  .selector = span_of_str(selectors[removal->selector].text)};
}

/* Tags stand behind the series. Filled once: the same in every world. */
static bool meant[SELECTORS][POINTS_SERIES + WORLD_TAGS];

static void fill_meant(void)
{
    struct series_matcher matcher;
    series_matcher_init(&matcher);
    for (size_t i = 0; i < SELECTORS; i++) {
        struct removal removal = {.selector = i, .flags = selectors[i].flags};
        struct series_delete deletion = deletion_of(&removal);
        struct series_selector *selector = NULL;
        CHECK(series_selector_parse(deletion.selector, series_delete_selector_flags(&deletion),
                                    &selector, NULL) == 0);
        for (size_t j = 0; j < POINTS_SERIES + WORLD_TAGS; j++) {
            struct buf key = {0};
            if (j < POINTS_SERIES) {
                points_key(&key, j);
            } else {
                struct span class = span_of_str(world_tags[j - POINTS_SERIES]);
                CHECK(series_key_make(&key, class, NULL, 0) == 0);
            }
            meant[i][j] = series_selector_matches(selector, &matcher, buf_span(&key), NULL, NULL);
            buf_deinit(&key);
        }
        series_selector_free(&selector);
    }
    series_matcher_deinit(&matcher);
}

bool points_meant(const struct removal *removal, size_t what)
{
    return meant[removal->selector][what];
}

static uint8_t place_of_series(const struct world *world, size_t series)
{
    uint8_t place = series_list[series].place;
    bool is_there =
        (place != PLACE_SYS || !world->sys_away) && (place != PLACE_MEMORY || world->has_memory);
    return is_there ? place : PLACE_DEFAULT;
}

void points_init(struct world *world)
{
    fill_meant();
    for (size_t i = 0; i < POINTS_SLOTS; i++) {
        world->points.times[i] =
            world->disk.sim.now_ns / TIME_DAY_NS * TIME_DAY_NS - (int64_t)i * (TIME_DAY_NS / 10);
    }
    world->points.times[0] = INT64_MAX;
    world->points.times[POINTS_SLOTS - 1] = INT64_MIN + 1;
}

void points_deinit(struct world *world)
{
    vec_deinit(&world->points.points);
    vec_deinit(&world->points.removals);
    vec_deinit(&world->points.changes);
    vec_deinit(&world->points.stamps);
    vec_deinit(&world->points.lost);
}

void points_closed(struct world *world)
{
    for (size_t i = 0; i < world->points.points.count; i++) {
        world->points.points.items[i].since_open = false;
    }
}

/* ---- stamps ---- */

static struct interval last_stamp(const struct points *points)
{
    return points->stamps.count > 0 ? points->stamps.items[points->stamps.count - 1]
                                    : (struct interval){0};
}

struct order points_begin_local(struct world *world)
{
    struct interval last = last_stamp(&world->points);
    uint64_t now = (uint64_t)world->disk.sim.now_ns;
    struct interval stamp = {MAX(last.low + 1, now), 0};
    vec_push(&world->points.stamps, stamp);
    world->points.unsure = true;
    return (struct order){stamp.low, 0};
}

void points_end_local(struct world *world)
{
    struct points *points = &world->points;
    uint64_t before =
        points->stamps.count > 1 ? points->stamps.items[points->stamps.count - 2].high : 0;
    uint64_t now = (uint64_t)world->disk.sim.now_ns;
    points->stamps.items[points->stamps.count - 1].high = MAX(before, now) + RECORDS_MAX;
    world->disk.sim.now_ns += GAP_NS;
}

/* Points of another node may need definitions of series, which the log stamps with its own time,
 * however old the points are. */
static void note_definitions(struct world *world)
{
    struct points *points = &world->points;
    struct interval *last = &points->stamps.items[points->stamps.count - 1];
    last->high = MAX(last->high, (uint64_t)world->disk.sim.now_ns) + RECORDS_MAX;
}

/* Some time between two writes of ours, or now, or one that was just used by another node. */
struct order points_draw_received(struct world *world, struct storage_received *ret_received)
{
    struct points *points = &world->points;
    size_t node = below(&world->chance, POINTS_NODES);
    uint64_t now = (uint64_t)world->disk.sim.now_ns;
    struct order order = {0, (uint32_t)node + 1};
    points->received++;
    size_t at = below(&world->chance, points->stamps.count + 1);
    if (at + 1 < points->stamps.count) {
        uint64_t time = points->stamps.items[at].high + 1 + points->received % (GAP_NS / 2);
        bool is_free = points->stamps.items[at + 1].low > time + GAP_NS / 4;
        bool is_young =
            time + (uint64_t)RECEIVED_AGE_MAX > (uint64_t)world->newest_now_ns && time <= now;
        order.time = is_free && is_young ? time : 0;
    }
    if (order.time == 0 && points->last_received.time > 0 && points->last_received.time <= now &&
        one_in(&world->chance, 4) && points->last_received.rank != order.rank) {
        order.time = points->last_received.time;
    }
    if (order.time == 0) {
        uint64_t time = MAX(last_stamp(points).high, now) + 1;
        order.time = time;
        struct interval stamp = {time, time};
        points->unsure = true;
        vec_push(&points->stamps, stamp); /* the log's own time goes on behind it */
        world->disk.sim.now_ns = (int64_t)time + GAP_NS;
    }
    points->last_received = order;
    *ret_received = (struct storage_received){
        .origin = {{{node == 0 ? 3 : 9}}, OTHER_NODE_INCARNATION},
        .origin_position = ++points->positions[node],
        .time = order.time,
    };
    return order;
}

/* ---- writing ---- */

void points_value(const struct world *world, size_t number, struct points_value *value)
{
    const struct point *point = &world->points.points.items[number];
    *value = (struct points_value){.element = {.time_ns = world->points.times[point->slot]}};
    struct element *element = &value->element;
    /* mostly of one type within a series, so that blocks have columns */
    switch (number % 11 == 0 ? number % 7 : point->series % 5) {
    case 0:
        element->type = ELEMENT_I64;
        element->value.i64 = (int64_t)number;
        break;
    case 1:
        element->type = ELEMENT_F64;
        element->value.f64 = (double)number / 8;
        break;
    case 2:
        element->type = ELEMENT_BOOL;
        element->value.boolean = number % 2 == 0;
        element->has = number % 3 == 0 ? ELEMENT_HAS_ELEVATION : 0;
        element->elevation = number % 3 == 0 ? -(int64_t)number : 0;
        break;
    case 3:
        snprintf(value->text, sizeof(value->text), "text %zu", number);
        element->type = number % 2 == 0 ? ELEMENT_TEXT : ELEMENT_BYTES;
        element->value.bytes = span_of_str(value->text);
        break;
    default:
        element->type = ELEMENT_I64;
        element->value.i64 = (int64_t)number << 20;
        element->has = ELEMENT_HAS_LOCATION;
        element->location = (struct location){(uint32_t)number * 7, (uint32_t)number};
        break;
    }
}

/* The number of a series, if it has one and we choose to write by it. */
static uint32_t number_of_series(struct world *world, struct span key)
{
    uint32_t number = SERIES_NONE;
    if (one_in(&world->chance, 2) &&
        series_catalogue_find(storage_catalogue(world->storage), key, &number)) {
        return number;
    }
    return SERIES_NONE;
}

static void judge(struct world *world, const char *what, int rc)
{
    world_say(world, "%s: %s", what, rc < 0 ? err_text() : "0");
    if (rc < 0 && !world_has_trouble(world) &&
        (world->disk.sim.space_bytes == 0 || rc != ERR_NO_SPACE)) {
        world_complain(world, "%s on a good disk: %s", what, err_text());
    }
}

struct batch {
    struct storage_points points[4];
    struct buf keys[4];
    struct element elements[4][24];
    struct points_value values[4][24];
    size_t count;
};

/* Draws what shall be written and adds it to what was. */
static void make_batch(struct world *world, struct batch *batch, size_t count, struct order order)
{
    *batch = (struct batch){.count = 1 + below(&world->chance, 4)};
    for (size_t i = 0; i < batch->count; i++) {
        size_t series = below(&world->chance, POINTS_SERIES);
        size_t elements = 1 + below(&world->chance, MIN(count, (size_t)24));
        for (size_t j = 0; j < elements; j++) {
            struct point point = {
                .series = (uint16_t)series,
                .slot = (uint16_t)below(&world->chance, POINTS_SLOTS),
                .place = place_of_series(world, series),
                .since_open = true,
                .order = order,
            };
            vec_push(&world->points.points, point);
            points_value(world, world->points.points.count - 1, &batch->values[i][j]);
            batch->elements[i][j] = batch->values[i][j].element;
            if (batch->elements[i][j].type >= ELEMENT_TEXT) {
                batch->elements[i][j].value.bytes = span_of_str(batch->values[i][j].text);
            }
        }
        points_key(&batch->keys[i], series);
        uint32_t number = number_of_series(world, buf_span(&batch->keys[i]));
        batch->points[i] = (struct storage_points){
            .series = number,
            .key = number == SERIES_NONE ? buf_span(&batch->keys[i]) : SPAN_NONE,
            .elements = batch->elements[i],
            .count = elements,
        };
    }
}

static int submit_points(struct world *world, const struct batch *batch,
                         const struct storage_received *received)
{
    struct waiting waiting;
    waiting_init(&waiting);
    return waiting_end(&waiting, storage_submit_points(world->storage, batch->points, batch->count,
                                                       received, waiting_done, &waiting));
}

/* Of one submission the later one of a time stands: those before it were never there. */
static void settle_batch(struct world *world, size_t first, int rc)
{
    struct points *points = &world->points;
    for (size_t i = first; i < points->points.count; i++) {
        points->points.items[i].status = rc == 0 ? STATUS_SURE : STATUS_MAYBE;
        for (size_t j = first; j < i; j++) {
            if (points->points.items[j].series == points->points.items[i].series &&
                points->points.items[j].slot == points->points.items[i].slot) {
                points->points.items[j].status = STATUS_NEVER;
            }
        }
    }
}

void points_append(struct world *world, size_t count)
{
    struct points *points = &world->points;
    struct batch batch;
    struct storage_received received;
    size_t first = points->points.count;
    bool is_received = one_in(&world->chance, 3);
    struct order order =
        is_received ? points_draw_received(world, &received) : points_begin_local(world);
    make_batch(world, &batch, count, order);
    int rc = submit_points(world, &batch, is_received ? &received : NULL);
    judge(world, is_received ? "points of another node" : "points", rc);
    if (is_received && one_in(&world->chance, 3)) { /* it comes again */
        rc = submit_points(world, &batch, &received);
        judge(world, "the same points", rc);
    }
    world_say(world, "  points %zu to %zu at %" PRIu64, first, points->points.count - 1,
              order.time);
    if (is_received) {
        note_definitions(world);
    } else {
        points_end_local(world);
    }
    points->unsure = points->unsure && (rc < 0 || is_received);
    settle_batch(world, first, rc);
    for (size_t i = 0; i < batch.count; i++) {
        buf_deinit(&batch.keys[i]);
    }
    world->tally.points += points->points.count - first;
}

static struct removal draw_removal(struct world *world)
{
    struct removal removal = {
        .selector = below(&world->chance, SELECTORS), .start_ns = INT64_MIN, .end_ns = INT64_MAX};
    removal.flags = selectors[removal.selector].flags;
    if (one_in(&world->chance, 3)) {
        removal.flags |= SERIES_DELETE_WHOLE;
    } else {
        int64_t a = world->points.times[below(&world->chance, POINTS_SLOTS)];
        int64_t b = world->points.times[below(&world->chance, POINTS_SLOTS)];
        removal.start_ns = MIN(a, b);
        removal.end_ns = MAX(a, b);
    }
    return removal;
}

void points_remove(struct world *world)
{
    struct removal removal = draw_removal(world);
    struct series_delete deletion = deletion_of(&removal);
    struct storage_received received;
    bool is_received = one_in(&world->chance, 3);
    int rc;
    if (is_received) {
        struct waiting waiting;
        waiting_init(&waiting);
        removal.order = points_draw_received(world, &received);
        rc = waiting_end(&waiting, storage_submit_delete(world->storage, &deletion, &received,
                                                         waiting_done, &waiting));
    } else {
        removal.order = points_begin_local(world);
        rc = storage_delete(world->storage, &deletion, NULL);
        points_end_local(world);
    }
    world->points.unsure = world->points.unsure && (rc < 0 || is_received);
    removal.status = rc == 0 ? STATUS_SURE : STATUS_MAYBE;
    judge(world, is_received ? "delete of another node" : "delete", rc);
    world_say(world, "  %s flags %u, %" PRId64 " to %" PRId64 " at %" PRIu64,
              selectors[removal.selector].text, removal.flags, removal.start_ns, removal.end_ns,
              removal.order.time);
    vec_push(&world->points.removals, removal);
    world->tally.deletes++;
}

void points_change(struct world *world)
{
    struct change change = {.series = (uint16_t)below(&world->chance, POINTS_SERIES),
                            .name = (uint8_t)below(&world->chance, POINTS_ATTRIBUTES),
                            .removed = one_in(&world->chance, 4)};
    struct buf key = {0};
    struct buf payload = {0};
    char value[32];
    struct storage_received received;
    bool is_received = one_in(&world->chance, 3);
    snprintf(value, sizeof(value), "value %zu", world->points.changes.count);
    struct series_attribute attribute = {span_of_str(points_attributes[change.name]),
                                         change.removed ? SPAN_NONE : span_of_str(value),
                                         change.removed};
    points_key(&key, change.series);
    series_metas_begin(&payload);
    CHECK(series_metas_put(&payload, buf_span(&key), false, &attribute, 1) == 0);
    struct waiting waiting;
    waiting_init(&waiting);
    change.order = is_received ? points_draw_received(world, &received) : points_begin_local(world);
    int rc = waiting_end(&waiting, storage_submit_meta(world->storage, buf_span(&payload),
                                                       is_received ? &received : NULL, waiting_done,
                                                       &waiting));
    if (!is_received) {
        points_end_local(world);
    }
    world->points.unsure = world->points.unsure && (rc < 0 || is_received);
    change.status = rc == 0 ? STATUS_SURE : STATUS_MAYBE;
    judge(world, "attribute", rc);
    vec_push(&world->points.changes, change);
    buf_deinit(&key);
    buf_deinit(&payload);
}
