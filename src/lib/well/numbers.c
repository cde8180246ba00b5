#include "well/numbers.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include <zstd.h>

#include "base/mem.h"
#include "base/wire.h"

#define GROUP 128
#define EXPONENT_MAX 18
#define SAMPLE 64
#define ZSTD_COUNT_MIN 64
#define REPEATS_SAMPLE 256

/* The first byte: how, and whether there is a divisor. */
enum { AS_IS, DELTAS, DELTAS_ZIGZAG, DELTAS_TWICE, TRANSFORMS };
enum {
    PACK_NONE = 0,
    PACK_BITS = 4,
    PACK_PLANES = 8,
    PACK_RECORDS = 12,
    PACK_MASK = 12,
    DIVIDED = 16
};

/* The first byte of doubles: the exponent of decimal ones, or: */
#define DOUBLES_BITS 32

static const double powers[EXPONENT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                1e14, 1e15, 1e16, 1e17, 1e18};

void numbers_deinit(struct numbers *numbers)
{
    ZSTD_freeCCtx(numbers->writing);
    ZSTD_freeDCtx(numbers->reading);
    for (size_t i = 0; i < ARRAY_COUNT(numbers->scratch); i++) {
        buf_deinit(&numbers->scratch[i]);
    }
    *numbers = (struct numbers){0};
}

static void *scratch(struct numbers *numbers, size_t which, size_t bytes)
{
    buf_clear(&numbers->scratch[which]);
    return buf_reserve(&numbers->scratch[which], bytes);
}

static uint64_t zigzag(uint64_t value)
{
    return value << 1 ^ (uint64_t)((int64_t)value >> 63);
}

static uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

