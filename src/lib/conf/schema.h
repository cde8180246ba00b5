/*
 * A schema: the sections and keys that one kind of file may have, as tables. The loader, the
 * getters, "did you mean" and the reference page all come from the rows. A room that needs a new
 * key adds a row (schema_aquifer.c, schema_loadbalancer.c).
 *
 * Rows live as long as the program.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
    CONF_TEXT,
    CONF_PATH,
    CONF_BOOL, /* true yes on 1, false no off 0; the bare key is true */
    CONF_INT,  /* decimal or 0x hexadecimal */
    CONF_PORT, /* 0 to 65535 */
    CONF_FLOAT,
    CONF_AGE,         /* whole days or weeks: 7d, 12W */
    CONF_DURATION,    /* 90s, 1h30m */
    CONF_TIME_OF_DAY, /* 23:30 */
    CONF_ADDRESS,     /* host or host:port */
    CONF_UUID,
    CONF_LEVEL, /* a log level: INFO WARN ERROR, and OFF */
};

/* Which daemons a key concerns. */
enum conf_reader {
    CONF_WEBSERVER = 1,
    CONF_INDEXER = 2,
    CONF_DATASTORE = 4,
    CONF_LOADBALANCER = 8,
    CONF_NO_EFFECT = 256, /* known and checked, but nothing acts on it (schema_test.c looks) */
};

struct conf_key {
    const char *name;
    enum conf_type type;
    unsigned readers;        /* of enum conf_reader */
    const char *def;         /* as it would be written; {data} and {config} stand for the values of
                                Data-Directory and Config-Location; NULL: none */
    const char *help;        /* a phrase for the reference page */
    bool list;               /* may be repeated */
    const char *environment; /* variables that fill it, separated by spaces, or NULL */
    const char *secret_file; /* its name under /run/secrets with Docker-Secrets, or NULL */
    int64_t min, max;        /* of integers; both 0: any */
};

enum conf_section_kind {
    CONF_ONE,     /* [Name] */
    CONF_NAMED,   /* [Name "subsection"], any number */
    CONF_IGNORED, /* either; its keys are not looked at */
};

struct conf_section {
    const char *name;
    enum conf_section_kind kind;
    const char *help; /* a sentence or more, Markdown */
    const struct conf_key *keys;
    size_t key_count;
};

/* Another spelling. `section` is NULL for another spelling of a section's name. */
struct conf_alias {
    const char *section; /* canonical */
    const char *alias;
    const char *name;
};

struct conf_schema {
    const char *title; /* "aquifer.conf" */
    const char *help;
    const struct conf_section *sections;
    size_t section_count;
    const struct conf_alias *aliases;
    size_t alias_count;
};

#endif
