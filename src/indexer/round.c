/* Tested by replication_test.c and tests/cluster/test_replication.py. */
#include "indexer/round.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "datalog/cursor.h"
#include "service/log.h"

#define LOOK_MS 200

struct detour {
    struct uuid node;
    char *name, *address;
    struct forwarder *forwarder; /* NULL: it is not allowed, which was said */
    bool wanted;
};

struct round {
    struct round_options options;
    struct link_members *members;
    pthread_t thread;
    int stop_fd;
    pthread_mutex_t lock; /* over the detours, which only the thread changes */
    VEC(struct detour) detours;
};

/* ---- who is dead ---- */

static bool is_unreached(const struct round *round, struct forwarder *forwarder)
{
    struct forwarder_info info;
    forwarder_info(forwarder, &info);
    return info.unreached_ms >= (uint64_t)round->options.after_ms;
}

static bool is_dead(const void *context, struct uuid node)
{
    const struct round *round = context;
    for (size_t i = 0; i < round->detours.count; i++) {
        if (uuid_equal(round->detours.items[i].node, node)) {
            struct forwarder *forwarder = round->detours.items[i].forwarder;
            return forwarder == NULL || is_unreached(round, forwarder);
        }
    }
    return false; /* not tried yet */
}

/* ---- detours ---- */

static struct detour *find(struct round *round, struct uuid node)
{
    for (size_t i = 0; i < round->detours.count; i++) {
        if (uuid_equal(round->detours.items[i].node, node)) {
            return &round->detours.items[i];
        }
    }
    return NULL;
}

static void end_detour(struct detour *detour)
{
    if (detour->forwarder != NULL) {
        log_info("detour-end", "the target is back, or there is another way", "name", detour->name,
                 "target", detour->address, NULL);
    }
    forwarder_stop(&detour->forwarder);
    mem_free(detour->name);
    mem_free(detour->address);
}

/* What is sent in secret to the one that is dead is not sent in the open to those behind it. */
static int address_of(const struct forwarder_options *dead, const char *text,
                      struct ingest_target *ret_address)
{
    int rc = ingest_target_parse(text, ret_address);
    if (rc == 0 && dead->address.scheme == INGEST_TLS && ret_address->scheme != INGEST_TLS) {
        rc = err_set(ERR_DENIED, "%s is not behind TLS, as forwarder %s is", text, dead->name);
    }
    return rc;
}

static void begin_detour(struct round *round, const struct forwarder_options *dead,
                         const struct replicate_target *target)
{
    char id[UUID_TEXT_BYTES];
    struct detour detour = {.node = target->node, .wanted = true};
    struct forwarder_options options = *dead;
    detour.name = mem_printf("%.40s~%.8s", dead->name, uuid_text(target->node, id));
    detour.address = mem_strndup((const char *)target->address.data, target->address.bytes);
    options.name = detour.name;
    options.target = detour.address;
    options.instead_of = dead->name;
    options.node = target->node;
    options.target_index = FORWARDER_ROUND;
    int rc = address_of(dead, detour.address, &options.address);
    rc = rc < 0 ? rc : forwarder_start(&options, &detour.forwarder);
    if (rc < 0) {
        log_fault("detour", "a dead target is not gone round", rc, "name", dead->name, NULL);
    } else {
        log_warn("detour", "a target is dead: who is behind it is forwarded to instead", "name",
                 dead->name, "target", detour.address, "node", id, NULL);
    }
    pthread_mutex_lock(&round->lock);
    vec_push(&round->detours, detour);
    pthread_mutex_unlock(&round->lock);
}

static void want_behind(struct round *round, const struct replicate_members *members, size_t index)
{
    struct replicate_target targets[REPLICATE_TARGETS_MAX];
    struct uuid dead = link_members_target(round->members, index);
    size_t count = replicate_members_behind(members, link_members_self(round->members), dead,
                                            is_dead, round, targets, REPLICATE_TARGETS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct detour *detour = find(round, targets[i].node);
        if (detour == NULL) {
            begin_detour(round, &round->options.options[index], &targets[i]);
        } else {
            detour->wanted = true;
        }
    }
}