static unsigned width_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static uint64_t mask_of(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

static size_t packed_bytes(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/*
 * Bits: groups of up to GROUP, each with the width that makes it smallest; what is wider has its
 * upper part behind the group.
 */

static size_t exception_bytes(unsigned upper_width)
{
    return 1 + (upper_width + 6) / 7;
}

/* The width with the smallest sum, with exceptions for at most a quarter of them. */
static unsigned best_width(const uint64_t *values, size_t count, size_t *ret_bytes)
{
    uint8_t widths[65] = {0};
    unsigned widest = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned width = width_of(values[i]);
        widths[width]++;
        widest = MAX(widest, width);
    }
    unsigned best = widest;
    size_t best_bytes = packed_bytes(count, widest);
    size_t exceptions = widths[widest];
    for (unsigned width = widest; width-- > 0 && exceptions <= count / 4;) {
        size_t bytes = packed_bytes(count, width);
        for (unsigned wider = width + 1; wider <= widest && bytes < best_bytes; wider++) {
            bytes += widths[wider] * exception_bytes(wider - width);
        }
        if (bytes < best_bytes) {
            best = width;
            best_bytes = bytes;
        }
        exceptions += widths[width];
    }
    *ret_bytes = 2 + best_bytes;
    return best;
}

static size_t bits_bytes(const uint64_t *values, size_t count)
{
    size_t sum = 0;
    for (size_t from = 0; from < count; from += GROUP) {
        size_t bytes;
        (void)best_width(values + from, MIN(count - from, (size_t)GROUP), &bytes);
        sum += bytes;
    }
    return sum;
}

static void pack(const uint64_t *values, size_t count, unsigned width, struct buf *buf)
{
    size_t bytes = packed_bytes(count, width);
    uint8_t *to = buf_reserve(buf, bytes + 8);
    uint64_t word = 0;
    unsigned used = 0;
    buf->bytes += bytes;
    for (size_t i = 0; width > 0 && i < count; i++) {
        uint64_t value = values[i] & mask_of(width);
        word |= value << used;
        used += width;
        if (used >= 64) {
            wire_store_u64(to, word);
            to += 8;
            used -= 64;
            word = used > 0 ? value >> (width - used) : 0;
        }
    }
    if (used > 0) {
        wire_store_u64(to, word);
    }
}

static void put_group(const uint64_t *values, size_t count, struct buf *buf)
{
    size_t bytes;
    unsigned width = best_width(values, count, &bytes);
    wire_put_u8(buf, (uint8_t)width);
    size_t exceptions_at = buf->bytes;
    wire_put_u8(buf, 0);
    pack(values, count, width, buf);
    for (size_t i = 0; i < count; i++) {
        if (width_of(values[i]) > width) {
            buf->data[exceptions_at]++;
            wire_put_u8(buf, (uint8_t)i);
            wire_put_varint(buf, values[i] >> width);
        }
    }
}

/* `at` has 8 more readable bytes behind those of the group. */
static void unpack(const uint8_t *at, size_t count, unsigned width, uint64_t *values)
{
    uint64_t mask = mask_of(width);
    size_t bit = 0;
    for (size_t i = 0; i < count; i++, bit += width) {
        uint64_t word;
        memcpy(&word, at + bit / 8, 8);
        word = le64toh(word) >> bit % 8;
        if (bit % 8 + width > 64) {
            word |= (uint64_t)at[bit / 8 + 8] << (64 - bit % 8);
        }
        values[i] = word & mask;
    }
}

static bool get_group(struct span *rest, uint64_t *values, size_t count)
{
    if (rest->bytes < 2 || rest->data[0] > 64 || rest->data[1] > count) {
        return false;
    }
    unsigned width = rest->data[0];
    size_t exceptions = rest->data[1];
    size_t bytes = packed_bytes(count, width);
    *rest = span_from(*rest, 2);
    if (bytes > rest->bytes) {
        return false;
    }
    if (width == 0) {
        memset(values, 0, count * sizeof(*values));
    } else if (rest->bytes - bytes >= 8) {
        unpack(rest->data, count, width, values);
    } else {
        uint8_t copy[GROUP * 8 + 8] = {0};
        memcpy(copy, rest->data, bytes);
        unpack(copy, count, width, values);
    }
    *rest = span_from(*rest, bytes);
    if (exceptions == 0) {
        return true;
    }
    struct wire_reader reader = wire_reader_of(*rest);
    for (size_t i = 0; i < exceptions; i++) {
        uint8_t place = wire_get_u8(&reader);
        uint64_t upper = wire_get_varint(&reader);
        if (reader.failed || place >= count || width >= 64) {
            return false;
        }
        values[place] |= upper << width;
    }
    *rest = reader.rest;
    return true;
}

/*
 * Bytes, in a zstd frame: planes, the lowest bytes of all numbers first, where neighbours are near;
 * or records, the bytes of each number side by side, where numbers come again.
 */

static void lay_out(const uint64_t *values, size_t count, size_t width, bool planes, uint8_t *to)
{
    size_t next = planes ? 1 : width;
    size_t step = planes ? count : 1;
    for (size_t byte = 0; byte < width; byte++) {
        for (size_t i = 0; i < count; i++) {
            to[byte * step + i * next] = (uint8_t)(values[i] >> byte * 8);
        }
    }
}

/* Appends them unless there would be `limit` bytes or more. */
static bool put_bytes(struct numbers *numbers, const uint64_t *values, size_t count, bool planes,
                      size_t limit, struct buf *buf)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all |= values[i];
    }
    size_t width = MAX((width_of(all) + 7) / 8, 1u);
    uint8_t *raw = scratch(numbers, 3, width * count);
    lay_out(values, count, width, planes, raw);
    if (numbers->writing == NULL) {
        numbers->writing = ZSTD_createCCtx();
        CHECK(numbers->writing != NULL);
        ZSTD_CCtx_setParameter(numbers->writing, ZSTD_c_compressionLevel, numbers->zstd_level);
        ZSTD_CCtx_setParameter(numbers->writing, ZSTD_c_contentSizeFlag, 0);
    }
    uint8_t *frame = scratch(numbers, 4, limit);
    size_t bytes = ZSTD_compress2(numbers->writing, frame, limit, raw, width * count);
    if (ZSTD_isError(bytes) || bytes + 4 >= limit) {
        return false;
    }
    wire_put_u8(buf, (uint8_t)width);
    wire_put_bytes(buf, span_of(frame, bytes));
    return true;
}

