/*
 * Opening and closing storage: the config's wells. Tested by storage_open_test.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "indexer/storage_intake.h"
#include "indexer/storage_internal.h"
#include "well/cache.h"

#define CUT_OFF "%" PRIu64 " bytes at its end are no whole line and are cut off"
#define SEGMENT_MB_MAX 1024 /* a file is read whole when the log is opened */
#define MEGABYTE UINT64_C(1000000)
#define GIGABYTE UINT64_C(1000000000)
#define LOG_BYTES_MIN 1e6
#define CACHE_SHARE 16 /* of the memory */

static bool has_exact(const struct storage_well *well, struct span tag)
{
    for (size_t i = 0; i < well->tags_count; i++) {
        if (span_equal(span_trim(span_of_str(well->tags[i])), tag)) {
            return true;
        }
    }
    return false;
}

static int check_tags(const struct storage_well *wells, size_t at)
{
    for (size_t i = 0; i < wells[at].tags_count; i++) {
        struct span tag = span_trim(span_of_str(wells[at].tags[i]));
        if (text_is_glob(tag)) {
            continue;
        }
        int rc = series_tag_check(tag);
        if (rc < 0) {
            return err_wrap(rc, "well %s", wells[at].name);
        }
        for (size_t j = 0; j < at; j++) {
            if (has_exact(&wells[j], tag)) {
                return err_set(ERR_INVALID, "tag %.*s is in two wells: %s and %s", SPAN_ARG(tag),
                               wells[j].name, wells[at].name);
            }
        }
    }
    return 0;
}

struct span storage_without_slashes(const char *path)
{
    struct span span = span_of_str(path);
    while (span.bytes > 1 && span.data[span.bytes - 1] == '/') {
        span.bytes--;
    }
    return span;
}

static int check_retention(const struct storage_well *well)
{
    const struct well_retention *retention = &well->retention;
    if (well->memory_bytes_max > 0 && retention->required_ns > 0) {
        return err_set(ERR_INVALID, "well %s: Required-Retention cannot be kept in memory",
                       well->name);
    }
    if (retention->hot_ns > 0 && retention->required_ns > retention->hot_ns) {
        return err_set(ERR_INVALID, "well %s: Required-Retention is longer than Hot-Duration",
                       well->name);
    }
    return 0;
}

