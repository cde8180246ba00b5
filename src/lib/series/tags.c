#include "series/tags.h"

#include <inttypes.h>
#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/vec.h"

#define TAGS_FILE_BYTES_MAX (UINT64_C(512) << 20)

struct series_tags {
    pthread_mutex_t lock;
    struct series_lines *lines;
    struct map numbers;          /* name -> place in names */
    char *names[UINT16_MAX + 1]; /* by number; NULL: free */
    size_t count;
    uint32_t next; /* the next number to give; never one that was ever seen */
};

/* Code points that no name may contain although they are above ASCII: quotes, spaces, controls,
 * format characters, private use, noncharacters. */
static const struct {
    uint32_t first;
    uint32_t last;
} forbidden_ranges[] = {
    {0x80, 0xA0},        {0xAD, 0xAD},     {0xB4, 0xB4},     {0x600, 0x605},   {0x61C, 0x61C},
    {0x6DD, 0x6DD},      {0x70F, 0x70F},   {0x1680, 0x1680}, {0x180E, 0x180E}, {0x2000, 0x200F},
    {0x2018, 0x2019},    {0x201C, 0x201D}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000},
    {0xD800, 0xF8FF},    {0xFDD0, 0xFDEF}, {0xFEFF, 0xFEFF}, {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF},
    {0xE0000, 0x10FFFF},
};

static bool is_forbidden(uint32_t code_point)
{
    if (code_point < 0x80) {
        return code_point <= ' ' || code_point == 0x7F ||
               strchr("|{}();=<!>~%^&.:,/*$\\[]\"'`", (int)code_point) != NULL;
    }
    for (size_t i = 0; i < ARRAY_COUNT(forbidden_ranges); i++) {
        if (code_point >= forbidden_ranges[i].first && code_point <= forbidden_ranges[i].last) {
            return true;
        }
    }
    return false;
}

int series_tag_check(struct span name)
{
    if (name.bytes == 0) {
        return err_set(ERR_INVALID, "tag name is empty");
    }
    if (name.bytes > SERIES_TAG_NAME_BYTES_MAX) {
        return err_set(ERR_INVALID, "tag name has %zu bytes, at most %d are allowed", name.bytes,
                       SERIES_TAG_NAME_BYTES_MAX);
    }
    if (!text_is_utf8(name)) {
        return err_set(ERR_INVALID, "tag name is not UTF-8");
    }
    struct span rest = name;
    while (rest.bytes > 0) {
        size_t at = name.bytes - rest.bytes;
        uint32_t code_point = text_utf8_next(&rest);
        if (is_forbidden(code_point)) {
            struct span shown = span_first(name, 64);
            return err_set(ERR_INVALID,
                           "tag name \"%.*s\" has U+%04" PRIX32
                           " at byte %zu, which is not allowed",
                           SPAN_ARG(shown), code_point, at);
        }
    }
    return 0;
}

static void learn(struct series_tags *tags, struct span name, uint16_t tag)
{
    tags->names[tag] = mem_strndup((const char *)name.data, name.bytes);
    map_put(&tags->numbers, name, &tags->names[tag]);
    tags->count++;
    if (tag != SERIES_TAG_GRAVWELL && tag >= tags->next) {
        tags->next = (uint32_t)tag + 1;
    }
}

static bool find(struct series_tags *tags, struct span name, uint16_t *ret_tag)
{
    char **place = map_get(&tags->numbers, name);
    if (place != NULL) {
        *ret_tag = (uint16_t)(place - tags->names);
    }
    return place != NULL;
}

/* "17 syslog": number, name. */
static void put_line(struct buf *buf, struct span name, uint16_t tag)
{
    size_t begin = buf->bytes;
    buf_printf(buf, "%u %.*s", tag, SPAN_ARG(name));
    series_lines_end(buf, begin);
}

static bool take_line(void *context, struct span text)
{
    struct series_tags *tags = context;
    struct span name = text;
    struct span number;
    uint64_t tag = 0;
    if (!span_split(&name, ' ', &number) || !span_to_u64(number, &tag) || tag > UINT16_MAX ||
        name.bytes == 0) {
        return false;
    }
    uint16_t other;
    if (tags->names[tag] == NULL && !find(tags, name, &other)) {
        learn(tags, name, (uint16_t)tag);
    }
    return true;
}

static int add_lines(struct series_tags *tags, struct span lines)
{
    int rc = series_lines_add(tags->lines, lines);
    return rc < 0 ? err_wrap(rc, "tag catalogue") : 0;
}

static int put_fixed(struct series_tags *tags)
{
    struct buf lines = {0};
    if (tags->names[SERIES_TAG_DEFAULT] == NULL) {
        put_line(&lines, SPAN_LIT("default"), SERIES_TAG_DEFAULT);
        learn(tags, SPAN_LIT("default"), SERIES_TAG_DEFAULT);
    }
    if (tags->names[SERIES_TAG_GRAVWELL] == NULL) {
        put_line(&lines, SPAN_LIT("gravwell"), SERIES_TAG_GRAVWELL);
        learn(tags, SPAN_LIT("gravwell"), SERIES_TAG_GRAVWELL);
    }
    int rc = lines.bytes > 0 ? add_lines(tags, buf_span(&lines)) : 0;
    buf_deinit(&lines);
    return rc;
}

