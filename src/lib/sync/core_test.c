/*
 * Claims of the pure core, one at a time: which version is part of another's past, what becomes
 * of versions when they are edited, arrive, are answered or judged, and what the link of a
 * webserver does next. sim_test.c throws everything at it together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sync/core.h"

/* ---- words ---- */

static struct uuid uuid_of(uint8_t n)
{
    struct uuid uuid = {{0}};
    uuid.bytes[0] = n;
    return uuid;
}

static struct object_stamp stamp_of(uint8_t epoch, uint64_t revision)
{
    return (struct object_stamp){uuid_of(epoch), revision};
}

/* 1 (0..) -> 2 (10..) -> 3 (20..): one datastore, restarted twice. From 2, at 15, a backup was
 * restored: 4 (15..). 5 is the beginning of another datastore. */
static const struct store_epoch rows[] = {
    {.epoch = {{1}}, .start = 0, .main = true},
    {.epoch = {{2}}, .parent = {{1}}, .start = 10, .main = true},
    {.epoch = {{3}}, .parent = {{2}}, .start = 20, .main = true},
    {.epoch = {{4}}, .parent = {{2}}, .start = 15},
    {.epoch = {{5}}, .start = 0},
};
static const struct sync_tree tree = {rows, ARRAY_COUNT(rows)};

static struct object *version(enum object_kind kind, uint8_t change, uint64_t revision)
{
    struct object *object = object_new(kind);
    object->id = uuid_of(200);
    object->number = 7;
    object->change = uuid_of(change);
    object->revision = revision;
    object_set_name(object, "name");
    return object;
}

static struct object *edited(enum object_kind kind, uint8_t change, uint64_t base)
{
    struct object *object = version(kind, change, base);
    object->base_revision = base;
    object->dirty = true;
    return object;
}

static struct object *rescued(enum object_kind kind, uint8_t change, struct object_stamp stamp)
{
    struct object *object = version(kind, change, 0);
    object->rescue = object->dirty = true;
    object->rescue_stamp = stamp;
    return object;
}

static struct object *buried(struct object *object)
{
    object_bury(object);
    return object;
}

/* Takes both. */
static enum sync_verdict judge(struct object *current, struct object *pushed)
{
    struct sync_case the_case = {
        .current = current, .pushed = pushed, .tree = &tree, .last = uuid_of(3)};
    enum sync_verdict verdict = sync_judge(&the_case);
    object_free(&current);
    object_free(&pushed);
    return verdict;
}

/* ---- the tree ---- */

static void a_past_is_followed_through_restarts_and_ends_at_forks(void **state)
{
    (void)state;
    assert_true(sync_tree_precedes(&tree, stamp_of(1, 5), stamp_of(1, 5)));
    assert_true(sync_tree_precedes(&tree, stamp_of(1, 5), stamp_of(3, 25)));
    assert_false(sync_tree_precedes(&tree, stamp_of(3, 25), stamp_of(1, 5)));
    assert_false(sync_tree_precedes(&tree, stamp_of(1, 11), stamp_of(3, 25))); /* 1 ended at 10 */
    assert_true(sync_tree_precedes(&tree, stamp_of(2, 15), stamp_of(4, 99)));
    assert_false(sync_tree_precedes(&tree, stamp_of(2, 16), stamp_of(4, 99)));
    assert_false(sync_tree_precedes(&tree, stamp_of(4, 16), stamp_of(3, 25)));
    assert_false(sync_tree_precedes(&tree, stamp_of(5, 1), stamp_of(3, 25)));
    assert_false(sync_tree_precedes(&tree, stamp_of(0, 1), stamp_of(3, 25)));
    assert_false(sync_tree_precedes(&tree, stamp_of(9, 1), stamp_of(9, 0)));
}

static void a_revision_belongs_to_the_epoch_that_gave_it(void **state)
{
    (void)state;
    static const struct {
        uint64_t revision;
        uint8_t epoch;
    } cases[] = {{1, 1}, {10, 1}, {11, 2}, {20, 2}, {21, 3}, {1000, 3}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct object_stamp stamp = sync_tree_stamp(&tree, uuid_of(3), cases[i].revision);
        assert_int_equal(stamp.epoch.bytes[0], cases[i].epoch);
        assert_int_equal(stamp.revision, cases[i].revision);
    }
    assert_true(uuid_is_zero(sync_tree_stamp(&tree, uuid_of(77), 5).epoch));
}

