#include "indexer/offset3x.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "indexer/datalog2x.h"

#define FIRST_LINE "aquifer-source 1"
#define STEM_HEX 16

void offset3x_clear(struct offset3x *offset)
{
    for (size_t i = 0; i < offset->creators.count; i++) {
        mem_free(offset->creators.items[i].id);
    }
    vec_clear(&offset->creators);
    buf_clear(&offset->ref);
    offset->since_ms = 0;
    offset->is_kept = false;
}

void offset3x_deinit(struct offset3x *offset)
{
    offset3x_clear(offset);
    vec_deinit(&offset->creators);
    buf_deinit(&offset->ref);
}

static struct offset3x_creator *find(const struct offset3x *offset, struct span id)
{
    for (size_t i = 0; i < offset->creators.count; i++) {
        if (span_equal_str(id, offset->creators.items[i].id)) {
            return &offset->creators.items[i];
        }
    }
    return NULL;
}

uint64_t offset3x_records(const struct offset3x *offset, struct span id)
{
    const struct offset3x_creator *creator = find(offset, id);
    return creator == NULL ? 0 : creator->records;
}

void offset3x_set(struct offset3x *offset, struct span id, uint64_t records)
{
    struct offset3x_creator *creator = find(offset, id);
    if (creator == NULL) {
        struct offset3x_creator made = {.id = mem_strndup((const char *)id.data, id.bytes)};
        vec_push(&offset->creators, made);
        creator = &offset->creators.items[offset->creators.count - 1];
    }
    creator->records = records;
}

/* ── The file ────────────────────────────────────────────────────────────────────────────── */

static bool take_creator(struct offset3x *offset, struct span rest)
{
    struct span count;
    struct buf id = {0};
    uint64_t records;
    bool good = span_split(&rest, ' ', &count) && span_to_u64(count, &records) &&
                text_url_decode(&id, rest, false) && id.bytes > 0;
    if (good) {
        offset3x_set(offset, buf_span(&id), records);
    }
    buf_deinit(&id);
    return good;
}

static bool take_line(struct offset3x *offset, struct feed3x_nonces *nonces, struct span line)
{
    struct span word;
    int64_t nonce;
    if (!span_split(&line, ' ', &word)) {
        return false;
    }
    if (span_equal_str(word, "ref")) {
        buf_clear(&offset->ref);
        return text_url_decode(&offset->ref, line, false);
    }
    if (span_equal_str(word, "since")) {
        return span_to_i64(line, &offset->since_ms);
    }
    if (span_equal_str(word, "nonce") && span_to_i64(line, &nonce)) {
        nonces->items[nonces->count++ % FEED3X_NONCES_MAX] = nonce;
        return true;
    }
    return span_equal_str(word, "creator") && take_creator(offset, line);
}

static bool take(struct offset3x *offset, struct feed3x_nonces *nonces, struct span text)
{
    struct span rest = text;
    struct span line;
    char end[32];
    if (!span_split(&rest, '\n', &line) || !span_equal_str(line, FIRST_LINE)) {
        return false;
    }
    while (span_split(&rest, '\n', &line)) {
        if (span_starts_with(line, SPAN_LIT("end "))) {
            struct span before = span_first(text, (size_t)(line.data - text.data));
            (void)snprintf(end, sizeof(end), "end %08" PRIx32, hash32(before));
            return span_equal_str(line, end);
        }
        if (!take_line(offset, nonces, line)) {
            return false;
        }
    }
    return false;
}

int offset3x_read(struct io *io, const char *path, struct offset3x *offset,
                  struct feed3x_nonces *nonces)
{
    struct buf text = {0};
    int rc = io_read_file(io, path, OFFSET3X_BYTES_MAX, &text);
    if (rc == 0 && !take(offset, nonces, buf_span(&text))) {
        offset3x_clear(offset);
        rc = err_set(ERR_CORRUPT, "%s is not as it was written", path);
    }
    offset->is_kept = rc == 0;
    buf_deinit(&text);
    return rc;
}