int series_tags_open(struct io *io, const char *path, struct series_tags **ret_tags)
{
    struct series_tags *tags = MEM_NEW(struct series_tags);
    pthread_mutex_init(&tags->lock, NULL);
    tags->next = 1;
    int rc = series_lines_open(io, path, TAGS_FILE_BYTES_MAX, take_line, tags, &tags->lines);
    if (rc == 0) {
        rc = put_fixed(tags);
    }
    if (rc < 0) {
        series_tags_close(&tags);
        return err_wrap(rc, "open the tag catalogue");
    }
    *ret_tags = tags;
    return 0;
}

void series_tags_close(struct series_tags **tags_place)
{
    struct series_tags *tags = *tags_place;
    if (tags == NULL) {
        return;
    }
    series_lines_close(&tags->lines);
    map_deinit(&tags->numbers);
    for (size_t i = 0; i < ARRAY_COUNT(tags->names); i++) {
        mem_free(tags->names[i]);
    }
    pthread_mutex_destroy(&tags->lock);
    mem_free(tags);
    *tags_place = NULL;
}

struct series_lines_damage series_tags_damage(const struct series_tags *tags)
{
    return series_lines_damage(tags->lines);
}

/* Names that are new among `names`, with the numbers they shall have; nothing is changed yet. */
static int plan(struct series_tags *tags, const struct span *names, size_t count, struct map *fresh,
                struct buf *lines, uint16_t *ret_tags)
{
    uint32_t next = tags->next;
    for (size_t i = 0; i < count; i++) {
        struct span name = span_trim(names[i]);
        int rc = series_tag_check(name);
        if (rc < 0) {
            return rc;
        }
        uintptr_t planned = (uintptr_t)map_get(fresh, name);
        if (planned != 0) {
            ret_tags[i] = (uint16_t)planned;
        } else if (!find(tags, name, &ret_tags[i])) {
            if (next >= SERIES_TAG_GRAVWELL) {
                return err_set(ERR_TOO_LARGE, "too many tags: \"%.*s\" would be one more than %d",
                               SPAN_ARG(span_first(name, 64)), SERIES_TAGS_MAX);
            }
            ret_tags[i] = (uint16_t)next;
            put_line(lines, name, (uint16_t)next);
            map_put(fresh, name, (void *)(uintptr_t)next);
            next++;
        }
    }
    return 0;
}

int series_tags_put_many(struct series_tags *tags, const struct span *names, size_t count,
                         uint16_t *ret_tags)
{
    struct map fresh = {0};
    struct buf lines = {0};
    pthread_mutex_lock(&tags->lock);
    int rc = plan(tags, names, count, &fresh, &lines, ret_tags);
    if (rc == 0 && lines.bytes > 0) {
        rc = add_lines(tags, buf_span(&lines));
    }
    for (size_t i = 0; rc == 0 && i < count && fresh.count > 0; i++) {
        if (tags->names[ret_tags[i]] == NULL) {
            learn(tags, span_trim(names[i]), ret_tags[i]);
        }
    }
    pthread_mutex_unlock(&tags->lock);
    map_deinit(&fresh);
    buf_deinit(&lines);
    return rc;
}

int series_tags_put(struct series_tags *tags, struct span name, uint16_t *ret_tag)
{
    return series_tags_put_many(tags, &name, 1, ret_tag);
}

int series_tags_restore(struct series_tags *tags, struct span name, uint16_t tag)
{
    int rc = 0;
    uint16_t other = 0;
    struct buf line = {0};
    pthread_mutex_lock(&tags->lock);
    bool known = find(tags, name, &other);
    if (known && other == tag) {
        pthread_mutex_unlock(&tags->lock);
        return 0;
    }
    if (known || tags->names[tag] != NULL) {
        rc = err_set(ERR_CONFLICT, "tag %u is \"%s\" in the catalogue and \"%.*s\" in stored data",
                     tag, tags->names[tag] == NULL ? "" : tags->names[tag], SPAN_ARG(name));
    } else {
        put_line(&line, name, tag);
        rc = add_lines(tags, buf_span(&line));
    }
    if (rc == 0) {
        learn(tags, name, tag);
    }
    pthread_mutex_unlock(&tags->lock);
    buf_deinit(&line);
    return rc;
}

bool series_tags_find(struct series_tags *tags, struct span name, uint16_t *ret_tag)
{
    pthread_mutex_lock(&tags->lock);
    bool found = find(tags, span_trim(name), ret_tag);
    pthread_mutex_unlock(&tags->lock);
    return found;
}

struct span series_tags_name(struct series_tags *tags, uint16_t tag)
{
    pthread_mutex_lock(&tags->lock);
    struct span name = span_of_str(tags->names[tag]);
    pthread_mutex_unlock(&tags->lock);
    return name;
}

size_t series_tags_count(struct series_tags *tags)
{
    pthread_mutex_lock(&tags->lock);
    size_t count = tags->count;
    pthread_mutex_unlock(&tags->lock);
    return count;
}

int series_tags_each(struct series_tags *tags,
                     int (*each)(void *context, uint16_t tag, struct span name), void *context)
{
    VEC(uint16_t) known = {0};
    pthread_mutex_lock(&tags->lock);
    for (size_t i = 0; i < tags->next; i++) { /* all but the highest one are below */
        if (tags->names[i] != NULL) {
            vec_push(&known, (uint16_t)i);
        }
    }
    if (tags->names[SERIES_TAG_GRAVWELL] != NULL) {
        vec_push(&known, SERIES_TAG_GRAVWELL);
    }
    pthread_mutex_unlock(&tags->lock);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < known.count; i++) {
        rc = each(context, known.items[i], series_tags_name(tags, known.items[i]));
    }
    vec_deinit(&known);
    return rc;
}
