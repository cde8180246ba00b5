/*
 * Configuration: files in the gravwell.conf dialect, checked against a schema, read as typed
 * settings.
 *
 *     conf_load(): <file>, then every <file>.d/NAME.conf in byte order, then the environment
 *     conf_text(), conf_int() …: what the file says, else what the schema's row says
 *
 * A conf does not change after loading, so any number of threads may read it; everything the
 * getters return borrows from it. Reloading is loading anew.
 *
 * Sections and keys are named in their canonical spelling ("Global", "Web-Port"); asking for one
 * that the schema does not have, or with the wrong type, fails a CHECK. A key that is absent or
 * empty has its default; the default of most lists is no element.
 *
 * The grammar is described in docs/configuration.md, every key in docs/configuration-keys.md,
 * which is printed from the schema.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/buf.h"
#include "base/uuid.h"
#include "io/io.h"

struct conf;
struct conf_schema; /* conf/schema.h */

/* aquifer.conf (also gravwell.conf): shared by datastore, webserver and indexer. Each reads the
 * keys that concern it and passes over the others'. */
const struct conf_schema *conf_schema_aquifer(void);

/* loadbalancer.conf */
const struct conf_schema *conf_schema_loadbalancer(void);

/* A file is at most this long; a longer one is an error. */
#define CONF_FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* 0, or a fault whose text names the file, the line and the column of the first problem and how
 * many more there are. */
MUST_CHECK int conf_load(struct io *io, const char *path, const struct conf_schema *schema,
                         struct conf **ret_conf);

/* As conf_load, and appends every problem found to `problems`, one line each:
 * "/etc/aquifer/aquifer.conf:12:1: unknown key "Web-Prot" in [Global], did you mean "Web-Port"?" */
MUST_CHECK int conf_load_reporting(struct io *io, const char *path,
                                   const struct conf_schema *schema, struct buf *problems,
                                   struct conf **ret_conf);

/* From memory, without overlays and environment: for tests. `name` is used in messages. */
MUST_CHECK int conf_parse(struct span text, const char *name, const struct conf_schema *schema,
                          struct buf *problems, struct conf **ret_conf);

void conf_free(struct conf **conf); /* may be NULL inside */

/* The main file's path as given to conf_load. */
const char *conf_path(const struct conf *conf);

/* The place of nearly every key: conf_text(conf, CONF_GLOBAL, "Control-Auth"). */
#define CONF_GLOBAL "Global", NULL

/* `subsection` is NULL for sections without one. A subsection that the files do not have reads
 * as one in which nothing is set. */
const char *conf_text(const struct conf *conf, const char *section, const char *subsection,
                      const char *key); /* never NULL; any type, as written */
int64_t conf_int(const struct conf *conf, const char *section, const char *subsection,
                 const char *key); /* integers and ports */
uint16_t conf_port(const struct conf *conf, const char *section, const char *subsection,
                   const char *key);
bool conf_bool(const struct conf *conf, const char *section, const char *subsection,
               const char *key);
double conf_float(const struct conf *conf, const char *section, const char *subsection,
                  const char *key);

/* Durations in nanoseconds; 0 when unset. A time of day counts from midnight UTC. Keys that are
 * plain integers of seconds, minutes or hours have conf_int(). */
int64_t conf_duration(const struct conf *conf, const char *section, const char *subsection,
                      const char *key);

/* Whether the files or the environment give it a value (empty ones do not count). */
bool conf_is_set(const struct conf *conf, const char *section, const char *subsection,
                 const char *key);

/* Lists: elements in order of appearance, empty ones left out. */
size_t conf_list_count(const struct conf *conf, const char *section, const char *subsection,
                       const char *key);
const char *conf_list(const struct conf *conf, const char *section, const char *subsection,
                      const char *key, size_t index);

/* The subsections of [section "…"], in order of first appearance:
 *     for (size_t i = 0; i < conf_subsection_count(conf, "Storage-Well"); i++) {
 *         const char *well = conf_subsection(conf, "Storage-Well", i); … }  */
size_t conf_subsection_count(const struct conf *conf, const char *section);
const char *conf_subsection(const struct conf *conf, const char *section, size_t index);

/* "/etc/aquifer/aquifer.conf:12:1", where the key was last given a value; the section's header
 * when it has none, or when no key is asked for (NULL); the file when it has neither. For the
 * messages of rooms that check more than a schema can. Holds until the next call of this thread. */
const char *conf_where(const struct conf *conf, const char *section, const char *subsection,
                       const char *key);

/* Identity for life: the UUID that `key` of [Global] holds (from file or environment). When it
 * holds none, a new one is minted and written into the main file, which is otherwise kept byte
 * for byte; it is durable when this returns 0. */
MUST_CHECK int conf_uuid(struct io *io, const struct conf *conf, const char *key,
                         struct uuid *ret_uuid);

/* Splits "host", "host:port", "[v6]:port", "v6" or ":port"; a "net:" in front (as Remote-Indexers
 * has) is dropped. Without a port it is `default_port`. `ret_host` is replaced, without brackets.
 * ERR_INVALID when it is none of these. */
MUST_CHECK int conf_host_port(struct span text, uint16_t default_port, struct buf *ret_host,
                              uint16_t *ret_port);

/* The reference page: every section and key of `schema`, as Markdown. */
void conf_print_reference(const struct conf_schema *schema, struct buf *page);

#endif
