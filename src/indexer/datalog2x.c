#include "indexer/datalog2x.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#define HASH_BITS 56
#define HASH_TEXT_BYTES 15 /* "~" and the digits */

struct datalog2x_lane {
    struct datalog_origin origin;
    uint64_t position, last; /* of its last record, and the time */
    bool busy;
};

/* One id. */
struct source {
    VEC(struct datalog2x_lane *) lanes;
};

struct datalog2x {
    struct storage *storage;
    struct datalog_origin own;
    pthread_mutex_t lock;
    struct map sources; /* by the hash's bytes */
    uint64_t *known;    /* requests */
    size_t known_count; /* ever; the ring's place is the rest */
};

uint64_t datalog2x_id_hash(struct span id)
{
    uint64_t hash = 0;
    char text[HASH_TEXT_BYTES + 1];
    if (id.bytes == HASH_TEXT_BYTES && id.data[0] == '~') {
        char *end;
        memcpy(text, id.data, HASH_TEXT_BYTES);
        text[HASH_TEXT_BYTES] = 0;
        hash = strtoull(text + 1, &end, 16);
        if (*end == 0) {
            return hash;
        }
    }
    return hash64(id) & ((UINT64_C(1) << HASH_BITS) - 1);
}

/* hhhhhhhh-hhhh-8Ahh-vvvv-vvvvvvvvvvvv: h of the id, v of the node. */
struct uuid datalog2x_node(uint64_t id_hash, struct uuid node)
{
    struct uuid made;
    uint64_t via = hash64(span_of(node.bytes, sizeof(node.bytes)));
    for (size_t i = 0; i < 6; i++) {
        made.bytes[i] = (uint8_t)(id_hash >> (48 - 8 * i));
    }
    made.bytes[6] = 0x8A;
    made.bytes[7] = (uint8_t)id_hash;
    for (size_t i = 0; i < 8; i++) {
        made.bytes[8 + i] = (uint8_t)(via >> (56 - 8 * i));
    }
    made.bytes[8] = (made.bytes[8] & 0x3F) | 0x80;
    return made;
}

bool datalog2x_is(struct uuid node, uint64_t *ret_id_hash)
{
    if (node.bytes[6] != 0x8A || (node.bytes[8] & 0xC0) != 0x80) {
        return false;
    }
    uint64_t hash = 0;
    for (size_t i = 0; i < 6; i++) {
        hash = hash << 8 | node.bytes[i];
    }
    *ret_id_hash = hash << 8 | node.bytes[7];
    return true;
}

void datalog2x_id_text(struct buf *buf, struct uuid node)
{
    uint64_t hash;
    char text[UUID_TEXT_BYTES];
    if (datalog2x_is(node, &hash)) {
        buf_printf(buf, "~%014" PRIx64, hash);
    } else {
        buf_append_str(buf, uuid_text(node, text));
    }
}

struct datalog2x *datalog2x_new(struct storage *storage)
{
    struct datalog2x *d = MEM_NEW(struct datalog2x);
    d->storage = storage;
    d->own = datalog_origin(storage_log(storage));
    pthread_mutex_init(&d->lock, NULL);
    d->known = mem_alloc_array(DATALOG2X_REMEMBERED, sizeof(*d->known));
    return d;
}

struct uuid datalog2x_self(const struct datalog2x *datalog2x)
{
    return datalog2x->own.node;
}

void datalog2x_free(struct datalog2x **datalog2x)
{
    struct datalog2x *d = *datalog2x;
    size_t cursor = 0;
    struct span key;
    void *value;
    if (d == NULL) {
        return;
    }
    while (map_next(&d->sources, &cursor, &key, &value)) {
        struct source *source = value;
        for (size_t i = 0; i < source->lanes.count; i++) {
            mem_free(source->lanes.items[i]);
        }
        vec_deinit(&source->lanes);
        mem_free(source);
    }
    map_deinit(&d->sources);
    pthread_mutex_destroy(&d->lock);
    mem_free(d->known);
    mem_free(d);
    *datalog2x = NULL;
}

static struct source *source_of(struct datalog2x *d, uint64_t id)
{
    struct span key = span_of(&id, sizeof(id));
    struct source *source = map_get(&d->sources, key);
    if (source == NULL) {
        source = MEM_NEW(struct source);
        CHECK(map_put(&d->sources, key, source) == NULL);
    }
    return source;
}

