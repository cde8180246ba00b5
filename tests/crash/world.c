#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "series/evs.h"
#include "well/partition.h"

#define CALM_ROUNDS 4
#define OPENS_MAX 6
#define NUMBER_DIGITS 7

const char *const world_tags[WORLD_TAGS] = {"web",   "nginx-a",  "syslog", "news",
                                            "other", "gravwell", "mem-a",  "later"};

static const char *const web_tags[] = {"web", "nginx*"};
static const char *const sys_tags[] = {"syslog", "n*"};
static const char *const memory_tags[] = {"mem*"};

void world_say(struct world *world, const char *format, ...)
{
    if (world->trace) {
        va_list args;
        va_start(args, format);
        printf("%6" PRIu64 "  ", world->disk.sim.calls);
        vprintf(format, args);
        printf("\n");
        va_end(args);
    }
}

void world_complain(struct world *world, const char *format, ...)
{
    if (world->wrong[0] == 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(world->wrong, sizeof(world->wrong), format, args);
        va_end(args);
        world_say(world, "WRONG: %s", world->wrong);
    }
}

bool world_has_trouble(const struct world *world)
{
    return world->troubled || world->disk.sim.off;
}

/* ---- the config ---- */

static void report(void *context, const char *text)
{
    struct world *world = context;
    world_say(world, "  says: %s", text);
    if (world->keep_reports) {
        buf_printf(&world->reports, "%s\n", text);
    }
}

static struct well_retention web_retention(struct chance *chance)
{
    switch (below(chance, 4)) {
    case 0:
        return (struct well_retention){.hot_ns = 3 * TIME_DAY_NS};
    case 1:
        return (struct well_retention){.bytes_max = 5000};
    case 2:
        return (struct well_retention){
            .hot_ns = 5 * TIME_DAY_NS, .bytes_max = 20000, .required_ns = 4 * TIME_DAY_NS};
    default:
        return (struct well_retention){0};
    }
}

static void make_wells(struct world *world)
{
    world->wells[PLACE_DEFAULT] =
        (struct storage_well){.name = STORAGE_WELL_DEFAULT, .location = "/data/default"};
    world->wells[PLACE_WEB] = (struct storage_well){.name = "web",
                                                    .location = "/data/web",
                                                    .tags = web_tags,
                                                    .tags_count = ARRAY_COUNT(web_tags),
                                                    .retention = web_retention(&world->chance)};
    world->wells[PLACE_SYS] = (struct storage_well){
        .name = "sys",
        .location = "/data/sys",
        .tags = sys_tags,
        .tags_count = ARRAY_COUNT(sys_tags),
        .retention = {.hot_ns = TIME_DAY_NS, .bytes_max = 1, .forbidden = "no leave"},
    };
    world->wells[PLACE_MEMORY] = (struct storage_well){.name = "memory",
                                                       .tags = memory_tags,
                                                       .tags_count = ARRAY_COUNT(memory_tags),
                                                       .memory_bytes_max = 64 << 20};
}

static enum place place_of(const struct world *world, size_t tag)
{
    switch (tag) {
    case 0:
    case 1:
        return PLACE_WEB;
    case 2:
    case 3:
        return world->sys_away ? PLACE_DEFAULT : PLACE_SYS;
    case 6:
        return world->has_memory ? PLACE_MEMORY : PLACE_DEFAULT;
    default:
        return PLACE_DEFAULT;
    }
}

