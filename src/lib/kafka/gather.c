#include "kafka/gather.h"

#include <inttypes.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#define PIECE_BYTES_ABOUT 64 /* that a piece costs beside its bytes */
#define PART_BYTES_ABOUT 32
#define RECORD_BYTES_ABOUT 128

struct spot {
    uint32_t partition;
    int64_t offset;
    uint32_t bytes;
};

/* A record whose pieces are coming. */
struct record {
    struct replicate_place place;
    uint32_t partitions;
    uint16_t parts;
    uint16_t parts_missing;
    bool handed;
    struct buf *part;
    uint32_t *part_bytes; /* of each when it is whole; 0: not seen */
    uint64_t bytes;
    VEC(struct spot) spots;
};

struct source {
    struct datalog_origin origin;
    uint64_t reached; /* all up to it is handed over or durable */
    uint64_t began;   /* what was, when reading began anew */
    uint64_t bytes;   /* that wait */
    VEC(struct record *) records;
    bool aside;
    uint64_t aside_from;  /* first position that was dropped */
    uint64_t aside_needs; /* what was missing then */
};

struct mark {
    int64_t offset;
    bool done;
};

struct track {
    VEC(struct mark) marks; /* from head on; offsets ascend */
    size_t head;
    int64_t next;    /* one after the last message, or where reading begins */
    int64_t floor;   /* of what was set aside */
    int64_t highest; /* offset ever seen */
    uint64_t bytes;
};

struct kafka_gather {
    struct kafka_gather_options options;
    VEC(struct track) tracks;
    struct map by_origin; /* struct datalog_origin -> struct source */
    VEC(struct source *) sources;
    VEC(struct source *) ready;
    struct record *next; /* what next() gave */
    struct source *next_of;
    uint64_t bytes;
};

/* ---- offsets ---- */

static struct track *track_of(struct kafka_gather *gather, uint32_t partition)
{
    while (gather->tracks.count <= partition) {
        struct track track = {
            .next = KAFKA_OFFSET_BEGINNING, .floor = INT64_MAX, .highest = INT64_MIN};
        vec_push(&gather->tracks, track);
    }
    return &gather->tracks.items[partition];
}

static void see(struct track *track, int64_t offset)
{
    vec_push(&track->marks, (struct mark){offset, false});
    track->next = offset + 1;
}

static void pass_done(struct track *track)
{
    while (track->head < track->marks.count && track->marks.items[track->head].done) {
        track->head++;
    }
    if (track->head == track->marks.count) {
        vec_clear(&track->marks);
        track->head = 0;
    } else if (track->head > 4096 && track->head > track->marks.count / 2) {
        track->marks.count -= track->head;
        memmove(track->marks.items, track->marks.items + track->head,
                track->marks.count * sizeof(*track->marks.items));
        track->head = 0;
    }
}

static void set_done(struct track *track, int64_t offset)
{
    size_t low = track->head;
    size_t high = track->marks.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (track->marks.items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < track->marks.count && track->marks.items[low].offset == offset) {
        track->marks.items[low].done = true;
    }
    pass_done(track);
}

void kafka_gather_begin(struct kafka_gather *gather, uint32_t partition, int64_t offset)
{
    track_of(gather, partition)->next = offset;
}

int64_t kafka_gather_offset(const struct kafka_gather *gather, uint32_t partition)
{
    if (partition >= gather->tracks.count) {
        return KAFKA_OFFSET_BEGINNING;
    }
    const struct track *track = &gather->tracks.items[partition];
    int64_t next =
        track->head < track->marks.count ? track->marks.items[track->head].offset : track->next;
    return MIN(next, track->floor);
}

uint64_t kafka_gather_waiting_bytes(const struct kafka_gather *gather)
{
    return gather->bytes;
}

uint64_t kafka_gather_waiting_bytes_of(const struct kafka_gather *gather, uint32_t partition)
{
    return partition < gather->tracks.count ? gather->tracks.items[partition].bytes : 0;
}

/* ---- records ---- */

/* Its bytes go; where they came from stays known. */
static void drop_bytes(struct kafka_gather *gather, struct source *source, struct record *record)
{
    for (uint16_t i = 0; i < record->parts; i++) {
        buf_deinit(&record->part[i]);
    }
    for (size_t i = 0; i < record->spots.count; i++) {
        struct spot *spot = &record->spots.items[i];
        track_of(gather, spot->partition)->bytes -= spot->bytes;
        spot->bytes = 0;
    }
    source->bytes -= record->bytes;
    gather->bytes -= record->bytes;
    record->bytes = 0;
}

