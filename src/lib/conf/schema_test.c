/*
 * Claims: the tables agree with themselves (every default is a value of its type, no name stands
 * twice, every alias leads somewhere) and with docs/configuration-keys.md, which is printed from
 * them. After a change of the tables:
 *
 *     AQUIFER_WRITE_REFERENCE=1 ctest -R conf_schema_test
 */
#include "conf/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/settings.h"
#include "conf/value.h"

#define REFERENCE "docs/configuration-keys.md"

static void for_each_key(void (*each)(const struct conf_schema *schema,
                                      const struct conf_section *section,
                                      const struct conf_key *key))
{
    const struct conf_schema *schemas[] = {conf_schema_aquifer(), conf_schema_loadbalancer()};
    for (size_t s = 0; s < ARRAY_COUNT(schemas); s++) {
        for (size_t i = 0; i < schemas[s]->section_count; i++) {
            const struct conf_section *section = &schemas[s]->sections[i];
            for (size_t k = 0; k < section->key_count; k++) {
                each(schemas[s], section, &section->keys[k]);
            }
        }
    }
}

static void check_default(const struct conf_schema *schema, const struct conf_section *section,
                          const struct conf_key *key)
{
    (void)schema;
    if (key->def != NULL && conf_value_check(key, span_of_str(key->def)) < 0) {
        fail_msg("[%s] %s: %s", section->name, key->name, err_text());
    }
    if ((key->environment != NULL || key->secret_file != NULL) && section->kind != CONF_ONE) {
        fail_msg("[%s] %s: the environment cannot name a subsection", section->name, key->name);
    }
}

static void every_default_is_a_value_of_its_type(void **state)
{
    (void)state;
    for_each_key(check_default);
}

static void check_unique(const struct conf_schema *schema, const struct conf_section *section,
                         const struct conf_key *key)
{
    if (conf_schema_key(schema, section, span_of_str(key->name)) != key) {
        fail_msg("[%s] %s stands twice", section->name, key->name);
    }
    if (key->help == NULL || key->readers == 0 || key->readers == CONF_NO_EFFECT) {
        fail_msg("[%s] %s: no help or no reader", section->name, key->name);
    }
}

static void no_name_stands_twice_and_all_are_explained(void **state)
{
    (void)state;
    for_each_key(check_unique);
}

static void every_alias_leads_somewhere(void **state)
{
    (void)state;
    const struct conf_schema *schemas[] = {conf_schema_aquifer(), conf_schema_loadbalancer()};
    for (size_t s = 0; s < ARRAY_COUNT(schemas); s++) {
        for (size_t i = 0; i < schemas[s]->alias_count; i++) {
            const struct conf_alias *alias = &schemas[s]->aliases[i];
            const char *name = alias->section == NULL ? alias->name : alias->section;
            const struct conf_section *section = conf_schema_section(schemas[s], span_of_str(name));
            assert_non_null(section);
            assert_true(alias->section == NULL ||
                        conf_schema_key(schemas[s], section, span_of_str(alias->name)) != NULL);
        }
    }
}

static void print_page(struct buf *page)
{
    buf_append_str(page, "# Configuration keys\n\nPrinted from the tables that the programs read "
                         "their configuration by\n(`src/lib/conf/schema_*.c`), so do not edit this "
                         "page: run\n`AQUIFER_WRITE_REFERENCE=1 ctest -R conf_schema_test`. The "
                         "language of the files is\ndescribed in "
                         "[configuration.md](configuration.md).\n\n");
    conf_print_reference(conf_schema_aquifer(), page);
    conf_print_reference(conf_schema_loadbalancer(), page);
    page->bytes--; /* one newline at the end is enough */
}

static void the_reference_page_is_what_the_tables_say(void **state)
{
    (void)state;
    struct buf page = {0};
    struct buf file = {0};
    print_page(&page);
    if (getenv("AQUIFER_WRITE_REFERENCE") != NULL) {
        assert_int_equal(io_write_file(io_real(), REFERENCE, buf_span(&page)), 0);
    }
    assert_int_equal(io_read_file(io_real(), REFERENCE, CONF_FILE_BYTES_MAX, &file), 0);
    if (!span_equal(buf_span(&page), buf_span(&file))) {
        fail_msg("%s is out of date: AQUIFER_WRITE_REFERENCE=1 ctest -R conf_schema_test",
                 REFERENCE);
    }
    buf_deinit(&page);
    buf_deinit(&file);
}

/* ---- what the code reads ---- */