void world_init(struct world *world, uint64_t seed, enum lie lie)
{
    *world = (struct world){.chance = {seed}};
    liar_init(&world->disk, chance_mix(seed), lie);
    world->newest_now_ns = world->disk.sim.now_ns;
    make_wells(world);
    points_init(world);
    world->has_memory = one_in(&world->chance, 2);
    world->disk.short_reads = one_in(&world->chance, 4);
    world->options = (struct storage_options){
        .io = &world->disk.sim.io,
        .node = {{7}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .memtable_bytes_max = 2000 + below(&world->chance, 40000),
        .datalog_segment_bytes_max = 1000 + below(&world->chance, 8000),
        .datalog_kept_bytes_max = 3000 + below(&world->chance, 20000),
        .cache_bytes_max = seed % 3 * 50000,
        .manual = true,
        .pack_at_once = seed % 2 == 0, /* the others see partitions grow quiet */
        .report = report,
        .report_context = world,
    };
}

void world_deinit(struct world *world)
{
    io_sim_power_off(&world->disk.sim);
    storage_close(&world->storage);
    vec_deinit(&world->lines);
    buf_deinit(&world->reports);
    points_deinit(world);
    liar_deinit(&world->disk);
}

/* ---- lines ---- */

/* Its number, and bytes that say when they are not its own. */
static void put_data(struct buf *buf, uint64_t number, const struct line *line)
{
    static const char letters[] = "etaoin shrdlu cmfwyp vbgkqj xz0123456789,.:;/\n{}\"é";
    buf_printf(buf, "n%0*" PRIu64 " ", NUMBER_DIGITS, number);
    uint64_t x = line->content;
    while (buf->bytes < line->bytes) {
        x = chance_mix(x);
        uint8_t byte = (uint8_t)letters[x % (sizeof(letters) - 1)];
        buf_append(buf, span_of(&byte, 1));
    }
}

static void put_values(struct buf *buf, const struct line *line)
{
    if (line->content % 5 == 0) {
        size_t begin = series_evs_begin(buf);
        struct series_ev ev = {SPAN_LIT("host"), span_of(&line->content, 8), SERIES_EV_U64};
        CHECK(series_evs_put(buf, begin, ev) == 0);
    }
}

struct given {
    struct entry entry;
    struct buf data;
    struct buf values;
};

static void make_entry(const struct world *world, uint64_t number, struct given *given)
{
    const struct line *line = &world->lines.items[number];
    *given = (struct given){0};
    put_data(&given->data, number, line);
    put_values(&given->values, line);
    given->entry = (struct entry){
        .time_ns = line->time_ns,
        .tag = world->tags[line->tag],
        .data = buf_span(&given->data),
        .enumerated = buf_span(&given->values),
    };
    uint8_t v4[4] = {10, 0, (uint8_t)(line->content >> 32 & 3), (uint8_t)(line->content >> 40 & 7)};
    entry_source_of_v4(v4, given->entry.source);
}

static void given_deinit(struct given *given)
{
    buf_deinit(&given->data);
    buf_deinit(&given->values);
}

static int64_t draw_time(struct world *world)
{
    int64_t now_ns = world->disk.sim.now_ns;
    switch (below(&world->chance, 40)) {
    case 0:
        return (int64_t)below(&world->chance, 1000);
    case 1:
        return now_ns + (int64_t)below(&world->chance, 400) * TIME_DAY_NS;
    case 2:
        return now_ns - (int64_t)below(&world->chance, 4000) * TIME_DAY_NS;
    case 3:
        return one_in(&world->chance, 2) ? TIME_MAX_NS : INT64_MIN + 1;
    default:
        /* times that repeat, within three partitions or so */
        return now_ns / TIME_DAY_NS * TIME_DAY_NS -
               (int64_t)below(&world->chance, 70) * (TIME_DAY_NS / 16);
    }
}

static uint32_t draw_bytes(struct world *world)
{
    if (one_in(&world->chance, 400)) {
        return 270000; /* a block of its own */
    }
    return one_in(&world->chance, 40) ? 5000 : 12 + (uint32_t)below(&world->chance, 100);
}

/* False: the storage would not give a number, as it may when the disk fails. */
static bool know_tag(struct world *world, size_t tag)
{
    if (world->tag_known[tag]) {
        return true;
    }
    uint16_t number = 0;
    int rc = storage_tag(world->storage, span_of_str(world_tags[tag]), &number);
    if (rc < 0) {
        world_say(world, "tag %s: %s", world_tags[tag], err_text());
        if (!world_has_trouble(world) && world->disk.sim.space_bytes == 0) {
            world_complain(world, "no tag on a good disk: %s", err_text());
        }
        return false;
    }
    if (world->tag_given[tag] && world->tags[tag] != number) {
        world_complain(world, "tag %s was %u and is %u", world_tags[tag], world->tags[tag], number);
    }
    for (size_t i = 0; i < WORLD_TAGS; i++) {
        if (i != tag && world->tag_given[i] && world->tags[i] == number) {
            world_complain(world, "tags %s and %s are both %u", world_tags[tag], world_tags[i],
                           number);
        }
    }
    world->tags[tag] = number;
    world->tag_given[tag] = world->tag_known[tag] = true;
    return true;
}

static void add_line(struct world *world)
{
    struct line line = {
        .time_ns = draw_time(world),
        .tag = (uint8_t)below(&world->chance, WORLD_TAGS),
        .since_open = true,
        .submission = world->submissions,
        .bytes = draw_bytes(world),
        .content = chance_mix(world->chance.state),
    };
    line.place = (uint8_t)place_of(world, line.tag);
    vec_push(&world->lines, line);
}

static void judge_append(struct world *world, int rc)
{
    bool full = world->disk.sim.space_bytes > 0;
    if (rc < 0 && !world_has_trouble(world) && !full) {
        world_complain(world, "refused on a good disk: %s", err_text());
    }
    if (rc < 0 && !world_has_trouble(world) && rc != ERR_NO_SPACE) {
        world_complain(world, "a full disk is called: %s", err_text());
    }
}

static int submit(struct world *world, const struct entry *entries, size_t count,
                  const struct storage_received *received)
{
    struct waiting waiting;
    if (received == NULL) {
        return storage_append(world->storage, entries, count);
    }
    waiting_init(&waiting);
    return waiting_end(&waiting, storage_submit_received(world->storage, entries, count, received,
                                                         waiting_done, &waiting));
}

/* From here or, now and then, from another node, maybe twice. */
static int give(struct world *world, size_t first, const struct entry *entries, size_t count)
{
    struct storage_received received;
    bool is_received = world->received_too && one_in(&world->chance, 6);
    struct order order =
        is_received ? points_draw_received(world, &received) : points_begin_local(world);
    int rc = submit(world, entries, count, is_received ? &received : NULL);
    world_say(world, "append %zu to %zu%s at %" PRIu64 ": %s", first, first + count - 1,
              is_received ? " of another node" : "", order.time, rc < 0 ? err_text() : "0");
    judge_append(world, rc);
    if (is_received && one_in(&world->chance, 2)) {
        rc = submit(world, entries, count, &received);
        world_say(world, "again: %s", rc < 0 ? err_text() : "0");
        judge_append(world, rc);
    }
    if (!is_received) {
        points_end_local(world);
    }
    world->points.unsure = world->points.unsure && (rc < 0 || is_received);
    for (size_t i = 0; i < count; i++) {
        world->lines.items[first + i].order = order;
    }
    return rc;
}

void world_append(struct world *world, size_t count)
{
    size_t first = world->lines.count;
    bool known = true;
    world->submissions++;
    for (size_t i = 0; i < count; i++) {
        add_line(world);
        known = known && know_tag(world, world->lines.items[first + i].tag);
    }
    if (!known) {
        world->lines.count = first;
        return;
    }
    struct given given[WORLD_LINES_MAX];
    struct entry entries[WORLD_LINES_MAX];
    for (size_t i = 0; i < count; i++) {
        make_entry(world, first + i, &given[i]);
        entries[i] = given[i].entry;
    }
    int rc = give(world, first, entries, count);
    for (size_t i = 0; i < count; i++) {
        world->lines.items[first + i].acked = rc == 0;
        given_deinit(&given[i]);
    }
    world->tally.lines += count;
    *(rc == 0 ? &world->tally.acked : &world->tally.refused) += count;
}

/* ---- what the threads do ---- */

static uint64_t count_segments(struct world *world)
{
    uint64_t segments = 0;
    for (size_t i = 0; i < storage_stats(world->storage).wells; i++) {
        segments += storage_well_stats(world->storage, i).segments;
    }
    return segments;
}

static void judge_work(struct world *world, const char *what, int rc)
{
    bool full = world->disk.sim.space_bytes > 0;
    world_say(world, "%s: %s", what, rc < 0 ? err_text() : "0");
    if (rc < 0 && !world_has_trouble(world) && !full) {
        world_complain(world, "%s on a good disk: %s", what, err_text());
    }
}

void world_work(struct world *world)
{
    uint64_t segments = count_segments(world);
    uint64_t dropped = storage_stats(world->storage).dropped_partitions;
    int rc = storage_work(world->storage);
    world->newest_now_ns = MAX(world->newest_now_ns, world->disk.sim.now_ns);
    judge_work(world, "work", rc);
    world->work_failed = world->work_failed || rc < 0;
    if (storage_stats(world->storage).dropped_partitions > dropped) {
        world->tally.drops++;
    } else if (count_segments(world) < segments) {
        world->tally.merges++;
    }
}

void world_flush(struct world *world)
{
    int rc = storage_flush(world->storage);
    judge_work(world, "flush", rc);
    world->tally.flushes += rc == 0;
}

void world_calm(struct world *world)
{
    world->disk.sim.fail_at = 0;
    world->disk.sim.crash_at = 0;
    world->disk.sim.space_bytes = 0;
    for (int i = 0; i < CALM_ROUNDS; i++) {
        world->work_failed = storage_work(world->storage) < 0 || world->work_failed;
    }
    world->newest_now_ns = MAX(world->newest_now_ns, world->disk.sim.now_ns);
    world_say(world, "calm");
    world->troubled = false;
    world_append(world, 1 + below(&world->chance, 3));
    world_work(world);
    world_flush(world);
}

/* ---- opening ---- */

static void set_wells(struct world *world, struct storage_well *wells)
{
    size_t count = 0;
    for (size_t place = 0; place < PLACES; place++) {
        if ((place != PLACE_SYS || !world->sys_away) &&
            (place != PLACE_MEMORY || world->has_memory)) {
            wells[count++] = world->wells[place];
        }
    }
    world->options.wells = wells;
    world->options.wells_count = count;
}

bool world_open(struct world *world)
{
    struct storage_well wells[PLACES];
    set_wells(world, wells);
    int rc = storage_open(&world->options, &world->storage);
    world->tally.opens++;
    world->tally.opens_failed += rc < 0;
    world_say(world, "open%s: %s", world->sys_away ? " without sys" : "",
              rc < 0 ? err_text() : "0");
    if (rc < 0 && !world_has_trouble(world) && world->disk.sim.space_bytes == 0) {
        world_complain(world, "cannot be opened: %s", err_text());
    }
    memset(world->tag_known, 0, sizeof(world->tag_known));
    world->work_failed = false;
    return rc == 0;
}

static void close_storage(struct world *world, bool crashes)
{
    if (crashes) {
        io_sim_power_off(&world->disk.sim);
    }
    storage_close(&world->storage);
    if (world->disk.sim.off) {
        world->tally.crashes++;
        io_sim_crash(&world->disk.sim);
    }
    world_say(world, crashes ? "---- crash" : "---- closed");
    for (size_t i = 0; i < world->lines.count; i++) {
        world->lines.items[i].since_open = false;
    }
    points_closed(world);
}

static void trouble_for_open(struct world *world, int round)
{
    struct io_sim *sim = &world->disk.sim;
    if (world->plain_opens && round == 0) {
        return;
    }
    sim->fail_at = sim->crash_at = 0;
    world->troubled = false;
    if (world->plain_opens) {
        return;
    }
    if (round == OPENS_MAX - 1) {
        sim->space_bytes = 0;
    } else if (one_in(&world->chance, 6)) {
        sim->fail_at = sim->calls + 1 + below(&world->chance, 60);
        sim->fail_with = one_in(&world->chance, 3) ? ERR_NO_SPACE : ERR_IO;
        world->troubled = true;
    } else if (one_in(&world->chance, 6)) {
        sim->crash_at = sim->calls + 1 + below(&world->chance, 60);
        world->troubled = true;
    }
}

void world_restart(struct world *world, bool crashes)
{
    close_storage(world, crashes);
    for (int round = 0; round < OPENS_MAX && world->wrong[0] == 0; round++) {
        trouble_for_open(world, round);
        if (world_open(world)) {
            world_check(world, true);
            return;
        }
        close_storage(world, false);
    }
}

/* ---- checks ---- */

bool world_may_be_gone(const struct world *world, enum place place, int64_t time_ns)
{
    const struct well_retention *retention = &world->wells[PLACE_WEB].retention;
    int64_t now_ns = world->newest_now_ns;
    if (place != PLACE_WEB) {
        return false;
    }
    bool too_old = retention->hot_ns > 0 && time_ns < now_ns - retention->hot_ns;
    bool too_much =
        retention->bytes_max > 0 && well_partition_of(time_ns, WELL_PARTITION_NS_DEFAULT) <
                                        well_partition_of(now_ns, WELL_PARTITION_NS_DEFAULT);
    bool required = retention->required_ns > 0 && time_ns >= now_ns - retention->required_ns;
    return (too_old || too_much) && !required;
}

static bool may_be_gone(const struct world *world, const struct line *line)
{
    return world_may_be_gone(world, line->place, line->time_ns);
}

static bool is_away(const struct world *world, const struct line *line)
{
    return line->place == PLACE_SYS && world->sys_away;
}

static enum status cover_of(const struct world *world, const struct line *line)
{
    return points_cover_of_tag(world, line->tag, line->time_ns, line->order);
}

static bool must_be_there(const struct world *world, const struct line *line)
{
    return cover_of(world, line) == STATUS_NEVER && line->acked && !line->never &&
           !is_away(world, line) && !may_be_gone(world, line) &&
           (line->place != PLACE_MEMORY || line->since_open);
}

static bool is_same(const struct entry *got, const struct entry *given)
{
    return got->time_ns == given->time_ns && got->tag == given->tag &&
           memcmp(got->source, given->source, sizeof(got->source)) == 0 &&
           span_equal(got->data, given->data) && span_equal(got->enumerated, given->enumerated);
}

static bool number_of(const struct world *world, struct span data, uint64_t *ret_number)
{
    return data.bytes > NUMBER_DIGITS && data.data[0] == 'n' &&
           span_to_u64(span_first(span_from(data, 1), NUMBER_DIGITS), ret_number) &&
           *ret_number < world->lines.count;
}

static void meet(struct world *world, const struct entry *got)
{
    uint64_t number = 0;
    if (!number_of(world, got->data, &number)) {
        world_complain(world, "invented: %.*s", SPAN_ARG(span_first(got->data, 60)));
        return;
    }
    struct line *line = &world->lines.items[number];
    struct given given;
    make_entry(world, number, &given);
    if (!is_same(got, &given.entry)) {
        world_complain(world, "line %" PRIu64 " is not what was given", number);
    }
    given_deinit(&given);
    if (line->seen) {
        world_complain(world, "line %" PRIu64 " is there twice", number);
    }
    if (cover_of(world, line) == STATUS_SURE && !world->damaged_log) {
        world_complain(world, "line %" PRIu64 " was deleted and is there", number);
    }
    if (line->never) {
        world_complain(world, "line %" PRIu64 " has come back", number);
    }
    line->seen = true;
    line->acked = true;
    if (is_away(world, line)) {
        line->place = (uint8_t)place_of(world, line->tag);
    }
}

struct walk {
    bool descending;
    bool any;
    struct entry last;
    uint64_t last_number;
};

/* By time; those of one time by tag, then as they arrived. */
static void check_order(struct world *world, struct walk *walk, const struct entry *got)
{
    uint64_t number = 0;
    (void)number_of(world, got->data, &number);
    const struct entry *first = walk->descending ? got : &walk->last;
    const struct entry *second = walk->descending ? &walk->last : got;
    uint64_t first_number = walk->descending ? number : walk->last_number;
    uint64_t second_number = walk->descending ? walk->last_number : number;
    bool one_well = world->lines.items[number].place == world->lines.items[walk->last_number].place;
    if (walk->any && (first->time_ns > second->time_ns ||
                      (first->time_ns == second->time_ns && first->tag > second->tag) ||
                      (first->time_ns == second->time_ns && first->tag == second->tag && one_well &&
                       first_number > second_number))) {
        world_complain(world, "lines %" PRIu64 " and %" PRIu64 " are not in order", first_number,
                       second_number);
    }
    walk->any = true;
    walk->last = *got;
    walk->last_number = number;
}

/* Everything there is: 0, or the fault that the disk met. */
int world_scan(struct world *world)
{
    struct walk walk = {.descending = one_in(&world->chance, 2)};
    struct well_scan all = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .descending = walk.descending};
    struct well_cursor *cursor = NULL;
    struct well_block block;
    for (size_t i = 0; i < world->lines.count; i++) {
        world->lines.items[i].seen = false;
    }
    int rc = storage_scan(world->storage, &all, &cursor);
    while (rc == 0 && (rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count && world->wrong[0] == 0; i++) {
            meet(world, &block.entries[i]);
            if (world->wrong[0] == 0) {
                check_order(world, &walk, &block.entries[i]);
            }
        }
    }
    if (rc == WELL_END && well_cursor_skipped(cursor) > 0 && !world->damaged) {
        world_complain(world, "a block is damaged that nobody damaged");
    }
    well_cursor_close(&cursor);
    return rc == WELL_END ? 0 : rc;
}

