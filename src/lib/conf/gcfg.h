/*
 * The grammar of gravwell.conf: text in, headers and variables out. Knows no schema.
 *
 *     line     := [ header | variable ] [ comment ] EOL
 *     header   := '[' name [ '"' subsection '"' ] ']'
 *     variable := name [ '=' value ]
 *
 * A scanner borrows the text. The first fault ends it. Grammar: docs/configuration.md.
 */
#ifndef CONF_GCFG_H
#define CONF_GCFG_H

#include "base/buf.h"
#include "base/err.h"

struct conf_gcfg {
    struct span text;
    const char *name; /* of the file, for messages */
    size_t at;        /* next byte */
    size_t line;      /* of `at`, from 1 */
    size_t line_start;
    bool in_section;
    struct buf decoded; /* what the last item's name, subsection and value borrow from */
};

enum conf_gcfg_kind { CONF_GCFG_HEADER, CONF_GCFG_VARIABLE };

/* Spans borrow from the scanner until the next call. */
struct conf_gcfg_item {
    enum conf_gcfg_kind kind;
    struct span name;
    bool has_subsection;
    struct span subsection;
    bool has_value; /* an '=' was there */
    struct span value;

    /* Where it stands: lines and columns (of bytes) from 1, offsets into the text. */
    size_t line, column;             /* of the name */
    size_t value_line, value_column; /* of the value's first byte */
    size_t value_from, value_to;     /* the value as written, quotes and all */
    size_t name_to;                  /* after the name */
    size_t line_to;                  /* the end of its last line, before the newline */
};

enum conf_gcfg_outcome { CONF_GCFG_END = 1 };

/* A byte-order mark in front is passed over. Borrows `text` and `name`. */
void conf_gcfg_init(struct conf_gcfg *scanner, struct span text, const char *name);
void conf_gcfg_deinit(struct conf_gcfg *scanner);

/* 0 and an item, CONF_GCFG_END, or ERR_INVALID with "name:line:column: text". */
MUST_CHECK int conf_gcfg_next(struct conf_gcfg *scanner, struct conf_gcfg_item *ret_item);

#endif
