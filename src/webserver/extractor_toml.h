/*
 * Extraction definitions as the files of the reference system have them, both ways:
 *
 *     [[extraction]]
 *         name = "requests"
 *         module = "csv"
 *         tag = "app"             tags = ["app", "web"]
 *         params = 'when, who'    args = "-s"    desc = "…"
 *
 * Of TOML: comments, tables of that name, texts in single, double and three quotes, lists of texts.
 * Pure.
 */
#ifndef WEBSERVER_EXTRACTOR_TOML_H
#define WEBSERVER_EXTRACTOR_TOML_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define EXTRACTOR_TOML_BYTES_MAX ((size_t)1024 * 1024)
#define EXTRACTOR_TOML_MAX 1000 /* definitions */

/* A list of definitions with the web API's keys: Name, Desc, Module, Params, Args, Tag, Tags. A
 * fault names the line. */
MUST_CHECK int extractor_toml_read(struct span text, json_t **ret_list);

/* Appends one. */
void extractor_toml_write(const json_t *definition, struct buf *buf);

#endif
