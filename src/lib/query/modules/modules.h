/* Every module and renderer by name; the tables stand in modules.c and renderers.c. */
#ifndef QUERY_MODULES_MODULES_H
#define QUERY_MODULES_MODULES_H

#include "query/module.h"

extern const struct query_module query_module_abs;
extern const struct query_module query_module_alias;
extern const struct query_module query_module_ax;
extern const struct query_module query_module_base64;
extern const struct query_module query_module_bottom;
extern const struct query_module query_module_cef;
extern const struct query_module query_module_concat;
extern const struct query_module query_module_count;
extern const struct query_module query_module_csv;
extern const struct query_module query_module_dump;
extern const struct query_module query_module_enrich;
extern const struct query_module query_module_eval;
extern const struct query_module query_module_fields;
extern const struct query_module query_module_first;
extern const struct query_module query_module_grep;
extern const struct query_module query_module_hexlify;
extern const struct query_module query_module_intrinsic;
extern const struct query_module query_module_ip;
extern const struct query_module query_module_ipexist;
extern const struct query_module query_module_iplookup;
extern const struct query_module query_module_json;
extern const struct query_module query_module_keep;
extern const struct query_module query_module_kv;
extern const struct query_module query_module_last;
extern const struct query_module query_module_length;
extern const struct query_module query_module_limit;
extern const struct query_module query_module_lookup;
extern const struct query_module query_module_lower;
extern const struct query_module query_module_max;
extern const struct query_module query_module_mean;
extern const struct query_module query_module_min;
extern const struct query_module query_module_nosort;
extern const struct query_module query_module_path;
extern const struct query_module query_module_printf;
extern const struct query_module query_module_regex;
extern const struct query_module query_module_require;
extern const struct query_module query_module_slice;
extern const struct query_module query_module_sort;
extern const struct query_module query_module_split;
extern const struct query_module query_module_src;
extern const struct query_module query_module_stats;
extern const struct query_module query_module_stddev;
extern const struct query_module query_module_strings;
extern const struct query_module query_module_subnet;
extern const struct query_module query_module_sum;
extern const struct query_module query_module_syslog;
extern const struct query_module query_module_time;
extern const struct query_module query_module_top;
extern const struct query_module query_module_trim;
extern const struct query_module query_module_trimleft;
extern const struct query_module query_module_trimprefix;
extern const struct query_module query_module_trimright;
extern const struct query_module query_module_trimspace;
extern const struct query_module query_module_trimsuffix;
extern const struct query_module query_module_truncate;
extern const struct query_module query_module_unescape;
extern const struct query_module query_module_unique;
extern const struct query_module query_module_unique_count;
extern const struct query_module query_module_upper;
extern const struct query_module query_module_variance;
extern const struct query_module query_module_words;
extern const struct query_module query_module_xml;

/* The names of what slice takes. */
size_t query_slice_names(const void *plan, struct span *names, size_t max);

/* Of stats' plan: is the result of this name one that goes on from window to window? */
bool query_stats_is_total(const void *plan, struct span name);

/* Of sort's plan. */
bool query_sort_is_by_time(const void *plan);

extern const struct query_renderer query_renderer_chart;
extern const struct query_renderer query_renderer_fdg;
extern const struct query_renderer query_renderer_gauge;
extern const struct query_renderer query_renderer_heatmap;
extern const struct query_renderer query_renderer_hex;
extern const struct query_renderer query_renderer_numbercard;
extern const struct query_renderer query_renderer_pcap;
extern const struct query_renderer query_renderer_point2point;
extern const struct query_renderer query_renderer_pointmap;
extern const struct query_renderer query_renderer_raw;
extern const struct query_renderer query_renderer_stackgraph;
extern const struct query_renderer query_renderer_table;
extern const struct query_renderer query_renderer_text;
extern const struct query_renderer query_renderer_wordcloud;

#endif
