/* Tested by pipeline_test.c. */
#include "query/modules/modules.h"

#include "base/text.h"

static const struct query_module *const modules[] = {
    &query_module_abs,          &query_module_alias,     &query_module_ax,
    &query_module_base64,       &query_module_bottom,    &query_module_cef,
    &query_module_concat,       &query_module_count,     &query_module_csv,
    &query_module_dump,         &query_module_enrich,    &query_module_eval,
    &query_module_fields,       &query_module_first,     &query_module_grep,
    &query_module_hexlify,      &query_module_intrinsic, &query_module_ip,
    &query_module_ipexist,      &query_module_iplookup,  &query_module_json,
    &query_module_keep,         &query_module_kv,        &query_module_last,
    &query_module_length,       &query_module_limit,     &query_module_lookup,
    &query_module_lower,        &query_module_max,       &query_module_mean,
    &query_module_min,          &query_module_nosort,    &query_module_path,
    &query_module_printf,       &query_module_regex,     &query_module_require,
    &query_module_slice,        &query_module_sort,      &query_module_split,
    &query_module_src,          &query_module_stats,     &query_module_stddev,
    &query_module_strings,      &query_module_subnet,    &query_module_sum,
    &query_module_syslog,       &query_module_time,      &query_module_top,
    &query_module_trim,         &query_module_trimleft,  &query_module_trimprefix,
    &query_module_trimright,    &query_module_trimspace, &query_module_trimsuffix,
    &query_module_truncate,     &query_module_unescape,  &query_module_unique,
    &query_module_unique_count, &query_module_upper,     &query_module_variance,
    &query_module_words,        &query_module_xml,
};

static const struct query_renderer *const renderers[] = {
    &query_renderer_chart,   &query_renderer_fdg,         &query_renderer_gauge,
    &query_renderer_heatmap, &query_renderer_hex,         &query_renderer_numbercard,
    &query_renderer_pcap,    &query_renderer_point2point, &query_renderer_pointmap,
    &query_renderer_raw,     &query_renderer_stackgraph,  &query_renderer_table,
    &query_renderer_text,    &query_renderer_wordcloud,
};

const struct query_module *query_module_at(size_t index)
{
    return index < ARRAY_COUNT(modules) ? modules[index] : NULL;
}

const struct query_renderer *query_renderer_at(size_t index)
{
    return index < ARRAY_COUNT(renderers) ? renderers[index] : NULL;
}

const struct query_module *query_module_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_COUNT(modules); i++) {
        if (span_equal_str(name, modules[i]->name)) {
            return modules[i];
        }
    }
    return NULL;
}

const struct query_renderer *query_renderer_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_COUNT(renderers); i++) {
        if (span_equal_str(name, renderers[i]->name)) {
            return renderers[i];
        }
    }
    return NULL;
}

const char *query_module_nearest(struct span name)
{
    const char *names[ARRAY_COUNT(modules) + ARRAY_COUNT(renderers)];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(modules); i++) {
        names[count++] = modules[i]->name;
    }
    for (size_t i = 0; i < ARRAY_COUNT(renderers); i++) {
        names[count++] = renderers[i]->name;
    }
    return text_nearest(name, names, count);
}