static const char *const read_by_conf[] = {"Data-Directory", "Config-Location", "Docker-Secrets"};

/* Appends the sources below `path`, but for tests, this library and the load balancer, which has
 * a schema of its own. */
static int gather(void *context, const char *name);

struct gathering {
    const char *path;
    struct buf *sources;
};

static void gather_below(const char *path, struct buf *sources)
{
    struct gathering gathering = {path, sources};
    assert_int_equal(io_list(io_real(), path, gather, &gathering), 0);
}

static int gather(void *context, const char *name)
{
    const struct gathering *gathering = context;
    struct span file = span_of_str(name);
    char *path = mem_printf("%s/%s", gathering->path, name);
    bool source = span_ends_with(file, SPAN_LIT(".c"));
    bool test = span_ends_with(file, SPAN_LIT("_test.c"));
    bool other = strcmp(path, "src/lib/conf") == 0 || strcmp(path, "src/loadbalancer") == 0;
    if (source && !test) {
        assert_int_equal(io_read_file(io_real(), path, CONF_FILE_BYTES_MAX, gathering->sources), 0);
    } else if (span_find_byte(file, '.') < 0 && strcmp(name, "README") != 0 && !other) {
        gather_below(path, gathering->sources);
    }
    mem_free(path);
    return 0;
}

static bool is_read(const struct buf *sources, const char *key)
{
    char *literal = mem_printf("\"%s\"", key);
    bool found = span_find(buf_span(sources), span_of_str(literal)) >= 0;
    mem_free(literal);
    for (size_t i = 0; i < ARRAY_COUNT(read_by_conf); i++) {
        found = found || strcmp(key, read_by_conf[i]) == 0;
    }
    return found;
}

/* A key that claims an effect is named somewhere in the daemons' code, one that claims none is
 * not: so the reference page says truly what works. (Only [Global], whose names are their own.) */
static void the_tables_say_truly_which_keys_have_an_effect(void **state)
{
    (void)state;
    struct buf sources = {0};
    gather_below("src", &sources);
    const struct conf_section *global =
        conf_schema_section(conf_schema_aquifer(), SPAN_LIT("Global"));
    for (size_t i = 0; i < global->key_count; i++) {
        const struct conf_key *key = &global->keys[i];
        bool claims = (key->readers & CONF_NO_EFFECT) == 0;
        if (claims != is_read(&sources, key->name)) {
            fail_msg("%s is %s: %s LATER in schema_aquifer.c, then write the page anew", key->name,
                     claims ? "read nowhere" : "read", claims ? "add" : "take away");
        }
    }
    buf_deinit(&sources);
}

/* The smallest configurations that the reference system's pages show. */
static void a_file_with_a_secret_is_enough(void **state)
{
    (void)state;
    struct conf *conf = NULL;
    assert_int_equal(
        conf_parse(SPAN_LIT("[global]\nControl-Auth=x\n"), "f", conf_schema_aquifer(), NULL, &conf),
        0);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Datastore-User-DB-Path"),
                        "/var/lib/aquifer/etc/datastore-users.db");
    assert_int_equal(conf_port(conf, CONF_GLOBAL, "Datastore-Port"), 9405);
    conf_free(&conf);
    assert_int_equal(conf_parse(SPAN_LIT("[Global]\nData-Directory=/opt/gravwell\n"), "f",
                                conf_schema_aquifer(), NULL, &conf),
                     0);
    assert_string_equal(conf_text(conf, CONF_GLOBAL, "Web-Store-Path"),
                        "/opt/gravwell/etc/webstore.db");
    assert_string_equal(conf_text(conf, "Default-Well", NULL, "Location"),
                        "/opt/gravwell/storage/default");
    conf_free(&conf);
    assert_int_equal(conf_parse(SPAN_LIT("[Global]\n[Override \"a\"]\nWebserver=10.0.0.1\n"
                                         "[Overrides \"b\"]\nWebserver=10.0.0.2:8443\n"),
                                "f", conf_schema_loadbalancer(), NULL, &conf),
                     0);
    assert_int_equal(conf_subsection_count(conf, "Overrides"), 2);
    conf_free(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value_of_its_type),
        cmocka_unit_test(no_name_stands_twice_and_all_are_explained),
        cmocka_unit_test(every_alias_leads_somewhere),
        cmocka_unit_test(the_reference_page_is_what_the_tables_say),
        cmocka_unit_test(the_tables_say_truly_which_keys_have_an_effect),
        cmocka_unit_test(a_file_with_a_secret_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
