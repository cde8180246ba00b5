/*
 * aquifer datalog verify --cluster: asks every indexer for digests of what it holds, over the
 * writes that all have and the times that all keep, and names the wells' partitions that differ.
 * What differs while it is being written is looked at again. With --repair each node in turn asks
 * those who forward to it for what it may lack, until all are equal.
 * Tested by tests/cluster/test_snapshot.py.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "cli/control.h"
#include "cli/datalog_verify_cluster.h"
#include "cli/options.h"

#define NODES_MAX 64
#define TRIES 4             /* what is being written may differ for a moment */
#define CHUNK_PARTITIONS 16 /* asked for at once */
#define DIGEST_TIMEOUT_MS 600000
#define REPAIR_WAIT_MS 60000 /* for one node */
#define PAUSE_MS 500
#define ALL_WELLS "all wells together"
#define ATTRIBUTES "" /* the name of what is no well: one row for those of all series */

/* What one node has of one partition. */
struct cell {
    uint64_t entries;
    uint64_t points;
    uint64_t sums[2];
};

struct row {
    char *well;
    int64_t partition;
    struct cell cells[NODES_MAX];
};

/* From when on all nodes keep what a well is given; and how many nodes have that well. */
struct kept {
    char *well;
    int64_t since_ns;
    size_t nodes;
};

struct verify {
    struct cli_control control;
    bool repair;
    size_t count;   /* of nodes */
    json_t *places; /* that all have */
    int64_t oldest_ns, newest_ns;
    int64_t partition_ns;
    bool same_wells;
    VEC(struct kept) kept;
    VEC(struct row) rows;
    size_t compared, differ;
};

static void pause_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static int post(const struct verify *verify, size_t node, const char *path, const json_t *body,
                json_t **ret_json)
{
    char *url = cli_control_url(&verify->control, verify->control.indexers.items[node], path);
    struct http_call call = {
        .method = "POST", .url = url, .control = true, .timeout_ms = DIGEST_TIMEOUT_MS};
    int rc = http_call_json(verify->control.client, &call, body, ret_json);
    mem_free(url);
    return rc < 0 ? err_wrap(rc, "%s", verify->control.indexers.items[node]) : 0;
}

static int ask(const struct verify *verify, size_t node, const char *path, json_t **ret_json)
{
    const char *indexer = verify->control.indexers.items[node];
    int rc = cli_control_ask(&verify->control, indexer, path, ret_json);
    return rc < 0 ? err_wrap(rc, "%s", indexer) : 0;
}

/* ---- what all have ---- */

static bool same_origin(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "node"), json_object_get(b, "node")) &&
           json_equal(json_object_get(a, "incarnation"), json_object_get(b, "incarnation"));
}

static json_t *find_origin(const json_t *places, const json_t *origin)
{
    size_t i;
    json_t *row;
    json_array_foreach(places, i, row)
    {
        if (same_origin(row, origin)) {
            return row;
        }
    }
    return NULL;
}

/* Origins and times that are in both. */
static json_t *meet(const json_t *places, const json_t *others)
{
    json_t *both = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(places, i, row)
    {
        const json_t *other = find_origin(others, row);
        if (other != NULL) {
            json_int_t mine = json_integer_value(json_object_get(row, "time"));
            json_int_t theirs = json_integer_value(json_object_get(other, "time"));
            json_t *copy = json_copy(row);
            json_object_set_new(copy, "time", json_integer(MIN(mine, theirs)));
            json_array_append_new(both, copy);
        }
    }
    return both;
}

