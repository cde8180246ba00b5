/*
 * Claims: a backup gives back what was put into it, plain and encrypted, whatever the sizes of
 * the pieces it is read in; every cut and every changed byte is refused, with the place; a wrong
 * password is told apart from damage; nothing that could not be restored can be written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"
#include "object/archive.h"

#define BIG_BYTES ((size_t)200000) /* several chunks */

/* ---- a backup in memory ---- */

static int write_buf(void *context, struct span data)
{
    buf_append(context, data);
    return 0;
}

struct source {
    struct span rest;
    size_t piece; /* read at most so much at a time */
};

static int read_source(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct source *source = context;
    struct span piece = span_first(source->rest, MIN(bytes, source->piece));
    if (piece.bytes > 0) {
        memcpy(data, piece.data, piece.bytes);
    }
    source->rest = span_from(source->rest, piece.bytes);
    *ret_got = piece.bytes;
    return 0;
}

static struct object *new_object(uint8_t id, size_t description_bytes)
{
    struct object *object = object_new(OBJECT_DASHBOARD);
    char *text = mem_alloc(description_bytes + 1);
    memset(text, 'd', description_bytes);
    object->id.bytes[0] = id;
    object->number = id;
    object->owner = 7;
    object_set_name(object, "größe");
    object_set_description(object, text);
    object_set_body(object, json_loads("{\"tiles\":[1,2.5,null]}", 0, NULL));
    object->created_ns = 1777887000250000000;
    object->updated_ns = 1777887000000000001;
    object->revision = 12;
    object->change.bytes[0] = 1;
    object->past[0].bytes[2] = 4;
    object->past_count = 1;
    mem_free(text);
    return object;
}

