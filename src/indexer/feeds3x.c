/* Tested by tests/cluster/test_warp10_3x.py. */
#include "indexer/feeds3x.h"

#include "base/mem.h"
#include "indexer/consumer3x.h"
#include "indexer/feeder3x.h"

struct feeds3x {
    struct names3x *names;
    struct consumers3x *consumers;
    struct feeder3x *feeder;
};

int feeds3x_check(const struct conf *conf)
{
    int rc = consumers3x_check(conf);
    return rc < 0 ? rc : feeder3x_check(conf);
}

int feeds3x_start(struct io *io, const struct conf *conf, struct storage *storage,
                  struct feeds3x **ret_feeds)
{
    struct feeds3x *feeds = MEM_NEW(struct feeds3x);
    feeds->names = names3x_new();
    int rc = consumers3x_start(io, conf, storage, feeds->names, &feeds->consumers);
    rc = rc < 0 ? rc : feeder3x_start(io, conf, storage, feeds->names, &feeds->feeder);
    if (rc < 0) {
        feeds3x_stop(&feeds);
        return rc;
    }
    *ret_feeds = feeds;
    return 0;
}

int feeds3x_retry(struct feeds3x *feeds, struct span request)
{
    return consumers3x_retry(feeds->consumers, request);
}

void feeds3x_stop(struct feeds3x **feeds)
{
    if (*feeds == NULL) {
        return;
    }
    feeder3x_stop(&(*feeds)->feeder);
    consumers3x_stop(&(*feeds)->consumers);
    names3x_free(&(*feeds)->names);
    mem_free(*feeds);
    *feeds = NULL;
}