static void what_is_common_ends_where_the_pasts_part(void **state)
{
    (void)state;
    /* We have seen epoch 3 up to 30. */
    static const struct {
        uint8_t their_last;
        uint64_t their_revision, common;
    } cases[] = {
        {3, 40, 30},              /* they went on */
        {3, 30, 30}, {3, 25, 25}, /* restored, and nothing written since */
        {2, 18, 18},              /* restored to a time before 3 began */
        {4, 99, 15},              /* restored, and gone on to higher numbers than ours */
        {5, 50, 0},               /* another datastore */
        {1, 4, 4},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(sync_tree_common(&tree, uuid_of(3), 30, &tree,
                                          uuid_of(cases[i].their_last), cases[i].their_revision),
                         cases[i].common);
    }
    assert_int_equal(sync_tree_common(&tree, uuid_of(0), 0, &tree, uuid_of(3), 30), 0);
}

/* ---- edits and arrivals ---- */

static void edits_keep_the_base_and_remember_what_they_replace(void **state)
{
    (void)state;
    struct object *clean = version(OBJECT_DASHBOARD, 1, 9);
    struct object *first = object_clone(clean);
    sync_edit(clean, first, uuid_of(2));
    assert_true(first->dirty);
    assert_int_equal(first->base_revision, 9);
    assert_int_equal(first->over_count, 0);
    assert_true(uuid_equal(first->past[0], uuid_of(1)));
    struct object *second = object_clone(first);
    sync_edit(first, second, uuid_of(3));
    assert_int_equal(second->base_revision, 9);
    assert_int_equal(second->over_count, 1);
    assert_true(uuid_equal(second->over[0], uuid_of(2)));
    object_free(&clean);
    object_free(&first);
    object_free(&second);
}

static void many_edits_while_away_stay_within_their_bounds(void **state)
{
    (void)state;
    struct object *object = version(OBJECT_DASHBOARD, 1, 9);
    for (uint8_t i = 2; i < 2 + OBJECT_OVER_MAX + 10; i++) {
        struct object *next = object_clone(object);
        sync_edit(object, next, uuid_of(i));
        object_free(&object);
        object = next;
    }
    assert_int_equal(object->over_count, OBJECT_OVER_MAX);
    assert_int_equal(object->past_count, OBJECT_PAST_MAX);
    assert_true(uuid_equal(object->over[OBJECT_OVER_MAX - 1], uuid_of(OBJECT_OVER_MAX + 10)));
    object_free(&object);
}

static enum sync_arrival arrive(struct object *local, struct object *incoming)
{
    enum sync_arrival arrival = sync_receive(local, NULL, incoming);
    object_free(&local);
    object_free(&incoming);
    return arrival;
}

static void arrivals_never_overwrite_what_is_not_pushed(void **state)
{
    (void)state;
    enum object_kind kind = OBJECT_DASHBOARD;
    assert_int_equal(arrive(NULL, version(kind, 1, 1)), SYNC_ARRIVAL_APPLY);
    assert_int_equal(arrive(version(kind, 1, 4), version(kind, 2, 5)), SYNC_ARRIVAL_APPLY);
    assert_int_equal(arrive(version(kind, 2, 5), version(kind, 2, 5)), SYNC_ARRIVAL_SKIP);
    assert_int_equal(arrive(version(kind, 2, 5), version(kind, 1, 4)), SYNC_ARRIVAL_SKIP);
    assert_int_equal(arrive(edited(kind, 3, 4), version(kind, 2, 5)), SYNC_ARRIVAL_SHADOW);
    assert_int_equal(arrive(edited(kind, 3, 4), version(kind, 1, 4)), SYNC_ARRIVAL_SKIP);
    assert_int_equal(arrive(edited(kind, 3, 4), version(kind, 3, 5)), SYNC_ARRIVAL_APPLY);
}

/* The answer that says what a push became may come after the feed has told of what was made of it
 * since. */
