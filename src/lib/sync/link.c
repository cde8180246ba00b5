/* When a webserver checks in, follows the feed, pushes and rescues. */
#include "sync/core.h"

void sync_link_init(struct sync_link *link, size_t datastore_count, int64_t interval_ms)
{
    *link = (struct sync_link){
        .datastore_count = datastore_count,
        .interval_ms = interval_ms,
        .dirty = true, /* whatever an earlier life left */
    };
}

static bool is_connected(const struct sync_link *link)
{
    return link->state == SYNC_LINK_CATCHING_UP || link->state == SYNC_LINK_LIVE;
}

/* Every move goes through here. */
static void move_to(struct sync_link *link, enum sync_link_state state,
                    struct sync_actions *actions)
{
    if (link->state != state) {
        link->state = state;
        actions->what |= SYNC_DO_TELL;
    }
}

static void push_if_due(struct sync_link *link, struct sync_actions *actions)
{
    bool held = link->rescuing && link->state != SYNC_LINK_LIVE;
    if (is_connected(link) && link->dirty && !link->pushing && !held && !link->waiting) {
        link->dirty = false;
        link->pushing = true;
        actions->what |= SYNC_DO_PUSH;
    }
}

static void check_in(struct sync_link *link, struct sync_actions *actions)
{
    if (!link->checking) {
        link->checking = true;
        actions->what |= SYNC_DO_CHECK_IN;
    }
}

/* The next datastore at once; after a round of them a little later. */
static void lose(struct sync_link *link, int64_t now_ms, struct sync_actions *actions)
{
    if (link->feed_open) {
        actions->what |= SYNC_DO_CLOSE_FEED;
    }
    move_to(link, SYNC_LINK_OFFLINE, actions);
    link->run = (struct uuid){0};
    link->datastore = (link->datastore + 1) % link->datastore_count;
    link->tried++;
    bool round = link->tried % link->datastore_count == 0;
    link->next_ms = now_ms + (round ? SYNC_RETRY_MS : 0);
}

static void on_time(struct sync_link *link, int64_t now_ms, struct sync_actions *actions)
{
    if (now_ms < link->next_ms || link->feed_open != is_connected(link)) {
        return; /* not yet, or the old feed is still closing */
    }
    if (link->state == SYNC_LINK_OFFLINE) {
        move_to(link, SYNC_LINK_CHECKING, actions);
    }
    check_in(link, actions);
}

/* The webserver and the datastore compare their pasts, file by file. */
static bool compare(const struct sync_link *link, const struct sync_file_view *view,
                    struct sync_file_action *action)
{
    uint64_t ours = MAX(view->place.revision, view->place.seen);
    action->common = sync_tree_common(&view->ours, view->place.epoch, ours, &view->theirs,
                                      view->their_last, view->their_revision);
    action->cursor = view->place.cursor;
    action->lost = action->common < ours;
    if (link->canary == SYNC_CANARY_TRUSTS_REVISION) {
        action->lost = view->their_revision < ours;
        action->common = action->lost ? view->their_revision : ours;
    }
    if (link->canary == SYNC_CANARY_NO_RESCUE) {
        action->lost = false;
    }
    return action->lost;
}

static void adopt(struct sync_link *link, const struct sync_event *event,
                  struct sync_actions *actions)
{
    bool lost = false;
    for (size_t i = 0; i < OBJECT_FILES; i++) {
        lost = compare(link, &event->files[i], &actions->files[i]) || lost;
    }
    for (size_t i = 0; lost && i < OBJECT_FILES; i++) {
        /* All of both files is read again. A version that was passed over, because a later one
         * had replaced it, is current again if that later one was lost; and one counter serves
         * both files. */
        actions->files[i].cursor = 0;
    }
    link->rescuing = link->rescuing || lost;
    link->run = event->run;
    link->feed_open = true;
    link->dirty = true;
    actions->what |= SYNC_DO_ADOPT | SYNC_DO_OPEN_FEED;
    move_to(link, SYNC_LINK_CATCHING_UP, actions);
}

static void on_checked(struct sync_link *link, const struct sync_event *event,
                       struct sync_actions *actions)
{
    link->checking = false;
    link->waiting = false;
    link->tried = 0;
    link->next_ms = event->now_ms + link->interval_ms;
    if (is_connected(link) && !uuid_equal(event->run, link->run)) {
        /* Another process answers: begin anew with it when the feed has closed. */
        actions->what |= SYNC_DO_CLOSE_FEED;
        move_to(link, SYNC_LINK_OFFLINE, actions);
        link->next_ms = event->now_ms;
        return;
    }
    if (link->state == SYNC_LINK_CHECKING) {
        adopt(link, event, actions);
    }
}

static void on_feed_ended(struct sync_link *link, int64_t now_ms, struct sync_actions *actions)
{
    link->feed_open = false;
    if (is_connected(link)) {
        lose(link, now_ms, actions);
    }
}

static void on_lost(struct sync_link *link, const struct sync_event *event,
                    struct sync_actions *actions)
{
    if (is_connected(link) && uuid_equal(event->run, link->run)) {
        lose(link, event->now_ms, actions);
    }
}

/* What has no room anywhere can still be read: the feed goes on. */
static void on_push_failed(struct sync_link *link, const struct sync_event *event,
                           struct sync_actions *actions)
{
    link->pushing = false;
    link->dirty = true;
    link->full = event->full ? link->full + 1 : 0;
    if (link->full >= link->datastore_count) {
        link->full = 0;
        link->waiting = is_connected(link);
    } else {
        on_lost(link, event, actions);
    }
}

void sync_step(struct sync_link *link, const struct sync_event *event,
               struct sync_actions *ret_actions)
{
    *ret_actions = (struct sync_actions){0};
    switch (event->type) {
    case SYNC_EVENT_TIME:
        on_time(link, event->now_ms, ret_actions);
        break;
    case SYNC_EVENT_DIRTY:
        link->dirty = true;
        break;
    case SYNC_EVENT_CHECKED:
        on_checked(link, event, ret_actions);
        break;
    case SYNC_EVENT_CHECK_FAILED:
        link->checking = false;
        lose(link, event->now_ms, ret_actions);
        break;
    case SYNC_EVENT_THROUGH:
        if (link->state == SYNC_LINK_CATCHING_UP) {
            link->rescuing = false;
            move_to(link, SYNC_LINK_LIVE, ret_actions);
        }
        break;
    case SYNC_EVENT_FEED_ENDED:
        on_feed_ended(link, event->now_ms, ret_actions);
        break;
    case SYNC_EVENT_PUSHED:
        link->pushing = false;
        link->full = 0;
        link->dirty = link->dirty || event->more;
        break;
    case SYNC_EVENT_PUSH_FAILED:
        on_push_failed(link, event, ret_actions);
        break;
    case SYNC_EVENT_LOST:
        on_lost(link, event, ret_actions);
        break;
    }
    push_if_due(link, ret_actions);
}
