/*
 * A stamp: which write an element came with. Elements of every well carry one: it decides which
 * of two values of one timestamp stands (the last write), what a delete covers (older writes
 * only), and by whom an element is counted when several nodes hold it.
 */
#ifndef SERIES_STAMP_H
#define SERIES_STAMP_H

#include <stdint.h>

struct stamp {
    uint64_t time;   /* hybrid logical time of the record (datalog/log.h) */
    uint16_t origin; /* number of the record's origin on this node (series/origins.h) */
};

#endif