static void a_late_answer_does_not_displace_what_the_feed_brought(void **state)
{
    (void)state;
    struct object *local = edited(OBJECT_DASHBOARD, 3, 4);
    struct object *shadow = version(OBJECT_DASHBOARD, 5, 12);
    struct object *late = version(OBJECT_DASHBOARD, 3, 9);
    struct object *newer = version(OBJECT_DASHBOARD, 6, 13);
    assert_int_equal(sync_receive(local, shadow, late), SYNC_ARRIVAL_SKIP);
    assert_int_equal(sync_receive(local, shadow, shadow), SYNC_ARRIVAL_SKIP);
    assert_int_equal(sync_receive(local, shadow, newer), SYNC_ARRIVAL_SHADOW);
    object_free(&newer);
    object_free(&late);
    object_free(&shadow);
    object_free(&local);
}

/* ---- answers ---- */

struct settled {
    struct object *object;
    const struct object *shadow;
};

static struct settled settle(const struct object *local, const struct object *shadow,
                             const struct object *pushed, struct sync_answer answer)
{
    struct settled settled = {0};
    sync_settle(local, shadow, pushed, &answer, &settled.object, &settled.shadow);
    return settled;
}

static void an_accepted_push_is_clean(void **state)
{
    (void)state;
    struct object *local = edited(OBJECT_DASHBOARD, 3, 4);
    struct settled settled =
        settle(local, NULL, local, (struct sync_answer){SYNC_ACCEPTED, 9, NULL, NULL});
    assert_false(settled.object->dirty);
    assert_int_equal(settled.object->revision, 9);
    assert_int_equal(settled.object->base_revision, 0);
    object_free(&settled.object);
    object_free(&local);
}

static void what_arrived_meanwhile_is_not_forgotten(void **state)
{
    (void)state;
    struct object *local = edited(OBJECT_DASHBOARD, 3, 4);
    struct object *shadow = version(OBJECT_DASHBOARD, 5, 12);
    struct settled settled =
        settle(local, shadow, local, (struct sync_answer){SYNC_ACCEPTED, 9, NULL, NULL});
    assert_int_equal(settled.object->revision, 12);
    assert_true(uuid_equal(settled.object->change, uuid_of(5)));
    assert_null(settled.shadow);
    object_free(&settled.object);
    object_free(&shadow);
    object_free(&local);
}

static void an_edit_made_during_the_push_stays_dirty_on_the_new_base(void **state)
{
    (void)state;
    struct object *pushed = edited(OBJECT_DASHBOARD, 3, 4);
    struct object *local = object_clone(pushed);
    sync_edit(pushed, local, uuid_of(6));
    struct settled settled =
        settle(local, NULL, pushed, (struct sync_answer){SYNC_ACCEPTED, 9, NULL, NULL});
    assert_true(settled.object->dirty);
    assert_int_equal(settled.object->base_revision, 9);
    assert_int_equal(settled.object->over_count, 0);
    assert_true(uuid_equal(settled.object->change, uuid_of(6)));
    object_free(&settled.object);
    object_free(&local);
    object_free(&pushed);
}

static void a_refused_push_stays_and_is_not_repeated(void **state)
{
    (void)state;
    struct object *local = edited(OBJECT_DASHBOARD, 3, 4);
    struct settled settled =
        settle(local, NULL, local, (struct sync_answer){SYNC_REFUSED, 0, NULL, NULL});
    assert_true(settled.object->dirty && settled.object->refused);
    object_free(&settled.object);
    settled = settle(local, NULL, local, (struct sync_answer){SYNC_NEEDS_BLOB, 0, NULL, NULL});
    assert_null(settled.object);
    object_free(&local);
}

/* ---- judging ---- */

static void the_same_base_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(judge(NULL, edited(OBJECT_DASHBOARD, 1, 0)), SYNC_ACCEPTED);
    assert_int_equal(judge(version(OBJECT_DASHBOARD, 1, 5), edited(OBJECT_DASHBOARD, 2, 5)),
                     SYNC_ACCEPTED);
    assert_int_equal(judge(version(OBJECT_USER, 1, 5), edited(OBJECT_USER, 2, 5)), SYNC_ACCEPTED);
}