static void look(struct round *round)
{
    struct replicate_members members;
    link_members_copy(round->members, &members);
    for (size_t i = 0; i < round->detours.count; i++) {
        round->detours.items[i].wanted = false;
    }
    for (size_t i = 0; i < round->options.count; i++) {
        if (is_unreached(round, round->options.forwarders[i])) {
            want_behind(round, &members, i);
        }
    }
    for (size_t i = round->detours.count; i-- > 0;) {
        if (!round->detours.items[i].wanted) {
            pthread_mutex_lock(&round->lock);
            struct detour gone = round->detours.items[i];
            vec_remove_swap(&round->detours, i);
            pthread_mutex_unlock(&round->lock);
            end_detour(&gone);
        }
    }
    replicate_members_deinit(&members);
}

static void *run(void *context)
{
    struct round *round = context;
    struct pollfd stop = {.fd = round->stop_fd, .events = POLLIN};
    while (poll(&stop, 1, LOOK_MS) <= 0) {
        look(round);
    }
    return NULL;
}

/* ---- life ---- */

struct left_behind {
    VEC(char *) names;
};

static int note_left_behind(void *context, const struct datalog_cursor_stats *stats)
{
    struct left_behind *left = context;
    if (strncmp(stats->name, FORWARDER_ROUND_PREFIX, strlen(FORWARDER_ROUND_PREFIX)) == 0) {
        vec_push(&left->names, mem_strdup(stats->name));
    }
    return 0;
}

/* Cursors of a life that ended in the middle. */
static int remove_left_behind(struct datalog *log)
{
    struct left_behind left = {0};
    int rc = datalog_cursors(log, note_left_behind, &left);
    for (size_t i = 0; i < left.names.count; i++) {
        rc = rc < 0 ? rc : datalog_cursor_remove(log, left.names.items[i]);
        mem_free(left.names.items[i]);
    }
    vec_deinit(&left.names);
    return rc;
}

int round_start(const struct round_options *options, struct round **ret_round)
{
    *ret_round = NULL;
    if (options->count == 0) {
        return 0;
    }
    int rc = remove_left_behind(storage_log(options->options[0].storage));
    if (rc < 0) {
        return rc;
    }
    struct round *round = MEM_NEW(struct round);
    round->options = *options;
    round->options.after_ms = options->after_ms == 0 ? ROUND_AFTER_MS : options->after_ms;
    round->members = options->options[0].members;
    round->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(round->stop_fd > 0);
    pthread_mutex_init(&round->lock, NULL);
    int failed = pthread_create(&round->thread, NULL, run, round);
    if (failed != 0) {
        close(round->stop_fd);
        pthread_mutex_destroy(&round->lock);
        mem_free(round);
        return err_set_errno(failed, "thread that goes round dead targets");
    }
    *ret_round = round;
    return 0;
}

void round_stop(struct round **place)
{
    struct round *round = *place;
    *place = NULL;
    if (round == NULL) {
        return;
    }
    uint64_t one = 1;
    (void)!write(round->stop_fd, &one, sizeof(one));
    pthread_join(round->thread, NULL);
    for (size_t i = 0; i < round->detours.count; i++) {
        end_detour(&round->detours.items[i]);
    }
    vec_deinit(&round->detours);
    close(round->stop_fd);
    pthread_mutex_destroy(&round->lock);
    mem_free(round);
}

void round_each(struct round *round, void (*each)(void *context, struct forwarder *forwarder),
                void *context)
{
    if (round == NULL) {
        return;
    }
    pthread_mutex_lock(&round->lock);
    for (size_t i = 0; i < round->detours.count; i++) {
        if (round->detours.items[i].forwarder != NULL) {
            each(context, round->detours.items[i].forwarder);
        }
    }
    pthread_mutex_unlock(&round->lock);
}
