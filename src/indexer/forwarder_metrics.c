/* What /metrics shows of a forwarder. Tested by tests/cluster/test_replication.py. */
#include "base/mem.h"
#include "indexer/forwarder_internal.h"
#include "service/metrics.h"

/* Of a forwarder: type, name, what it is, from its info. */
#define FORWARDER_METRICS(X)                                                                       \
    X(gauge, lag_records, "records the target has not acknowledged", (double)info.lag_records)     \
    X(gauge, lag_bytes, "their bytes in the log", (double)info.lag_bytes)                          \
    X(gauge, lag_seconds, "age of the oldest of them", (double)info.lag_ns / 1e9)                  \
    X(gauge, following, "1 while the target has everything but that",                              \
      info.state == FORWARDER_FOLLOWING)                                                           \
    X(gauge, detached, "1: it held back more than Max-Datalog-GB and needs a snapshot",            \
      info.detached)                                                                               \
    X(counter, snapshots_total, "snapshots begun since start", (double)info.snapshots)             \
    X(gauge, snapshot_elements, "elements sent of the present or last snapshot",                   \
      (double)info.given)                                                                          \
    X(gauge, records_per_second, "sent in the last second", (double)info.records_per_s)            \
    X(counter, sent_records_total, "records sent", (double)info.records)                           \
    X(counter, sent_bytes_total, "bytes written to the target", (double)info.bytes)                \
    X(counter, link_faults_total, "links that ended with a fault", (double)info.faults)

#define X(type, name, help, value)                                                                 \
    static double read_##name(void *context)                                                       \
    {                                                                                              \
        struct forwarder_info info;                                                                \
        forwarder_info(context, &info);                                                            \
        return value;                                                                              \
    }
FORWARDER_METRICS(X)
#undef X

static void count_behind(void *context, const struct forwarder_origin *origin)
{
    *(double *)context += origin->theirs.position < origin->ours.position ? 1 : 0;
}

static double read_origins_behind(void *context)
{
    double behind = 0;
    forwarder_origins(context, count_behind, &behind);
    return behind;
}

void forwarder_publish(struct forwarder *forwarder, const char *name)
{
    char *label = mem_printf("forwarder=\"%s\"", name);
#define X(type, name, help, value)                                                                 \
    metric_##type##_call("aquifer_datalog_" #name, help, label, read_##name, forwarder);
    FORWARDER_METRICS(X)
#undef X
    metric_gauge_call("aquifer_datalog_origins_behind",
                      "origins of which the target lacks something", label, read_origins_behind,
                      forwarder);
    mem_free(label);
}
