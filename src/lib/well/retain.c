/*
 * Retention: whole partitions go, oldest first, and only with permission. Tested by
 * retain_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "well/internal.h"

/* Neighbours in the list that go together: a partition, or one file of mixed times. */
struct group {
    size_t from;
    size_t count;
    int64_t newest_ns;
};

/* A file whose blocks are not all known may hold whatever its partition can hold. */
static int64_t newest_of(const struct well *well, const struct segment *segment)
{
    int64_t end;
    if (!segment->footer_damaged) {
        return segment->newest_ns;
    }
    if (segment->partition == WELL_PARTITION_MIXED ||
        __builtin_mul_overflow(segment->partition + 1, well->partition_ns, &end)) {
        return TIME_MAX_NS;
    }
    return end - 1;
}

static struct group group_at(const struct well *well, size_t from)
{
    const struct segment *first = well->segments.items[from];
    struct group group = {from, 1, newest_of(well, first)};
    while (first->partition != WELL_PARTITION_MIXED && from + group.count < well->segments.count &&
           well->segments.items[from + group.count]->partition == first->partition) {
        int64_t newest_ns = newest_of(well, well->segments.items[from + group.count]);
        group.newest_ns = MAX(group.newest_ns, newest_ns);
        group.count++;
    }
    return group;
}

/* The one whose newest entry is the oldest, unless that lies in the partition of now or later. */
static bool oldest_group(const struct well *well, int64_t now_ns, struct group *ret_group)
{
    bool found = false;
    for (size_t i = 0; i < well->segments.count;) {
        struct group group = group_at(well, i);
        if (!found || group.newest_ns < ret_group->newest_ns) {
            *ret_group = group;
            found = true;
        }
        i += group.count;
    }
    return found && well_partition_of(ret_group->newest_ns, well->partition_ns) <
                        well_partition_of(now_ns, well->partition_ns);
}

/* The last reference is ours: the file is closed and its space comes back. */
static uint64_t let_go(struct well *well)
{
    uint64_t held = 0;
    size_t kept = 0;
    for (size_t i = 0; i < well->dropped.count; i++) {
        struct segment *segment = well->dropped.items[i];
        if (__atomic_load_n(&segment->references, __ATOMIC_ACQUIRE) == 1) {
            segment_unref(&segment);
        } else {
            held += segment->bytes;
            well->dropped.items[kept++] = segment;
        }
    }
    well->dropped.count = kept;
    return held;
}

static bool lacks_space(struct well *well, uint32_t percent, uint64_t held)
{
    uint64_t left;
    uint64_t total;
    if (percent == 0 || io_space(well->io, well->dir, &left, &total) < 0) {
        return false;
    }
    return left + held < total / 100 * percent;
}

/* The key that wants the group gone, or NULL. */
static const char *rule_of(const struct well_retention *retention, const struct group *group,
                           uint64_t bytes, bool no_space, int64_t now_ns)
{
    if (retention->hot_ns > 0 && group->newest_ns < now_ns - retention->hot_ns) {
        return "Hot-Duration";
    }
    if (retention->bytes_max > 0 && bytes > retention->bytes_max) {
        return "Max-Hot-Storage-GB";
    }
    return no_space ? "Hot-Storage-Reserve" : NULL;
}

static const char *why_kept(const struct well_retention *retention, const struct group *group,
                            int64_t now_ns)
{
    if (retention->required_ns > 0 && group->newest_ns >= now_ns - retention->required_ns) {
        return "it is younger than Required-Retention";
    }
    return retention->forbidden;
}