static void free_record(struct kafka_gather *gather, struct source *source, struct record *record)
{
    drop_bytes(gather, source, record);
    mem_free(record->part);
    mem_free(record->part_bytes);
    vec_deinit(&record->spots);
    mem_free(record);
}

#define KEY_BYTES 24

static struct span key_of(struct datalog_origin origin, uint8_t bytes[KEY_BYTES])
{
    memcpy(bytes, origin.node.bytes, 16);
    memcpy(bytes + 16, &origin.incarnation, 8);
    return span_of(bytes, KEY_BYTES);
}

/* Whoever can write to the topic can make them up. */
static bool is_one_too_many(const struct kafka_gather *gather, struct datalog_origin origin)
{
    uint8_t bytes[KEY_BYTES];
    return gather->sources.count >= KAFKA_ORIGINS_MAX &&
           map_get(&gather->by_origin, key_of(origin, bytes)) == NULL;
}

static struct source *source_of(struct kafka_gather *gather, struct datalog_origin origin)
{
    uint8_t bytes[KEY_BYTES];
    struct span key = key_of(origin, bytes);
    struct source *source = map_get(&gather->by_origin, key);
    if (source == NULL) {
        source = MEM_NEW(struct source);
        source->origin = origin;
        source->reached = gather->options.position_of(gather->options.context, origin);
        source->began = source->reached;
        map_put(&gather->by_origin, key, source);
        vec_push(&gather->sources, source);
    }
    return source;
}