static bool get_bytes(struct numbers *numbers, struct span *rest, bool planes, uint64_t *values,
                      size_t count)
{
    struct wire_reader reader = wire_reader_of(*rest);
    size_t width = wire_get_u8(&reader);
    struct span frame = wire_get_bytes(&reader, UINT32_MAX);
    if (reader.failed || width == 0 || width > 8) {
        return false;
    }
    if (numbers->reading == NULL) {
        numbers->reading = ZSTD_createDCtx();
        CHECK(numbers->reading != NULL);
    }
    uint8_t *raw = scratch(numbers, 3, width * count);
    size_t bytes =
        ZSTD_decompressDCtx(numbers->reading, raw, width * count, frame.data, frame.bytes);
    if (ZSTD_isError(bytes) || bytes != width * count) {
        return false;
    }
    size_t next = planes ? 1 : width;
    size_t step = planes ? count : 1;
    for (size_t i = 0; i < count; i++) {
        values[i] = raw[i * next];
    }
    for (size_t byte = 1; byte < width; byte++) {
        for (size_t i = 0; i < count; i++) {
            values[i] |= (uint64_t)raw[byte * step + i * next] << byte * 8;
        }
    }
    *rest = reader.rest;
    return true;
}

/*
 * Integers.
 */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What divides the differences to the first one; 0: all are equal. 1 when they are too far
 * apart to be told. */
static uint64_t divisor_of(const int64_t *values, size_t count)
{
    uint64_t divisor = 0;
    for (size_t i = 1; i < count; i++) {
        int64_t difference;
        if (__builtin_sub_overflow(values[i], values[0], &difference)) {
            return 1;
        }
        uint64_t size = difference < 0 ? 0 - (uint64_t)difference : (uint64_t)difference;
        if (size != 0 && (divisor == 0 || size % divisor != 0)) {
            divisor = common_divisor(size, divisor);
        }
        if (divisor == 1) {
            return 1;
        }
    }
    return divisor;
}

static void scale(const int64_t *values, size_t count, uint64_t divisor, uint64_t *to)
{
    uint64_t first = (uint64_t)values[0];
    for (size_t i = 0; i < count; i++) {
        uint64_t difference = (uint64_t)values[i] - first;
        to[i] = divisor <= 1 ? difference : (uint64_t)((int64_t)difference / (int64_t)divisor);
    }
}

/* What is packed of the scaled sequence, of which the first one is 0; *ret_base with it. */
static size_t transform(const uint64_t *scaled, size_t count, unsigned how, uint64_t *to,
                        uint64_t *ret_base)
{
    size_t out = how == AS_IS ? count : count - 1;
    const uint64_t *from = scaled + (count - out);
    int64_t low = INT64_MAX;
    uint64_t before = 0;
    *ret_base = how == DELTAS_TWICE ? scaled[1] : 0;
    for (size_t i = 0; i < out; i++) {
        uint64_t value = how == AS_IS ? from[i] : from[i] - from[(ptrdiff_t)i - 1];
        if (how == DELTAS_TWICE) {
            uint64_t difference = value - (i == 0 ? *ret_base : before);
            before = value;
            value = difference;
        }
        to[i] = how >= DELTAS_ZIGZAG ? zigzag(value) : value;
        low = MIN(low, (int64_t)value);
    }
    if (how <= DELTAS) {
        *ret_base = (uint64_t)low;
        for (size_t i = 0; i < out; i++) {
            to[i] -= (uint64_t)low;
        }
    }
    return out;
}

static bool all_zero(const uint64_t *values, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all |= values[i];
    }
    return all == 0;
}

/* The transform of fewest bits: what it gives is left in `best`. */
static unsigned choose(const uint64_t *scaled, size_t count, uint64_t *best, uint64_t *other,
                       size_t *ret_out, uint64_t *ret_base, size_t *ret_bytes)
{
    unsigned chosen = AS_IS;
    *ret_out = transform(scaled, count, AS_IS, best, ret_base);
    *ret_bytes = bits_bytes(best, *ret_out);
    for (unsigned how = DELTAS; how < TRANSFORMS && count > 1; how++) {
        uint64_t base;
        size_t out = transform(scaled, count, how, other, &base);
        size_t bytes = all_zero(other, out) ? 0 : bits_bytes(other, out);
        if (bytes < *ret_bytes) {
            chosen = how;
            *ret_out = out;
            *ret_base = base;
            *ret_bytes = bytes;
            memcpy(best, other, out * sizeof(*best));
        }
    }
    return chosen;
}

