/* Values found in any text lie inside it, whatever is looked for. */
#include "base/check.h"
#include "query/modules/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct json_path paths[] = {
        {.steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0}}, .count = 1},
        {.steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0},
                   {JSON_STEP_KEY, {(const uint8_t *)"b", 1}, 0}},
         .count = 2},
        {.steps = {{JSON_STEP_KEY, {(const uint8_t *)"a", 1}, 0},
                   {JSON_STEP_ANY, {(const uint8_t *)"", 0}, 0},
                   {JSON_STEP_KEY, {(const uint8_t *)"b", 1}, 0}},
         .count = 3},
        {.steps = {{JSON_STEP_INDEX, {(const uint8_t *)"", 0}, 1}}, .count = 1},
        {.steps = {{JSON_STEP_ANY, {(const uint8_t *)"", 0}, 0},
                   {JSON_STEP_INDEX, {(const uint8_t *)"", 0}, 0}},
         .count = 2},
    };
    const struct json_path *list[ARRAY_COUNT(paths)];
    struct span found[ARRAY_COUNT(paths)];
    bool broken = false;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        list[i] = &paths[i];
    }
    uint64_t wanted = (UINT64_C(1) << ARRAY_COUNT(paths)) - 1;
    uint64_t done = json_scan(span_of(data, bytes), list, wanted, found, &broken);
    CHECK((done & ~wanted) == 0);
    for (; done != 0; done &= done - 1) {
        struct span one = found[__builtin_ctzll(done)];
        CHECK(one.data >= data && one.data + one.bytes <= data + bytes);
    }
    return 0;
}
