#include "replicate/pace.h"

#include "base/check.h"

#define SECOND_NS UINT64_C(1000000000)

int64_t replicate_pace_wait_ns(const struct replicate_pace *pace, int64_t now_ns)
{
    return pace->bytes_per_s == 0 ? 0 : MAX(pace->paid_ns - now_ns, INT64_C(0));
}

void replicate_pace_take(struct replicate_pace *pace, uint64_t bytes, int64_t now_ns)
{
    if (pace->bytes_per_s == 0) {
        return;
    }
    uint64_t cost_ns = bytes * SECOND_NS / pace->bytes_per_s;
    pace->paid_ns = MAX(pace->paid_ns, now_ns - REPLICATE_PACE_BURST_NS);
    pace->paid_ns += (int64_t)cost_ns;
}
