#include "ingest/selflog.h"

#include "base/vec.h"
#include "ingest/feeder.h"
#include "service/log.h"

struct ingest_selflog {
    struct io *io;
    struct ingest_feeder *feeder;
};

static void put(void *context, enum log_level level, struct span line)
{
    struct ingest_selflog *selflog = context;
    (void)level;
    ingest_feeder_put(selflog->feeder, io_now_ns(selflog->io), line);
}

int ingest_selflog_start(const struct conf *conf, struct io *io, const char *program,
                         struct ingest_selflog **ret_selflog)
{
    *ret_selflog = NULL;
    size_t count = conf_list_count(conf, CONF_GLOBAL, "Self-Log-Target");
    if (count == 0 || conf_bool(conf, CONF_GLOBAL, "Disable-Self-Ingest")) {
        return 0;
    }
    VEC(const char *) targets = {0};
    for (size_t i = 0; i < count; i++) {
        vec_push(&targets, conf_list(conf, CONF_GLOBAL, "Self-Log-Target", i));
    }
    struct ingest_selflog *selflog = MEM_NEW(struct ingest_selflog);
    selflog->io = io;
    struct ingest_feeder_options options = {
        .client = {.targets = targets.items,
                   .target_count = targets.count,
                   .secret = conf_text(conf, CONF_GLOBAL, "Ingest-Auth"),
                   .name = program},
        .tag = conf_text(conf, CONF_GLOBAL, "Self-Log-Tag"),
    };
    int rc = ingest_feeder_start(&options, &selflog->feeder);
    vec_deinit(&targets);
    if (rc < 0) {
        mem_free(selflog);
        return err_wrap(rc, "Self-Log-Target");
    }
    log_set_sink(put, selflog);
    *ret_selflog = selflog;
    return 0;
}

void ingest_selflog_stop(struct ingest_selflog **selflog)
{
    if (*selflog != NULL) {
        log_set_sink(NULL, NULL);
        ingest_feeder_stop(&(*selflog)->feeder);
        mem_free(*selflog);
        *selflog = NULL;
    }
}