static int64_t ns_of(const json_t *json, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(json, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

static int ask_places(struct verify *verify)
{
    json_decref(verify->places);
    verify->places = NULL;
    verify->oldest_ns = INT64_MAX;
    verify->newest_ns = INT64_MIN;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < verify->count; i++) {
        json_t *answer = NULL;
        json_t *needs = NULL;
        rc = ask(verify, i, "places", &answer);
        rc = rc < 0 ? rc : ask(verify, i, "needs", &needs);
        const json_t *places = json_object_get(answer, "places");
        if (rc == 0) {
            json_t *both =
                verify->places == NULL ? json_deep_copy(places) : meet(verify->places, places);
            json_decref(verify->places);
            verify->places = both;
            verify->oldest_ns = MIN(verify->oldest_ns, ns_of(needs, "oldest", INT64_MAX));
            verify->newest_ns = MAX(verify->newest_ns, ns_of(needs, "newest", INT64_MIN));
            verify->partition_ns = ns_of(needs, "partition_ns", 1);
        }
        json_decref(answer);
        json_decref(needs);
    }
    return rc;
}

/* ---- digests ---- */

static struct row *row_of(struct verify *verify, const char *well, int64_t partition)
{
    for (size_t i = 0; i < verify->rows.count; i++) {
        struct row *row = &verify->rows.items[i];
        if (row->partition == partition && strcmp(row->well, well) == 0) {
            return row;
        }
    }
    vec_push(&verify->rows, (struct row){.well = mem_strdup(well), .partition = partition});
    return &verify->rows.items[verify->rows.count - 1];
}

static void note_well(struct verify *verify, const json_t *well)
{
    const char *name = json_string_value(json_object_get(well, "name"));
    int64_t since_ns = ns_of(well, "keeps_since", INT64_MIN);
    for (size_t i = 0; name != NULL && i < verify->kept.count; i++) {
        struct kept *kept = &verify->kept.items[i];
        if (strcmp(kept->well, name) == 0) {
            kept->since_ns = MAX(kept->since_ns, since_ns);
            kept->nodes++;
            return;
        }
    }
    if (name != NULL) {
        vec_push(&verify->kept, (struct kept){mem_strdup(name), since_ns, 1});
    }
}

static void add_digest(struct verify *verify, size_t node, const json_t *digest)
{
    const char *well = json_string_value(json_object_get(digest, "well"));
    const char *sum = json_string_value(json_object_get(digest, "sum"));
    if (well == NULL || sum == NULL || strlen(sum) != 32) {
        return;
    }
    char first[17] = {0};
    memcpy(first, sum, 16);
    struct row *row = row_of(verify, well, ns_of(digest, "partition", 0));
    struct cell *cell = &row->cells[node];
    cell->entries += (uint64_t)ns_of(digest, "entries", 0);
    cell->points += (uint64_t)ns_of(digest, "points", 0);
    cell->sums[0] += strtoull(first, NULL, 16);
    cell->sums[1] += strtoull(sum + 16, NULL, 16);
}

/* Takes the body. */
static int ask_digests(struct verify *verify, size_t node, json_t *body)
{
    json_t *answer = NULL;
    json_object_set(body, "places", verify->places);
    int rc = post(verify, node, "digests", body, &answer);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(answer, "digests"), i, row)
    {
        add_digest(verify, node, row);
    }
    json_decref(body);
    json_decref(answer);
    return rc;
}

/* Nobody has anything in between: the next chunk begins where somebody has something. */
static int ask_all_digests(struct verify *verify)
{
    int64_t chunk_ns = verify->partition_ns * CHUNK_PARTITIONS;
    int64_t from_ns = verify->oldest_ns;
    int rc = 0;
    if (verify->oldest_ns > verify->newest_ns) {
        return 0; /* nobody has anything */
    }
    from_ns -= (from_ns % verify->partition_ns + verify->partition_ns) % verify->partition_ns;
    while (rc == 0 && from_ns <= verify->newest_ns) {
        int64_t end_ns = INT64_MAX - from_ns < chunk_ns ? INT64_MAX : from_ns + chunk_ns;
        for (size_t i = 0; rc == 0 && i < verify->count; i++) {
            rc = ask_digests(
                verify, i,
                json_pack("{s:I, s:I}", "start", (json_int_t)from_ns, "end", (json_int_t)end_ns));
        }
        if (end_ns == INT64_MAX) {
            break;
        }
        from_ns = end_ns;
    }
    return rc;
}

static int ask_wells(struct verify *verify)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < verify->count; i++) {
        json_t *needs = NULL;
        rc = ask(verify, i, "needs", &needs);
        size_t n;
        json_t *well;
        json_array_foreach(json_object_get(needs, "wells"), n, well)
        {
            note_well(verify, well);
        }
        json_decref(needs);
    }
    verify->same_wells = true;
    for (size_t i = 0; i < verify->kept.count; i++) {
        verify->same_wells = verify->same_wells && verify->kept.items[i].nodes == verify->count;
    }
    return rc;
}

/* ---- comparing ---- */

static void forget(struct verify *verify)
{
    for (size_t i = 0; i < verify->rows.count; i++) {
        mem_free(verify->rows.items[i].well);
    }
    for (size_t i = 0; i < verify->kept.count; i++) {
        mem_free(verify->kept.items[i].well);
    }
    vec_clear(&verify->rows);
    vec_clear(&verify->kept);
}

