/*
 * Finds the point in time that a log line speaks of. The format that matched last is tried
 * first, at the place where it matched, so that a file of one kind costs one parse per line.
 *
 *     <34>1 2003-10-11T22:14:15.003Z host …          RFC 5424, RFC 3339 anywhere near the front
 *     Mar 27 13:06:56 host sshd[1291]: …             RFC 3164; the year is guessed: not after
 *                                                    tomorrow
 *     2016-12-19 20:44:59,210 and [2016-12-19 …]     also with '.' or without a fraction
 *     … [17/May/2015:10:05:03 +0000] "GET …          Apache, nginx
 *     1446249499.322 …                               epoch in s, ms, µs, ns, by its digits
 *     {…"timestamp":1446249499322…}                  JSON: timestamp, time, ts, @timestamp
 *
 * A time without a zone is taken in `zone`. Pure but for the zone database of the C library; one
 * thread per finder.
 */
#ifndef INGEST_TIMESTAMP_H
#define INGEST_TIMESTAMP_H

#include "base/span.h"

enum ingest_zone {
    INGEST_ZONE_UTC,
    INGEST_ZONE_LOCAL, /* of the machine */
};

struct ingest_timestamp {
    enum ingest_zone zone;
    unsigned last;      /* row of the format table that matched last, plus 1; 0 = none yet */
    size_t last_offset; /* where */
};

/* Zero-initialised is a finder for UTC. False when no time is found: *ret_time_ns is unset. */
bool ingest_timestamp_find(struct ingest_timestamp *finder, struct span line, int64_t now_ns,
                           int64_t *ret_time_ns);

/* Name of the format that matched last, for messages; "none". */
const char *ingest_timestamp_format(const struct ingest_timestamp *finder);

#endif
