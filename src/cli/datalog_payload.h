/*
 * What the records of a datalog carry, for people: series, attributes, deletes.
 */
#ifndef CLI_DATALOG_PAYLOAD_H
#define CLI_DATALOG_PAYLOAD_H

#include "datalog/record.h"

/* Whether the payload has the form of its type, as far as this program knows it; ERR_CORRUPT.
 * *ret_count: things in it; 0 when the type is not known here. */
MUST_CHECK int datalog_payload_check(const struct datalog_record *record, uint32_t *ret_count);

/* What is in a checked one, one line each. */
void datalog_payload_print(const struct datalog_record *record);

#endif