static void put_constant(const int64_t *values, size_t count, struct buf *buf)
{
    if (count > 0) {
        wire_put_u8(buf, PACK_NONE | AS_IS);
        wire_put_svarint(buf, values[0]);
    }
}

static void put_head(int64_t first, uint64_t divisor, unsigned how, uint64_t base, struct buf *buf)
{
    wire_put_u8(buf, (uint8_t)(how | (divisor > 1 ? DIVIDED : 0)));
    wire_put_svarint(buf, first);
    if (divisor > 1) {
        wire_put_varint(buf, divisor);
    }
    wire_put_svarint(buf, (int64_t)base);
}

/* By a sample: at least a quarter of the numbers have been there before, and most are not small. */
static bool do_repeat(const uint64_t *scaled, size_t count)
{
    uint64_t table[2 * REPEATS_SAMPLE] = {0};
    size_t sample = MIN(count, (size_t)REPEATS_SAMPLE);
    size_t repeats = 0;
    size_t wide = 0;
    for (size_t i = 0; i < sample; i++) {
        uint64_t value = scaled[i] + 1; /* 0: free */
        size_t place = (size_t)(value * UINT64_C(0x9e3779b97f4a7c15) >> 40) % ARRAY_COUNT(table);
        while (table[place] != 0 && table[place] != value) {
            place = (place + 1) % ARRAY_COUNT(table);
        }
        repeats += table[place] == value;
        wide += zigzag(scaled[i]) > UINT8_MAX;
        table[place] = value;
    }
    return repeats * 4 >= sample && wide * 2 >= sample;
}

/* Replaces what `buf` has from `begin` on, of which `bytes` are packed numbers, by records, if
 * these are clearly fewer. */
static bool put_records(struct numbers *numbers, const uint64_t *scaled, size_t count,
                        int64_t first, uint64_t divisor, size_t bytes, size_t begin,
                        struct buf *buf)
{
    uint64_t base;
    size_t end = buf->bytes;
    uint64_t *packed = scratch(numbers, 2, count * sizeof(*packed));
    (void)transform(scaled, count, AS_IS, packed, &base);
    put_head(first, divisor, AS_IS, base, buf);
    if (!put_bytes(numbers, packed, count, false, bytes - bytes / 16, buf)) {
        buf->bytes = end;
        return false;
    }
    buf->data[end] |= PACK_RECORDS;
    buf->bytes -= end - begin;
    memmove(buf->data + begin, buf->data + end, buf->bytes - begin);
    return true;
}

void numbers_put(struct numbers *numbers, const int64_t *values, size_t count, struct buf *buf)
{
    CHECK(count <= NUMBERS_COUNT_MAX);
    uint64_t divisor = count == 0 ? 1 : divisor_of(values, count);
    if (count == 0 || divisor == 0) {
        put_constant(values, count, buf);
        return;
    }
    uint64_t *scaled = scratch(numbers, 0, count * sizeof(*scaled));
    uint64_t *best = scratch(numbers, 1, count * sizeof(*best));
    uint64_t *other = scratch(numbers, 2, count * sizeof(*other));
    size_t out;
    size_t bytes;
    uint64_t base;
    scale(values, count, divisor, scaled);
    unsigned how = choose(scaled, count, best, other, &out, &base, &bytes);
    size_t begin = buf->bytes;
    put_head(values[0], divisor, how, base, buf);
    size_t head_end = buf->bytes;
    bool with_zstd = numbers->zstd_level != 0 && count >= ZSTD_COUNT_MIN && bytes > 0;
    unsigned packing = how == AS_IS || bytes > 0 ? PACK_BITS : PACK_NONE;
    if (with_zstd && put_bytes(numbers, best, out, true, bytes - bytes / 16, buf)) {
        packing = PACK_PLANES;
        bytes = buf->bytes - head_end;
    }
    if (with_zstd && do_repeat(scaled, count) &&
        put_records(numbers, scaled, count, values[0], divisor, bytes, begin, buf)) {
        return;
    }
    buf->data[begin] = (uint8_t)(buf->data[begin] | packing);
    for (size_t from = 0; packing == PACK_BITS && from < out; from += GROUP) {
        put_group(best + from, MIN(out - from, (size_t)GROUP), buf);
    }
}

