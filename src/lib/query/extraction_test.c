/*
 * syslog, xml, cef: the worked examples of the language sheet, and texts that are torn or of
 * another form; what filters on values ask of whole blocks.
 */
#include "query/modules_testing.h"

static void syslog_takes_the_parts_of_a_message(void **unused)
{
    (void)unused;
    expect("tag=sys syslog Severity<6 Hostname Structured.a Message | table Severity Hostname a "
           "Message",
           "5 host1 3 hello\n");
    expect("tag=sys syslog Facility Priority Version Timestamp Appname ProcID MsgID StructuredID "
           "b | table Facility Priority Version Timestamp Appname ProcID MsgID StructuredID b",
           "20 165 1 2026-01-02T03:04:05Z app 77 ID1 x@1 q\n");
    expect("tag=sys syslog Structured[x@1].a==3 as v | table v", "3\n");
    expect("tag=sys syslog Structured[y@1].a as v Hostname | table v Hostname", " host1\n");
    expect("tag=sys syslog Severity>=6 | table TAG", "");
    expect("tag=sys syslog Hostname~ost | table Hostname", "host1\n");
    expect("tag=sys2 syslog StructuredID==b@2 | table StructuredID", "b@2\n");
    expect("tag=sys2 syslog StructuredID!=b@2 | table StructuredID", "");
    expect("tag=sys2 syslog k Structured[b@2].k as k2 Message | table k k2 Message",
           "say \"x] y\" 2 \n");
    expect("tag=sys3 syslog Severity Hostname | table Severity Hostname", "2 \n");
    expect_failed("tag=sys3 syslog Hostname | table Hostname", 1);
    expect_failed("tag=auth syslog Hostname | table Hostname", 4);
    refuse("tag=sys syslog Severity~5", "needs a number");
    refuse("tag=sys syslog Structured[", "Structured.key or Structured[id].key");
}

static void xml_takes_texts_and_attributes(void **unused)
{
    (void)unused;
    expect("tag=xml xml S.D[N]==\"u\" | table D", "ann & co\n");
    expect("tag=xml xml S.D | table D", "w\n");
    expect("tag=xml xml S.D[N] | table N", "os\n");
    expect("tag=xml xml S.D==w S.E.F | table D F", "w 5\n");
    expect("tag=xml xml S.D==none | table D", "");
    expect("tag=xml xml S.D!=none | table D", "w\n");
    expect("tag=xml xml S.E as e S.G as g S.missing | table e g missing", "<F>5</F> <raw> \n");
    expect("tag=xml xml -s S.missing | table missing", "");
    expect_failed("tag=auth xml S.D | table D", 4);
    expect_failed("tag=xml xml S.D | table D", 0);
    expect_failed("tag=xml2 xml S.D | table D", 1);
    refuse("tag=xml xml S.", "the name of an element");
    refuse("tag=xml xml S[", "[Attribute]");
}

static void cef_takes_headers_and_extensions(void **unused)
{
    (void)unused;
    expect("tag=cef cef DeviceVendor==Acme Severity msg | table DeviceVendor Severity msg",
           "Acme 7 bad thing\n");
    expect("tag=cef cef src act Name Signature Version DeviceVersion | table src act Name "
           "Signature Version DeviceVersion",
           "10.0.0.1 blk deny 100 0 1\n");
    expect("tag=cef cef DeviceVendor~Nope | table msg", "");
    expect("tag=cef2 cef Ext.Version as v Name msg | table v Name msg", "9 a|b x=y z\n");
    expect_failed("tag=auth cef msg | table msg", 4);
}

/* The words of the first stage, with a comma behind each. */
static void expect_words(const char *text, const char *want)
{
    struct query *query = NULL;
    struct query_error error;
    struct span words[4];
    struct buf got = {0};
    assert_int_equal(query_parse(span_of_str(text), &test_options, &query, &error), 0);
    const struct query_stage *stage = &query->stages[0];
    size_t count = stage->module->required(stage->plan, words, ARRAY_COUNT(words));
    for (size_t i = 0; i < count; i++) {
        buf_append(&got, words[i]);
        buf_append_byte(&got, ',');
    }
    assert_string_equal(buf_str(&got), want);
    buf_deinit(&got);
    query_free(&query);
}

static void blocks_without_the_value_that_is_asked_for_need_not_be_read(void **unused)
{
    (void)unused;
    expect_words("tag=app json user==alice req.path==\"/a b\" code!=200 ms", "alice,/a b,");
    expect_words("tag=app json a==1 b==2 c==3 d==4 e==5", "1,2,3,4,");
    expect_words("tag=app json user==\"\" code ~ 20", "");
    expect_words("tag=app json -e req path==x", "");
    expect_words("tag=app json -x tags user==bob", "bob,");
    expect_words("tag=kv kv act==deny", "deny,");
    expect_words("tag=kv kv -sep : -d \"|;\" x==1 y!=2", "1,");
    expect_words("tag=kv kv -d \" x\" act==deny", "");
    expect_words("tag=kv kv -sep is act==deny", "");
    expect_words("tag=kv kv -e value act==deny", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syslog_takes_the_parts_of_a_message),
        cmocka_unit_test(xml_takes_texts_and_attributes),
        cmocka_unit_test(cef_takes_headers_and_extensions),
        cmocka_unit_test(blocks_without_the_value_that_is_asked_for_need_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
