/*
 * What a search tells its source: the words that every entry it could give must have, and none
 * that some could do without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "query/serve.h"

/* A source that writes down what it is asked. */
struct asked {
    struct query_source source;
    struct query_cursor cursor;
    struct buf words;
};

static int give_tag(struct query_source *source,
                    int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    (void)source;
    return each(context, "t", 1);
}

static const struct query_source_methods methods;

static int note_words(struct query_source *source, const struct query_scan *scan,
                      struct query_cursor **ret_cursor)
{
    struct asked *asked = CONTAINER_OF(source, struct asked, source);
    for (size_t i = 0; i < scan->word_count; i++) {
        buf_printf(&asked->words, "%.*s ", SPAN_ARG(scan->words[i]));
    }
    asked->cursor.methods = &methods;
    *ret_cursor = &asked->cursor;
    return 0;
}

static int give_nothing(struct query_cursor *cursor, struct query_source_block *ret_block)
{
    (void)cursor;
    (void)ret_block;
    return QUERY_SOURCE_END;
}

static void close_cursor(struct query_cursor *cursor)
{
    (void)cursor;
}

static const struct query_source_methods methods = {
    .tags = give_tag, .open = note_words, .next = give_nothing, .close = close_cursor};

static void expect(const char *query, size_t stages, const char *words)
{
    struct asked asked = {.source = {&methods}};
    struct query_request request = {
        .query = query, .start_ns = 0, .end_ns = TIME_HOUR_NS, .stages = stages};
    struct query_serve *serve;
    char *body = query_request_encode(&request);
    if (query_serve_begin(span_of_str(body), &asked.source, TIME_HOUR_NS, &serve) < 0) {
        fail_msg("%s: %s", query, err_text());
    }
    assert_string_equal(buf_str(&asked.words), words);
    query_serve_free(&serve);
    buf_deinit(&asked.words);
    mem_free(body);
}

static void words_that_must_occur_are_told(void **state)
{
    (void)state;
    expect("tag=t words needle", 1, "needle ");
    expect("tag=t words needle Stack-7", 1, "needle Stack-7 ");
    expect("tag=t grep -w needle", 1, "needle ");
    expect("tag=t grep -i -w -s one two | words three", 2, "one two three ");
    expect("tag=t grep else | words needle", 2, "needle ");
}

static void words_that_need_not_occur_are_not_told(void **state)
{
    (void)state;
    expect("tag=t grep needle", 1, "");            /* it may be part of a word */
    expect("tag=t words -v needle", 1, "");        /* its absence is wanted */
    expect("tag=t words -or needle stack", 1, ""); /* either will do */
    expect("tag=t grep -w needle stack", 1, "");   /* the same */
    expect("tag=t words -e name needle", 1, "");   /* it is in a value */
    expect("tag=t limit 3 | words needle", 0, ""); /* that runs elsewhere, and counts */
    expect("tag=t words needle", 0, "");           /* the same */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_must_occur_are_told),
        cmocka_unit_test(words_that_need_not_occur_are_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
