/* Tested by status_picture_test.c. */
#include "cli/status_trouble.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "cli/human.h"
#include "cli/members.h"

/* A link may be so far behind before anybody needs to look at it. */
#define LAG_WARN_NS (60 * TIME_S_NS)
/* Less of the disk than this is worth a look, or trouble: the wells' own limits come later. */
#define DISK_WARN 0.05
#define DISK_BAD 0.02

const char *status_link_health(const json_t *forwarder)
{
    const char *state = text_in(forwarder, "state");
    if (strcmp(state, "needs a snapshot") == 0 || number_in(forwarder, "quarantined") > 0) {
        return "bad";
    }
    if (strcmp(state, "connecting") == 0) {
        return text_in(forwarder, "fault")[0] != '\0' ? "bad" : "warn";
    }
    bool late = number_in(forwarder, "lag_ns") > LAG_WARN_NS || strcmp(state, "following") != 0;
    return late ? "warn" : "ok";
}

/* ── Telling ─────────────────────────────────────────────────────────────────────────────── */

struct troubles {
    json_t *bad, *warn;
};

/* Takes `what`, clears it. */
static void tell(struct troubles *troubles, bool bad, struct buf *what, const char *advice)
{
    json_array_append_new(bad ? troubles->bad : troubles->warn,
                          json_pack("{s:s, s:s, s:s}", "severity", bad ? "bad" : "warn", "what",
                                    buf_str(what), "advice", advice));
    buf_deinit(what);
}

static void datastore_troubles(struct troubles *troubles, const json_t *settings)
{
    const json_t *datastore = json_object_get(settings, "Datastore");
    struct buf what = {0};
    if (true_in(datastore, "Degraded")) {
        buf_printf(&what, "The datastore %s cannot be reached: %s", text_in(datastore, "Address"),
                   text_in(datastore, "Reason"));
        tell(troubles, true, &what,
             "Searching and ingesting go on. Start it again; until then accounts cannot be "
             "changed.");
    }
}

static void webserver_troubles(struct troubles *troubles, const json_t *webservers)
{
    size_t i;
    const json_t *one;
    json_array_foreach(webservers, i, one)
    {
        struct buf what = {0};
        if (!true_in(one, "Up")) {
            buf_printf(&what, "The webserver %s was last seen ", text_in(one, "ExternalAddr"));
            human_duration(&what, number_in(one, "SeenMilliseconds") * TIME_MS_NS);
            buf_append_str(&what, " ago.");
            tell(troubles, false, &what,
                 "The others do its work. Start it: systemctl start aquifer-webserver");
        }
    }
}

/* ── Indexers ────────────────────────────────────────────────────────────────────────────── */

/* Has it told that its disk is almost full? */
static bool disk_trouble(struct troubles *troubles, const char *address, const json_t *storage)
{
    double all = (double)number_in(storage, "disk_bytes");
    double free_bytes = (double)number_in(storage, "disk_free_bytes");
    struct buf what = {0};
    if (all <= 0 || free_bytes / all >= DISK_WARN) {
        return false;
    }
    buf_printf(&what, "The disk of the indexer %s is almost full: ", address);
    human_bytes(&what, free_bytes);
    buf_append_str(&what, " are free.");
    tell(troubles, free_bytes / all < DISK_BAD, &what,
         "Let its wells keep less (Hot-Duration, Max-Hot-Storage-GB), or give it more room.");
    return true;
}

static bool is_damaged(const json_t *stats)
{
    bool damaged = number_in(json_object_get(stats, "storage"), "corrupt") > 0;
    size_t i;
    const json_t *well;
    json_array_foreach(json_object_get(stats, "wells"), i, well)
    {
        damaged |= number_in(well, "corrupt_blocks") > 0;
    }
    return damaged;
}

static void indexer_troubles(struct troubles *troubles, const json_t *indexer)
{
    const char *address = text_in(indexer, "Address");
    const json_t *info = json_object_get(indexer, "Info");
    const json_t *stats = json_object_get(indexer, "Stats");
    struct buf what = {0};
    if (!true_in(indexer, "Up")) {
        buf_printf(&what, "The indexer %s does not answer: %s", address, text_in(indexer, "Error"));
        tell(troubles, true, &what,
             "Searches lack what only it has. Start it: systemctl start aquifer-indexer");
        return;
    }
    bool stopped = json_is_false(json_object_get(info, "takes_entries"));
    if (stopped) {
        buf_printf(&what, "The indexer %s takes no entries: %s", address, text_in(info, "reason"));
        tell(troubles, true, &what,
             "Mostly the disk is full: make room, or let the wells keep less. Then restart it.");
    }
    if (true_in(json_object_get(stats, "replication"), "double_id")) {
        buf_printf(&what, "Another indexer has the id of %s.", address);
        tell(troubles, true, &what, "Give one of them an Indexer-UUID of its own and restart it.");
    }
    bool full = disk_trouble(troubles, address, json_object_get(stats, "storage"));
    if (!full && !stopped && is_damaged(stats)) {
        buf_printf(&what, "The indexer %s has found damaged data on its disk.", address);
        tell(troubles, false, &what,
             "Check the disk. There, \"aquifer well verify\" and \"aquifer datalog verify\" tell "
             "what is damaged; \"aquifer datalog verify --cluster --repair\" brings it back from "
             "a replica.");
    }
}