/* kind, current is deleted, pushed is deleted -> verdict; the base is not current */
static const struct {
    enum object_kind kind;
    bool current_deleted, pushed_deleted;
    enum sync_verdict verdict;
} conflicts[] = {
    {OBJECT_DASHBOARD, false, false, SYNC_COPIED},
    {OBJECT_DASHBOARD, false, true, SYNC_SUPERSEDED}, /* the edit stays */
    {OBJECT_DASHBOARD, true, false, SYNC_ACCEPTED},   /* the edit comes */
    {OBJECT_DASHBOARD, true, true, SYNC_ACCEPTED},
    {OBJECT_PREFERENCE, false, false, SYNC_ACCEPTED},
    {OBJECT_PREFERENCE, false, true, SYNC_ACCEPTED},
    {OBJECT_HISTORY, false, false, SYNC_SUPERSEDED},
    {OBJECT_HISTORY, true, false, SYNC_SUPERSEDED}, /* a delete is final */
    {OBJECT_HISTORY, false, true, SYNC_ACCEPTED},
    {OBJECT_USER, false, false, SYNC_REFUSED},
    {OBJECT_USER, true, false, SYNC_REFUSED},
};

static void another_base_is_judged_by_the_rule_of_the_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(conflicts); i++) {
        struct object *current = version(conflicts[i].kind, 5, 9);
        struct object *pushed = edited(conflicts[i].kind, 6, 4);
        current = conflicts[i].current_deleted ? buried(current) : current;
        pushed = conflicts[i].pushed_deleted ? buried(pushed) : pushed;
        enum sync_verdict verdict = judge(current, pushed);
        if (verdict != conflicts[i].verdict) {
            fail_msg("%zu: %s", i, sync_verdict_name(verdict));
        }
    }
}

static void a_repeated_push_is_the_same_push(void **state)
{
    (void)state;
    assert_int_equal(judge(version(OBJECT_DASHBOARD, 2, 9), edited(OBJECT_DASHBOARD, 2, 4)),
                     SYNC_DUPLICATE);
    /* Edited by somebody else since. */
    struct object *current = version(OBJECT_DASHBOARD, 3, 12);
    current->past[0] = uuid_of(2);
    current->past_count = 1;
    assert_int_equal(judge(current, edited(OBJECT_DASHBOARD, 2, 4)), SYNC_DUPLICATE);
    /* Edited by the same one, who did not hear the answer. */
    struct object *pushed = edited(OBJECT_DASHBOARD, 4, 4);
    pushed->over[0] = uuid_of(2);
    pushed->over_count = 1;
    assert_int_equal(judge(version(OBJECT_DASHBOARD, 2, 9), pushed), SYNC_ACCEPTED);
}

/* Else a delete that was made before an edit could not cover what it covered. */
static void what_stays_knows_what_the_other_had_replaced(void **state)
{
    (void)state;
    struct object *current = version(OBJECT_DASHBOARD, 5, 9);
    struct object *pushed = buried(edited(OBJECT_DASHBOARD, 6, 4));
    pushed->past[0] = uuid_of(3);
    pushed->past_count = 1;
    struct sync_case the_case = {
        .current = current, .pushed = pushed, .tree = &tree, .last = uuid_of(3)};
    assert_int_equal(sync_judge(&the_case), SYNC_SUPERSEDED);
    struct object *merged = sync_merged(&the_case);
    assert_true(uuid_equal(merged->change, uuid_of(5)));
    assert_int_equal(merged->past_count, 2);
    the_case.current = merged;
    assert_null(sync_merged(&the_case));
    assert_int_equal(sync_judge(&the_case), SYNC_DUPLICATE);
    object_free(&merged);
    object_free(&current);
    object_free(&pushed);
}

static void an_id_never_changes_its_kind(void **state)
{
    (void)state;
    assert_int_equal(judge(version(OBJECT_DASHBOARD, 1, 5), edited(OBJECT_MACRO, 2, 5)),
                     SYNC_REFUSED);
}