int offset3x_write(struct io *io, const char *path, struct offset3x *offset,
                   const struct feed3x_nonces *nonces)
{
    struct buf text = {0};
    buf_append_str(&text, FIRST_LINE "\n");
    if (offset->ref.bytes > 0) {
        buf_append_str(&text, "ref ");
        text_url_encode(&text, buf_span(&offset->ref));
        buf_append_byte(&text, '\n');
    } else if (offset->since_ms > 0) {
        buf_printf(&text, "since %" PRId64 "\n", offset->since_ms);
    }
    size_t count = MIN(nonces->count, (size_t)OFFSET3X_NONCES_KEPT);
    for (size_t i = nonces->count - count; i < nonces->count; i++) {
        buf_printf(&text, "nonce %" PRId64 "\n", nonces->items[i % FEED3X_NONCES_MAX]);
    }
    for (size_t i = 0; i < offset->creators.count; i++) {
        buf_printf(&text, "creator %" PRIu64 " ", offset->creators.items[i].records);
        text_url_encode(&text, span_of_str(offset->creators.items[i].id));
        buf_append_byte(&text, '\n');
    }
    buf_printf(&text, "end %08" PRIx32 "\n", hash32(buf_span(&text)));
    int rc = io_write_file(io, path, buf_span(&text));
    offset->is_kept |= rc == 0;
    buf_deinit(&text);
    return rc;
}

/* ── Refs ────────────────────────────────────────────────────────────────────────────────── */

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

bool offset3x_place(struct span ref, struct span *ret_stem, uint64_t *ret_position)
{
    struct span rest = ref;
    struct span position;
    if (!span_split(&rest, ':', ret_stem) || ret_stem->bytes <= STEM_HEX ||
        ret_stem->data[STEM_HEX] != '.') {
        return false;
    }
    for (size_t i = 0; i < STEM_HEX; i++) {
        if (!is_hex(ret_stem->data[i])) {
            return false;
        }
    }
    return span_split(&rest, ':', &position) && span_to_u64(position, ret_position);
}

bool offset3x_is_behind(struct span ref, struct span other)
{
    struct span stem;
    struct span other_stem;
    uint64_t position;
    uint64_t other_position;
    if (span_equal(ref, other)) {
        return true;
    }
    return offset3x_place(ref, &stem, &position) &&
           offset3x_place(other, &other_stem, &other_position) && span_equal(stem, other_stem) &&
           other_position <= position;
}

/* ── Ids ─────────────────────────────────────────────────────────────────────────────────── */

struct names3x {
    pthread_mutex_t lock;
    struct map ids; /* by the hash's bytes; strings, owned */
};

struct names3x *names3x_new(void)
{
    struct names3x *names = MEM_NEW(struct names3x);
    pthread_mutex_init(&names->lock, NULL);
    return names;
}

void names3x_free(struct names3x **names)
{
    size_t cursor = 0;
    struct span key;
    void *id;
    if (*names == NULL) {
        return;
    }
    while (map_next(&(*names)->ids, &cursor, &key, &id)) {
        mem_free(id);
    }
    map_deinit(&(*names)->ids);
    pthread_mutex_destroy(&(*names)->lock);
    mem_free(*names);
    *names = NULL;
}

void names3x_put(struct names3x *names, struct span id)
{
    uint64_t hash = datalog2x_id_hash(id);
    struct span key = span_of(&hash, sizeof(hash));
    pthread_mutex_lock(&names->lock);
    if (map_get(&names->ids, key) == NULL) {
        (void)map_put(&names->ids, key, mem_strndup((const char *)id.data, id.bytes));
    }
    pthread_mutex_unlock(&names->lock);
}

void names3x_text(struct names3x *names, uint64_t hash, struct buf *buf)
{
    pthread_mutex_lock(&names->lock);
    const char *id = map_get(&names->ids, span_of(&hash, sizeof(hash)));
    if (id != NULL) {
        buf_append_str(buf, id);
    } else {
        buf_printf(buf, "~%014" PRIx64, hash);
    }
    pthread_mutex_unlock(&names->lock);
}
