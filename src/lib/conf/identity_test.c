/*
 * Claims: a minted UUID goes into [global], every other byte of the file stays; it is minted once,
 * whatever fails or loses power meanwhile.
 */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/sim.h"

#define PATH "/etc/aquifer.conf"

static void start(struct io_sim *sim, const char *text)
{
    io_sim_init(sim, 7);
    assert_int_equal(io_make_dirs(&sim->io, "/etc"), 0);
    assert_int_equal(io_write_file(&sim->io, PATH, span_of_str(text)), 0);
}

static int identify(struct io *io, const char *key, struct uuid *ret_uuid)
{
    struct conf *conf = NULL;
    int rc = conf_load(io, PATH, conf_schema_aquifer(), &conf);
    if (rc == 0) {
        rc = conf_uuid(io, conf, key, ret_uuid);
    }
    conf_free(&conf);
    return rc;
}

/* `after` has an @ where the new UUID belongs. */
static void expect_file(struct io *io, const char *after, struct uuid uuid)
{
    char text[UUID_TEXT_BYTES];
    const char *at = strchr(after, '@');
    char *expected =
        mem_printf("%.*s\"%s\"%s", (int)(at - after), after, uuid_text(uuid, text), at + 1);
    struct buf file = {0};
    assert_int_equal(io_read_file(io, PATH, CONF_FILE_BYTES_MAX, &file), 0);
    assert_string_equal(buf_str(&file), expected);
    buf_deinit(&file);
    mem_free(expected);
}

static void everything_but_the_uuid_stays_byte_for_byte(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *after;
    } cases[] = {
        {"# top\n[global]\n  Web-Port=80 # c\n",
         "# top\n[global]\nIndexer-UUID=@\n  Web-Port=80 # c\n"},
        {"[Global]", "[Global]\nIndexer-UUID=@\n"},
        {"[ GLOBAL ] ; here\r\nWeb-Port=80\r\n",
         "[ GLOBAL ] ; here\r\nIndexer-UUID=@\r\nWeb-Port=80\r\n"},
        {"[global]\n\tindexer-uuid =   # mine\nWeb-Port=80",
         "[global]\n\tindexer-uuid =@   # mine\nWeb-Port=80"},
        {"[global]\nIndexer-UUID=\"\" ; mine\n", "[global]\nIndexer-UUID=@ ; mine\n"},
        {"[global]\nIndexer-UUID=\r\nWeb-Port=1\r\n", "[global]\nIndexer-UUID=@\r\nWeb-Port=1\r\n"},
        {"[global]\n#Indexer-UUID=x\n", "[global]\nIndexer-UUID=@\n#Indexer-UUID=x\n"},
        {"[Default-Well]\nLocation=/d", "[Default-Well]\nLocation=/d\n[Global]\nIndexer-UUID=@\n"},
        {"", "[Global]\nIndexer-UUID=@\n"},
        {"[Default-Well]\n[global]\n[global]\nIndexer-UUID=\n",
         "[Default-Well]\n[global]\n[global]\nIndexer-UUID=@\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct io_sim sim;
        struct uuid uuid;
        struct uuid again;
        start(&sim, cases[i].before);
        assert_int_equal(identify(&sim.io, "Indexer-UUID", &uuid), 0);
        expect_file(&sim.io, cases[i].after, uuid);
        assert_int_equal(identify(&sim.io, "Indexer-UUID", &again), 0);
        assert_true(uuid_equal(uuid, again));
        io_sim_deinit(&sim);
    }
}

static void asking_twice_mints_once(void **state)
{
    (void)state;
    struct io_sim sim;
    struct conf *conf = NULL;
    struct uuid first;
    struct uuid second;
    start(&sim, "[global]\n");
    assert_int_equal(conf_load(&sim.io, PATH, conf_schema_aquifer(), &conf), 0);
    assert_int_equal(conf_uuid(&sim.io, conf, "Webserver-UUID", &first), 0);
    assert_int_equal(conf_uuid(&sim.io, conf, "Webserver-UUID", &second), 0);
    assert_true(uuid_equal(first, second));
    assert_int_equal(conf_uuid(&sim.io, conf, "Indexer-UUID", &second), 0);
    assert_false(uuid_equal(first, second));
    conf_free(&conf);
    io_sim_deinit(&sim);
}

static void the_environment_may_hold_the_identity(void **state)
{
    (void)state;
    struct io_sim sim;
    struct uuid uuid;
    char text[UUID_TEXT_BYTES];
    start(&sim, "[global]\n");
    setenv("GRAVWELL_INDEXER_UUID", "0f6eae1a-5d1e-4d37-9f0c-1f6d6f3a9b11", 1);
    assert_int_equal(identify(&sim.io, "Indexer-UUID", &uuid), 0);
    unsetenv("GRAVWELL_INDEXER_UUID");
    assert_string_equal(uuid_text(uuid, text), "0f6eae1a-5d1e-4d37-9f0c-1f6d6f3a9b11");
    struct buf file = {0};
    assert_int_equal(io_read_file(&sim.io, PATH, 100, &file), 0);
    assert_string_equal(buf_str(&file), "[global]\n");
    buf_deinit(&file);
    io_sim_deinit(&sim);
}

static void a_private_file_stays_private(void **state)
{
    (void)state;
    char path[] = "/tmp/aquifer-identity-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[global]\n", 9), 9);
    close(fd);
    struct conf *conf = NULL;
    struct uuid uuid;
    struct stat status;
    assert_int_equal(conf_load(io_real(), path, conf_schema_aquifer(), &conf), 0);
    assert_int_equal(conf_uuid(io_real(), conf, "Indexer-UUID", &uuid), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(status.st_size > 9);
    conf_free(&conf);
    assert_int_equal(unlink(path), 0);
}

/* Each call fails once, each time with the power cut after it: the file is the old one or the new
 * one, and an identity that was given out is never another one later. */
static void no_fault_and_no_crash_tears_the_file_or_changes_an_identity(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1;; fail_at++) {
        struct io_sim sim;
        struct uuid given;
        struct uuid later;
        start(&sim, "# keep\n[global]\nWeb-Port=80\n");
        sim.fail_at = sim.calls + fail_at;
        bool known = identify(&sim.io, "Indexer-UUID", &given) == 0;
        bool failed = sim.failed;
        io_sim_power_off(&sim);
        io_sim_crash(&sim);
        assert_int_equal(identify(&sim.io, "Indexer-UUID", &later), 0);
        assert_true(!known || uuid_equal(given, later));
        expect_file(&sim.io, "# keep\n[global]\nIndexer-UUID=@\nWeb-Port=80\n", later);
        io_sim_deinit(&sim);
        if (!failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_but_the_uuid_stays_byte_for_byte),
        cmocka_unit_test(asking_twice_mints_once),
        cmocka_unit_test(the_environment_may_hold_the_identity),
        cmocka_unit_test(a_private_file_stays_private),
        cmocka_unit_test(no_fault_and_no_crash_tears_the_file_or_changes_an_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