/* How far the log is in a lane. A time that the log does not know closes it. */
static void refresh(struct datalog2x *d, struct datalog2x_lane *lane)
{
    struct buf rows = {0};
    size_t count = datalog_origin_positions(storage_log(d->storage), &rows);
    for (size_t i = 0; i < count; i++) {
        struct datalog_origin_position row;
        memcpy(&row, rows.data + i * sizeof(row), sizeof(row));
        if (uuid_equal(row.origin.node, lane->origin.node) &&
            row.origin.incarnation == lane->origin.incarnation) {
            lane->position = row.position;
            lane->last = row.time == 0 && row.position > 0 ? UINT64_MAX : row.time;
        }
    }
    buf_deinit(&rows);
}

static struct datalog2x_lane *add_lane(struct datalog2x *d, struct source *source, uint64_t id)
{
    struct datalog2x_lane *lane = MEM_NEW(struct datalog2x_lane);
    lane->origin.node = datalog2x_node(id, d->own.node);
    lane->origin.incarnation =
        datalog_origin(storage_log(d->storage)).incarnation * DATALOG2X_LANES_MAX +
        source->lanes.count;
    refresh(d, lane);
    vec_push(&source->lanes, lane);
    return lane;
}

/* The first free one whose records are all older; NULL: there is none. */
static struct datalog2x_lane *find_lane(struct datalog2x *d, uint64_t id, uint64_t time)
{
    struct source *source = source_of(d, id);
    for (size_t i = 0; i < DATALOG2X_LANES_MAX; i++) {
        struct datalog2x_lane *lane =
            i < source->lanes.count ? source->lanes.items[i] : add_lane(d, source, id);
        if (!lane->busy && lane->last < time) {
            return lane;
        }
    }
    return NULL;
}

static bool is_known(const struct datalog2x *d, uint64_t request)
{
    size_t count = MIN(d->known_count, (size_t)DATALOG2X_REMEMBERED);
    for (size_t i = 0; i < count; i++) {
        if (d->known[i] == request) {
            return true;
        }
    }
    return false;
}

/* Its record, whole: a request of several tokens may be several of one time. */
static uint64_t request_of(const struct warp10_datalog *datalog)
{
    struct buf record = {0};
    CHECK(warp10_datalog_encode(&record, datalog, SPAN_NONE) == 0);
    uint64_t request = hash64(buf_span(&record));
    buf_deinit(&record);
    return request;
}

int datalog2x_begin(struct datalog2x *d, const struct warp10_datalog *datalog,
                    struct datalog2x_place *ret_place)
{
    char own[UUID_TEXT_BYTES];
    uint64_t id = datalog2x_id_hash(datalog->id);
    uint64_t time = (uint64_t)datalog->time_ns;
    if (datalog->time_ns <= 0) {
        return err_set(ERR_INVALID, "Invalid timestamp of the datalog header.");
    }
    if (id == datalog2x_id_hash(span_of_str(uuid_text(d->own.node, own)))) {
        return DATALOG2X_OWN;
    }
    uint64_t request = request_of(datalog);
    pthread_mutex_lock(&d->lock);
    bool known = is_known(d, request);
    struct datalog2x_lane *lane = known ? NULL : find_lane(d, id, time);
    if (lane != NULL) {
        lane->busy = true;
    }
    pthread_mutex_unlock(&d->lock);
    if (lane == NULL) {
        return known ? DATALOG2X_KNOWN
                     : err_set(ERR_UNAVAILABLE, "Too many forwarded requests at a time.");
    }
    *ret_place = (struct datalog2x_place){d, lane, request, time, time};
    return 0;
}

int datalog2x_next(struct datalog2x_place *place, struct storage_received *ret_received)
{
    if (place->next - place->time >= DATALOG2X_PARTS_MAX) {
        return err_set(ERR_TOO_LARGE, "A forwarded request of more than %d batches.",
                       DATALOG2X_PARTS_MAX);
    }
    *ret_received = (struct storage_received){.origin = place->lane->origin,
                                              .origin_position = place->lane->position + 1,
                                              .after = place->lane->position,
                                              .time = place->next};
    place->lane->position++;
    place->next++;
    return 0;
}

void datalog2x_end(struct datalog2x_place *place, bool whole)
{
    struct datalog2x *d = place->owner;
    pthread_mutex_lock(&d->lock);
    place->lane->busy = false;
    if (place->next > place->time) {
        refresh(d, place->lane); /* some of it may not have been written */
    }
    if (whole) {
        d->known[d->known_count++ % DATALOG2X_REMEMBERED] = place->request;
    }
    pthread_mutex_unlock(&d->lock);
    place->lane = NULL;
}
