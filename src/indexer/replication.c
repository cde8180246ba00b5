#include "indexer/replication.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "service/log.h"
#include "service/metrics.h"

struct replication {
    struct replication_options options;
    struct follower_shared shared;
    struct follower_forms forms;
    struct listener *listener;
    struct link_members *members;
    struct link_poison *poison;
    struct forwarder_options *forwarder_options; /* as they were started */
    struct forwarder **forwarders;
    size_t forwarders_count; /* started */
    struct round *round;
    struct joined *joined;
};

/* ---- the config ---- */

#define SECTION "Datalog-Forwarder"

static int ignored_of_conf(const struct conf *conf, struct arena *arena, const char *name,
                           struct forwarder_options *forwarder)
{
    size_t count = conf_list_count(conf, SECTION, name, "Ignore-ID");
    struct uuid *ids = arena_alloc_array(arena, MAX(count, (size_t)1), sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        const char *text = conf_list(conf, SECTION, name, "Ignore-ID", i);
        if (!uuid_parse(span_of_str(text), &ids[i])) {
            return err_set(ERR_INVALID, "%s: \"%s\" is no id of an indexer",
                           conf_where(conf, SECTION, name, "Ignore-ID"), text);
        }
    }
    forwarder->ignored = ids;
    forwarder->ignored_count = count;
    return 0;
}

static const char *secret_of(const struct conf *conf, const char *section, const char *name)
{
    const char *secret = conf_text(conf, section, name, "Secret");
    return secret[0] != '\0' ? secret : conf_text(conf, CONF_GLOBAL, "Control-Auth");
}

static bool has_well(const struct conf *conf, const char *well)
{
    bool found = strcmp(well, STORAGE_WELL_DEFAULT) == 0;
    for (size_t i = 0; i < conf_subsection_count(conf, "Storage-Well"); i++) {
        found = found || strcmp(well, conf_subsection(conf, "Storage-Well", i)) == 0;
    }
    return found;
}

static int filter_of_conf(const struct conf *conf, struct arena *arena, const char *name,
                          struct link_filter_options *filter)
{
    size_t count = conf_list_count(conf, SECTION, name, "Wells");
    const char **wells = arena_alloc_array(arena, MAX(count, (size_t)1), sizeof(*wells));
    const char *selector = conf_text(conf, SECTION, name, "Selector");
    const char *shard = conf_text(conf, SECTION, name, "Shard");
    for (size_t i = 0; i < count; i++) {
        wells[i] = conf_list(conf, SECTION, name, "Wells", i);
        if (!has_well(conf, wells[i])) {
            return err_set(ERR_INVALID, "%s: there is no well %s",
                           conf_where(conf, SECTION, name, "Wells"), wells[i]);
        }
    }
    filter->wells = wells;
    filter->wells_count = count;
    filter->selector = selector[0] == '\0' ? NULL : selector;
    int rc = shard[0] == '\0' ? 0 : link_filter_parse_shard(shard, filter);
    if (rc < 0) {
        return err_wrap(rc, "%s", conf_where(conf, SECTION, name, "Shard"));
    }
    struct link_filter *made;
    rc = link_filter_new(filter, &made);
    link_filter_free(&made);
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, SECTION, name, "Selector")) : 0;
}

static int forwarder_of_conf(const struct conf *conf, struct arena *arena, const char *name,
                             struct forwarder_options *forwarder)
{
    *forwarder = (struct forwarder_options){
        .name = name,
        .target = conf_text(conf, SECTION, name, "Target"),
        .tls_insecure = conf_bool(conf, SECTION, name, "Insecure-Skip-TLS-Verify"),
        .secret = secret_of(conf, SECTION, name),
        .level = conf_bool(conf, SECTION, name, "Compress") ? 1 : 0,
        .rate_bytes = (uint64_t)conf_int(conf, SECTION, name, "Rate-Limit-MB") * 1000000,
    };
    if (forwarder->target[0] == '\0') {
        return err_set(ERR_INVALID, "%s: forwarder %s has no Target",
                       conf_where(conf, SECTION, name, "Target"), name);
    }
    if (strlen(name) > LINK_NAME_BYTES_MAX || strchr(name, ' ') != NULL) {
        return err_set(ERR_INVALID,
                       "%s: the name of a forwarder has no spaces and at most %d bytes",
                       conf_where(conf, SECTION, name, "Target"), LINK_NAME_BYTES_MAX);
    }
    int rc = link_address_parse(forwarder->target, !conf_bool(conf, SECTION, name, "Disable-TLS"),
                                &forwarder->address);
    if (rc < 0) {
        return err_wrap(rc, "%s", conf_where(conf, SECTION, name, "Target"));
    }
    rc = ignored_of_conf(conf, arena, name, forwarder);
    return rc < 0 ? rc : filter_of_conf(conf, arena, name, &forwarder->filter);
}