static struct span big_contents(void)
{
    static uint8_t data[BIG_BYTES];
    for (size_t i = 0; i < BIG_BYTES; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    return span_of(data, BIG_BYTES);
}

static struct object_blob blob_of(struct span contents)
{
    struct object_blob blob = {.bytes = contents.bytes, .present = true};
    (void)crypto_hash_sha256(blob.sha256, contents.data, contents.bytes);
    return blob;
}

static void put_object(struct object_archive_writer *writer, uint8_t id, size_t description_bytes)
{
    struct object *object = new_object(id, description_bytes);
    assert_int_equal(object_archive_put_object(writer, object), 0);
    object_free(&object);
}

static void put_blob(struct object_archive_writer *writer, struct span contents)
{
    struct object_blob blob = blob_of(contents);
    assert_int_equal(object_archive_put_blob(writer, &blob), 0);
    while (contents.bytes > 0) {
        struct span piece = span_first(contents, 70001);
        assert_int_equal(object_archive_put_data(writer, piece), 0);
        contents = span_from(contents, piece.bytes);
    }
}

static struct object_archive_writer *begin(struct buf *file, const char *password)
{
    struct object_archive_writer *writer;
    struct object_archive_writer_options options = {.write = write_buf,
                                                    .context = file,
                                                    .password = password,
                                                    .passes = 1,
                                                    .memory_bytes = 8192};
    json_t *info = json_pack("{s:i}", "format", 1);
    assert_int_equal(object_archive_writer_new(&options, &writer), 0);
    assert_int_equal(object_archive_put_info(writer, info), 0);
    json_decref(info);
    return writer;
}

static void finish(struct object_archive_writer **writer)
{
    assert_int_equal(object_archive_finish(*writer), 0);
    object_archive_writer_free(writer);
}

static void write_small(struct buf *file, const char *password)
{
    struct object_archive_writer *writer = begin(file, password);
    put_blob(writer, SPAN_LIT("contents"));
    put_object(writer, 1, 10);
    finish(&writer);
}

/* ---- reading it ---- */

struct seen {
    struct object_archive_counts counts;
    struct buf contents;
    char *objects; /* of the last object: its JSON */
    bool ended;
    bool damage_only;
};

static void seen_deinit(struct seen *seen)
{
    buf_deinit(&seen->contents);
    free(seen->objects);
    *seen = (struct seen){0};
}

static int see_contents(struct object_archive_reader *reader, struct seen *seen)
{
    uint8_t piece[5000];
    size_t got = 1;
    int rc = 0;
    while (rc == 0 && got > 0) {
        rc = object_archive_read(reader, piece, sizeof(piece), &got);
        buf_append(&seen->contents, span_of(piece, rc == 0 ? got : 0));
    }
    return rc;
}

static int see_record(struct object_archive_reader *reader, struct seen *seen)
{
    struct object_archive_record record;
    int rc = object_archive_next(reader, &record);
    if (rc < 0) {
        return rc;
    }
    if (record.type == OBJECT_ARCHIVE_OBJECT) {
        json_t *json = object_to_json(record.object);
        free(seen->objects);
        seen->objects = json_dumps(json, JSON_COMPACT);
        json_decref(json);
    }
    seen->ended = record.type == OBJECT_ARCHIVE_END;
    seen->counts = record.counts;
    rc = record.type == OBJECT_ARCHIVE_BLOB ? see_contents(reader, seen) : 0;
    object_archive_record_deinit(&record);
    return rc;
}

static int read_all(struct span file, size_t piece, const char *password, struct seen *seen)
{
    struct source source = {file, piece};
    struct object_archive_reader *reader = NULL;
    struct object_archive_reader_options options = {.read = read_source,
                                                    .context = &source,
                                                    .password = password,
                                                    .damage_only = seen->damage_only};
    int rc = object_archive_reader_new(&options, &reader);
    while (rc == 0 && !seen->ended) {
        rc = see_record(reader, seen);
    }
    object_archive_reader_free(&reader);
    return rc;
}

static int outcome(struct span file, const char *password, bool damage_only)
{
    struct seen seen = {.damage_only = damage_only};
    int rc = read_all(file, SIZE_MAX, password, &seen);
    assert_true(rc < 0 || seen.ended);
    seen_deinit(&seen);
    return rc;
}

/* ---- round trips ---- */

static void check_round_trip(const char *password, size_t piece)
{
    struct buf file = {0};
    struct seen seen = {0};
    struct object_archive_writer *writer = begin(&file, password);
    put_object(writer, 1, 60000);
    put_blob(writer, big_contents());
    put_blob(writer, SPAN_NONE);
    put_object(writer, 2, 3);
    finish(&writer);
    assert_int_equal(read_all(buf_span(&file), piece, password, &seen), 0);
    assert_int_equal(seen.counts.objects, 2);
    assert_int_equal(seen.counts.blobs, 2);
    assert_int_equal(seen.counts.blob_bytes, BIG_BYTES);
    assert_true(span_equal(buf_span(&seen.contents), big_contents()));
    struct object *object = new_object(2, 3);
    object->revision = 0;
    object->change = (struct uuid){0};
    object->past_count = 0;
    json_t *json = object_to_json(object);
    char *expected = json_dumps(json, JSON_COMPACT);
    assert_string_equal(seen.objects, expected);
    free(expected);
    json_decref(json);
    object_free(&object);
    seen_deinit(&seen);
    buf_deinit(&file);
}

static void what_was_put_in_comes_out(void **state)
{
    (void)state;
    check_round_trip(NULL, SIZE_MAX);
    check_round_trip("", 977);
    check_round_trip("correct horse", SIZE_MAX);
    check_round_trip("correct horse", 1);
}

/* The end of a record at, before and behind the end of a chunk. */
static void records_may_end_where_chunks_end(void **state)
{
    (void)state;
    for (size_t bytes = OBJECT_ARCHIVE_CHUNK_BYTES - 120; bytes < OBJECT_ARCHIVE_CHUNK_BYTES;
         bytes++) {
        struct buf file = {0};
        struct seen seen = {0};
        struct object_archive_writer *writer = begin(&file, NULL);
        put_blob(writer, span_first(big_contents(), bytes));
        put_object(writer, 1, 1);
        finish(&writer);
        assert_int_equal(read_all(buf_span(&file), SIZE_MAX, NULL, &seen), 0);
        assert_int_equal(seen.contents.bytes, bytes);
        seen_deinit(&seen);
        buf_deinit(&file);
    }
}

/* ---- damage ---- */

static void every_cut_is_refused(void **state)
{
    (void)state;
    static const char *const passwords[] = {NULL, "secret"};
    for (size_t i = 0; i < ARRAY_COUNT(passwords); i++) {
        struct buf file = {0};
        write_small(&file, passwords[i]);
        for (size_t bytes = 0; bytes < file.bytes; bytes++) {
            struct span cut = span_first(buf_span(&file), bytes);
            int rc = outcome(cut, passwords[i], false);
            assert_int_equal(rc, ERR_CORRUPT);
            assert_non_null(strstr(err_text(), "at byte "));
            assert_int_equal(outcome(cut, NULL, true), ERR_CORRUPT);
        }
        buf_deinit(&file);
    }
}

static void check_change(struct buf *file, size_t at, uint8_t by, const char *password)
{
    file->data[at] ^= by;
    int rc = outcome(buf_span(file), password, false);
    assert_int_equal(rc, at < 8 ? ERR_INVALID : ERR_CORRUPT);
    assert_true(at < 8 || strstr(err_text(), "at byte ") != NULL);
    assert_true(outcome(buf_span(file), NULL, true) < 0);
    file->data[at] ^= by;
}

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    static const char *const passwords[] = {NULL, "secret"};
    for (size_t i = 0; i < ARRAY_COUNT(passwords); i++) {
        struct buf file = {0};
        write_small(&file, passwords[i]);
        for (size_t at = 0; at < file.bytes; at++) {
            check_change(&file, at, 0x01, passwords[i]);
            check_change(&file, at, 0x80, passwords[i]);
        }
        assert_int_equal(outcome(buf_span(&file), passwords[i], false), 0);
        buf_append_byte(&file, 0);
        assert_int_equal(outcome(buf_span(&file), passwords[i], false), ERR_CORRUPT);
        buf_deinit(&file);
    }
}

