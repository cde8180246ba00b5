/* Tested by link_filter_test.c and replication_test.c. */
#include "indexer/link_record.h"

#include "base/err.h"

void link_maker_deinit(struct link_maker *maker)
{
    link_told_deinit(&maker->told);
    buf_deinit(&maker->filtered);
    buf_deinit(&maker->nothing);
}

static int make(struct link_maker *maker, const struct datalog_record *record,
                struct buf *definitions, struct replicate_record *out)
{
    struct datalog_record passed = *record;
    int rc = 0;
    if (maker->filter != NULL) {
        rc = link_filter_record(maker->filter, maker->catalogue, record, &maker->filtered, &passed);
        out->well = passed.well;
        out->payload = passed.payload;
    }
    if (rc == LINK_FILTER_NONE) {
        *out = link_poison_placeholder(out, &maker->nothing);
        return 0;
    }
    return rc < 0 ? rc : link_tell_series(&maker->told, maker->catalogue, &passed, definitions);
}

int link_make_record(struct link_maker *maker, const struct datalog_record *record,
                     struct replicate_head head, struct buf *definitions,
                     struct replicate_record *ret_record)
{
    *ret_record = (struct replicate_record){
        .log_position = record->position,
        .head = head,
        .type = record->type,
        .well = record->well,
        .payload = record->payload,
    };
    int rc = make(maker, record, definitions, ret_record);
    if (rc < 0) {
        rc = link_poison_note(maker->poison, ret_record, SPAN_NONE, maker->link, rc);
    }
    if (rc == LINK_POISON_ASIDE) {
        *ret_record = link_poison_placeholder(ret_record, &maker->nothing);
        maker->aside++;
    }
    return rc < 0 ? rc : 0;
}
