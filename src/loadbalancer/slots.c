#include "loadbalancer/slots.h"

#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

struct slots {
    struct slots_options options;
    struct slot *slots;
    VEC(struct slot_change) changes;
    struct slots_report report; /* of the last list */
};

struct slots *slots_new(const struct slots_options *options)
{
    CHECK(options->count > 0 && options->count <= SLOTS_MAX);
    struct slots *slots = MEM_NEW(struct slots);
    slots->options = *options;
    slots->slots = mem_alloc_array(options->count, sizeof(*slots->slots));
    return slots;
}

void slots_free(struct slots **ref)
{
    struct slots *slots = *ref;
    if (slots != NULL) {
        vec_deinit(&slots->changes);
        mem_free(slots->slots);
        mem_free(slots);
        *ref = NULL;
    }
}

size_t slots_count(const struct slots *slots)
{
    return slots->options.count;
}

const struct slot *slots_get(const struct slots *slots, size_t index)
{
    CHECK(index < slots->options.count);
    return &slots->slots[index];
}

size_t slots_serving(const struct slots *slots)
{
    size_t serving = 0;
    for (size_t i = 0; i < slots->options.count; i++) {
        serving += slots->slots[i].state == SLOT_READY;
    }
    return serving;
}

static bool same_place(const struct slot_target *a, const struct slot_target *b)
{
    return a->port == b->port && strcmp(a->address, b->address) == 0;
}

static void change(struct slots *slots, size_t index, enum slot_change_kind kind)
{
    static const enum slot_state next[] = {
        [SLOT_CHANGE_FILL] = SLOT_READY,
        [SLOT_CHANGE_READY] = SLOT_READY,
        [SLOT_CHANGE_DRAIN] = SLOT_DRAINING,
        [SLOT_CHANGE_EMPTY] = SLOT_FREE,
    };
    slots->slots[index].state = next[kind];
    vec_push(&slots->changes, (struct slot_change){kind, index});
}

static struct slot *slot_of(struct slots *slots, const struct slot_target *target)
{
    for (size_t i = 0; i < slots->options.count; i++) {
        struct slot *slot = &slots->slots[i];
        if (slot->state != SLOT_FREE && same_place(&slot->target, target)) {
            return slot;
        }
    }
    return NULL;
}

/* A free slot, else the one whose webserver has been off the list longest; NULL: all are listed. */
static struct slot *slot_to_fill(struct slots *slots)
{
    struct slot *best = NULL;
    for (size_t i = 0; i < slots->options.count; i++) {
        struct slot *slot = &slots->slots[i];
        if (slot->state == SLOT_FREE) {
            return slot;
        }
        if (!slot->listed && (best == NULL || slot->gone_ms < best->gone_ms)) {
            best = slot;
        }
    }
    return best;
}

static void unlist_all(struct slots *slots, int64_t now_ms)
{
    for (size_t i = 0; i < slots->options.count; i++) {
        struct slot *slot = &slots->slots[i];
        slot->gone_ms = slot->listed ? now_ms : slot->gone_ms;
        slot->listed = false;
    }
}

static bool is_repeated(const struct slots_list *list, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_place(&list->targets[i], &list->targets[index])) {
            return true;
        }
    }
    return false;
}

/* Those that have a slot come first, so that nobody loses it to a newcomer. */
static void list_known(struct slots *slots, const struct slots_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct slot *slot = slot_of(slots, &list->targets[i]);
        if (is_repeated(list, i)) {
            slots->report.duplicates++;
        } else if (slot != NULL) {
            slot->listed = true;
            if (slot->state == SLOT_DRAINING) {
                change(slots, (size_t)(slot - slots->slots), SLOT_CHANGE_READY);
            }
        }
    }
}

static void place(struct slots *slots, const struct slot_target *target)
{
    struct slot *slot = slot_to_fill(slots);
    if (slot == NULL) {
        slots->report.unplaced++;
        return;
    }
    size_t index = (size_t)(slot - slots->slots);
    if (slot->state != SLOT_FREE) {
        change(slots, index, SLOT_CHANGE_EMPTY);
    }
    slot->target = *target;
    slot->listed = true;
    change(slots, index, SLOT_CHANGE_FILL);
}

static void take_list(struct slots *slots, const struct slots_list *list, int64_t now_ms)
{
    slots->report = (struct slots_report){0};
    unlist_all(slots, now_ms);
    list_known(slots, list);
    for (size_t i = 0; i < list->count; i++) {
        if (!is_repeated(list, i) && slot_of(slots, &list->targets[i]) == NULL) {
            place(slots, &list->targets[i]);
        }
    }
}

static void let_go(struct slots *slots, int64_t now_ms)
{
    for (size_t i = 0; i < slots->options.count; i++) {
        struct slot *slot = &slots->slots[i];
        int64_t away_ms = now_ms - slot->gone_ms;
        if (slot->listed || slot->state == SLOT_FREE) {
            continue;
        }
        if (away_ms >= slots->options.linger_ms + slots->options.drain_ms) {
            change(slots, i, SLOT_CHANGE_EMPTY);
        } else if (away_ms >= slots->options.linger_ms && slot->state == SLOT_READY) {
            change(slots, i, SLOT_CHANGE_DRAIN);
        }
    }
}

const struct slot_change *slots_step(struct slots *slots, const struct slots_list *list,
                                     int64_t now_ms, size_t *ret_change_count,
                                     struct slots_report *ret_report)
{
    vec_clear(&slots->changes);
    if (list != NULL) {
        take_list(slots, list, now_ms);
    }
    let_go(slots, now_ms);
    *ret_change_count = slots->changes.count;
    *ret_report = slots->report;
    return slots->changes.items;
}