/* ":port" is the port of all addresses. */
static int listen_of_conf(const struct conf *conf, const char *text,
                          struct ingest_target *ret_listen)
{
    bool tls = !conf_bool(conf, "Datalog", NULL, "Disable-TLS");
    char whole[320];
    snprintf(whole, sizeof(whole), "%s%.300s", text[0] == ':' ? "all" : "", text);
    int rc = link_address_parse(whole, tls, ret_listen);
    if (rc == 0 && text[0] == ':') {
        ret_listen->host[0] = '\0';
    }
    return rc < 0 ? err_wrap(rc, "%s", conf_where(conf, "Datalog", NULL, "Listen")) : 0;
}

int replication_options_of_conf(const struct conf *conf, struct arena *arena,
                                struct replication_options *options)
{
    size_t sections = conf_subsection_count(conf, SECTION);
    struct forwarder_options *forwarders =
        arena_alloc_array(arena, MAX(sections, (size_t)1), sizeof(*forwarders));
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sections; i++) {
        const char *name = conf_subsection(conf, SECTION, i);
        if (strstr(conf_text(conf, SECTION, name, "Target"), "://") == NULL) {
            rc = forwarder_of_conf(conf, arena, name, &forwarders[count++]);
        } /* else it is a forwarder to something else */
    }
    const char *listen = conf_text(conf, "Datalog", NULL, "Listen");
    options->forwarders = forwarders;
    options->forwarders_count = count;
    options->listens = listen[0] != '\0';
    options->secret = secret_of(conf, "Datalog", NULL);
    options->quarantine_dir = conf_text(conf, "Datalog", NULL, "Quarantine-Directory");
    options->members_path =
        arena_printf(arena, "%s/members", conf_text(conf, "Datalog", NULL, "Directory"));
    options->joined_path =
        arena_printf(arena, "%s/joined", conf_text(conf, "Datalog", NULL, "Directory"));
    options->certificate_path = conf_text(conf, CONF_GLOBAL, "Certificate-File");
    options->key_path = conf_text(conf, CONF_GLOBAL, "Key-File");
    if (rc == 0 && options->listens) {
        rc = listen_of_conf(conf, listen, &options->listen);
    }
    return rc;
}

/* ---- metrics ---- */

static double read_quarantined(void *context)
{
    return (double)link_poison_count(context);
}

/* ---- life ---- */

static int start_listener(struct replication *replication)
{
    const struct replication_options *options = &replication->options;
    bool tls = options->listen.scheme == INGEST_TLS;
    replication->shared = (struct follower_shared){
        .io = options->io,
        .storage = options->storage,
        .secret = options->secret,
        .members = replication->members,
        .poison = replication->poison,
        .forms = &replication->forms,
    };
    struct listener_options listen = {
        .io = options->io,
        .kind = &follower_kind,
        .shared = &replication->shared,
        .address = replication->options.listen.host,
        .port = options->listen.port,
        .without_plain = tls,
        .with_tls = tls,
        .tls_port = options->listen.port,
        .certificate_path = options->certificate_path,
        .key_path = options->key_path,
    };
    return listener_start(&listen, &replication->listener);
}

/* Those that are told to others, who may go round us to them: not a link that brings its target
 * only some of the records. */