/* ── Links ───────────────────────────────────────────────────────────────────────────────── */

static void connecting_trouble(struct troubles *troubles, const json_t *link, struct buf *what)
{
    const char *fault = text_in(link, "fault");
    buf_printf(what, " has no connection%s%s.", fault[0] != '\0' ? ": " : "", fault);
    tell(troubles, strcmp(text_in(link, "health"), "bad") == 0, what,
         "Nothing is lost: what is waiting is sent once both ends are up. Start what is down.");
}

static void link_troubles(struct troubles *troubles, const json_t *link)
{
    const char *state = text_in(link, "state");
    struct buf what = {0};
    if (strcmp(text_in(link, "health"), "ok") == 0) {
        return;
    }
    buf_printf(&what, "The link from %s to %s", text_in(link, "from"), text_in(link, "to"));
    if (strcmp(state, "needs a snapshot") == 0) {
        buf_append_str(&what, " can go on only with a snapshot.");
        tell(troubles, true, &what,
             "It begins by itself once both are up; \"aquifer datalog status\" tells how it goes.");
    } else if (number_in(link, "quarantined") > 0) {
        buf_printf(&what, " has set %lld records aside.", number_in(link, "quarantined"));
        tell(troubles, true, &what,
             "Look at them with \"aquifer datalog quarantine\"; it also tries them once more.");
    } else if (strcmp(state, "connecting") == 0) {
        connecting_trouble(troubles, link, &what);
    } else {
        double lag_s = json_real_value(json_object_get(link, "lag_seconds"));
        buf_append_str(&what, " is behind by ");
        human_duration(&what, (int64_t)(lag_s * 1e9));
        buf_printf(&what, " (%s).", state);
        tell(troubles, false, &what,
             "It catches up by itself. If it does not, look at the network and the target's disk.");
    }
}

/* ── Versions ────────────────────────────────────────────────────────────────────────────── */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of those that are up; returns how many there are, sorted and once each. */
static size_t versions_of(const json_t *picture, const char **versions)
{
    static const char *const parts[] = {"webservers", "indexers"};
    size_t count = 0;
    size_t kept = 0;
    size_t i;
    const json_t *one;
    for (size_t part = 0; part < ARRAY_COUNT(parts); part++) {
        json_array_foreach(json_object_get(picture, parts[part]), i, one)
        {
            if (true_in(one, "up") && text_in(one, "version")[0] != '\0') {
                versions[count++] = text_in(one, "version");
            }
        }
    }
    qsort(versions, count, sizeof(*versions), by_text);
    for (i = 0; i < count; i++) {
        if (kept == 0 || strcmp(versions[kept - 1], versions[i]) != 0) {
            versions[kept++] = versions[i];
        }
    }
    return kept;
}

static void version_trouble(struct troubles *troubles, const json_t *picture)
{
    size_t max = json_array_size(json_object_get(picture, "webservers")) +
                 json_array_size(json_object_get(picture, "indexers"));
    const char **versions = mem_alloc_array(max + 1, sizeof(*versions));
    size_t count = versions_of(picture, versions);
    struct buf what = {0};
    if (count > 1) {
        buf_append_str(&what, "Different versions run at the same time: ");
        for (size_t i = 0; i < count; i++) {
            buf_printf(&what, "%s%s", i == 0 ? "" : ", ", versions[i]);
        }
        buf_append_byte(&what, '.');
        tell(troubles, false, &what,
             "That is fine during an update. Finish it: bring all to the newest.");
    }
    mem_free(versions);
}

json_t *status_troubles(const json_t *picture, const struct status_answers *answers)
{
    struct troubles troubles = {json_array(), json_array()};
    size_t i;
    const json_t *one;
    datastore_troubles(&troubles, answers->settings);
    webserver_troubles(&troubles, answers->webservers);
    json_array_foreach(answers->indexers, i, one)
    {
        indexer_troubles(&troubles, one);
    }
    json_array_foreach(json_object_get(picture, "links"), i, one)
    {
        link_troubles(&troubles, one);
    }
    version_trouble(&troubles, picture);
    json_array_extend(troubles.bad, troubles.warn);
    json_decref(troubles.warn);
    return troubles.bad;
}