static int corrupt(void)
{
    return err_set(ERR_CORRUPT, "a sequence of numbers is damaged");
}

static bool get_packed(struct numbers *numbers, unsigned packing, struct span *rest,
                       uint64_t *values, size_t count)
{
    if (packing == PACK_NONE) {
        memset(values, 0, count * sizeof(*values));
        return true;
    }
    if (packing != PACK_BITS) {
        return get_bytes(numbers, rest, packing == PACK_PLANES, values, count);
    }
    bool good = true;
    for (size_t from = 0; good && from < count; from += GROUP) {
        good = get_group(rest, values + from, MIN(count - from, (size_t)GROUP));
    }
    return good;
}

/* Turns what was packed, which stands at values[1...] but for AS_IS, into the sequence. */
static void restore(unsigned how, uint64_t *values, size_t count, uint64_t first, uint64_t divisor,
                    uint64_t base)
{
    uint64_t value = first;
    uint64_t step = base * divisor;
    if (how == AS_IS) {
        for (size_t i = 0; i < count; i++) {
            values[i] = first + step + values[i] * divisor;
        }
        return;
    }
    values[0] = first;
    for (size_t i = 1; how == DELTAS && i < count; i++) {
        value += step + values[i] * divisor;
        values[i] = value;
    }
    for (size_t i = 1; how == DELTAS_ZIGZAG && i < count; i++) {
        value += unzigzag(values[i]) * divisor;
        values[i] = value;
    }
    for (size_t i = 1; how == DELTAS_TWICE && i < count; i++) {
        step += unzigzag(values[i]) * divisor;
        value += step;
        values[i] = value;
    }
}

bool numbers_get_same(struct span *rest, int64_t *ret_value)
{
    struct wire_reader reader = wire_reader_of(*rest);
    unsigned form = wire_get_u8(&reader);
    int64_t value = wire_get_svarint(&reader);
    if (form != (PACK_NONE | AS_IS) || reader.failed) {
        return false;
    }
    *ret_value = value;
    *rest = reader.rest;
    return true;
}

int numbers_get(struct numbers *numbers, struct span *rest, int64_t *values, size_t count)
{
    CHECK(count <= NUMBERS_COUNT_MAX);
    if (count == 0) {
        return 0;
    }
    int64_t same;
    if (numbers_get_same(rest, &same)) {
        for (size_t i = 0; i < count; i++) {
            values[i] = same;
        }
        return 0;
    }
    struct wire_reader reader = wire_reader_of(*rest);
    unsigned form = wire_get_u8(&reader);
    unsigned how = form & 3;
    uint64_t first = (uint64_t)wire_get_svarint(&reader);
    uint64_t divisor = (form & DIVIDED) != 0 ? wire_get_varint(&reader) : 1;
    uint64_t base = (uint64_t)wire_get_svarint(&reader);
    struct span packed = reader.rest;
    size_t skip = how == AS_IS ? 0 : 1;
    uint64_t *to = (uint64_t *)values;
    if (reader.failed || form > (DIVIDED | PACK_MASK) ||
        !get_packed(numbers, form & PACK_MASK, &packed, to + skip, count - skip)) {
        return corrupt();
    }
    restore(how, to, count, first, divisor, base);
    *rest = packed;
    return 0;
}

/*
 * Doubles.
 */

/* The integer that, divided by the power, gives exactly this double. */
static inline bool decimal_of(double value, unsigned exponent, int64_t *ret_integer)
{
    double scaled = value * powers[exponent];
    if (!(fabs(scaled) < 9007199254740992.0)) { /* 2^53; not a number either */
        return false;
    }
    int64_t integer = llrint(scaled);
    double back = (double)integer / powers[exponent];
    *ret_integer = integer;
    return memcmp(&back, &value, sizeof(value)) == 0;
}

/* The exponent of fewest bits by a sample, with what it leaves as exceptions. A digit costs 3.3
 * bits per value, an exception 80. False: no exponent pays. */