static struct link_members *open_members(const struct replication_options *options)
{
    size_t count = options->forwarders_count;
    const char **addresses = mem_alloc_array(MAX(count, (size_t)1), sizeof(*addresses));
    char **texts = mem_alloc_array(MAX(count, (size_t)1), sizeof(*texts));
    for (size_t i = 0; i < count; i++) {
        const struct forwarder_options *forwarder = &options->forwarders[i];
        const struct ingest_target *to = &forwarder->address;
        bool v6 = strchr(to->host, ':') != NULL;
        texts[i] = mem_printf(v6 ? "%s://[%s]:%u" : "%s://%s:%u",
                              to->scheme == INGEST_TLS ? "tls" : "tcp", to->host, to->port);
        bool whole = forwarder->ignored_count == 0 && !link_filter_is_on(&forwarder->filter);
        addresses[i] = whole ? texts[i] : NULL;
    }
    struct link_members *members =
        link_members_open(options->io, options->members_path,
                          datalog_origin(storage_log(options->storage)).node, addresses, count);
    for (size_t i = 0; i < count; i++) {
        mem_free(texts[i]);
    }
    mem_free(texts);
    mem_free((void *)addresses);
    return members;
}

static int start_forwarders(struct replication *replication)
{
    const struct replication_options *options = &replication->options;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < options->forwarders_count; i++) {
        struct forwarder_options *forwarder = &replication->forwarder_options[i];
        *forwarder = options->forwarders[i];
        forwarder->io = options->io;
        forwarder->storage = options->storage;
        forwarder->members = replication->members;
        forwarder->poison = replication->poison;
        forwarder->target_index = i;
        rc = forwarder_start(forwarder, &replication->forwarders[i]);
        if (rc == 0) {
            replication->forwarders_count++;
        }
    }
    struct round_options round = {
        .forwarders = replication->forwarders,
        .options = replication->forwarder_options,
        .count = replication->forwarders_count,
        .after_ms = options->round_after_ms,
    };
    return rc < 0 ? rc : round_start(&round, &replication->round);
}

static int start_joined(struct replication *replication)
{
    const struct replication_options *options = &replication->options;
    struct joined_options joined = {
        .forwarder = {.io = options->io,
                      .storage = options->storage,
                      .secret = options->secret,
                      .level = 1,
                      .members = replication->members,
                      .poison = replication->poison},
        .path = options->joined_path,
    };
    return joined_start(&joined, &replication->joined);
}

int replication_start(const struct replication_options *options,
                      struct replication **ret_replication)
{
    struct replication *replication = MEM_NEW(struct replication);
    size_t count = MAX(options->forwarders_count, (size_t)1);
    replication->options = *options;
    replication->forwarders = mem_alloc_array(count, sizeof(struct forwarder *));
    replication->forwarder_options = mem_alloc_array(count, sizeof(struct forwarder_options));
    replication->members = open_members(options);
    pthread_mutex_init(&replication->forms.lock, NULL);
    replication->poison = link_poison_new(options->io, options->quarantine_dir);
    metric_counter_call("aquifer_datalog_quarantined_total",
                        "records of links that could not be applied or told, and were set aside",
                        NULL, read_quarantined, replication->poison);
    int rc = options->listens ? start_listener(replication) : 0;
    rc = rc < 0 ? rc : start_forwarders(replication);
    rc = rc < 0 ? rc : start_joined(replication);
    if (rc < 0) {
        replication_stop(&replication);
        return err_wrap(rc, "replication");
    }
    *ret_replication = replication;
    return 0;
}

void replication_stop(struct replication **place)
{
    struct replication *replication = *place;
    *place = NULL;
    if (replication == NULL) {
        return;
    }
    joined_stop(&replication->joined);
    round_stop(&replication->round);
    for (size_t i = 0; i < replication->forwarders_count; i++) {
        forwarder_stop(&replication->forwarders[i]);
    }
    listener_stop(&replication->listener);
    link_members_close(&replication->members);
    vec_deinit(&replication->forms.met);
    pthread_mutex_destroy(&replication->forms.lock);
    metric_forget(replication->poison);
    link_poison_free(&replication->poison);
    mem_free(replication->forwarders);
    mem_free(replication->forwarder_options);
    mem_free(replication);
}