/* Wells that are divided otherwise on another node can only be compared all together. */
static void fold_wells(struct verify *verify)
{
    size_t count = verify->rows.count;
    for (size_t i = 0; i < count; i++) {
        struct row *all = row_of(verify, ALL_WELLS, verify->rows.items[i].partition);
        const struct row *row = &verify->rows.items[i];
        for (size_t n = 0; n < verify->count; n++) {
            all->cells[n].entries += row->cells[n].entries;
            all->cells[n].points += row->cells[n].points;
            all->cells[n].sums[0] += row->cells[n].sums[0];
            all->cells[n].sums[1] += row->cells[n].sums[1];
        }
    }
    for (size_t i = 0; i < count; i++) {
        mem_free(verify->rows.items[i].well);
    }
    memmove(verify->rows.items, verify->rows.items + count,
            (verify->rows.count - count) * sizeof(struct row));
    verify->rows.count -= count;
}

static bool is_of_attributes(const struct row *row)
{
    return row->well[0] == '\0';
}

static bool is_kept(const struct verify *verify, const struct row *row)
{
    if (is_of_attributes(row)) {
        return true;
    }
    for (size_t i = 0; i < verify->kept.count; i++) {
        const struct kept *kept = &verify->kept.items[i];
        bool counts = !verify->same_wells || strcmp(kept->well, row->well) == 0;
        if (counts && row->partition * verify->partition_ns < kept->since_ns) {
            return false;
        }
    }
    return true;
}

static bool differs(const struct verify *verify, const struct row *row)
{
    for (size_t n = 1; n < verify->count; n++) {
        if (memcmp(&row->cells[n], &row->cells[0], sizeof(row->cells[0])) != 0) {
            return true;
        }
    }
    return false;
}

static int compare(struct verify *verify)
{
    forget(verify);
    int rc = ask_places(verify);
    rc = rc < 0 ? rc : ask_wells(verify);
    rc = rc < 0 ? rc : ask_all_digests(verify);
    if (rc == 0 && !verify->same_wells) {
        fold_wells(verify);
    }
    for (size_t i = 0; rc == 0 && i < verify->count; i++) {
        rc = ask_digests(verify, i, json_pack("{s:b}", "attributes", 1));
    }
    if (rc < 0) {
        return rc;
    }
    verify->compared = verify->differ = 0;
    for (size_t i = 0; i < verify->rows.count; i++) {
        if (is_kept(verify, &verify->rows.items[i])) {
            verify->compared += is_of_attributes(&verify->rows.items[i]) ? 0 : 1;
            verify->differ += differs(verify, &verify->rows.items[i]) ? 1 : 0;
        }
    }
    return 0;
}

static int compare_again_and_again(struct verify *verify)
{
    int rc = compare(verify);
    for (int i = 1; rc == 0 && verify->differ > 0 && i < TRIES; i++) {
        pause_ms(PAUSE_MS);
        rc = compare(verify);
    }
    return rc;
}

/* ---- what it says ---- */

static void print_row(const struct verify *verify, const struct row *row)
{
    char from[TIME_TEXT_BYTES];
    char to[TIME_TEXT_BYTES];
    int64_t start_ns = row->partition * verify->partition_ns;
    if (is_of_attributes(row)) {
        printf("the attributes of series differ:");
    } else {
        printf("well %s, %s to %s differs:", row->well, time_text(start_ns, from),
               time_text(start_ns + verify->partition_ns, to));
    }
    for (size_t n = 0; n < verify->count; n++) {
        const struct cell *cell = &row->cells[n];
        printf("%s %s has ", n > 0 ? ";" : "", verify->control.indexers.items[n]);
        if (is_of_attributes(row)) {
            printf("%" PRIu64 " changes", cell->entries);
        } else {
            printf("%" PRIu64 " entries, %" PRIu64 " points", cell->entries, cell->points);
        }
        printf(" (%08" PRIx64 ")", cell->sums[0] >> 32);
    }
    printf("\n");
}

static void print_result(const struct verify *verify)
{
    for (size_t i = 0; i < verify->rows.count; i++) {
        const struct row *row = &verify->rows.items[i];
        if (is_kept(verify, row) && differs(verify, row)) {
            print_row(verify, row);
        }
    }
    if (!verify->same_wells) {
        printf("the indexers have different wells: they were compared all together\n");
    }
    printf("%zu partitions of %zu wells on %zu indexers: ", verify->compared, verify->kept.count,
           verify->count);
    if (verify->count < 2) {
        printf("none to compare it with; --config of a webserver, or --indexer A,B, names more\n");
    } else if (verify->differ == 0) {
        printf("equal\n");
    } else {
        printf("%zu differ\n", verify->differ);
    }
    (void)fflush(stdout);
}