static bool choose_exponent(const double *values, size_t count, unsigned *ret_exponent)
{
    size_t step = (count + SAMPLE - 1) / SAMPLE;
    size_t fits[EXPONENT_MAX + 1] = {0};
    size_t taken = 0;
    for (size_t i = 0; i < count; i += step, taken++) {
        int64_t integer;
        for (unsigned exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
            fits[exponent] += decimal_of(values[i], exponent, &integer);
        }
    }
    double best = 40;
    bool found = false;
    for (unsigned exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
        double bits = 3.3 * exponent + 80.0 * (double)(taken - fits[exponent]) / (double)taken;
        if (fits[exponent] > 0 && bits < best + 20) {
            best = bits - 20;
            *ret_exponent = exponent;
            found = true;
        }
    }
    return found;
}

static void put_bits(struct numbers *numbers, const double *values, size_t count, struct buf *buf)
{
    wire_put_u8(buf, DOUBLES_BITS);
    int64_t *bits = mem_dup(values, count * sizeof(*values));
    numbers_put(numbers, bits, count, buf);
    mem_free(bits);
}

/* Returns how many exceptions there are. */
static size_t put_decimals(struct numbers *numbers, const double *values, size_t count,
                           unsigned exponent, struct buf *buf)
{
    struct buf exceptions = {0};
    int64_t *integers = mem_alloc_array(count, sizeof(*integers));
    size_t exceptions_count = 0;
    size_t before = 0;
    int64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t integer = 0;
        if (decimal_of(values[i], exponent, &integer)) {
            last = integer;
        } else {
            uint64_t bits;
            memcpy(&bits, &values[i], sizeof(bits));
            wire_put_varint(&exceptions, i - before);
            wire_put_u64(&exceptions, bits);
            before = i;
            exceptions_count++;
        }
        integers[i] = last;
    }
    wire_put_u8(buf, (uint8_t)exponent);
    wire_put_varint(buf, exceptions_count);
    numbers_put(numbers, integers, count, buf);
    buf_append(buf, buf_span(&exceptions));
    mem_free(integers);
    buf_deinit(&exceptions);
    return exceptions_count;
}

void numbers_put_doubles(struct numbers *numbers, const double *values, size_t count,
                         struct buf *buf)
{
    unsigned exponent = 0;
    size_t begin = buf->bytes;
    if (count == 0) {
        return;
    }
    bool decimal = choose_exponent(values, count, &exponent);
    size_t exceptions = decimal ? put_decimals(numbers, values, count, exponent, buf) : 0;
    if (!decimal || exceptions > count / 16 || buf->bytes - begin > 5 * count + 16) {
        struct buf other = {0};
        put_bits(numbers, values, count, &other);
        if (!decimal || other.bytes < buf->bytes - begin) {
            buf->bytes = begin;
            buf_append(buf, buf_span(&other));
        }
        buf_deinit(&other);
    }
}

int numbers_get_doubles(struct numbers *numbers, struct span *rest, double *values, size_t count)
{
    if (count == 0) {
        return 0;
    }
    struct wire_reader reader = wire_reader_of(*rest);
    unsigned exponent = wire_get_u8(&reader);
    uint64_t exceptions = exponent == DOUBLES_BITS ? 0 : wire_get_varint(&reader);
    if (reader.failed || exceptions > count ||
        (exponent > EXPONENT_MAX && exponent != DOUBLES_BITS)) {
        return corrupt();
    }
    int64_t *integers = (int64_t *)(void *)values;
    int rc = numbers_get(numbers, &reader.rest, integers, count);
    if (rc < 0 || exponent == DOUBLES_BITS) {
        *rest = reader.rest;
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t integer;
        memcpy(&integer, &values[i], sizeof(integer));
        values[i] = (double)integer / powers[exponent];
    }
    uint64_t place = 0;
    for (uint64_t i = 0; i < exceptions; i++) {
        place += wire_get_varint(&reader);
        uint64_t bits = wire_get_u64(&reader);
        if (reader.failed || place >= count) {
            return corrupt();
        }
        memcpy(&values[place], &bits, sizeof(bits));
    }
    *rest = reader.rest;
    return 0;
}