/* A memory well may have lost what the log has lost, oldest first. */
static void check_memory(struct world *world)
{
    bool any = false;
    for (size_t i = 0; i < world->lines.count; i++) {
        const struct line *line = &world->lines.items[i];
        if (line->place == PLACE_MEMORY && line->acked) {
            if (any && !line->seen && cover_of(world, line) == STATUS_NEVER) {
                world_complain(world, "line %zu is not in memory, but older ones are", i);
            }
            any = any || line->seen;
        }
    }
}

static void settle(struct world *world, bool opened)
{
    for (size_t i = 0; i < world->lines.count; i++) {
        struct line *line = &world->lines.items[i];
        if (!line->seen && must_be_there(world, line)) {
            world_complain(world, "line %zu was acknowledged and is lost", i);
            return;
        }
        bool settled = (opened && cover_of(world, line) != STATUS_MAYBE) ||
                       (line->acked && may_be_gone(world, line) && !world->work_failed);
        if (!line->seen && settled && !is_away(world, line) && line->place != PLACE_MEMORY) {
            line->never = true;
        }
        world->tally.seen += line->seen;
    }
}

void world_check_word(struct world *world, uint64_t number)
{
    const struct line *line = &world->lines.items[number];
    char word[32];
    snprintf(word, sizeof(word), "n%0*" PRIu64, NUMBER_DIGITS, number);
    struct span words[1] = {span_of_str(word)};
    struct well_scan all = {
        .start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS, .words = words, .words_count = 1};
    struct well_cursor *cursor = NULL;
    struct well_block block;
    bool found = false;
    int rc = storage_scan(world->storage, &all, &cursor);
    while (rc == 0 && (rc = well_cursor_next(cursor, &block)) == 0) {
        for (size_t i = 0; i < block.count; i++) {
            uint64_t other = 0;
            found = found || (number_of(world, block.entries[i].data, &other) && other == number);
        }
    }
    well_cursor_close(&cursor);
    if (rc == WELL_END && found != line->seen) {
        world_complain(world, "line %" PRIu64 " %s by its word", number,
                       found ? "is only found" : "is not found");
    }
}

void world_check(struct world *world, bool opened)
{
    int rc = world_scan(world);
    world->tally.checks++;
    if (world->disk.sim.off) {
        return;
    }
    if (rc < 0) {
        world->tally.scans_failed++;
        world_say(world, "scan: %s", err_text());
        if (!world_has_trouble(world)) {
            world_complain(world, "cannot be scanned on a good disk: %s", err_text());
        }
        return;
    }
    world_say(world, "checked");
    check_memory(world);
    settle(world, opened);
    if (world->wrong[0] == 0) {
        points_check(world, opened);
    }
    if (world->wrong[0] == 0 && world->lines.count > 0) {
        world_check_word(world, below(&world->chance, world->lines.count));
    }
}
