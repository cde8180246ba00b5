/* The tree of epochs, and what happens to versions. */
#include "sync/core.h"

#include <inttypes.h>

#include "base/mem.h"

/* ---- the tree ---- */

static const struct store_epoch *find_epoch(const struct sync_tree *tree, struct uuid epoch)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (uuid_equal(tree->epochs[i].epoch, epoch)) {
            return &tree->epochs[i];
        }
    }
    return NULL;
}

bool sync_tree_precedes(const struct sync_tree *tree, struct object_stamp a, struct object_stamp b)
{
    uint64_t limit = b.revision;
    struct uuid at = b.epoch;
    for (size_t steps = 0; steps <= tree->count && !uuid_is_zero(at); steps++) {
        if (uuid_equal(at, a.epoch)) {
            return a.revision <= limit;
        }
        const struct store_epoch *row = find_epoch(tree, at);
        if (row == NULL) {
            return false;
        }
        limit = MIN(limit, row->start);
        at = row->parent;
    }
    return false;
}

struct object_stamp sync_tree_stamp(const struct sync_tree *tree, struct uuid last,
                                    uint64_t revision)
{
    struct uuid at = last;
    for (size_t steps = 0; steps <= tree->count && !uuid_is_zero(at); steps++) {
        const struct store_epoch *row = find_epoch(tree, at);
        if (row == NULL) {
            break;
        }
        if (row->start < revision) {
            return (struct object_stamp){at, revision};
        }
        at = row->parent;
    }
    return (struct object_stamp){.revision = revision};
}

uint64_t sync_tree_common(const struct sync_tree *ours, struct uuid our_last, uint64_t our_revision,
                          const struct sync_tree *theirs, struct uuid their_last,
                          uint64_t their_revision)
{
    struct object_stamp tip = {their_last, their_revision};
    uint64_t high = our_revision;
    struct uuid at = our_last;
    for (size_t steps = 0; steps <= ours->count && !uuid_is_zero(at); steps++) {
        /* The part of our past within this epoch reaches up to `high`. What of it do they have? */
        uint64_t limit = their_revision;
        struct uuid their = tip.epoch;
        for (size_t i = 0; i <= theirs->count && !uuid_is_zero(their); i++) {
            if (uuid_equal(their, at)) {
                return MIN(high, limit);
            }
            const struct store_epoch *row = find_epoch(theirs, their);
            limit = row == NULL ? 0 : MIN(limit, row->start);
            their = row == NULL ? (struct uuid){0} : row->parent;
        }
        const struct store_epoch *row = find_epoch(ours, at);
        if (row == NULL) {
            break;
        }
        high = MIN(high, row->start);
        at = row->parent;
    }
    return 0;
}

/* ---- webserver ---- */

static void add_over(struct object *object, struct uuid change)
{
    if (object->over_count == OBJECT_OVER_MAX) {
        memmove(&object->over[0], &object->over[1],
                (OBJECT_OVER_MAX - 1) * sizeof(object->over[0]));
        object->over_count--;
    }
    object->over[object->over_count++] = change;
}

static bool past_has(const struct object *object, struct uuid change)
{
    for (size_t i = 0; i < object->past_count; i++) {
        if (uuid_equal(object->past[i], change)) {
            return true;
        }
    }
    return false;
}

static void add_past(struct object *object, struct uuid change)
{
    if (past_has(object, change) || uuid_equal(object->change, change)) {
        return;
    }
    if (object->past_count == OBJECT_PAST_MAX) {
        memmove(&object->past[0], &object->past[1],
                (OBJECT_PAST_MAX - 1) * sizeof(object->past[0]));
        object->past_count--;
    }
    object->past[object->past_count++] = change;
}

static bool over_has(const struct object *object, struct uuid change)
{
    for (size_t i = 0; i < object->over_count; i++) {
        if (uuid_equal(object->over[i], change)) {
            return true;
        }
    }
    return false;
}

static void copy_stamps(struct object *to, const struct object *from)
{
    memcpy(to->stamps, from->stamps, sizeof(to->stamps));
    to->stamp_count = from->stamp_count;
}

