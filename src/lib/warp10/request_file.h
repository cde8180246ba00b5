/*
 * A request as Warp 10 2.x keeps and forwards it: the text of a .datalog file. Its name is
 * warp10_file_name() (header.h).
 *
 *     #4iXlnUzdzj6d…                                     the request (no # for META and DELETE)
 *     #K52934652515796                                   shard key of the next line
 *     1700000000000000// demo.temp{room=kitchen} 21.5    accepted lines, as they came
 *     =1700000060000000// 22
 *
 * Byte for byte what Warp 10 writes, unless a line is not ASCII or was shifted: it forwards these
 * with another meaning. Pure.
 */
#ifndef WARP10_REQUEST_FILE_H
#define WARP10_REQUEST_FILE_H

#include "warp10/header.h"
#include "warp10/siphash.h"

MUST_CHECK int request_file_begin(struct buf *buf, const struct warp10_datalog *datalog,
                                  struct span psk);

struct request_file_keys {
    struct siphash_key class, labels; /* warp.hash.class, warp.hash.labels */
};

/* A line of an UPDATE or META. `keys` NULL: without shard keys; a continuation (=) has none.
 * `series` is the key (series/key.h) of the series with all its labels. */
void request_file_line(struct buf *buf, struct span line, struct span series,
                       const struct request_file_keys *keys);

/* The same line for a reader who knows neither the character set of the request nor its time shift:
 * what is not ASCII is escaped, and with `time` (units) that stands in it. Borrows from `line` when
 * nothing is to be done, else from `scratch`. */
struct span request_file_portable(struct buf *scratch, struct span line, bool latin1,
                                  const int64_t *time);

/* The request and what follows its line. ERR_PROTOCOL. */
MUST_CHECK int request_file_open(struct arena *arena, struct span text, struct span psk,
                                 struct warp10_datalog *ret_datalog, struct span *ret_lines);

#endif
