#include "well/partition.h"

#include <inttypes.h>

#include "base/mem.h"

#define DIGITS 12
#define POSITION_DIGITS 20

char *well_file_name(const char *dir, const struct well_file_name *name)
{
    if (name->partition == WELL_PARTITION_MIXED) {
        return mem_printf("%s/%0*" PRIu64 "-%0*" PRIu64 ".seg", dir, DIGITS, name->first, DIGITS,
                          name->last);
    }
    CHECK(name->partition >= -WELL_PARTITION_NUMBER_MAX);
    CHECK(name->partition <= WELL_PARTITION_NUMBER_MAX);
    return mem_printf("%s/%0*" PRIu64 "-%0*" PRIu64 "%+06d.seg", dir, DIGITS, name->first, DIGITS,
                      name->last, (int)name->partition);
}

/* Takes exactly `digits` digits off the front. */
static bool take_number(struct span *rest, size_t digits, uint64_t *ret_number)
{
    struct span number = span_first(*rest, digits);
    if (number.bytes < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (number.data[i] < '0' || number.data[i] > '9') {
            return false;
        }
    }
    *rest = span_from(*rest, digits);
    return span_to_u64(number, ret_number);
}

static bool take_partition(struct span *rest, int64_t *ret_partition)
{
    *ret_partition = WELL_PARTITION_MIXED;
    if (rest->bytes == 0 || (rest->data[0] != '+' && rest->data[0] != '-')) {
        return true;
    }
    bool negative = rest->data[0] == '-';
    uint64_t number;
    *rest = span_from(*rest, 1);
    if (!take_number(rest, 5, &number)) {
        return false;
    }
    *ret_partition = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

bool well_file_name_parse(struct span text, struct well_file_name *ret_name)
{
    struct well_file_name name;
    if (!take_number(&text, DIGITS, &name.first) || !span_starts_with(text, SPAN_LIT("-"))) {
        return false;
    }
    text = span_from(text, 1);
    if (!take_number(&text, DIGITS, &name.last) || !take_partition(&text, &name.partition) ||
        !span_equal(text, SPAN_LIT(".seg")) || name.first > name.last) {
        return false;
    }
    *ret_name = name;
    return true;
}

bool well_file_supersedes(const struct well_file_name *outer, const struct well_file_name *inner)
{
    bool within = outer->partition == inner->partition && outer->first <= inner->first &&
                  inner->last <= outer->last;
    return within && (outer->first != inner->first || outer->last != inner->last);
}

char *well_mark_name(const char *dir, const struct well_mark *mark)
{
    return mem_printf("%s/flushed-%0*" PRIu64 "-%0*" PRIu64, dir, DIGITS, mark->flush,
                      POSITION_DIGITS, mark->log_end);
}

bool well_mark_name_parse(struct span text, struct well_mark *ret_mark)
{
    struct well_mark mark;
    if (!span_starts_with(text, SPAN_LIT("flushed-"))) {
        return false;
    }
    text = span_from(text, 8);
    if (!take_number(&text, DIGITS, &mark.flush) || !span_starts_with(text, SPAN_LIT("-"))) {
        return false;
    }
    text = span_from(text, 1);
    if (!take_number(&text, POSITION_DIGITS, &mark.log_end) || text.bytes > 0) {
        return false;
    }
    *ret_mark = mark;
    return true;
}
