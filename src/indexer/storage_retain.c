/*
 * Retention of the wells: every second, as long as there is something to drop. The time rule is
 * not kept for one hour of the day as in the reference system: a partition goes as soon as its
 * newest entry is too old, which is cheap, and disks do not breathe once a day.
 */
#include <inttypes.h>

#include "base/time.h"
#include "indexer/storage_internal.h"

#define ROUND_PARTITIONS_MAX 8 /* of one well, so that merging and the other wells have a turn */

static void say_dropped(struct storage *storage, const struct storage_slot *slot,
                        const struct well_dropped *dropped)
{
    char oldest[TIME_TEXT_BYTES];
    char newest[TIME_TEXT_BYTES];
    storage_report(storage,
                   "well %s: dropped the entries of %s to %s because of %s: %" PRIu64
                   " entries, %" PRIu64 " points, %" PRIu64 " bytes, %zu segments",
                   slot->name, time_text(dropped->oldest_ns, oldest),
                   time_text(dropped->newest_ns, newest), dropped->rule, dropped->entries,
                   dropped->points, dropped->bytes, dropped->segments);
}

/* Of a memory well entries go all the time: said once per rule, then a counter. */
static void say_evicted(struct storage *storage, struct storage_slot *slot,
                        const struct well_dropped *dropped)
{
    if (slot->memory_rule != dropped->rule) {
        slot->memory_rule = dropped->rule;
        storage_report(storage, "well %s: its oldest entries leave memory because of %s",
                       slot->name, dropped->rule);
    }
}

/* Said once, until it has another reason or there is none any more. */
static void say_kept(struct storage *storage, struct storage_slot *slot,
                     const struct well_dropped *dropped)
{
    char oldest[TIME_TEXT_BYTES];
    char newest[TIME_TEXT_BYTES];
    if (slot->kept == dropped->kept) {
        return;
    }
    slot->kept = dropped->kept;
    storage_report(storage,
                   "well %s: the entries of %s to %s should go because of %s, but stay: %s",
                   slot->name, time_text(dropped->oldest_ns, oldest),
                   time_text(dropped->newest_ns, newest), dropped->rule, dropped->kept);
}

static int retain_well(struct storage *storage, struct storage_slot *slot)
{
    for (int i = 0; i < ROUND_PARTITIONS_MAX; i++) {
        struct well_dropped dropped;
        int rc = well_retain(slot->well, &slot->retention, &dropped);
        if (rc < 0) {
            return rc;
        }
        if (rc == WELL_KEPT) {
            say_kept(storage, slot, &dropped);
            return 0;
        }
        slot->kept = NULL;
        if (rc == WELL_NOTHING) {
            return 0;
        }
        if (slot->memory_bytes_max > 0) {
            say_evicted(storage, slot, &dropped);
        } else {
            say_dropped(storage, slot, &dropped);
        }
    }
    return 0;
}

int storage_retain(struct storage *storage)
{
    int rc = 0;
    for (size_t i = 0; i < storage->slots.count; i++) {
        int well_rc = retain_well(storage, &storage->slots.items[i]);
        rc = well_rc < 0 ? well_rc : rc;
    }
    return rc;
}
