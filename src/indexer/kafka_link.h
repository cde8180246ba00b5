/*
 * One end of a Kafka topic that is a hub: what the forwarder to it and the source from it share.
 * docs/protocols/kafka.md. A thread of its own owns each; the rest may ask for its info.
 */
#ifndef INDEXER_KAFKA_LINK_H
#define INDEXER_KAFKA_LINK_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "indexer/link_poison.h"
#include "indexer/storage.h"

#define KAFKA_SCHEME "kafka://"
#define KAFKA_NAME_BYTES_MAX 64
#define KAFKA_PAUSE_MS_MIN 20
#define KAFKA_PAUSE_MS_MAX 5000
#define KAFKA_METADATA_MS 2000

/* Why something does not go on. */
enum kafka_fault {
    KAFKA_NO_FAULT,
    KAFKA_FAULT_BROKER,
    KAFKA_FAULT_AUTH,
    KAFKA_FAULT_TOPIC,
    KAFKA_FAULT_TOO_LARGE,
    KAFKA_FAULT_MISSING,
    KAFKA_FAULT_VERSION,
    KAFKA_FAULT_POISON,
    KAFKA_FAULT_STORAGE,
    KAFKA_FAULT_OTHER,
    KAFKA_FAULTS,
};
const char *kafka_fault_name(enum kafka_fault fault);
enum kafka_fault kafka_fault_of(rd_kafka_resp_err_t code);

enum kafka_state {
    KAFKA_CONNECTING,
    KAFKA_CATCHING_UP,
    KAFKA_FOLLOWING,
    KAFKA_NEEDS_SNAPSHOT,
    KAFKA_NEEDS_UPGRADE, /* the topic has messages of a later version */
};
const char *kafka_state_name(enum kafka_state state);

/* What it borrows must outlive the link. */
struct kafka_options {
    struct io *io;
    struct storage *storage;
    struct link_poison *poison;
    const char *quarantine_dir;
    const char *name, *url;        /* as the config has them, and the url taken apart: */
    const char *brokers, *topic;   /* "host:port,host:port" */
    const char *const *properties; /* "name=value" */
    size_t properties_count;
    bool compress;              /* forwarder */
    const struct uuid *relayed; /* forwarder: nodes whose records are written too */
    size_t relayed_count;
    const char *offsets_path; /* source */
    int missing_ms;           /* source; 0: KAFKA_MISSING_MS */
};

/* Takes "kafka://host:port[,host:port]/topic" apart. ERR_INVALID. */
struct arena;
MUST_CHECK int kafka_url_parse(const char *url, struct arena *arena, struct kafka_options *options);

struct kafka_info {
    const char *name, *url;
    enum kafka_state state;
    uint64_t position;      /* forwarder: of our log, acknowledged */
    uint64_t records;       /* sent, or taken */
    uint64_t known;         /* source: held already */
    uint64_t aside;         /* in quarantine */
    uint64_t bytes;         /* of messages */
    uint64_t lag_messages;  /* source: in the topic and not read */
    uint64_t waiting_bytes; /* source: of records that are not whole, or whose turn it is not */
    uint64_t faults[KAFKA_FAULTS];
    enum kafka_fault kind; /* of the last one; none: it went on since */
    char fault[256];
};

struct kafka_link {
    struct kafka_options options;
    rd_kafka_t *rk;
    bool producer;
    int wake_fd; /* readable: look again */
    atomic_bool stopping;
    int64_t asked_ms;           /* the brokers, while none answers */
    rd_kafka_resp_err_t broken; /* the client has to be made anew */
    char broker_text[256];      /* what a broker failed with last; the thread's */
    pthread_mutex_t lock;       /* over info */
    struct kafka_info info;
    enum kafka_fault told; /* logged last */
};

void kafka_link_init(struct kafka_link *link, const struct kafka_options *options);
void kafka_link_deinit(struct kafka_link *link); /* closes it, too */

/* ERR_INVALID names the property that librdkafka refuses, or that is not the user's to set. */
MUST_CHECK int kafka_link_conf(struct kafka_link *link, bool producer, rd_kafka_conf_t **ret_conf);
MUST_CHECK int kafka_link_open(struct kafka_link *link, bool producer, rd_kafka_conf_t *conf);
void kafka_link_close(struct kafka_link *link);

/* Before anything is assigned: librdkafka says what it has to, why brokers are down, say. */
void kafka_link_hear(struct kafka_link *link);

/* Partitions of the topic. A fault was noted when it is one. */
MUST_CHECK int kafka_link_partitions(struct kafka_link *link, uint32_t *ret_partitions);

/* Counts it, shows it, and logs it when it is another one than before. */
void kafka_link_fault(struct kafka_link *link, enum kafka_fault kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
void kafka_link_state(struct kafka_link *link, enum kafka_state state);
bool kafka_link_is_connecting(struct kafka_link *link);

/* While no broker answers: asks now and then, and says when one does. */
void kafka_link_ask(struct kafka_link *link);

void kafka_link_wake(struct kafka_link *link);
/* Until somebody wakes it or time is over. */
void kafka_link_wait(struct kafka_link *link, int timeout_ms);
int64_t kafka_link_now_ms(const struct kafka_link *link);
void kafka_link_info(struct kafka_link *link, struct kafka_info *ret_info);

#endif
