/* Every module and renderer by name; the tables stand in modules.c and renderers.c. */
#ifndef QUERY_MODULES_MODULES_H
#define QUERY_MODULES_MODULES_H

#include "query/module.h"

extern const struct query_module query_module_grep;
extern const struct query_module query_module_limit;
extern const struct query_module query_module_words;

extern const struct query_renderer query_renderer_hex;
extern const struct query_renderer query_renderer_raw;
extern const struct query_renderer query_renderer_text;

#endif