int replication_retry(struct replication *replication, struct span request)
{
    return link_poison_retry(replication->options.io, replication->options.storage, request);
}

int replication_join(struct replication *replication, const json_t *request, const char *peer)
{
    return joined_change(replication->joined, request, peer);
}

uint16_t replication_port(const struct replication *replication)
{
    if (replication == NULL || replication->listener == NULL) {
        return 0;
    }
    uint16_t port = listener_port(replication->listener);
    return port > 0 ? port : listener_tls_port(replication->listener);
}

/* ---- the control API ---- */

static json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *json_node(struct uuid node)
{
    char text[UUID_TEXT_BYTES];
    return uuid_is_zero(node) ? json_null() : json_string(uuid_text(node, text));
}

/* How far a snapshot is, or was. */
static json_t *snapshot_json(bool is_on, uint64_t looked_at, uint64_t total, uint64_t elements)
{
    json_t *json = json_object();
    json_object_set_new(json, "on", json_boolean(is_on));
    json_object_set_new(json, "looked_at", json_u64(looked_at));
    json_object_set_new(json, "total", json_u64(total));
    json_object_set_new(json, "elements", json_u64(elements));
    return json;
}

static void add_origin(void *context, const struct forwarder_origin *origin)
{
    const struct replicate_place *ours = &origin->ours;
    const struct replicate_place *theirs = &origin->theirs;
    bool behind = theirs->position < ours->position;
    char incarnation[24];
    json_t *row = json_object();
    snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, ours->origin.incarnation);
    json_object_set_new(row, "node", json_node(ours->origin.node));
    json_object_set_new(row, "incarnation", json_string(incarnation));
    json_object_set_new(row, "position", json_u64(theirs->position));
    json_object_set_new(row, "lag_records",
                        json_u64(behind ? ours->position - theirs->position : 0));
    json_object_set_new(row, "lag_ns",
                        json_u64(behind && ours->time > theirs->time && theirs->time > 0
                                     ? ours->time - theirs->time
                                     : 0));
    json_array_append_new(context, row);
}

static json_t *forwarder_json(struct forwarder *forwarder)
{
    struct forwarder_info info;
    forwarder_info(forwarder, &info);
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(info.name));
    json_object_set_new(json, "target", json_string(info.target));
    json_object_set_new(json, "node", json_node(info.peer));
    json_object_set_new(json, "state", json_string(forwarder_state_name(info.state)));
    json_object_set_new(json, "position", json_u64(info.position));
    json_object_set_new(json, "lag_records", json_u64(info.lag_records));
    json_object_set_new(json, "lag_bytes", json_u64(info.lag_bytes));
    json_object_set_new(json, "lag_ns", json_u64(info.lag_ns));
    json_object_set_new(json, "records", json_u64(info.records));
    json_object_set_new(json, "quarantined", json_u64(info.aside));
    json_object_set_new(json, "filtered", json_boolean(info.filtered));
    json_object_set_new(json, "detached", json_boolean(info.detached));
    json_object_set_new(json, "withheld", json_u64(info.withheld));
    json_object_set_new(json, "bytes", json_u64(info.bytes));
    json_object_set_new(json, "connections", json_u64(info.connections));
    json_object_set_new(json, "snapshots", json_u64(info.snapshots));
    json_object_set_new(
        json, "snapshot",
        snapshot_json(info.state == FORWARDER_SNAPSHOT, info.looked_at, info.look_at, info.given));
    json_object_set_new(json, "faults", json_u64(info.faults));
    json_object_set_new(json, "fault", json_string(info.fault));
    json_object_set_new(json, "records_per_s", json_u64(info.records_per_s));
    json_object_set_new(json, "bytes_per_s", json_u64(info.bytes_per_s));
    json_t *origins = json_array();
    forwarder_origins(forwarder, add_origin, origins);
    json_object_set_new(json, "origins", origins);
    json_object_set_new(json, "instead_of",
                        info.instead_of == NULL ? json_null() : json_string(info.instead_of));
    return json;
}

static void add_forwarder(void *context, struct forwarder *forwarder)
{
    json_array_append_new(context, forwarder_json(forwarder));
}