static void a_rescue_brings_back_what_was_lost_and_nothing_older(void **state)
{
    (void)state;
    enum object_kind kind = OBJECT_DASHBOARD;
    /* The datastore is at epoch 3; what it has was born in it or before. */
    assert_int_equal(judge(NULL, rescued(kind, 9, stamp_of(5, 3))), SYNC_ACCEPTED);
    assert_int_equal(judge(version(kind, 1, 25), rescued(kind, 9, stamp_of(3, 22))),
                     SYNC_SUPERSEDED);
    assert_int_equal(judge(version(kind, 1, 12), rescued(kind, 9, stamp_of(4, 18))),
                     SYNC_ACCEPTED); /* 4 goes back to 2, which had revision 12 */
    assert_int_equal(judge(version(kind, 1, 25), rescued(kind, 9, stamp_of(4, 18))),
                     SYNC_COPIED); /* neither knew the other */
    assert_int_equal(judge(buried(version(kind, 1, 25)), rescued(kind, 9, stamp_of(3, 22))),
                     SYNC_SUPERSEDED); /* deleted stays deleted */
    struct object *back = version(kind, 1, 25);
    back->stamps[0] = stamp_of(5, 30);
    back->stamp_count = 1;
    back->stamped = true;
    assert_int_equal(judge(object_clone(back), rescued(kind, 9, stamp_of(5, 20))), SYNC_SUPERSEDED);
    assert_int_equal(judge(object_clone(back), rescued(kind, 9, stamp_of(5, 40))), SYNC_ACCEPTED);
    back->stamped = false; /* edited since */
    assert_int_equal(judge(back, rescued(kind, 9, stamp_of(5, 40))), SYNC_COPIED);
}

/* An emptied datastore meets a fresh webserver first, which makes the default account; then one
 * that knows the real account comes. */
static void a_default_account_yields_to_the_one_that_people_had(void **state)
{
    (void)state;
    struct object *minted = version(OBJECT_USER, 1, 25);
    object_set_body(minted, json_pack("{s:b}", OBJECT_PROVISIONAL, 1));
    assert_int_equal(judge(object_clone(minted), rescued(OBJECT_USER, 9, stamp_of(5, 3))),
                     SYNC_ACCEPTED);
    struct object *another = rescued(OBJECT_USER, 9, stamp_of(5, 3));
    object_set_body(another, json_pack("{s:b}", OBJECT_PROVISIONAL, 1));
    assert_int_equal(judge(minted, another), SYNC_SUPERSEDED);
    assert_int_equal(judge(version(OBJECT_USER, 1, 25), rescued(OBJECT_USER, 9, stamp_of(5, 3))),
                     SYNC_SUPERSEDED);
}

/* The current version reached the datastore first from a webserver that knew less of it. */
static void the_current_version_learns_its_past_from_whoever_knows_it(void **state)
{
    (void)state;
    enum object_kind kind = OBJECT_PREFERENCE;
    struct object *current = version(kind, 9, 25);
    struct object *pushed = rescued(kind, 9, stamp_of(5, 20));
    pushed->past[pushed->past_count++] = uuid_of(8);
    struct sync_case the_case = {
        .current = current, .pushed = pushed, .tree = &tree, .last = uuid_of(3)};
    assert_int_equal(sync_judge(&the_case), SYNC_ACCEPTED);
    struct object *taught = sync_accepted(&the_case, 26);
    struct object *older = rescued(kind, 8, stamp_of(5, 3));
    assert_int_equal(judge(object_clone(taught), older), SYNC_DUPLICATE);
    assert_int_equal(judge(object_clone(taught), rescued(kind, 7, stamp_of(5, 2))),
                     SYNC_SUPERSEDED);
    the_case.current = taught;
    assert_int_equal(sync_judge(&the_case), SYNC_DUPLICATE); /* nothing new any more */
    object_free(&taught);
    object_free(&pushed);
    object_free(&current);
}

static void a_rescue_that_would_teach_is_not_displaced_by_its_own_version(void **state)
{
    (void)state;
    struct object *local = rescued(OBJECT_DASHBOARD, 9, stamp_of(5, 20));
    struct object *incoming = version(OBJECT_DASHBOARD, 9, 25);
    assert_int_equal(sync_receive(local, NULL, incoming), SYNC_ARRIVAL_SHADOW);
    incoming->stamps[incoming->stamp_count++] = stamp_of(5, 20);
    assert_int_equal(sync_receive(local, NULL, incoming), SYNC_ARRIVAL_APPLY);
    local->past[local->past_count++] = uuid_of(8);
    assert_int_equal(sync_receive(local, NULL, incoming), SYNC_ARRIVAL_SHADOW);
    object_free(&incoming);
    object_free(&local);
}

/* An edit had displaced a delete that did not know it; another delete did, and both are one since
 * then. */
static void a_delete_joined_by_one_that_knew_the_edit_covers_it(void **state)
{
    (void)state;
    struct object *edit = version(OBJECT_DASHBOARD, 9, 25);
    struct object *delete = buried(rescued(OBJECT_DASHBOARD, 8, stamp_of(5, 20)));
    edit->past[edit->past_count++] = uuid_of(8);
    assert_int_equal(judge(object_clone(edit), object_clone(delete)), SYNC_DUPLICATE);
    delete->past[delete->past_count++] = uuid_of(9);
    assert_int_equal(judge(edit, delete), SYNC_ACCEPTED);
}