/* Takes references to what shall go. */
static int choose(struct well *well, const struct well_retention *retention, segments_vec *run,
                  struct well_dropped *dropped)
{
    int64_t now_ns = io_now_ns(well->io);
    pthread_mutex_lock(&well->lock);
    uint64_t held = let_go(well);
    pthread_mutex_unlock(&well->lock);
    bool no_space = lacks_space(well, retention->reserve_percent, held);
    pthread_mutex_lock(&well->lock);
    struct group group = {0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < well->segments.count; i++) {
        bytes += well->segments.items[i]->bytes;
    }
    *dropped = (struct well_dropped){.oldest_ns = TIME_MAX_NS};
    if (oldest_group(well, now_ns, &group)) {
        dropped->rule = rule_of(retention, &group, bytes, no_space, now_ns);
        dropped->kept = why_kept(retention, &group, now_ns);
        dropped->newest_ns = group.newest_ns;
        dropped->segments = group.count;
    }
    for (size_t i = 0; dropped->rule != NULL && i < group.count; i++) {
        struct segment *segment = well->segments.items[group.from + i];
        dropped->oldest_ns = MIN(dropped->oldest_ns, segment->oldest_ns);
        dropped->entries += segment->entries;
        dropped->points += segment->elements;
        dropped->bytes += segment->bytes;
        vec_push(run, segment_ref(segment));
    }
    pthread_mutex_unlock(&well->lock);
    return dropped->rule == NULL ? WELL_NOTHING : dropped->kept != NULL ? WELL_KEPT : 0;
}

struct leftovers {
    const segments_vec *run;
    VEC(struct well_file_name) names;
};

static int take_leftover(void *context, const char *name)
{
    struct leftovers *left = context;
    struct well_file_name file;
    if (!well_file_name_parse(span_of_str(name), &file)) {
        return 0;
    }
    for (size_t i = 0; i < left->run->count; i++) {
        struct well_file_name listed = well_segment_name(left->run->items[i]);
        if (well_file_supersedes(&listed, &file)) {
            vec_push(&left->names, file);
            break;
        }
    }
    return 0;
}

/* Files that merging replaced must be gone for good before what replaced them goes: they would
 * count again. */
static int remove_superseded(struct well *well, const segments_vec *run)
{
    struct leftovers left = {.run = run};
    int rc = io_list(well->io, well->dir, take_leftover, &left);
    for (size_t i = 0; rc == 0 && i < left.names.count; i++) {
        char *path = well_file_name(well->dir, &left.names.items[i]);
        rc = io_remove(well->io, path);
        mem_free(path);
    }
    vec_deinit(&left.names);
    return rc < 0 ? rc : io_sync_dir(well->io, well->dir);
}

/* Off the list: no new cursor sees it. */
static void take_off(struct well *well, const struct segment *segment, bool by_retention)
{
    pthread_mutex_lock(&well->lock);
    size_t at = 0;
    while (well->segments.items[at] != segment) {
        at++;
    }
    vec_push(&well->dropped, well->segments.items[at]);
    well->segments.count--;
    memmove(well->segments.items + at, well->segments.items + at + 1,
            (well->segments.count - at) * sizeof(*well->segments.items));
    well->dropped_entries += by_retention ? segment->entries : 0;
    well->dropped_points += by_retention ? segment->elements : 0;
    well->dropped_bytes += by_retention ? segment->bytes : 0;
    pthread_mutex_unlock(&well->lock);
}

int well_drop_segments(struct well *well, const segments_vec *run, bool by_retention)
{
    int rc = remove_superseded(well, run);
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        char *path = well_segment_path(well, run->items[i]);
        rc = io_remove(well->io, path);
        mem_free(path);
        if (rc == 0) {
            take_off(well, run->items[i], by_retention);
        }
    }
    return rc < 0 ? rc : io_sync_dir(well->io, well->dir);
}

int well_retain(struct well *well, const struct well_retention *retention,
                struct well_dropped *ret_dropped)
{
    if (well->memory_bytes_max > 0) {
        return well_memory_retain(well, retention, ret_dropped);
    }
    segments_vec run = {0};
    struct well_dropped dropped;
    pthread_mutex_lock(&well->merging);
    int rc = choose(well, retention, &run, &dropped);
    if (rc == 0) {
        rc = well_drop_segments(well, &run, true);
    }
    for (size_t i = 0; i < run.count; i++) {
        segment_unref(&run.items[i]);
    }
    vec_deinit(&run);
    pthread_mutex_lock(&well->lock);
    (void)let_go(well);
    well->dropped_partitions += rc == 0 ? 1 : 0;
    pthread_mutex_unlock(&well->lock);
    pthread_mutex_unlock(&well->merging);
    if (rc < 0) {
        return err_wrap(rc, "retention of well %s", well->name);
    }
    *ret_dropped = dropped;
    return rc;
}
