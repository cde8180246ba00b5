/*
 * Points for the benchmarks: see points_data.h.
 *
 *     points influx SERIES STEPS                 as Influx lines, one scrape of all series a step
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "points_data.h"

static void print_influx(uint32_t series, uint64_t steps)
{
    struct points_data data;
    points_data_init(&data, series);
    for (uint64_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < series; i++) {
            int64_t value = points_next(&data, i);
            printf("%s,host=host-%" PRIu32 ",rack=r%" PRIu32 " value=", kind_names[i % KINDS],
                   i / KINDS, i / KINDS % 20);
            if (points_is_counter(i)) {
                printf("%" PRId64 "i", value);
            } else {
                printf("%" PRId64 ".%02" PRId64, value / 100, value % 100);
            }
            printf(" %" PRId64 "\n", points_time(i, step));
        }
    }
    free(data.state);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "influx") == 0) {
        print_influx((uint32_t)strtoul(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
        return 0;
    }
    fprintf(stderr, "points influx SERIES STEPS\n");
    return 2;
}