static void an_accepted_rescue_remembers_where_it_came_from(void **state)
{
    (void)state;
    struct object *pushed = rescued(OBJECT_DASHBOARD, 9, stamp_of(5, 3));
    struct sync_case the_case = {.pushed = pushed, .tree = &tree, .last = uuid_of(3)};
    struct object *accepted = sync_accepted(&the_case, 26);
    assert_false(accepted->dirty || accepted->rescue);
    assert_true(accepted->stamped);
    assert_int_equal(accepted->revision, 26);
    assert_int_equal(accepted->stamp_count, 1);
    assert_int_equal(accepted->stamps[0].revision, 3);
    object_free(&accepted);
    object_free(&pushed);
}

static void a_copy_is_the_same_however_often_it_is_made(void **state)
{
    (void)state;
    struct object *current = version(OBJECT_DASHBOARD, 5, 9);
    struct object *pushed = edited(OBJECT_DASHBOARD, 6, 4);
    struct sync_case the_case = {
        .current = current, .pushed = pushed, .tree = &tree, .last = uuid_of(3)};
    struct object *one = sync_copied(&the_case, 10);
    struct object *two = sync_copied(&the_case, 11);
    assert_true(uuid_equal(one->id, two->id));
    assert_false(uuid_equal(one->id, current->id));
    assert_int_equal(one->number, two->number);
    assert_string_equal(one->name, "name (conflict copy)");
    struct object *notice = sync_notice(one, current, 5, 12);
    assert_int_equal(object_validate(one), 0);
    assert_int_equal(object_validate(notice), 0);
    object_free(&notice);
    object_free(&one);
    object_free(&two);
    object_free(&current);
    object_free(&pushed);
}

/* ---- the link ---- */

static unsigned post(struct sync_link *link, enum sync_event_type type, int64_t now_ms)
{
    struct sync_event event = {.type = type, .now_ms = now_ms, .run = link->run};
    struct sync_actions actions;
    sync_step(link, &event, &actions);
    return actions.what;
}

/* A file that has seen `ours` of epoch 3, and a datastore that stands at `theirs` of it. */
static struct sync_file_view view_of(uint64_t ours, uint64_t cursor, uint64_t theirs)
{
    return (struct sync_file_view){.ours = tree,
                                   .place = {.epoch = {{3}}, .revision = ours, .cursor = cursor},
                                   .theirs = tree,
                                   .their_last = {{3}},
                                   .their_revision = theirs};
}

static struct sync_actions check(struct sync_link *link, uint8_t run,
                                 const struct sync_file_view *views)
{
    struct sync_event event = {
        .type = SYNC_EVENT_CHECKED, .now_ms = 10, .run = uuid_of(run), .files = views};
    struct sync_actions actions;
    sync_step(link, &event, &actions);
    return actions;
}

static void a_link_checks_in_follows_and_pushes(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 40), view_of(25, 30, 40)};
    sync_link_init(&link, 1, 1000);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 0) & SYNC_DO_CHECK_IN, SYNC_DO_CHECK_IN);
    struct sync_actions actions = check(&link, 1, views);
    assert_int_equal(actions.what, SYNC_DO_ADOPT | SYNC_DO_OPEN_FEED | SYNC_DO_PUSH | SYNC_DO_TELL);
    assert_false(actions.files[0].lost || actions.files[1].lost);
    assert_int_equal(actions.files[0].cursor, 30);
    assert_int_equal(post(&link, SYNC_EVENT_THROUGH, 20), SYNC_DO_TELL);
    assert_int_equal(link.state, SYNC_LINK_LIVE);
    assert_int_equal(post(&link, SYNC_EVENT_DIRTY, 30), 0); /* a push is under way */
    assert_int_equal(post(&link, SYNC_EVENT_PUSHED, 40), SYNC_DO_PUSH);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 500), 0);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 1010), SYNC_DO_CHECK_IN);
}