/* Who forwards to whom, as far as this node has heard: [{"node", "targets": [{"node",
 * "address"}]}]. */
static json_t *members_json(struct replication *replication)
{
    struct replicate_members members;
    json_t *json = json_array();
    link_members_copy(replication->members, &members);
    for (size_t i = 0; i < members.all.count; i++) {
        struct span rest = buf_span(&members.all.items[i].targets);
        struct replicate_target target;
        json_t *targets = json_array();
        while (replicate_target_next(&rest, &target)) {
            json_t *row = json_object();
            json_object_set_new(row, "node", json_node(target.node));
            json_object_set_new(
                row, "address",
                json_stringn((const char *)target.address.data, target.address.bytes));
            json_array_append_new(targets, row);
        }
        json_t *row = json_object();
        json_object_set_new(row, "node", json_node(members.all.items[i].node));
        json_object_set_new(row, "targets", targets);
        json_array_append_new(json, row);
    }
    replicate_members_deinit(&members);
    return json;
}

static json_t *followers_json(struct replication *replication)
{
    json_t *followers = json_array();
    if (replication->listener == NULL) {
        return followers;
    }
    size_t max = LISTENER_CONNECTIONS_MAX;
    struct follower_info *infos = mem_alloc_array(max, sizeof(*infos));
    size_t count = listener_connections(replication->listener, infos, max);
    for (size_t i = 0; i < count; i++) {
        char since[TIME_TEXT_BYTES];
        json_t *json = json_object();
        json_object_set_new(json, "name", json_string(infos[i].name));
        json_object_set_new(json, "client", json_string(infos[i].client));
        json_object_set_new(json, "node", json_node(infos[i].peer));
        json_object_set_new(json, "since", json_string(time_text(infos[i].since_ns, since)));
        json_object_set_new(json, "records", json_u64(infos[i].records));
        json_object_set_new(json, "known", json_u64(infos[i].known));
        json_object_set_new(json, "quarantined", json_u64(infos[i].aside));
        json_object_set_new(json, "bytes", json_u64(infos[i].bytes));
        json_object_set_new(json, "snapshot",
                            snapshot_json(infos[i].snapshot, infos[i].looked_at, infos[i].look_at,
                                          infos[i].elements));
        if (infos[i].welcomed) {
            json_array_append(followers, json);
        }
        json_decref(json);
    }
    mem_free(infos);
    return followers;
}

json_t *replication_places_json(struct storage *storage)
{
    struct replicate_places places = {0};
    struct datalog_origin own = datalog_origin(storage_log(storage));
    json_t *json = json_array();
    storage_places(storage, &places);
    for (size_t i = 0; i < places.all.count; i++) {
        const struct replicate_place *place = &places.all.items[i];
        char incarnation[24];
        snprintf(incarnation, sizeof(incarnation), "%016" PRIx64, place->origin.incarnation);
        json_t *row = json_object();
        json_object_set_new(row, "node", json_node(place->origin.node));
        json_object_set_new(row, "incarnation", json_string(incarnation));
        json_object_set_new(row, "position", json_u64(place->position));
        json_object_set_new(row, "time", json_u64(place->time));
        json_object_set_new(row, "own",
                            json_boolean(replicate_origin_compare(place->origin, own) == 0));
        json_array_append_new(json, row);
    }
    replicate_places_deinit(&places);
    return json;
}

json_t *replication_json(struct replication *replication)
{
    json_t *json = json_object();
    json_t *forwarders = json_array();
    for (size_t i = 0; i < replication->forwarders_count; i++) {
        add_forwarder(forwarders, replication->forwarders[i]);
    }
    round_each(replication->round, add_forwarder, forwarders);
    joined_each(replication->joined, add_forwarder, forwarders);
    json_object_set_new(json, "port", json_integer(replication_port(replication)));
    json_object_set_new(json, "forwarders", forwarders);
    json_object_set_new(json, "followers", followers_json(replication));
    json_object_set_new(json, "members", members_json(replication));
    json_object_set_new(json, "double_id", json_boolean(link_members_double(replication->members)));
    json_object_set_new(json, "places", replication_places_json(replication->options.storage));
    return json;
}