int storage_check_wells(const struct storage_well *wells, size_t count)
{
    bool has_default = false;
    for (size_t i = 0; i < count; i++) {
        has_default = has_default || strcmp(wells[i].name, STORAGE_WELL_DEFAULT) == 0;
        bool on_disk = wells[i].memory_bytes_max == 0;
        if (on_disk && (wells[i].location == NULL || wells[i].location[0] == 0)) {
            return err_set(ERR_INVALID, "well %s has no Location", wells[i].name);
        }
        if (strlen(wells[i].name) > DATALOG_WELL_BYTES_MAX) {
            return err_set(ERR_INVALID, "well %.40s…: the name is longer than %d bytes",
                           wells[i].name, DATALOG_WELL_BYTES_MAX);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(wells[i].name, wells[j].name) == 0) {
                return err_set(ERR_INVALID, "two wells have the name %s", wells[i].name);
            }
            if (on_disk && wells[j].memory_bytes_max == 0 &&
                span_equal(storage_without_slashes(wells[i].location),
                           storage_without_slashes(wells[j].location))) {
                return err_set(ERR_INVALID, "wells %s and %s have the same Location %s",
                               wells[j].name, wells[i].name, wells[i].location);
            }
        }
        int rc = check_tags(wells, i);
        if (rc == 0) {
            rc = check_retention(&wells[i]);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return has_default ? 0 : err_set(ERR_INVALID, "there is no well %s", STORAGE_WELL_DEFAULT);
}

static void copy_wells(struct storage *storage, const struct storage_options *options)
{
    for (size_t i = 0; i < options->wells_count; i++) {
        const struct storage_well *well = &options->wells[i];
        struct storage_slot slot = {.name = mem_strdup(well->name),
                                    .memory_bytes_max = well->memory_bytes_max,
                                    .retention = well->retention};
        if (well->memory_bytes_max == 0) {
            slot.location = mem_strdup(well->location);
        }
        for (size_t j = 0; j < well->tags_count; j++) {
            struct span tag = span_trim(span_of_str(well->tags[j]));
            vec_push(&slot.tags, mem_strndup((const char *)tag.data, tag.bytes));
        }
        if (strcmp(well->name, STORAGE_WELL_DEFAULT) == 0) {
            storage->default_slot = i;
        }
        vec_push(&storage->slots, slot);
    }
}

/* Beside the tags' file, unless it is said. */
static char *series_dir_of(const struct storage_options *options)
{
    if (options->series_dir != NULL) {
        return mem_strdup(options->series_dir);
    }
    const char *slash = strrchr(options->tags_path, '/');
    return slash == NULL
               ? mem_strdup("series")
               : mem_printf("%.*s/series", (int)(slash - options->tags_path), options->tags_path);
}

/* The log's newest file cannot be trimmed, however little the wells need of it: with some files
 * less, wells would be flushed again and again. */
static uint64_t kept_bytes_max(const struct storage_options *options)
{
    return options->datalog_kept_bytes_max > 0
               ? options->datalog_kept_bytes_max
               : MAX(STORAGE_KEPT_BYTES_DEFAULT,
                     STORAGE_KEPT_SEGMENTS_MIN * options->datalog_segment_bytes_max);
}

static struct storage *storage_new(const struct storage_options *options)
{
    struct storage *storage = MEM_NEW(struct storage);
    storage->io = options->io;
    storage->datalog_dir = mem_strdup(options->datalog_dir);
    storage->series_dir = series_dir_of(options);
    storage->kept_bytes_max = kept_bytes_max(options);
    storage->reserve_bytes = options->space_reserve_bytes > 0 ? options->space_reserve_bytes
                                                              : STORAGE_RESERVE_BYTES_DEFAULT;
    storage->manual = options->manual;
    storage->report = options->report;
    storage->report_context = options->report_context;
    pthread_mutex_init(&storage->lock, NULL);
    pthread_mutex_init(&storage->flushing, NULL);
    pthread_mutex_init(&storage->deletes_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&storage->work, &monotonic);
    pthread_cond_init(&storage->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    storage->cache = block_cache_new(options->cache_bytes_max);
    copy_wells(storage, options);
    storage_source_init(storage);
    return storage;
}

static void storage_free(struct storage *storage)
{
    datalog_close(&storage->log);
    storage_intake_free(storage);
    for (size_t i = 0; i < storage->slots.count; i++) {
        struct storage_slot *slot = &storage->slots.items[i];
        well_close(&slot->well);
        for (size_t j = 0; j < slot->tags.count; j++) {
            mem_free(slot->tags.items[j]);
        }
        vec_deinit(&slot->tags);
        mem_free(slot->name);
        mem_free(slot->location);
    }
    vec_deinit(&storage->slots);
    tombstones_unref(&storage->tombstones);
    storage_source_deinit(storage);
    series_catalogue_close(&storage->catalogue);
    series_origins_close(&storage->origins);
    series_tags_close(&storage->tags);
    for (size_t i = 0; i < ARRAY_COUNT(storage->series_routes); i++) {
        mem_free((void *)atomic_load(&storage->series_routes[i]));
    }
    pthread_cond_destroy(&storage->changed);
    pthread_cond_destroy(&storage->work);
    pthread_mutex_destroy(&storage->deletes_lock);
    pthread_mutex_destroy(&storage->flushing);
    pthread_mutex_destroy(&storage->lock);
    storage_dropped_free(storage);
    block_cache_free(&storage->cache);
    mem_free(storage->datalog_dir);
    mem_free(storage->series_dir);
    mem_free(storage);
}

static int open_tags(struct storage *storage, const char *path)
{
    int rc = series_tags_open(storage->io, path, &storage->tags);
    if (rc < 0) {
        return rc;
    }
    struct series_lines_damage damage = series_tags_damage(storage->tags);
    storage->damage += damage.lines;
    if (damage.lines > 0) {
        storage_report(storage, "%s: %" PRIu64 " damaged lines; their tags come back from the data",
                       path, damage.lines);
    }
    if (damage.torn_bytes > 0) {
        storage_report(storage,
                       "%s: %" PRIu64 " bytes at its end are no whole line and are cut off", path,
                       damage.torn_bytes);
    }
    return 0;
}

static int open_series(struct storage *storage)
{
    char *path = mem_printf("%s/origins", storage->series_dir);
    int rc = series_origins_open(storage->io, path, &storage->origins);
    struct series_lines_damage damage = {0};
    if (rc == 0) {
        damage = series_origins_damage(storage->origins);
        storage->damage += damage.lines;
    }
    if (damage.lines > 0) {
        storage_report(storage, "%s: damaged lines; their origins come back from the data", path);
    }
    if (damage.torn_bytes > 0) {
        storage_report(storage, "%s: " CUT_OFF, path, damage.torn_bytes);
    }
    mem_free(path);
    struct series_catalogue_options options = {
        .io = storage->io,
        .dir = storage->series_dir,
        .origins = storage->origins,
        .report = storage->report,
        .report_context = storage->report_context,
    };
    if (rc == 0) {
        rc = series_catalogue_open(&options, &storage->catalogue);
    }
    if (rc == 0) {
        storage->damage += series_catalogue_stats(storage->catalogue).damaged_blocks;
        rc = storage_deletes_read(storage);
    }
    return rc;
}

struct well_options storage_well_options(struct storage *storage, const char *name,
                                         const char *location)
{
    return (struct well_options){
        .io = storage->io,
        .name = name,
        .dir = location,
        .names = {storage->tags, storage->catalogue, storage->origins},
        .space_kept_bytes = storage->reserve_bytes + storage->reserve_bytes / 4,
        .cache = storage->cache,
        .report = storage->report,
        .report_context = storage->report_context,
    };
}

static int open_wells(struct storage *storage, const struct storage_options *options)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        struct storage_slot *slot = &storage->slots.items[i];
        struct well_options well = storage_well_options(storage, slot->name, slot->location);
        well.memtable_bytes_max = options->memtable_bytes_max;
        well.memory_bytes_max = slot->memory_bytes_max;
        well.pack_at_once = options->pack_at_once;
        int rc = well_open(&well, &slot->well);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* A log that lost its files goes on behind everything that anybody has flushed: a position that
 * was used again would be taken for flushed. */
static int open_log(struct storage *storage, const struct storage_options *options)
{
    uint64_t flushed = 0;
    int rc = storage_flushed_read(storage);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < storage->slots.count; i++) {
        uint64_t here = storage_slot_flushed(&storage->slots.items[i]);
        flushed = MAX(flushed, here);
    }
    for (size_t i = 0; i < storage->dropped.count; i++) {
        flushed = MAX(flushed, storage->dropped.items[i].flushed);
    }
    flushed = MAX(flushed, storage->tombstones->end);
    uint64_t checkpoint = series_catalogue_position(storage->catalogue);
    flushed = MAX(flushed, checkpoint);
    struct datalog_options log = {
        .io = storage->io,
        .dir = options->datalog_dir,
        .node = options->node,
        .segment_bytes_max = options->datalog_segment_bytes_max,
        .held_bytes_max = options->datalog_held_bytes_max,
        .report = storage->report,
        .report_context = storage->report_context,
        .position_min = flushed,
        .begin_anew = options->begin_anew,
    };
    rc = datalog_open(&log, &storage->log);
    if (rc == 0) {
        struct datalog_origin own = datalog_origin(storage->log);
        struct series_origin origin = {own.node, own.incarnation};
        rc = series_origins_put(storage->origins, &origin, &storage->origin);
    }
    return rc;
}

/* What the log does not tell any more, the segments do. */
static void restore_series(struct storage *storage)
{
    struct series_catalogue_stats stats = series_catalogue_stats(storage->catalogue);
    if (stats.damaged_blocks == 0 && stats.position >= datalog_first(storage->log)) {
        return;
    }
    storage_restore_series(storage);
}

/* Exact names of the config exist from the start. */
static int make_tags(struct storage *storage)
{
    VEC(struct span) names = {0};
    VEC(uint16_t) numbers = {0};
    for (size_t i = 0; i < storage->slots.count; i++) {
        const struct storage_slot *slot = &storage->slots.items[i];
        for (size_t j = 0; j < slot->tags.count; j++) {
            struct span name = span_of_str(slot->tags.items[j]);
            if (!text_is_glob(name)) {
                vec_push(&names, name);
                vec_push(&numbers, 0);
            }
        }
    }
    int rc = storage_tags_put(storage, names.items, names.count, numbers.items);
    vec_deinit(&names);
    vec_deinit(&numbers);
    return rc;
}

static int open_all(struct storage *storage, const struct storage_options *options)
{
    int rc = open_tags(storage, options->tags_path);
    if (rc == 0) {
        rc = open_series(storage);
    }
    if (rc == 0) {
        rc = open_wells(storage, options);
    }
    if (rc == 0) {
        storage_deletes_publish(storage);
        rc = open_log(storage, options);
    }
    if (rc == 0) {
        restore_series(storage);
        rc = storage_replay(storage);
    }
    if (rc == 0 && !storage_flushed_knows_all(storage)) {
        rc = storage_flushed_write(storage); /* before anything is acknowledged for a new well */
    }
    rc = rc < 0 ? rc : storage_intake_open(storage);
    return rc == 0 ? make_tags(storage) : rc;
}

int storage_open(const struct storage_options *options, struct storage **ret_storage)
{
    int rc = storage_check_wells(options->wells, options->wells_count);
    if (rc < 0) {
        return rc;
    }
    struct storage *storage = storage_new(options);
    rc = open_all(storage, options);
    if (rc < 0) {
        storage_free(storage);
        return err_wrap(rc, "open storage");
    }
    storage_watch_space(storage);
    storage_start_threads(storage);
    *ret_storage = storage;
    return 0;
}

void storage_close(struct storage **place)
{
    struct storage *storage = *place;
    *place = NULL;
    if (storage == NULL) {
        return;
    }
    storage_stop_threads(storage);
    if (storage_flush(storage) < 0) {
        storage_report(storage, "closing: %s; the datalog has what is not flushed", err_text());
    }
    storage_free(storage);
}

/* Nothing is ever deleted without permission; what we cannot do yet is no permission. */
static const char *forbidden_of_conf(struct conf *conf, const char *section, const char *subsection)
{
    if (conf_is_set(conf, section, subsection, "Cold-Location")) {
        return "Cold-Location is set, and nothing is moved there yet";
    }
    if (!conf_bool(conf, section, subsection, "Delete-Cold-Data")) {
        return "Delete-Cold-Data is not true";
    }
    if (conf_bool(conf, section, subsection, "Archive-Deleted-Shards")) {
        return "Archive-Deleted-Shards is true, and nothing archives yet";
    }
    return NULL;
}

static struct well_retention retention_of_conf(struct conf *conf, const char *section,
                                               const char *subsection)
{
    uint64_t gigabytes = (uint64_t)conf_int(conf, section, subsection, "Max-Hot-Storage-GB");
    return (struct well_retention){
        .hot_ns = conf_duration(conf, section, subsection, "Hot-Duration"),
        .bytes_max = MIN(gigabytes, UINT64_MAX / GIGABYTE) * GIGABYTE,
        .reserve_percent = (uint32_t)conf_int(conf, section, subsection, "Hot-Storage-Reserve"),
        .required_ns = conf_duration(conf, section, subsection, "Required-Retention"),
        .forbidden = forbidden_of_conf(conf, section, subsection),
    };
}

/* Storage and Max-Memory-MB; 0: on disk. */
static int memory_of_conf(struct conf *conf, const char *section, const char *subsection,
                          uint64_t *ret_bytes)
{
    const char *storage = conf_text(conf, section, subsection, "Storage");
    int64_t megabytes = conf_int(conf, section, subsection, "Max-Memory-MB");
    *ret_bytes = 0;
    if (strcasecmp(storage, "disk") == 0) {
        return 0;
    }
    if (strcasecmp(storage, "memory") != 0) {
        return err_set(ERR_INVALID, "%s: Storage is disk or memory, not \"%s\"",
                       conf_where(conf, section, subsection, "Storage"), storage);
    }
    *ret_bytes = (uint64_t)megabytes * MEGABYTE;
    return 0;
}

static int well_of_conf(struct conf *conf, struct arena *arena, const char *section,
                        const char *subsection, struct storage_well *well)
{
    size_t count = conf_list_count(conf, section, subsection, "Tags");
    const char **tags = arena_alloc_array(arena, MAX(count, (size_t)1), sizeof(*tags));
    for (size_t i = 0; i < count; i++) {
        tags[i] = conf_list(conf, section, subsection, "Tags", i);
    }
    *well = (struct storage_well){
        .name = subsection == NULL ? STORAGE_WELL_DEFAULT : subsection,
        .location = conf_text(conf, section, subsection, "Location"),
        .tags = tags,
        .tags_count = count,
        .retention = retention_of_conf(conf, section, subsection),
    };
    return memory_of_conf(conf, section, subsection, &well->memory_bytes_max);
}

/* Less than 0 MB stands for a share of the machine's memory. */
static uint64_t cache_of_conf(struct conf *conf)
{
    int64_t number = conf_int(conf, CONF_GLOBAL, "Block-Cache-MB");
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return number < 0 ? memory / CACHE_SHARE : (uint64_t)number * MEGABYTE;
}

static int segment_of_conf(struct conf *conf, uint64_t *ret_bytes)
{
    int64_t number = conf_int(conf, "Datalog", NULL, "Segment-MB");
    if (number < 1 || number > SEGMENT_MB_MAX) {
        return err_set(ERR_INVALID, "%s: Segment-MB is 1 to %d",
                       conf_where(conf, "Datalog", NULL, "Segment-MB"), SEGMENT_MB_MAX);
    }
    *ret_bytes = (uint64_t)number * MEGABYTE;
    return 0;
}

/* The log as a whole stays below it: what wells have not flushed, what followers have not got, the
 * file that is written and the next one. */
static int bound_of_conf(struct conf *conf, struct storage_options *options)
{
    double bound = conf_float(conf, "Datalog", NULL, "Max-Datalog-GB") * (double)GIGABYTE;
    if (!(bound >= LOG_BYTES_MIN && bound < (double)INT64_MAX)) {
        return err_set(ERR_INVALID, "%s: Max-Datalog-GB is at least 0.001",
                       conf_where(conf, "Datalog", NULL, "Max-Datalog-GB"));
    }
    uint64_t bytes = (uint64_t)bound;
    uint64_t segment = MIN(options->datalog_segment_bytes_max, bytes / 16);
    options->datalog_segment_bytes_max = segment;
    options->datalog_kept_bytes_max =
        MIN(MAX(STORAGE_KEPT_BYTES_DEFAULT, STORAGE_KEPT_SEGMENTS_MIN * segment), bytes / 4);
    options->datalog_held_bytes_max = bytes - options->datalog_kept_bytes_max - 2 * segment;
    return 0;
}

static int datalog_of_conf(struct conf *conf, struct storage_options *options)
{
    options->datalog_dir = conf_text(conf, "Datalog", NULL, "Directory");
    int rc = segment_of_conf(conf, &options->datalog_segment_bytes_max);
    return rc < 0 ? rc : bound_of_conf(conf, options);
}

int storage_options_of_conf(struct conf *conf, struct arena *arena, struct storage_options *options)
{
    size_t named = conf_subsection_count(conf, "Storage-Well");
    struct storage_well *wells = arena_alloc_array(arena, named + 1, sizeof(*wells));
    int rc = well_of_conf(conf, arena, "Default-Well", NULL, &wells[0]);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < named; i++) {
        const char *name = conf_subsection(conf, "Storage-Well", i);
        rc = well_of_conf(conf, arena, "Storage-Well", name, &wells[i + 1]);
        if (rc < 0) {
            return rc;
        }
        if (wells[i + 1].memory_bytes_max == 0 && wells[i + 1].location[0] == 0) {
            return err_set(ERR_INVALID, "%s: well %s has no Location",
                           conf_where(conf, "Storage-Well", name, "Location"), name);
        }
        if (wells[i + 1].tags_count == 0) {
            return err_set(ERR_INVALID, "%s: well %s has no Tags",
                           conf_where(conf, "Storage-Well", name, "Tags"), name);
        }
    }
    options->wells = wells;
    options->wells_count = named + 1;
    rc = datalog_of_conf(conf, options);
    if (rc < 0) {
        return rc;
    }
    options->cache_bytes_max = cache_of_conf(conf);
    options->tags_path = conf_text(conf, CONF_GLOBAL, "Tag-DB-Path");
    options->series_dir =
        arena_printf(arena, "%s/series", conf_text(conf, CONF_GLOBAL, "Data-Directory"));
    rc = storage_check_wells(wells, named + 1);
    return rc < 0 ? err_wrap(rc, "%s", conf_path(conf)) : 0;
}
