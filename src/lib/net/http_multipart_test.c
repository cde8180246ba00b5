/*
 * multipart/form-data over real sockets: a large file goes through in bounded memory whatever it
 * contains and however it is cut; what is broken is refused.
 */
#include "net/testing.h"

#include <sodium.h>

static void take_form(struct http_request *request, void *context)
{
    (void)context;
    struct http_multipart *multipart;
    struct http_part part;
    json_t *reply = json_object();
    int rc = http_multipart_open(request, &multipart);
    while (rc == 0 && (rc = http_multipart_next(multipart, &part)) == 0) {
        if (part.filename == NULL) {
            const char *text;
            rc = http_multipart_text(multipart, 1000, &text);
            if (rc == 0) {
                (void)json_object_set_new(reply, part.name, json_string(text));
            }
            continue;
        }
        if (strcmp(part.filename, "skipped") == 0) {
            continue;
        }
        crypto_hash_sha256_state hash;
        (void)crypto_hash_sha256_init(&hash);
        uint8_t piece[3001];
        size_t got = 0;
        uint64_t bytes = 0;
        while ((rc = http_multipart_read(multipart, piece, sizeof(piece), &got)) == 0 && got > 0) {
            (void)crypto_hash_sha256_update(&hash, piece, got);
            bytes += got;
        }
        uint8_t digest[32];
        char hex[65];
        (void)crypto_hash_sha256_final(&hash, digest);
        (void)sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
        (void)json_object_set_new(
            reply, part.name,
            json_pack("[s, s?, I, s]", part.filename, part.content_type, (json_int_t)bytes, hex));
    }
    if (rc < 0) {
        json_decref(reply);
        http_reply_fault(request, rc);
    } else {
        http_reply_json(request, 200, reply);
    }
}

static const struct http_route routes[] = {
    {.method = "POST", .path = "/form", .handler = take_form, .flags = HTTP_BODY_STREAM},
    {.method = "POST", .path = "/buffered", .handler = take_form},
};

/* Posts `body` chunked, in pieces of `piece` bytes. */
static void post(struct http_server *server, const char *path, const char *type, struct span body,
                 size_t piece, struct raw_answer *answer)
{
    struct raw raw = raw_connect(http_server_port(server));
    char *head = mem_printf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n",
                            path, type);
    raw_say(&raw, head);
    while (body.bytes > 0) {
        struct span part = span_first(body, piece);
        char size[16];
        raw_send(&raw, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", part.bytes));
        raw_send(&raw, part.data, part.bytes);
        raw_say(&raw, "\r\n");
        body = span_from(body, part.bytes);
    }
    raw_say(&raw, "0\r\n\r\n");
    raw_read(&raw, answer);
    mem_free(head);
    raw_close(&raw);
}

#define TYPE "multipart/form-data; boundary=\"a b'c\""

/* 1 MiB that is full of almost-boundaries. */
static void fill_file(struct buf *file)
{
    uint64_t random = 7;
    while (file->bytes < (size_t)1 << 20) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        static const char *const pieces[] = {"\r\n--a b'", "\r\n--", "\r",         "\n",
                                             "\r\n",       "--",     "\r\n--a b'd"};
        buf_append_str(file, pieces[(random >> 40) % ARRAY_COUNT(pieces)]);
        buf_append_byte(file, (uint8_t)(random >> 50) | 0x80); /* never completes a boundary */
    }
}

static void a_mebibyte_full_of_almost_boundaries_arrives_bit_for_bit(void **state)
{
    (void)state;
    struct http_server *server =
        testing_start((struct http_server_options){0}, routes, ARRAY_COUNT(routes), NULL);
    struct buf file = {0};
    struct buf body = {0};
    fill_file(&file);
    buf_append_str(&body,
                   "a preamble\r\n--a b'c\r\n"
                   "Content-Disposition: form-data; name=\"Name\"\r\n\r\n"
                   "caf\xC3\xA9\r\n--a b'c\r\n"
                   "content-disposition: form-data; name=Empty\r\n\r\n"
                   "\r\n--a b'c\r\n"
                   "Content-Disposition: form-data; name=\"s\"; filename=\"skipped\"\r\n\r\n");
    buf_append(&body, buf_span(&file));
    buf_append_str(&body, "\r\n--a b'c\r\n"
                          "Content-Disposition: form-data; name=\"file\"; "
                          "filename=\"a \\\"quoted\\\" C:\\name;x\"\r\n"
                          "Content-Type: application/octet-stream\r\n\r\n");
    buf_append(&body, buf_span(&file));
    buf_append_str(&body, "\r\n--a b'c--\r\nan epilogue");

    uint8_t digest[32];
    char hex[65];
    char expected[300];
    (void)crypto_hash_sha256(digest, file.data, file.bytes);
    (void)sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    (void)snprintf(expected, sizeof(expected),
                   "{\"Name\":\"caf\xC3\xA9\",\"Empty\":\"\",\"file\":[\"a \\\"quoted\\\" "
                   "C:\\\\name;x\",\"application/octet-stream\",%zu,\"%s\"]}",
                   file.bytes, hex);
    static const char *const paths[] = {"/form", "/buffered"};
    static const size_t pieces[] = {997, 65536, 1 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(pieces) * ARRAY_COUNT(paths); i++) {
        struct raw_answer answer = {0};
        post(server, paths[i % 2], TYPE, buf_span(&body), pieces[i / 2], &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(buf_str(&answer.body), expected);
        raw_answer_deinit(&answer);
    }
    buf_deinit(&file);
    buf_deinit(&body);
    http_server_stop(&server);
}

/* Every prefix of a small form is refused, the whole is not. */
static void a_form_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct http_server *server =
        testing_start((struct http_server_options){0}, routes, ARRAY_COUNT(routes), NULL);
    struct span whole = SPAN_LIT("--a b'c\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1"
                                 "\r\n--a b'c--");
    for (size_t bytes = 0; bytes <= whole.bytes; bytes++) {
        struct raw_answer answer = {0};
        post(server, "/form", TYPE, span_first(whole, bytes), 10, &answer);
        assert_int_equal(answer.status, bytes < whole.bytes ? 400 : 200);
        raw_answer_deinit(&answer);
    }
    http_server_stop(&server);
}

static void other_types_and_parts_above_their_bounds_are_refused(void **state)
{
    (void)state;
    struct http_server *server =
        testing_start((struct http_server_options){0}, routes, ARRAY_COUNT(routes), NULL);
    struct raw_answer answer = {0};
    post(server, "/form", "application/json", SPAN_LIT("{}"), 10, &answer);
    assert_int_equal(answer.status, 400);
    post(server, "/form", "multipart/form-data", SPAN_LIT("--x--"), 10, &answer);
    assert_int_equal(answer.status, 400);
    char *headers = mem_printf("--a b'c\r\nX: %9000s\r\n\r\n1\r\n--a b'c--", "x");
    post(server, "/form", TYPE, span_of_str(headers), 1000, &answer);
    assert_int_equal(answer.status, 413);
    char *field = mem_printf(
        "--a b'c\r\nContent-Disposition: form-data; name=a\r\n\r\n%1001s\r\n--a b'c--", "x");
    post(server, "/form", TYPE, span_of_str(field), 1000, &answer);
    assert_int_equal(answer.status, 413);
    mem_free(headers);
    mem_free(field);
    raw_answer_deinit(&answer);
    http_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mebibyte_full_of_almost_boundaries_arrives_bit_for_bit),
        cmocka_unit_test(a_form_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(other_types_and_parts_above_their_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
