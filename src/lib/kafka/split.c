#include "kafka/split.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>

#include "datalog/parts.h"
#include "series/entry.h"
#include "well/points_record.h"

#define WELL SPAN_LIT("-") /* parts have a well's name; readers have wells of their own */

struct kafka_lane {
    struct buf text; /* of the first series */
    uint32_t series; /* how often another one came than before; 0: nothing is in it */
    VEC(struct entry) entries;
    struct buf definitions, payload, bytes;
};

uint32_t kafka_partition_of(struct span text, uint32_t partitions)
{
    return (uint32_t)rd_kafka_msg_partitioner_murmur2(NULL, text.data, text.bytes,
                                                      (int32_t)partitions, NULL, NULL);
}

static void free_lanes(struct kafka_split *split)
{
    for (uint32_t i = 0; i < split->partitions; i++) {
        struct kafka_lane *lane = &split->lanes[i];
        buf_deinit(&lane->text);
        vec_deinit(&lane->entries);
        buf_deinit(&lane->definitions);
        buf_deinit(&lane->payload);
        buf_deinit(&lane->bytes);
    }
    mem_free(split->lanes);
}

void kafka_split_deinit(struct kafka_split *split)
{
    free_lanes(split);
    vec_deinit(&split->parts);
    vec_deinit(&split->elements);
    mem_free(split->names);
    buf_deinit(&split->text);
    buf_deinit(&split->key);
    *split = (struct kafka_split){0};
}

static void begin(struct kafka_split *split, uint32_t partitions)
{
    if (split->partitions != partitions) {
        free_lanes(split);
        vec_clear(&split->parts);
        split->partitions = partitions;
        split->lanes = mem_alloc_array(partitions, sizeof(*split->lanes));
    }
    for (size_t i = 0; i < split->parts.count; i++) {
        struct kafka_lane *lane = &split->lanes[split->parts.items[i].partition];
        lane->series = 0;
        vec_clear(&lane->entries);
        buf_clear(&lane->text);
        buf_clear(&lane->definitions);
        buf_clear(&lane->payload);
        buf_clear(&lane->bytes);
    }
    vec_clear(&split->parts);
}

/* Where the series goes whose text is in split->text. */
static struct kafka_lane *lane_of_text(struct kafka_split *split)
{
    struct span text = buf_span(&split->text);
    uint32_t partition = kafka_partition_of(text, split->partitions);
    struct kafka_lane *lane = &split->lanes[partition];
    if (lane->series == 0) {
        vec_push(&split->parts, (struct kafka_part){.partition = partition});
        buf_append(&lane->text, text);
        lane->series = 1;
    } else if (!span_equal(buf_span(&lane->text), text)) {
        lane->series++;
    }
    return lane;
}

/* ---- entries ---- */

static struct span name_of(void *context, uint16_t tag)
{
    return ((const struct span *)context)[tag];
}

static struct kafka_lane *lane_of_entry(struct kafka_split *split, const struct entry *entry)
{
    buf_clear(&split->key);
    buf_clear(&split->text);
    entry_source_text(&split->key, entry->source);
    series_text_encode(&split->text, split->names[entry->tag]);
    buf_append_str(&split->text, "{source=");
    series_text_encode(&split->text, buf_span(&split->key));
    buf_append_byte(&split->text, '}');
    return lane_of_text(split);
}

static int split_entries(struct kafka_split *split, struct span payload)
{
    struct entries run;
    struct entry entry;
    struct entry before = {0};
    struct kafka_lane *lane = NULL;
    uint16_t tag;
    struct span name;
    if (split->names == NULL) {
        split->names = mem_alloc_array((size_t)UINT16_MAX + 1, sizeof(*split->names));
    }
    int rc = entries_open(&run, payload);
    while (rc == 0 && entries_next_tag(&run, &tag, &name)) {
        split->names[tag] = name;
    }
    while (rc == 0 && entries_next(&run, &entry)) {
        bool same = lane != NULL && entry.tag == before.tag &&
                    memcmp(entry.source, before.source, sizeof(entry.source)) == 0;
        lane = same ? lane : lane_of_entry(split, &entry);
        vec_push(&lane->entries, entry);
        before = entry;
    }
    return rc;
}