static void clear_dirt(struct object *object)
{
    object->dirty = object->refused = object->rescue = object->edited = false;
    object->rescue_stamp = (struct object_stamp){0};
    object->base_revision = 0;
    object->over_count = 0;
}

void sync_edit(const struct object *stored, struct object *wanted, struct uuid change)
{
    clear_dirt(wanted);
    wanted->revision = 0;
    wanted->stamp_count = wanted->past_count = 0;
    wanted->stamped = false;
    if (stored != NULL) {
        wanted->revision = stored->revision;
        copy_stamps(wanted, stored);
        memcpy(wanted->past, stored->past, sizeof(wanted->past));
        wanted->past_count = stored->past_count;
        wanted->base_revision = stored->dirty ? stored->base_revision : stored->revision;
        wanted->rescue = stored->rescue;
        wanted->rescue_stamp = stored->rescue_stamp;
        wanted->edited = stored->rescue;
    }
    if (stored != NULL && stored->dirty) {
        memcpy(wanted->over, stored->over, sizeof(wanted->over));
        wanted->over_count = stored->over_count;
        add_over(wanted, stored->change);
    }
    wanted->change = change;
    wanted->dirty = true;
    if (stored != NULL) {
        add_past(wanted, stored->change);
    }
}

/* It has replaced something that `other`, the same version, does not know of. */
static bool teaches(const struct object *object, const struct object *other)
{
    for (size_t i = 0; i < object->past_count; i++) {
        if (!past_has(other, object->past[i])) {
            return true;
        }
    }
    return false;
}

/* The same version arrives, but not from here: the datastore is still to hear where it was before,
 * and what it had replaced. */
static bool is_still_needed(const struct object *local, const struct object *incoming)
{
    if (!local->rescue || local->edited) {
        return false;
    }
    for (size_t i = 0; i < incoming->stamp_count; i++) {
        if (uuid_equal(incoming->stamps[i].epoch, local->rescue_stamp.epoch) &&
            incoming->stamps[i].revision == local->rescue_stamp.revision) {
            return teaches(local, incoming);
        }
    }
    return true;
}

enum sync_arrival sync_receive(const struct object *local, const struct object *shadow,
                               const struct object *incoming)
{
    if (local == NULL) {
        return SYNC_ARRIVAL_APPLY;
    }
    if (!local->dirty) {
        return incoming->revision > local->revision ? SYNC_ARRIVAL_APPLY : SYNC_ARRIVAL_SKIP;
    }
    if (shadow != NULL && shadow->revision >= incoming->revision) {
        return SYNC_ARRIVAL_SKIP; /* an answer that was slower than the feed */
    }
    if (uuid_equal(incoming->change, local->change) && !is_still_needed(local, incoming)) {
        return SYNC_ARRIVAL_APPLY; /* the confirmation of our own push was faster by the feed */
    }
    return incoming->revision > local->revision ? SYNC_ARRIVAL_SHADOW : SYNC_ARRIVAL_SKIP;
}

static bool is_taken(enum sync_verdict verdict)
{
    return verdict == SYNC_ACCEPTED || verdict == SYNC_DUPLICATE;
}

/* Edited again while the push was under way: it stays dirty, on the base that is now known. */
static struct object *rebase(const struct object *local, const struct object *pushed,
                             uint64_t revision)
{
    struct object *object = object_clone(local);
    size_t kept = 0;
    bool after = false;
    for (size_t i = 0; i < local->over_count; i++) {
        if (after) {
            object->over[kept++] = local->over[i];
        }
        after = after || uuid_equal(local->over[i], pushed->change);
    }
    object->over_count = kept;
    object->base_revision = object->revision = revision;
    object->rescue = object->edited = false;
    object->rescue_stamp = (struct object_stamp){0};
    return object;
}