/* Where it stands or would stand, by position, then by how it was divided. */
static size_t place_of(const struct source *source, uint64_t position, uint32_t partitions)
{
    size_t low = 0;
    size_t high = source->records.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct record *record = source->records.items[middle];
        if (record->place.position < position ||
            (record->place.position == position && record->partitions < partitions)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct record *record_of(struct kafka_gather *gather, struct source *source,
                                const struct kafka_piece *piece)
{
    size_t at = place_of(source, piece->place.position, piece->partitions);
    struct record *record = at < source->records.count ? source->records.items[at] : NULL;
    if (record != NULL && record->place.position == piece->place.position &&
        record->partitions == piece->partitions) {
        return record;
    }
    record = MEM_NEW(struct record);
    record->place = piece->place;
    record->partitions = piece->partitions;
    record->parts = record->parts_missing = piece->parts;
    record->part = mem_alloc_array(piece->parts, sizeof(*record->part));
    record->part_bytes = mem_alloc_array(piece->parts, sizeof(*record->part_bytes));
    vec_push(&source->records, NULL);
    memmove(source->records.items + at + 1, source->records.items + at,
            (source->records.count - at - 1) * sizeof(struct record *));
    source->records.items[at] = record;
    record->bytes = RECORD_BYTES_ABOUT + piece->parts * PART_BYTES_ABOUT;
    source->bytes += record->bytes;
    gather->bytes += record->bytes;
    return record;
}

static bool is_next(const struct source *source, const struct record *record)
{
    return record->place.position == source->reached + 1 && record->parts_missing == 0 &&
           !record->handed;
}

/* True: it was kept. */
static bool keep(struct kafka_gather *gather, struct source *source, struct record *record,
                 const struct kafka_piece *piece, struct spot spot)
{
    struct buf *part = &record->part[piece->part];
    if (record->handed || piece->offset > part->bytes ||
        piece->offset + piece->bytes.bytes <= part->bytes) {
        return false; /* was here before, or lacks its beginning, which comes again or never */
    }
    struct span fresh = span_from(piece->bytes, part->bytes - piece->offset);
    record->part_bytes[piece->part] = piece->part_bytes;
    buf_append(part, fresh);
    spot.bytes = (uint32_t)fresh.bytes + PIECE_BYTES_ABOUT;
    vec_push(&record->spots, spot);
    record->bytes += spot.bytes;
    source->bytes += spot.bytes;
    gather->bytes += spot.bytes;
    track_of(gather, spot.partition)->bytes += spot.bytes;
    if (part->bytes == piece->part_bytes) {
        record->parts_missing--;
    }
    return true;
}

/* ---- too much waits ---- */

static void set_aside(struct kafka_gather *gather, struct source *source)
{
    size_t kept = 0;
    source->aside = true;
    source->aside_from = UINT64_MAX;
    source->aside_needs = source->reached + 1;
    for (size_t i = 0; i < source->records.count; i++) {
        struct record *record = source->records.items[i];
        if (record->handed) {
            source->records.items[kept++] = record;
            continue;
        }
        source->aside_from = MIN(source->aside_from, record->place.position);
        for (size_t k = 0; k < record->spots.count; k++) {
            struct track *track = track_of(gather, record->spots.items[k].partition);
            track->floor = MIN(track->floor, record->spots.items[k].offset);
            set_done(track, record->spots.items[k].offset);
        }
        free_record(gather, source, record);
    }
    source->records.count = kept;
}

void kafka_gather_set_aside(struct kafka_gather *gather, struct datalog_origin origin)
{
    struct source *source = source_of(gather, origin);
    if (!source->aside) {
        set_aside(gather, source);
    }
}

static void keep_bound(struct kafka_gather *gather)
{
    while (gather->bytes > gather->options.waiting_bytes_max) {
        struct source *most = gather->sources.items[0];
        for (size_t i = 1; i < gather->sources.count; i++) {
            most = gather->sources.items[i]->bytes > most->bytes ? gather->sources.items[i] : most;
        }
        set_aside(gather, most);
    }
}

static bool has_spot(const struct record *record, uint32_t partition, int64_t offset)
{
    for (size_t i = 0; i < record->spots.count; i++) {
        if (record->spots.items[i].partition == partition &&
            record->spots.items[i].offset == offset) {
            return true;
        }
    }
    return false;
}

/* Whose record, that is not handed over, a message is of; NULL: of none. */
static struct source *waiting_of(struct kafka_gather *gather, uint32_t partition, int64_t offset)
{
    for (size_t i = 0; i < gather->sources.count; i++) {
        struct source *source = gather->sources.items[i];
        for (size_t k = 0; k < source->records.count; k++) {
            const struct record *record = source->records.items[k];
            if (!record->handed && has_spot(record, partition, offset)) {
                return source;
            }
        }
    }
    return NULL;
}

/* What waits at the front of a partition keeps a mark of every message behind it. */
static void keep_marks_bound(struct kafka_gather *gather, uint32_t partition)
{
    struct track *track = track_of(gather, partition);
    struct source *source = NULL;
    if ((track->marks.count - track->head) % gather->options.marks_max != 0) {
        return;
    }
    while (track->marks.count - track->head >= gather->options.marks_max &&
           (source = waiting_of(gather, partition, track->marks.items[track->head].offset)) !=
               NULL) {
        set_aside(gather, source);
    }
}

/* Its pieces are not kept. What it waits for has come: all is read again. */
static int take_aside(struct kafka_gather *gather, struct source *source, uint64_t position,
                      struct spot spot, bool is_new)
{
    struct track *track = track_of(gather, spot.partition);
    source->aside_from = MIN(source->aside_from, position);
    track->floor = MIN(track->floor, spot.offset);
    set_done(track, spot.offset);
    return is_new && position == source->reached + 1 ? KAFKA_GATHER_REWIND : 0;
}

int kafka_gather_take(struct kafka_gather *gather, const struct kafka_piece *piece,
                      uint32_t partition, int64_t offset)
{
    if (is_one_too_many(gather, piece->place.origin)) {
        return err_set(ERR_TOO_LARGE, "the topic has records of more than %u origins",
                       KAFKA_ORIGINS_MAX);
    }
    keep_marks_bound(gather, partition);
    struct source *source = source_of(gather, piece->place.origin);
    struct track *track = track_of(gather, partition);
    struct spot spot = {.partition = partition, .offset = offset};
    bool is_new = offset > track->highest;
    track->highest = MAX(track->highest, offset);
    see(track, offset);
    if (piece->place.position <= source->reached) {
        set_done(track, offset);
        return 0;
    }
    if (source->aside) {
        return take_aside(gather, source, piece->place.position, spot, is_new);
    }
    struct record *record = record_of(gather, source, piece);
    if (record->parts != piece->parts || record->place.time != piece->place.time ||
        (record->part_bytes[piece->part] != 0 &&
         record->part_bytes[piece->part] != piece->part_bytes)) {
        return err_set(ERR_PROTOCOL, "a piece of record %" PRIu64 " that contradicts others",
                       piece->place.position);
    }
    if (!keep(gather, source, record, piece, spot)) {
        set_done(track_of(gather, partition), offset);
    } else if (is_next(source, record)) {
        vec_push(&gather->ready, source);
        return 0;
    }
    keep_bound(gather);
    return 0;
}

void kafka_gather_pass(struct kafka_gather *gather, uint32_t partition, int64_t offset)
{
    keep_marks_bound(gather, partition);
    struct track *track = track_of(gather, partition);
    if (track->next != offset + 1) { /* else it was taken, and refused */
        see(track, offset);
    }
    set_done(track, offset);
    track->highest = MAX(track->highest, offset);
}

/* ---- whole records ---- */

bool kafka_gather_next(struct kafka_gather *gather, struct kafka_whole *ret_whole)
{
    while (gather->ready.count > 0) {
        struct source *source = gather->ready.items[gather->ready.count - 1];
        size_t at = place_of(source, source->reached + 1, 0);
        for (; at < source->records.count; at++) {
            struct record *record = source->records.items[at];
            if (is_next(source, record)) {
                gather->next = record;
                gather->next_of = source;
                *ret_whole = (struct kafka_whole){record->place, record->partitions, record->parts,
                                                  record->part};
                return true;
            }
            if (record->place.position > source->reached + 1) {
                break;
            }
        }
        gather->ready.count--;
    }
    return false;
}

void kafka_gather_handed(struct kafka_gather *gather)
{
    CHECK(gather->next != NULL);
    gather->next->handed = true;
    gather->next_of->reached++;
    drop_bytes(gather, gather->next_of, gather->next);
    gather->next = NULL;
}

void kafka_gather_durable(struct kafka_gather *gather, struct datalog_origin origin,
                          uint64_t position)
{
    struct source *source = source_of(gather, origin);
    size_t over = 0;
    source->reached = MAX(source->reached, position);
    for (; over < source->records.count; over++) {
        struct record *record = source->records.items[over];
        if (record->place.position > position) {
            break;
        }
        for (size_t i = 0; i < record->spots.count; i++) {
            struct spot *spot = &record->spots.items[i];
            set_done(track_of(gather, spot->partition), spot->offset);
        }
        free_record(gather, source, record);
    }
    if (over > 0) {
        source->records.count -= over;
        memmove(source->records.items, source->records.items + over,
                source->records.count * sizeof(struct record *));
    }
}

int kafka_gather_look(struct kafka_gather *gather)
{
    int rc = 0;
    for (size_t i = 0; i < gather->sources.count; i++) {
        struct source *source = gather->sources.items[i];
        if (source->records.count == 0 && !source->aside) {
            continue;
        }
        uint64_t durable = gather->options.position_of(gather->options.context, source->origin);
        kafka_gather_durable(gather, source->origin, durable);
        vec_push(&gather->ready, source);
        bool filled = source->reached >= MAX(source->aside_needs, source->aside_from - 1);
        if (source->aside && (filled || source->reached > source->began)) {
            rc = KAFKA_GATHER_REWIND;
        }
    }
    return rc;
}

bool kafka_gather_missing(const struct kafka_gather *gather, struct kafka_missing *ret_missing)
{
    for (size_t i = 0; i < gather->sources.count; i++) {
        const struct source *source = gather->sources.items[i];
        size_t at = place_of(source, source->reached + 1, 0);
        if (!source->aside && at == source->records.count) {
            continue;
        }
        uint64_t there =
            source->aside ? source->aside_from : source->records.items[at]->place.position;
        *ret_missing = (struct kafka_missing){
            .origin = source->origin,
            .first = source->reached + 1,
            .last = MAX(source->reached + 1, there - 1),
            .aside = source->aside,
        };
        return true;
    }
    return false;
}

/* ---- life ---- */

void kafka_gather_clear(struct kafka_gather *gather)
{
    for (uint32_t i = 0; i < gather->tracks.count; i++) {
        struct track *track = &gather->tracks.items[i];
        track->next = kafka_gather_offset(gather, i);
        vec_clear(&track->marks);
        track->head = 0;
        track->floor = INT64_MAX;
    }
    for (size_t i = 0; i < gather->sources.count; i++) {
        struct source *source = gather->sources.items[i];
        for (size_t k = 0; k < source->records.count; k++) {
            free_record(gather, source, source->records.items[k]);
        }
        vec_deinit(&source->records);
        mem_free(source);
    }
    vec_clear(&gather->sources);
    vec_clear(&gather->ready);
    map_clear(&gather->by_origin);
    gather->next = NULL;
}

struct kafka_gather *kafka_gather_new(const struct kafka_gather_options *options)
{
    struct kafka_gather *gather = MEM_NEW(struct kafka_gather);
    gather->options = *options;
    if (options->waiting_bytes_max == 0) {
        gather->options.waiting_bytes_max = KAFKA_WAITING_BYTES_DEFAULT;
    }
    if (options->marks_max == 0) {
        gather->options.marks_max = KAFKA_MARKS_DEFAULT;
    }
    return gather;
}

void kafka_gather_free(struct kafka_gather **place)
{
    struct kafka_gather *gather = *place;
    *place = NULL;
    if (gather == NULL) {
        return;
    }
    kafka_gather_clear(gather);
    for (size_t i = 0; i < gather->tracks.count; i++) {
        vec_deinit(&gather->tracks.items[i].marks);
    }
    vec_deinit(&gather->tracks);
    vec_deinit(&gather->sources);
    vec_deinit(&gather->ready);
    map_deinit(&gather->by_origin);
    mem_free(gather);
}
