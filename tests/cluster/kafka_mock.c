/*
 * A Kafka cluster for tests: librdkafka's mock cluster, alive as long as stdin is open.
 *
 *     kafka_mock BROKERS TOPIC PARTITIONS       prints its bootstrap servers, one line
 *
 * Commands, one line each, answered by "ok": "down BROKER" and "up BROKER" (from 1); "error CODE
 * COUNT": the next COUNT produce requests fail with this code of the protocol; "junk PARTITION
 * TEXT": writes a message that is none of ours; "version PARTITION": one of a later version.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"

#define PRODUCE_REQUEST 0 /* API key of the protocol */
#define ERRORS_MAX 64

static rd_kafka_t *new_producer(const char *brokers)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    CHECK(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)) ==
          RD_KAFKA_CONF_OK);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    CHECK(producer != NULL);
    return producer;
}

static void write_message(const char *brokers, const char *topic, int partition, struct span bytes)
{
    rd_kafka_t *producer = new_producer(brokers);
    CHECK(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_VALUE((void *)bytes.data, bytes.bytes),
                            RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(producer, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(producer);
}

/* A right checksum over version 99. */
static void write_version(const char *brokers, const char *topic, int partition)
{
    uint8_t message[80] = "AQFK";
    message[8] = 99;
    uint32_t sum = hash32(span_of(message + 8, sizeof(message) - 8));
    memcpy(message + 4, &sum, sizeof(sum));
    write_message(brokers, topic, partition, span_of(message, sizeof(message)));
}

static void fail_produce(rd_kafka_mock_cluster_t *cluster, int code, int count)
{
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    CHECK(count <= ERRORS_MAX);
    for (int i = 0; i < count; i++) {
        errors[i] = (rd_kafka_resp_err_t)code;
    }
    rd_kafka_mock_push_request_errors_array(cluster, PRODUCE_REQUEST, (size_t)count, errors);
}

int main(int argc, char **argv)
{
    char why[256];
    char line[1024];
    char text[1000];
    int number;
    int count;
    CHECK(argc == 4);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    CHECK(rk != NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, atoi(argv[1]));
    CHECK(cluster != NULL);
    CHECK(rd_kafka_mock_topic_create(cluster, argv[2], atoi(argv[3]), 1) ==
          RD_KAFKA_RESP_ERR_NO_ERROR);
    const char *brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    printf("%s\n", brokers);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "down %d", &number) == 1) {
            (void)rd_kafka_mock_broker_set_down(cluster, number);
        } else if (sscanf(line, "up %d", &number) == 1) {
            (void)rd_kafka_mock_broker_set_up(cluster, number);
        } else if (sscanf(line, "error %d %d", &number, &count) == 2) {
            fail_produce(cluster, number, count);
        } else if (sscanf(line, "junk %d %999[^\n]", &number, text) == 2) {
            write_message(brokers, argv[2], number, span_of_str(text));
        } else if (sscanf(line, "version %d", &number) == 1) {
            write_version(brokers, argv[2], number);
        } else {
            printf("unknown command\n");
            continue;
        }
        printf("ok\n");
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    return 0;
}
