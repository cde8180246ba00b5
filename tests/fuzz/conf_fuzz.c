/* Any text is a configuration or is refused with a message; either way nothing leaks. */
#include "base/buf.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void look_at(const struct conf *conf)
{
    (void)conf_text(conf, CONF_GLOBAL, "Control-Auth");
    (void)conf_port(conf, CONF_GLOBAL, "Web-Port");
    (void)conf_bool(conf, CONF_GLOBAL, "Insecure-Disable-HTTPS");
    (void)conf_int(conf, CONF_GLOBAL, "Datastore-Update-Interval");
    (void)conf_duration(conf, CONF_GLOBAL, "Ageout-Time");
    (void)conf_list_count(conf, CONF_GLOBAL, "Remote-Indexers");
    for (size_t i = 0; i < conf_subsection_count(conf, "Storage-Well"); i++) {
        const char *well = conf_subsection(conf, "Storage-Well", i);
        for (size_t k = 0; k < conf_list_count(conf, "Storage-Well", well, "Tags"); k++) {
            CHECK(conf_list(conf, "Storage-Well", well, "Tags", k)[0] != 0);
        }
        (void)conf_duration(conf, "Storage-Well", well, "Hot-Duration");
        (void)conf_float(conf, "Storage-Well", well, "Collision-Rate");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct conf *conf = NULL;
    struct buf problems = {0};
    int rc = conf_parse(span_of(data, bytes), "f", conf_schema_aquifer(), &problems, &conf);
    CHECK((rc == 0) == (conf != NULL));
    CHECK((rc == 0) == (problems.bytes == 0));
    if (conf != NULL) {
        look_at(conf);
    }
    conf_free(&conf);
    buf_deinit(&problems);
    struct buf host = {0};
    uint16_t port;
    (void)!conf_host_port(span_of(data, bytes), 1, &host, &port);
    buf_deinit(&host);
    return 0;
}