static void a_link_that_rescues_hears_the_feed_before_it_pushes(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 22), view_of(25, 30, 40)};
    sync_link_init(&link, 1, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    struct sync_actions actions = check(&link, 1, views);
    assert_int_equal(actions.what & SYNC_DO_PUSH, 0);
    assert_true(actions.files[0].lost);
    assert_false(actions.files[1].lost);
    assert_int_equal(actions.files[0].common, 22);
    assert_int_equal(actions.files[0].cursor, 0);
    assert_int_equal(actions.files[1].cursor, 0); /* one counter for both files */
    assert_int_equal(post(&link, SYNC_EVENT_THROUGH, 20) & SYNC_DO_PUSH, SYNC_DO_PUSH);
}

/* It has passed over what was replaced by then, and that may be current again. */
static void a_lost_past_is_noticed_though_only_its_replacements_were_lost(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(15, 20, 22), view_of(12, 20, 40)};
    views[0].place.seen = 30;
    sync_link_init(&link, 1, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    struct sync_actions actions = check(&link, 1, views);
    assert_true(actions.files[0].lost);
    assert_int_equal(actions.files[0].common, 22);
    assert_int_equal(actions.files[0].cursor, 0);
}

static void the_next_datastore_is_tried_at_once_and_a_round_pauses(void **state)
{
    (void)state;
    struct sync_link link;
    sync_link_init(&link, 2, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    (void)post(&link, SYNC_EVENT_CHECK_FAILED, 5);
    assert_int_equal(link.datastore, 1);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 5) & SYNC_DO_CHECK_IN, SYNC_DO_CHECK_IN);
    (void)post(&link, SYNC_EVENT_CHECK_FAILED, 6);
    assert_int_equal(link.datastore, 0);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 6) & SYNC_DO_CHECK_IN, 0);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 6 + SYNC_RETRY_MS) & SYNC_DO_CHECK_IN,
                     SYNC_DO_CHECK_IN);
}

static void an_old_failure_does_not_end_a_new_link(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 40), view_of(25, 30, 40)};
    sync_link_init(&link, 1, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    (void)check(&link, 1, views);
    struct sync_event lost = {.type = SYNC_EVENT_LOST, .now_ms = 20, .run = uuid_of(77)};
    struct sync_actions actions;
    sync_step(&link, &lost, &actions);
    assert_int_equal(link.state, SYNC_LINK_CATCHING_UP);
    lost.run = uuid_of(1);
    sync_step(&link, &lost, &actions);
    assert_int_equal(link.state, SYNC_LINK_OFFLINE);
    assert_int_equal(actions.what & SYNC_DO_CLOSE_FEED, SYNC_DO_CLOSE_FEED);
    /* The old feed must have ended before the next check-in. */
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 5000) & SYNC_DO_CHECK_IN, 0);
    (void)post(&link, SYNC_EVENT_FEED_ENDED, 5001);
    assert_int_equal(post(&link, SYNC_EVENT_TIME, 5002) & SYNC_DO_CHECK_IN, SYNC_DO_CHECK_IN);
}

static unsigned fail_push(struct sync_link *link, bool full, int64_t now_ms)
{
    struct sync_event event = {
        .type = SYNC_EVENT_PUSH_FAILED, .now_ms = now_ms, .run = link->run, .full = full};
    struct sync_actions actions;
    sync_step(link, &event, &actions);
    return actions.what;
}

static void
what_a_full_datastore_does_not_take_waits_for_a_check_in_and_the_feed_stays(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 40), view_of(25, 30, 40)};
    sync_link_init(&link, 1, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    assert_int_equal(check(&link, 1, views).what & SYNC_DO_PUSH, SYNC_DO_PUSH);
    (void)post(&link, SYNC_EVENT_THROUGH, 20);
    for (int64_t at_ms = 30; at_ms < 5000; at_ms += 1000) {
        assert_int_equal(fail_push(&link, true, at_ms), 0);
        assert_int_equal(post(&link, SYNC_EVENT_DIRTY, at_ms + 10), 0);
        assert_int_equal(post(&link, SYNC_EVENT_TIME, at_ms + 990), SYNC_DO_CHECK_IN);
        assert_int_equal(check(&link, 1, NULL).what, SYNC_DO_PUSH);
        link.next_ms = at_ms + 1990;
    }
    assert_int_equal(post(&link, SYNC_EVENT_PUSHED, 6000), 0);
    assert_int_equal(post(&link, SYNC_EVENT_DIRTY, 6010), SYNC_DO_PUSH);
    assert_int_equal(fail_push(&link, false, 6020), SYNC_DO_CLOSE_FEED | SYNC_DO_TELL);
}