static void settle_same(const struct object *local, const struct object *shadow,
                        const struct sync_answer *answer, struct object **ret_object,
                        const struct object **ret_shadow)
{
    const struct object *best = answer->object;
    struct object *confirmed = NULL;
    if (best == NULL) {
        confirmed = object_clone(local);
        clear_dirt(confirmed);
        confirmed->revision = answer->revision;
        best = confirmed;
    }
    if (shadow != NULL && shadow->revision > best->revision) {
        best = shadow;
    }
    *ret_object = object_clone(best);
    *ret_shadow = NULL;
    object_free(&confirmed);
}

static void settle_edited(const struct object *local, const struct object *shadow,
                          const struct object *pushed, const struct sync_answer *answer,
                          struct object **ret_object, const struct object **ret_shadow)
{
    bool newer =
        answer->object != NULL && (shadow == NULL || answer->object->revision > shadow->revision);
    if (is_taken(answer->verdict) && answer->revision > 0 && over_has(local, pushed->change)) {
        *ret_object = rebase(local, pushed, answer->revision);
    }
    *ret_shadow = newer ? answer->object : shadow;
    if (*ret_object != NULL && *ret_shadow != NULL && (*ret_shadow)->revision <= answer->revision) {
        *ret_shadow = NULL;
    }
}

void sync_settle(const struct object *local, const struct object *shadow,
                 const struct object *pushed, const struct sync_answer *answer,
                 struct object **ret_object, const struct object **ret_shadow)
{
    *ret_object = NULL;
    *ret_shadow = shadow;
    bool same = local != NULL && local->dirty && uuid_equal(local->change, pushed->change);
    if (answer->verdict == SYNC_NEEDS_BLOB) {
        return;
    }
    if (answer->verdict == SYNC_REFUSED) {
        if (same) {
            *ret_object = object_clone(local);
            (*ret_object)->refused = true;
        }
        return;
    }
    if (same) {
        settle_same(local, shadow, answer, ret_object, ret_shadow);
    } else if (local != NULL && local->dirty) {
        settle_edited(local, shadow, pushed, answer, ret_object, ret_shadow);
    } else if (answer->object != NULL &&
               (local == NULL || answer->object->revision > local->revision)) {
        *ret_object = object_clone(answer->object);
        *ret_shadow = NULL;
    }
}

bool sync_rescue(struct object *object, const struct sync_tree *tree, struct uuid last,
                 uint64_t common)
{
    if (object->rescue || object->revision <= common) {
        return false;
    }
    object->rescue = true;
    object->edited = object->dirty;
    object->rescue_stamp = sync_tree_stamp(tree, last, object->revision);
    object->revision = object->base_revision = 0;
    object->dirty = true;
    object->refused = false;
    return true;
}

/* ---- a copy beside ---- */

static void name_copy(struct object *copy)
{
    static const char *const suffix = " (conflict copy)";
    size_t keep = MIN(strlen(copy->name), OBJECT_NAME_BYTES_MAX - strlen(suffix));
    while (keep > 0 && ((uint8_t)copy->name[keep] & 0xc0) == 0x80) {
        keep--; /* not within a character */
    }
    char *name = mem_printf("%.*s%s", (int)keep, copy->name, suffix);
    object_set_name(copy, name);
    mem_free(name);
}

/* It follows from the change, so that a repeated push makes the same copy. */
struct uuid sync_copy_id(const struct object *object)
{
    char change[UUID_TEXT_BYTES];
    return object_id_of_name(object->kind, 0, uuid_text(object->change, change));
}

static struct object *copy_of(const struct object *object)
{
    struct object *copy = object_clone(object);
    copy->id = sync_copy_id(object);
    if (object_kind_info(object->kind)->numbered) {
        copy->number = object_number_of_random(copy->id.bytes);
    }
    copy->guid = (struct uuid){0};
    clear_dirt(copy);
    copy->stamped = false;
    copy->stamp_count = copy->past_count = 0;
    copy->deleted = false;
    name_copy(copy);
    return copy;
}

/* ---- datastore ---- */

/* The cluster was taken for an empty one, and is not. */
static bool was_premature(const struct object *current, const struct object *pushed)
{
    return object_body_bool(current, OBJECT_PROVISIONAL) && !current->deleted &&
           !object_body_bool(pushed, OBJECT_PROVISIONAL);
}

