/*
 * The points of the benchmarks, the same on each run: what SERIES / 10 hosts say every 10 s of ten
 * things each. Of the ten, six are gauges that wander, with two decimals; two are counters; one is
 * a temperature with one decimal that mostly stays as it is; one is hardly ever not 0.
 */
#ifndef BENCH_POINTS_DATA_H
#define BENCH_POINTS_DATA_H

#include <stdint.h>
#include <stdlib.h>

#define KINDS 10
#define STEP_NS INT64_C(10000000000)
#define BEGIN_NS INT64_C(1700000000000000000)

static const char *const kind_names[KINDS] = {"cpu_user",  "cpu_system",  "load",    "mem_used",
                                              "disk_used", "net_latency", "packets", "requests",
                                              "heat",      "errors"};

struct points_data {
    uint32_t series; /* numbered host by host */
    uint64_t random;
    int64_t *state;
};

static inline uint64_t points_random(struct points_data *data)
{
    data->random ^= data->random << 13;
    data->random ^= data->random >> 7;
    data->random ^= data->random << 17;
    return data->random;
}

static inline void points_data_init(struct points_data *data, uint32_t series)
{
    *data = (struct points_data){series, UINT64_C(0x9E3779B97F4A7C15), NULL};
    data->state = calloc(series, sizeof(*data->state));
    for (uint32_t i = 0; i < series; i++) {
        data->state[i] = (int64_t)(points_random(data) % 10000);
    }
}

/* A host asks all of its things at once, each host at its own moment of the ten seconds. */
static inline int64_t points_time(uint32_t series, uint64_t step)
{
    return BEGIN_NS + (int64_t)step * STEP_NS + (int64_t)(series / KINDS * 7 % 10000) * 1000000;
}

static inline int points_is_counter(uint32_t series)
{
    return series % KINDS == 6 || series % KINDS == 7;
}

/* The next value of a series in hundredths, or, of a counter, as it is. */
static inline int64_t points_next(struct points_data *data, uint32_t series)
{
    int64_t *state = &data->state[series];
    uint64_t random = points_random(data);
    if (points_is_counter(series)) {
        *state += (int64_t)(random % 1000);
        return *state;
    }
    if (series % KINDS == 8) {
        *state += random % 20 == 0 ? ((int64_t)(random >> 32) % 5 - 2) * 10 : 0;
        *state = *state < 0 ? 0 : *state;
        return *state / 10 * 10;
    }
    if (series % KINDS == 9) {
        return random % 500 == 0 ? (int64_t)((random >> 32) % 900) * 100 : 0;
    }
    *state += (int64_t)(random % 201) - 100;
    *state = *state < 0 ? -*state : *state > 10000 ? 20000 - *state : *state;
    return *state;
}

static inline double points_double(int64_t hundredths)
{
    return (double)hundredths / 100;
}

#endif
