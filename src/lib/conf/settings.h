/*
 * The inside of a conf, shared by the files of this folder only.
 *
 * A block is one section or subsection that the files mention; it has one setting per key that
 * is given a value there, and a setting its values in order (more than one only for lists).
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "base/map.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/schema.h"

/* So many sections and subsections may one configuration have (the reference allows 65 thousand
 * wells), and so many overlay files. */
#define CONF_BLOCKS_MAX ((size_t)65536)
#define CONF_OVERLAYS_MAX ((size_t)1024)

struct conf_place {
    const char *file; /* owned by the conf; a whole phrase when line is 0 */
    size_t line;
    size_t column;
};

struct conf_value {
    char *text;
    struct conf_place place;
};

struct conf_setting {
    const struct conf_key *key;
    VEC(struct conf_value) values;
};

struct conf_block {
    const struct conf_section *section;
    char *name; /* of the subsection; NULL without */
    struct conf_place place;
    VEC(struct conf_setting) settings;
};

/* A default that depends on Data-Directory or Config-Location. */
struct conf_default {
    const struct conf_key *key;
    char *text;
};

struct conf {
    const struct conf_schema *schema;
    char *path;
    VEC(char *) files;               /* what places point to */
    VEC(struct conf_block *) blocks; /* in order of first appearance */
    struct map block_of_name;        /* "section\0subsection" */
    VEC(struct conf_default) defaults;
};

struct conf *conf_new(const struct conf_schema *schema, const char *path);

/* Keeps a copy of `file` as long as the conf lives. */
const char *conf_keep_file(struct conf *conf, const char *file);

/* The block, made when it is not there; NULL when there are too many. `name` may be SPAN_NONE. */
struct conf_block *conf_block_make(struct conf *conf, const struct conf_section *section,
                                   struct span name, struct conf_place place);

struct conf_setting *conf_setting_find(const struct conf_block *block, const struct conf_key *key);

/* A scalar is replaced, a list grows. Copies `text`. */
void conf_setting_put(struct conf_block *block, const struct conf_key *key, struct span text,
                      struct conf_place place);
void conf_setting_clear(struct conf_block *block, const struct conf_key *key);

/* After loading: defaults with {data} and {config} get their text. */
void conf_expand_defaults(struct conf *conf);

/* By any spelling, case ignored; NULL when there is none. */
const struct conf_section *conf_schema_section(const struct conf_schema *schema, struct span name);
const struct conf_key *conf_schema_key(const struct conf_schema *schema,
                                       const struct conf_section *section, struct span name);

#endif