static enum sync_verdict resolve(const struct sync_case *the_case)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    bool rescued = pushed->rescue && !pushed->edited;
    if (current->deleted && pushed->deleted) {
        return SYNC_ACCEPTED; /* what either of them covers is covered from now on */
    }
    switch (object_kind_info(pushed->kind)->rule) {
    case OBJECT_RULE_LAST_WRITE:
        return rescued && current->deleted ? SYNC_SUPERSEDED : SYNC_ACCEPTED;
    case OBJECT_RULE_APPEND:
        return pushed->deleted && !current->deleted ? SYNC_ACCEPTED : SYNC_SUPERSEDED;
    case OBJECT_RULE_REFUSE:
        if (was_premature(current, pushed)) {
            return SYNC_ACCEPTED;
        }
        return pushed->rescue ? SYNC_SUPERSEDED : SYNC_REFUSED;
    case OBJECT_RULE_COPY:
        break;
    }
    if (pushed->deleted) {
        return SYNC_SUPERSEDED; /* an edit against a delete: the edit stays */
    }
    return current->deleted ? SYNC_ACCEPTED : SYNC_COPIED;
}

static bool in_past_of(const struct sync_case *the_case, struct object_stamp stamp,
                       struct object_stamp own)
{
    const struct object *current = the_case->current;
    if (sync_tree_precedes(the_case->tree, stamp, own)) {
        return true;
    }
    for (size_t i = 0; i < current->stamp_count; i++) {
        if (sync_tree_precedes(the_case->tree, stamp, current->stamps[i])) {
            return true;
        }
    }
    return false;
}

/* The pushed contents were born at its stamp, and before that at the last of its stamps if they
 * are still the ones that were rescued there. */
static bool contents_in_past(const struct sync_case *the_case, struct object_stamp own)
{
    const struct object *pushed = the_case->pushed;
    return in_past_of(the_case, pushed->rescue_stamp, own) ||
           (pushed->stamped && in_past_of(the_case, pushed->stamps[pushed->stamp_count - 1], own));
}

/* The pushed version was made knowing the one that was born at `stamp`. */
static bool is_on_top_of(const struct sync_case *the_case, struct object_stamp stamp)
{
    const struct object *pushed = the_case->pushed;
    if (sync_tree_precedes(the_case->tree, stamp, pushed->rescue_stamp)) {
        return true;
    }
    for (size_t i = 0; i < pushed->stamp_count; i++) {
        if (sync_tree_precedes(the_case->tree, stamp, pushed->stamps[i])) {
            return true;
        }
    }
    return false;
}

static enum sync_verdict judge_rescue(const struct sync_case *the_case)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    struct object_stamp own = sync_tree_stamp(the_case->tree, the_case->last, current->revision);
    struct object_stamp contents =
        current->stamped ? current->stamps[current->stamp_count - 1] : own;
    if (!pushed->edited && contents_in_past(the_case, own)) {
        return SYNC_SUPERSEDED;
    }
    return is_on_top_of(the_case, contents) ? SYNC_ACCEPTED : resolve(the_case);
}

/* The current version comes back from a webserver that knows more of its past: where it was born
 * before, or what it had replaced. Without that, something older could take its place. */
static bool brings_news(const struct sync_case *the_case)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    if (!pushed->rescue || pushed->edited || !uuid_equal(current->change, pushed->change)) {
        return false;
    }
    struct object_stamp own = sync_tree_stamp(the_case->tree, the_case->last, current->revision);
    return !in_past_of(the_case, pushed->rescue_stamp, own) || teaches(pushed, current);
}

/* The current version had displaced a delete that did not know it. Since then that delete was
 * joined by one that did: nothing of the object is left that nobody deleted. */
static bool covers(const struct sync_case *the_case)
{
    return the_case->pushed->deleted && !the_case->current->deleted &&
           past_has(the_case->pushed, the_case->current->change);
}