/* Two chunks of the same length change places: each has a right sum for another number. */
static void exchanged_chunks_are_refused(void **state)
{
    (void)state;
    struct buf file = {0};
    struct object_archive_writer *writer = begin(&file, NULL);
    put_blob(writer, big_contents());
    finish(&writer);
    size_t whole = OBJECT_ARCHIVE_CHUNK_BYTES + 12;
    uint8_t *first = file.data + 72;
    uint8_t *kept = mem_dup(first, whole);
    memcpy(first, first + whole, whole);
    memcpy(first + whole, kept, whole);
    assert_int_equal(outcome(buf_span(&file), NULL, false), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "at byte 72:"));
    mem_free(kept);
    buf_deinit(&file);
}

/* ---- passwords ---- */

static void a_wrong_password_is_told_apart_from_damage(void **state)
{
    (void)state;
    struct buf file = {0};
    write_small(&file, "secret");
    assert_int_equal(outcome(buf_span(&file), "Secret", false), ERR_AUTH);
    assert_int_equal(outcome(buf_span(&file), NULL, false), ERR_AUTH);
    assert_int_equal(outcome(buf_span(&file), NULL, true), 0);
    assert_true(span_find(buf_span(&file), SPAN_LIT("tiles")) < 0);
    assert_true(span_find(buf_span(&file), SPAN_LIT("contents")) < 0);
    buf_deinit(&file);
    write_small(&file, NULL);
    assert_int_equal(outcome(buf_span(&file), "needless", false), 0);
    buf_deinit(&file);
}

/* A header that would have us work for hours is refused at once. */
static void the_work_for_a_key_is_bounded(void **state)
{
    (void)state;
    struct buf file = {0};
    write_small(&file, "secret");
    wire_store_u32(file.data + 12, 1000000);
    wire_store_u64(file.data + 64, hash64(span_first(buf_span(&file), 64)));
    assert_int_equal(outcome(buf_span(&file), "secret", false), ERR_UNSUPPORTED);
    wire_store_u32(file.data + 12, 1);
    wire_store_u64(file.data + 16, UINT64_C(1) << 40);
    wire_store_u64(file.data + 64, hash64(span_first(buf_span(&file), 64)));
    assert_int_equal(outcome(buf_span(&file), "secret", false), ERR_UNSUPPORTED);
    buf_deinit(&file);
}

static void a_newer_format_is_refused_by_name(void **state)
{
    (void)state;
    struct buf file = {0};
    write_small(&file, NULL);
    wire_store_u16(file.data + 8, 2);
    wire_store_u64(file.data + 64, hash64(span_first(buf_span(&file), 64)));
    assert_int_equal(outcome(buf_span(&file), NULL, false), ERR_UNSUPPORTED);
    assert_non_null(strstr(err_text(), "format 2"));
    assert_int_equal(outcome(SPAN_LIT("PK\x03\x04 is no backup"), NULL, false), ERR_INVALID);
    buf_deinit(&file);
}

/* ---- what cannot be written ---- */

static void contents_with_another_hash_are_not_written(void **state)
{
    (void)state;
    struct buf file = {0};
    struct object_archive_writer *writer = begin(&file, NULL);
    struct object_blob blob = blob_of(SPAN_LIT("abc"));
    assert_int_equal(object_archive_put_blob(writer, &blob), 0);
    assert_int_equal(object_archive_put_data(writer, SPAN_LIT("abd")), ERR_CORRUPT);
    object_archive_writer_free(&writer);
    buf_deinit(&file);
}

static int refuse(void *context, struct span data)
{
    (void)data;
    size_t *left = context;
    return (*left)-- == 0 ? err_set(ERR_NO_SPACE, "full") : 0;
}

static void a_full_disk_is_reported_wherever_it_fills(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t i = 0; failed; i++) {
        size_t left = i;
        struct object_archive_writer *writer = NULL;
        struct object_archive_writer_options options = {.write = refuse, .context = &left};
        json_t *info = json_object();
        int rc = object_archive_writer_new(&options, &writer);
        rc = rc < 0 ? rc : object_archive_put_info(writer, info);
        struct object *object = new_object(1, 65000);
        for (int k = 0; k < 3 && rc == 0; k++) {
            rc = object_archive_put_object(writer, object);
        }
        rc = rc < 0 ? rc : object_archive_finish(writer);
        failed = rc < 0;
        assert_true(rc == 0 || rc == ERR_NO_SPACE);
        object_free(&object);
        json_decref(info);
        object_archive_writer_free(&writer);
        assert_true(i < 100);
    }
}

int main(void)
{
    CHECK(sodium_init() >= 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_comes_out),
        cmocka_unit_test(records_may_end_where_chunks_end),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(exchanged_chunks_are_refused),
        cmocka_unit_test(a_wrong_password_is_told_apart_from_damage),
        cmocka_unit_test(the_work_for_a_key_is_bounded),
        cmocka_unit_test(a_newer_format_is_refused_by_name),
        cmocka_unit_test(contents_with_another_hash_are_not_written),
        cmocka_unit_test(a_full_disk_is_reported_wherever_it_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