static void tell_nodes(const struct verify *verify)
{
    json_t *body = json_object();
    json_object_set_new(body, "compared", json_integer((json_int_t)verify->compared));
    json_object_set_new(body, "differ", json_integer((json_int_t)verify->differ));
    for (size_t i = 0; i < verify->count; i++) {
        json_t *answer = NULL;
        (void)!post(verify, i, "verified", body, &answer); /* their metrics are no reason to fail */
        json_decref(answer);
    }
    json_decref(body);
}

/* ---- repairing ---- */

static json_t *range_that_differs(const struct verify *verify)
{
    int64_t start_ns = INT64_MAX;
    int64_t end_ns = INT64_MIN;
    for (size_t i = 0; i < verify->rows.count; i++) {
        const struct row *row = &verify->rows.items[i];
        if (!is_of_attributes(row) && is_kept(verify, row) && differs(verify, row)) {
            start_ns = MIN(start_ns, row->partition * verify->partition_ns);
            end_ns = MAX(end_ns, (row->partition + 1) * verify->partition_ns);
        }
    }
    if (start_ns > end_ns) { /* attributes alone: they come with any range */
        start_ns = verify->oldest_ns;
        end_ns = start_ns + 1;
    }
    json_t *range = json_object();
    json_object_set_new(range, "start", json_integer(start_ns));
    json_object_set_new(range, "end", json_integer(end_ns));
    return range;
}

/* The node asks for the range until those who forward to it have given it. */
static int repair_node(const struct verify *verify, size_t node, const json_t *range)
{
    json_t *answer = NULL;
    bool missing = true;
    int rc = post(verify, node, "needs", range, &answer);
    json_decref(answer);
    for (int64_t waited = 0; rc == 0 && missing && waited < REPAIR_WAIT_MS; waited += PAUSE_MS) {
        pause_ms(PAUSE_MS);
        answer = NULL;
        rc = ask(verify, node, "needs", &answer);
        missing = json_is_object(json_object_get(answer, "missing"));
        json_decref(answer);
    }
    if (rc == 0 && missing) {
        json_t *null = json_null();
        answer = NULL;
        printf("%s: nobody gives it what it may lack\n", verify->control.indexers.items[node]);
        rc = post(verify, node, "needs", null, &answer);
        json_decref(answer);
    }
    return rc;
}

/* Round and round, as what one has comes to the next. */
static int repair(struct verify *verify)
{
    int rc = 0;
    for (size_t round = 0; rc == 0 && verify->differ > 0 && round < verify->count; round++) {
        json_t *range = range_that_differs(verify);
        for (size_t i = 0; rc == 0 && i < verify->count; i++) {
            rc = repair_node(verify, i, range);
        }
        json_decref(range);
        rc = rc < 0 ? rc : compare_again_and_again(verify);
    }
    return rc;
}

int cli_datalog_verify_cluster(const struct cli_command *command, int argc, char **argv)
{
    struct verify verify = {0};
    struct cli_control *control = &verify.control;
    bool cluster = false; /* what brought us here */
    const struct cli_option options[] = {
        {"config", &control->config, NULL},
        {"indexer", &control->indexer, NULL},
        {"secret", &control->secret, NULL},
        {"disable-tls", NULL, &control->plain},
        {"insecure", NULL, &control->insecure},
        {"repair", NULL, &verify.repair},
        {"cluster", NULL, &cluster},
    };
    int words = 0;
    int done = cli_options(command, options, ARRAY_COUNT(options), argc, argv, &words);
    if (done != CLI_OK) {
        return done == CLI_HELPED ? CLI_OK : done;
    }
    int rc = cli_control_open(control);
    verify.count = control->indexers.count;
    if (rc == 0 && verify.count > NODES_MAX) {
        rc = err_set(ERR_TOO_LARGE, "more than %d indexers", NODES_MAX);
    }
    rc = rc < 0 ? rc : compare_again_and_again(&verify);
    if (rc == 0) {
        print_result(&verify);
    }
    if (rc == 0 && verify.differ > 0 && verify.repair) {
        rc = repair(&verify);
        if (rc == 0) {
            print_result(&verify);
        }
    }
    if (rc == 0) {
        tell_nodes(&verify);
    }
    forget(&verify);
    vec_deinit(&verify.rows);
    vec_deinit(&verify.kept);
    json_decref(verify.places);
    cli_control_close(control);
    if (rc < 0) {
        return cli_fail(command, "%s", err_text());
    }
    return verify.differ == 0 ? CLI_OK : CLI_FAILED;
}