enum sync_verdict sync_judge(const struct sync_case *the_case)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    if (current != NULL && current->kind != pushed->kind) {
        return SYNC_REFUSED;
    }
    if (current == NULL) {
        return SYNC_ACCEPTED;
    }
    if (the_case->canary == SYNC_CANARY_NO_TOMBSTONES && current->deleted && pushed->rescue) {
        return SYNC_ACCEPTED;
    }
    bool forgets = the_case->canary == SYNC_CANARY_FORGETS_CHANGES;
    bool own = uuid_equal(current->change, pushed->change) || past_has(current, pushed->change);
    if (own && !forgets) {
        bool news = brings_news(the_case) || covers(the_case);
        return news ? SYNC_ACCEPTED : SYNC_DUPLICATE;
    }
    if (the_case->canary == SYNC_CANARY_LAST_WRITE_WINS) {
        return SYNC_ACCEPTED;
    }
    if (over_has(pushed, current->change) || past_has(pushed, current->change)) {
        return SYNC_ACCEPTED; /* it was made on top of the current version */
    }
    if (the_case->change_known && !forgets) {
        return the_case->copied ? SYNC_COPIED : SYNC_DUPLICATE;
    }
    if (pushed->rescue) {
        return judge_rescue(the_case);
    }
    return pushed->base_revision == current->revision ? SYNC_ACCEPTED : resolve(the_case);
}

static void add_stamp(struct object *object, struct object_stamp stamp)
{
    if (uuid_is_zero(stamp.epoch)) {
        return;
    }
    for (size_t i = 0; i < object->stamp_count; i++) {
        if (uuid_equal(object->stamps[i].epoch, stamp.epoch) &&
            object->stamps[i].revision == stamp.revision) {
            memmove(&object->stamps[i], &object->stamps[i + 1],
                    (object->stamp_count - i - 1) * sizeof(stamp));
            object->stamp_count--;
            break;
        }
    }
    if (object->stamp_count == OBJECT_STAMPS_MAX) {
        memmove(&object->stamps[0], &object->stamps[1], (OBJECT_STAMPS_MAX - 1) * sizeof(stamp));
        object->stamp_count--;
    }
    object->stamps[object->stamp_count++] = stamp;
}

struct object *sync_accepted(const struct sync_case *the_case, uint64_t revision)
{
    const struct object *current = the_case->current;
    const struct object *pushed = the_case->pushed;
    struct object *object = object_clone(pushed);
    struct object_stamp rescue_stamp = pushed->rescue_stamp;
    bool rescued = pushed->rescue && !pushed->edited;
    clear_dirt(object);
    if (current != NULL) {
        copy_stamps(object, current);
        for (size_t i = 0; pushed->rescue && i < pushed->stamp_count; i++) {
            add_stamp(object, pushed->stamps[i]);
        }
    }
    if (pushed->rescue) {
        add_stamp(object, rescue_stamp);
    }
    object->stamped = rescued && !uuid_is_zero(rescue_stamp.epoch);
    for (size_t i = 0; current != NULL && i < current->past_count; i++) {
        add_past(object, current->past[i]);
    }
    for (size_t i = 0; i < pushed->over_count; i++) {
        add_past(object, pushed->over[i]);
    }
    if (current != NULL) {
        add_past(object, current->change);
    }
    object->revision = revision;
    return object;
}

struct object *sync_copied(const struct sync_case *the_case, uint64_t revision)
{
    struct object *copy = copy_of(the_case->pushed);
    copy->revision = revision;
    return copy;
}

struct object *sync_merged(const struct sync_case *the_case)
{
    const struct object *pushed = the_case->pushed;
    struct object *merged = object_clone(the_case->current);
    bool news = !past_has(merged, pushed->change);
    for (size_t i = 0; i < pushed->past_count; i++) {
        news = news || !past_has(merged, pushed->past[i]);
        add_past(merged, pushed->past[i]);
    }
    add_past(merged, pushed->change);
    if (!news || object_kind_info(pushed->kind)->rule == OBJECT_RULE_APPEND) {
        object_free(&merged);
    }
    return merged;
}

