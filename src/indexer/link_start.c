/* Tested by replication_test.c. */
#include "indexer/link_start.h"

int link_find_start(struct datalog *log, const struct replicate_message *welcome,
                    struct link_ignored ignored, struct replicate_sender *sender,
                    uint64_t *ret_position)
{
    struct replicate_places before = {0};
    struct buf rows = {0};
    uint64_t at = datalog_end(log);
    int rc = 0;
    replicate_sender_begin(sender, welcome->origin, &welcome->places, &welcome->doubt, &before);
    for (;;) {
        buf_clear(&rows);
        vec_clear(&before.all);
        rc = datalog_origins_before(log, at, &rows, ret_position);
        if (rc == DATALOG_TRIMMED || (rc < 0 && rc != ERR_CORRUPT)) {
            break;
        }
        storage_raise_rows(&before, &rows);
        replicate_places_without(&before, ignored.nodes, ignored.count);
        replicate_sender_begin(sender, welcome->origin, &welcome->places, &welcome->doubt, &before);
        if (rc == 0 && replicate_sender_may_read(sender) == REPLICATE_SEND) {
            break;
        }
        at = *ret_position - 1;
    }
    replicate_places_deinit(&before);
    buf_deinit(&rows);
    return rc;
}

int link_look_at_file(struct datalog *log, uint64_t position, struct link_ignored ignored,
                      struct replicate_sender *sender, bool *ret_lacks)
{
    struct replicate_places places = {0};
    struct buf rows = {0};
    uint64_t first;
    int rc = datalog_origins_before(log, position, &rows, &first);
    if (rc == 0) {
        storage_raise_rows(&places, &rows);
        replicate_places_without(&places, ignored.nodes, ignored.count);
        *ret_lacks = replicate_sender_offer_places(sender, &places) == REPLICATE_SNAPSHOT;
    }
    buf_deinit(&rows);
    replicate_places_deinit(&places);
    return rc == ERR_CORRUPT || rc == DATALOG_TRIMMED ? 0 : rc;
}

bool link_lacks_more(struct storage *storage, uint64_t position, struct link_ignored ignored,
                     struct replicate_sender *sender)
{
    struct replicate_places here = {0};
    storage_places(storage, &here);
    replicate_places_without(&here, ignored.nodes, ignored.count);
    bool lacks = position == datalog_end(storage_log(storage)) &&
                 replicate_sender_offer_places(sender, &here) == REPLICATE_SNAPSHOT;
    replicate_places_deinit(&here);
    return lacks;
}