/* Each has a disk of its own. */
static void a_full_datastore_is_left_for_another_that_may_have_room(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 40), view_of(25, 30, 40)};
    sync_link_init(&link, 2, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    (void)check(&link, 1, views);
    assert_int_equal(fail_push(&link, true, 20) & SYNC_DO_CLOSE_FEED, SYNC_DO_CLOSE_FEED);
    assert_int_equal(link.datastore, 1);
    (void)post(&link, SYNC_EVENT_FEED_ENDED, 21);
    (void)post(&link, SYNC_EVENT_TIME, 22);
    assert_int_equal(check(&link, 2, views).what & SYNC_DO_PUSH, SYNC_DO_PUSH);
    assert_int_equal(fail_push(&link, true, 30), 0);
    assert_true(link.waiting && link.datastore == 1);
}

static void a_datastore_that_was_restarted_is_noticed_at_the_check_in(void **state)
{
    (void)state;
    struct sync_link link;
    struct sync_file_view views[] = {view_of(30, 30, 40), view_of(25, 30, 40)};
    sync_link_init(&link, 1, 1000);
    (void)post(&link, SYNC_EVENT_TIME, 0);
    (void)check(&link, 1, views);
    (void)post(&link, SYNC_EVENT_TIME, 1010);
    struct sync_actions actions = check(&link, 2, NULL);
    assert_int_equal(actions.what & SYNC_DO_CLOSE_FEED, SYNC_DO_CLOSE_FEED);
    assert_int_equal(link.state, SYNC_LINK_OFFLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_past_is_followed_through_restarts_and_ends_at_forks),
        cmocka_unit_test(a_revision_belongs_to_the_epoch_that_gave_it),
        cmocka_unit_test(what_is_common_ends_where_the_pasts_part),
        cmocka_unit_test(edits_keep_the_base_and_remember_what_they_replace),
        cmocka_unit_test(many_edits_while_away_stay_within_their_bounds),
        cmocka_unit_test(arrivals_never_overwrite_what_is_not_pushed),
        cmocka_unit_test(a_late_answer_does_not_displace_what_the_feed_brought),
        cmocka_unit_test(an_accepted_push_is_clean),
        cmocka_unit_test(what_arrived_meanwhile_is_not_forgotten),
        cmocka_unit_test(an_edit_made_during_the_push_stays_dirty_on_the_new_base),
        cmocka_unit_test(a_refused_push_stays_and_is_not_repeated),
        cmocka_unit_test(the_same_base_is_accepted),
        cmocka_unit_test(another_base_is_judged_by_the_rule_of_the_kind),
        cmocka_unit_test(a_repeated_push_is_the_same_push),
        cmocka_unit_test(what_stays_knows_what_the_other_had_replaced),
        cmocka_unit_test(an_id_never_changes_its_kind),
        cmocka_unit_test(a_rescue_brings_back_what_was_lost_and_nothing_older),
        cmocka_unit_test(a_default_account_yields_to_the_one_that_people_had),
        cmocka_unit_test(the_current_version_learns_its_past_from_whoever_knows_it),
        cmocka_unit_test(a_rescue_that_would_teach_is_not_displaced_by_its_own_version),
        cmocka_unit_test(a_delete_joined_by_one_that_knew_the_edit_covers_it),
        cmocka_unit_test(an_accepted_rescue_remembers_where_it_came_from),
        cmocka_unit_test(a_copy_is_the_same_however_often_it_is_made),
        cmocka_unit_test(a_link_checks_in_follows_and_pushes),
        cmocka_unit_test(a_link_that_rescues_hears_the_feed_before_it_pushes),
        cmocka_unit_test(a_lost_past_is_noticed_though_only_its_replacements_were_lost),
        cmocka_unit_test(the_next_datastore_is_tried_at_once_and_a_round_pauses),
        cmocka_unit_test(an_old_failure_does_not_end_a_new_link),
        cmocka_unit_test(
            what_a_full_datastore_does_not_take_waits_for_a_check_in_and_the_feed_stays),
        cmocka_unit_test(a_full_datastore_is_left_for_another_that_may_have_room),
        cmocka_unit_test(a_datastore_that_was_restarted_is_noticed_at_the_check_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