struct object *sync_notice(const struct object *copy, const struct object *current, int64_t now_ns,
                           uint64_t revision)
{
    struct object *notice = object_new(OBJECT_NOTIFICATION);
    char change[UUID_TEXT_BYTES];
    notice->id = object_id_of_name(OBJECT_NOTIFICATION, 0, uuid_text(copy->change, change));
    notice->number = object_number_of_random(notice->id.bytes);
    notice->change = notice->id;
    notice->owner = copy->owner;
    notice->created_ns = notice->updated_ns = now_ns;
    notice->revision = revision;
    char *text = mem_printf("The %s \"%s\" was changed on two webservers at once. Both versions "
                            "are kept; the second is \"%s\".",
                            object_kind_name(copy->kind), current->name, copy->name);
    object_set_name(notice, "conflict");
    object_set_body(notice, json_pack("{s:s, s:s, s:i, s:s}", "Level", "warn", "Msg", text, "Type",
                                      1000, "Object", uuid_text(copy->id, change)));
    mem_free(text);
    return notice;
}

struct object *sync_notice_lost(struct uuid their_last, uint64_t common, uint64_t rescued,
                                int64_t now_ns)
{
    struct object *notice = object_new(OBJECT_NOTIFICATION);
    char epoch[UUID_TEXT_BYTES];
    notice->owner = OBJECT_FIRST_UID;
    notice->id =
        object_id_of_name(OBJECT_NOTIFICATION, notice->owner, uuid_text(their_last, epoch));
    notice->number = object_number_of_random(notice->id.bytes);
    notice->created_ns = notice->updated_ns = now_ns;
    char *text = mem_printf(
        "The datastore came back without what was changed after revision %" PRIu64
        ": it was emptied or restored from an older copy. Nothing was deleted; the webservers gave "
        "back what they hold (%" PRIu64
        " objects from one of them). If this was not intended, look "
        "at the datastore's disk and at who replaced its files.",
        common, rescued);
    object_set_name(notice, "datastore-lost-data");
    object_set_body(notice,
                    json_pack("{s:s, s:s, s:i}", "Level", "warn", "Msg", text, "Type", 1001));
    mem_free(text);
    return notice;
}

/* ---- webserver, without a datastore to judge ---- */

/* The shadow is what the lost datastore had: the webserver judges in its place. */
void sync_fork(const struct sync_case *the_case, struct object **ret_object,
               struct object **ret_copy)
{
    const struct object *shadow = the_case->current;
    *ret_copy = NULL;
    switch (sync_judge(the_case)) {
    case SYNC_ACCEPTED:
        *ret_object = sync_accepted(the_case, shadow->revision);
        (*ret_object)->stamped = false;
        (*ret_object)->base_revision = shadow->revision;
        (*ret_object)->dirty = true;
        return;
    case SYNC_COPIED:
        *ret_copy = sync_copied(the_case, 0);
        (*ret_copy)->dirty = true;
        break;
    case SYNC_DUPLICATE:
    case SYNC_SUPERSEDED:
    case SYNC_REFUSED:
    case SYNC_NEEDS_BLOB:
        break;
    }
    struct object *merged = *ret_copy == NULL ? sync_merged(the_case) : NULL;
    *ret_object = merged != NULL ? merged : object_clone(shadow);
}

/* ---- names ---- */

static const char *const verdict_names[] = {
    [SYNC_ACCEPTED] = "accepted", [SYNC_DUPLICATE] = "duplicate", [SYNC_SUPERSEDED] = "superseded",
    [SYNC_COPIED] = "copied",     [SYNC_REFUSED] = "refused",     [SYNC_NEEDS_BLOB] = "needs-blob",
};

const char *sync_verdict_name(enum sync_verdict verdict)
{
    return verdict_names[verdict];
}

bool sync_verdict_by_name(const char *name, enum sync_verdict *ret_verdict)
{
    for (size_t i = 0; i < ARRAY_COUNT(verdict_names); i++) {
        if (strcmp(name, verdict_names[i]) == 0) {
            *ret_verdict = (enum sync_verdict)i;
            return true;
        }
    }
    return false;
}