/* ---- points ---- */

static int split_points(struct kafka_split *split, struct series_catalogue *catalogue,
                        struct span payload, uint32_t *number)
{
    struct points_record points;
    struct points_part part;
    int rc = points_record_open(&points, payload);
    while (rc == 0 && points_record_next(&points, &part)) {
        buf_clear(&split->key);
        buf_clear(&split->text);
        if (!series_catalogue_key(catalogue, part.series, &split->key)) {
            return err_set(ERR_CORRUPT, "points of series %" PRIu32 ", which has no name",
                           part.series);
        }
        series_key_text(&split->text, buf_span(&split->key));
        struct kafka_lane *lane = lane_of_text(split);
        if (lane->payload.bytes == 0) {
            points_record_begin(&lane->payload);
            series_definitions_begin(&lane->definitions);
        }
        struct series_definition definition = {++*number, buf_span(&split->key)};
        series_definitions_put(&lane->definitions, &definition);
        vec_clear(&split->elements);
        for (uint32_t i = 0; i < part.count; i++) {
            vec_push(&split->elements, points_part_element(&part, i));
        }
        points_record_put(&lane->payload, 0, *number, split->elements.items, part.count);
    }
    return rc;
}

/* ---- records ---- */

static int split_parts(struct kafka_split *split, const struct datalog_record *record,
                       struct series_catalogue *catalogue)
{
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    uint32_t number = 0;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        rc = record->type == DATALOG_UPDATE ? split_entries(split, payload)
                                            : split_points(split, catalogue, payload, &number);
        if (rc < 0) {
            return rc;
        }
    }
    if (rc >= 0 && split->parts.count == 0) {
        return err_set(ERR_CORRUPT, "a record with nothing in it");
    }
    return rc < 0 ? rc : 0;
}

static void finish_lane(struct kafka_split *split, struct kafka_lane *lane,
                        const struct datalog_record *record)
{
    struct buf parts = {0};
    bool whole = record->type != DATALOG_UPDATE && record->type != DATALOG_POINTS;
    if (lane->entries.count > 0) {
        entries_encode(&lane->payload, lane->entries.items, lane->entries.count, name_of,
                       split->names);
    }
    datalog_parts_put(&parts, WELL, buf_span(&lane->payload));
    struct kafka_part_body body = {
        .definitions = buf_span(&lane->definitions),
        .record = {.log_position = record->position,
                   .head = {{record->origin, record->origin_position, record->time},
                            record->origin_position - 1},
                   .type = record->type,
                   .payload = whole ? record->payload : buf_span(&parts)},
    };
    kafka_part_write(&lane->bytes, &body);
    buf_deinit(&parts);
}

int kafka_split(struct kafka_split *split, const struct datalog_record *record,
                struct series_catalogue *catalogue, uint32_t partitions)
{
    CHECK(partitions > 0 && partitions <= KAFKA_PARTITIONS_MAX);
    begin(split, partitions);
    int rc = 0;
    if (record->type == DATALOG_UPDATE || record->type == DATALOG_POINTS) {
        rc = split_parts(split, record, catalogue);
    } else {
        char node[UUID_TEXT_BYTES];
        buf_clear(&split->text);
        buf_printf(&split->text, "%s/%016" PRIx64, uuid_text(record->origin.node, node),
                   record->origin.incarnation);
        (void)lane_of_text(split);
    }
    for (size_t i = 0; rc == 0 && i < split->parts.count; i++) {
        struct kafka_part *part = &split->parts.items[i];
        struct kafka_lane *lane = &split->lanes[part->partition];
        finish_lane(split, lane, record);
        part->text = lane->series == 1 ? buf_span(&lane->text) : SPAN_NONE;
        part->bytes = buf_span(&lane->bytes);
    }
    return rc;
}
