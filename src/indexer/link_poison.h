/*
 * Records that cannot be applied here, or not be told to a target: each is tried five times, over
 * as many links as it takes, then set aside in quarantine with its reason, place and bytes
 * (`aquifer datalog quarantine`), and a record with nothing in it takes its place, so that the
 * stream goes on. A disk that is full, a link that breaks and the like are no fault of the record.
 * Any number of threads.
 *
 * What is set aside is, as the request of warp10/refused.h, a line of text that says what it is,
 * and the two messages of a link that bring it: series, records.
 */
#ifndef INDEXER_LINK_POISON_H
#define INDEXER_LINK_POISON_H

#include "indexer/storage.h"
#include "replicate/message.h"

#define LINK_POISON_TRIES 5
#define LINK_POISON_RECORDS_MAX 256 /* that are tried at the same time; older ones begin anew */

struct link_poison;

/* `dir` NULL: nothing is set aside, a poison record is tried for ever. Copies it. */
struct link_poison *link_poison_new(struct io *io, const char *dir);
void link_poison_free(struct link_poison **poison);

/* Whether a fault with a record is the record's own. */
bool link_poison_is(int rc);

enum link_poison_outcome {
    LINK_POISON_ASIDE = 1, /* it is in quarantine: put link_poison_placeholder() in its place */
};

/* `record` failed once more with err_text(), on a link of that name. `definitions` are of its
 * series, as far as they are known. The fault goes on when it is to be tried again or cannot
 * be set aside. */
MUST_CHECK int link_poison_note(struct link_poison *poison, const struct replicate_record *record,
                                struct span definitions, const char *link, int rc);

/* The same record, with nothing in it. Borrows from the record and `payload`, which it fills. */
struct replicate_record link_poison_placeholder(const struct replicate_record *record,
                                                struct buf *payload);
/* For who receives: a time from years ahead, which no log takes, becomes this node's now. */
struct replicate_record link_poison_instead(const struct link_poison *poison,
                                            const struct replicate_record *record,
                                            struct buf *payload);

uint64_t link_poison_count(struct link_poison *poison); /* set aside since start */

/* Applies what was set aside, under a place of its own and with the time it had. Waits. */
MUST_CHECK int link_poison_retry(struct io *io, struct storage *storage, struct span request);

#endif
