#include "conf/conf.h"

#include <stdio.h>

#include "base/time.h"
#include "conf/settings.h"
#include "conf/value.h"

struct conf *conf_new(const struct conf_schema *schema, const char *path)
{
    struct conf *conf = MEM_NEW(struct conf);
    conf->schema = schema;
    conf->path = mem_strdup(path);
    return conf;
}

static void free_values(struct conf_setting *setting)
{
    for (size_t i = 0; i < setting->values.count; i++) {
        mem_free(setting->values.items[i].text);
    }
    vec_clear(&setting->values);
}

static void free_block(struct conf_block *block)
{
    for (size_t i = 0; i < block->settings.count; i++) {
        free_values(&block->settings.items[i]);
        vec_deinit(&block->settings.items[i].values);
    }
    vec_deinit(&block->settings);
    mem_free(block->name);
    mem_free(block);
}

void conf_free(struct conf **ref)
{
    struct conf *conf = *ref;
    if (conf == NULL) {
        return;
    }
    for (size_t i = 0; i < conf->blocks.count; i++) {
        free_block(conf->blocks.items[i]);
    }
    for (size_t i = 0; i < conf->files.count; i++) {
        mem_free(conf->files.items[i]);
    }
    for (size_t i = 0; i < conf->defaults.count; i++) {
        mem_free(conf->defaults.items[i].text);
    }
    vec_deinit(&conf->blocks);
    vec_deinit(&conf->files);
    vec_deinit(&conf->defaults);
    map_deinit(&conf->block_of_name);
    mem_free(conf->path);
    mem_free(conf);
    *ref = NULL;
}

const char *conf_path(const struct conf *conf)
{
    return conf->path;
}

const char *conf_keep_file(struct conf *conf, const char *file)
{
    char *kept = mem_strdup(file);
    vec_push(&conf->files, kept);
    return kept;
}

/* ---- the schema ---- */

const struct conf_section *conf_schema_section(const struct conf_schema *schema, struct span name)
{
    for (size_t i = 0; i < schema->section_count; i++) {
        if (span_equal_nocase(span_of_str(schema->sections[i].name), name)) {
            return &schema->sections[i];
        }
    }
    for (size_t i = 0; i < schema->alias_count; i++) {
        const struct conf_alias *alias = &schema->aliases[i];
        if (alias->section == NULL && span_equal_nocase(span_of_str(alias->alias), name)) {
            return conf_schema_section(schema, span_of_str(alias->name));
        }
    }
    return NULL;
}

const struct conf_key *conf_schema_key(const struct conf_schema *schema,
                                       const struct conf_section *section, struct span name)
{
    for (size_t i = 0; i < section->key_count; i++) {
        if (span_equal_nocase(span_of_str(section->keys[i].name), name)) {
            return &section->keys[i];
        }
    }
    for (size_t i = 0; i < schema->alias_count; i++) {
        const struct conf_alias *alias = &schema->aliases[i];
        if (alias->section != NULL && strcmp(alias->section, section->name) == 0 &&
            span_equal_nocase(span_of_str(alias->alias), name)) {
            return conf_schema_key(schema, section, span_of_str(alias->name));
        }
    }
    return NULL;
}

/* What our own code asks for must be in the schema, in its canonical spelling. */
static const struct conf_section *section_of(const struct conf *conf, const char *name)
{
    const struct conf_section *section = conf_schema_section(conf->schema, span_of_str(name));
    CHECK(section != NULL);
    CHECK(strcmp(section->name, name) == 0);
    return section;
}

static const struct conf_key *key_of(const struct conf *conf, const struct conf_section *section,
                                     const char *name)
{
    const struct conf_key *key = conf_schema_key(conf->schema, section, span_of_str(name));
    CHECK(key != NULL);
    CHECK(strcmp(key->name, name) == 0);
    return key;
}

/* ---- blocks and settings ---- */

static void block_key(struct buf *buf, const struct conf_section *section, struct span name)
{
    buf_append_str(buf, section->name);
    buf_append_byte(buf, 0);
    buf_append(buf, name);
}

static struct conf_block *block_find(const struct conf *conf, const struct conf_section *section,
                                     struct span name)
{
    struct buf key = {0};
    block_key(&key, section, name);
    struct conf_block *block = map_get(&conf->block_of_name, buf_span(&key));
    buf_deinit(&key);
    return block;
}

struct conf_block *conf_block_make(struct conf *conf, const struct conf_section *section,
                                   struct span name, struct conf_place place)
{
    struct conf_block *block = block_find(conf, section, name);
    if (block != NULL || conf->blocks.count >= CONF_BLOCKS_MAX) {
        return block;
    }
    block = MEM_NEW(struct conf_block);
    block->section = section;
    block->name =
        section->kind == CONF_NAMED ? mem_strndup((const char *)name.data, name.bytes) : NULL;
    block->place = place;
    vec_push(&conf->blocks, block);
    struct buf key = {0};
    block_key(&key, section, name);
    map_put(&conf->block_of_name, buf_span(&key), block);
    buf_deinit(&key);
    return block;
}

struct conf_setting *conf_setting_find(const struct conf_block *block, const struct conf_key *key)
{
    for (size_t i = 0; i < block->settings.count; i++) {
        if (block->settings.items[i].key == key) {
            return &block->settings.items[i];
        }
    }
    return NULL;
}

void conf_setting_put(struct conf_block *block, const struct conf_key *key, struct span text,
                      struct conf_place place)
{
    struct conf_setting *setting = conf_setting_find(block, key);
    if (setting == NULL) {
        vec_push(&block->settings, (struct conf_setting){.key = key});
        setting = &block->settings.items[block->settings.count - 1];
    }
    if (!key->list) {
        free_values(setting);
    }
    char *copy = mem_strndup((const char *)text.data, text.bytes);
    vec_push(&setting->values, (struct conf_value){copy, place});
}

void conf_setting_clear(struct conf_block *block, const struct conf_key *key)
{
    struct conf_setting *setting = conf_setting_find(block, key);
    if (setting != NULL) {
        free_values(setting);
    }
}

/* ---- defaults ---- */

static const char *default_of(const struct conf *conf, const struct conf_key *key)
{
    for (size_t i = 0; i < conf->defaults.count; i++) {
        if (conf->defaults.items[i].key == key) {
            return conf->defaults.items[i].text;
        }
    }
    return key->def == NULL ? "" : key->def;
}

static char *expand(const char *text, const char *data, const char *config)
{
    static const struct span data_mark = SPAN_LIT("{data}");
    static const struct span config_mark = SPAN_LIT("{config}");
    struct span span = span_of_str(text);
    if (span_starts_with(span, data_mark)) {
        return mem_printf("%s%s", data, text + data_mark.bytes);
    }
    if (span_starts_with(span, config_mark)) {
        return mem_printf("%s%s", config, text + config_mark.bytes);
    }
    return NULL;
}

/* The value of a [Global] key that other defaults are built from, "" when the schema lacks it. */
static const char *base_directory(const struct conf *conf, const char *name)
{
    const struct conf_section *global = section_of(conf, "Global");
    const struct conf_key *key = conf_schema_key(conf->schema, global, span_of_str(name));
    return key == NULL ? "" : conf_text(conf, CONF_GLOBAL, key->name);
}

static void expand_where(struct conf *conf, const char *mark, const char *data, const char *config)
{
    for (size_t i = 0; i < conf->schema->section_count; i++) {
        const struct conf_section *section = &conf->schema->sections[i];
        for (size_t k = 0; k < section->key_count; k++) {
            const struct conf_key *key = &section->keys[k];
            bool wanted =
                key->def != NULL && span_starts_with(span_of_str(key->def), span_of_str(mark));
            char *text = wanted ? expand(key->def, data, config) : NULL;
            if (text != NULL) {
                vec_push(&conf->defaults, (struct conf_default){key, text});
            }
        }
    }
}

void conf_expand_defaults(struct conf *conf)
{
    /* Config-Location's own default lies under Data-Directory: that one first. */
    const char *data = base_directory(conf, "Data-Directory");
    expand_where(conf, "{data}", data, "");
    expand_where(conf, "{config}", data, base_directory(conf, "Config-Location"));
}

/* ---- getters ---- */

static const struct conf_block *block_of(const struct conf *conf,
                                         const struct conf_section *section, const char *subsection)
{
    CHECK((section->kind == CONF_NAMED) == (subsection != NULL));
    return block_find(conf, section, span_of_str(subsection));
}

static const struct conf_setting *setting_of(const struct conf *conf, const char *section_name,
                                             const char *subsection, const char *key_name,
                                             const struct conf_key **ret_key)
{
    const struct conf_section *section = section_of(conf, section_name);
    *ret_key = key_of(conf, section, key_name);
    const struct conf_block *block = block_of(conf, section, subsection);
    return block == NULL ? NULL : conf_setting_find(block, *ret_key);
}

static const char *scalar(const struct conf *conf, const char *section, const char *subsection,
                          const char *name, const struct conf_key **ret_key)
{
    const struct conf_setting *setting = setting_of(conf, section, subsection, name, ret_key);
    CHECK(!(*ret_key)->list);
    if (setting != NULL && setting->values.count > 0 && setting->values.items[0].text[0] != 0) {
        return setting->values.items[0].text;
    }
    return default_of(conf, *ret_key);
}

const char *conf_text(const struct conf *conf, const char *section, const char *subsection,
                      const char *name)
{
    const struct conf_key *key;
    return scalar(conf, section, subsection, name, &key);
}

int64_t conf_int(const struct conf *conf, const char *section, const char *subsection,
                 const char *name)
{
    const struct conf_key *key;
    const char *text = scalar(conf, section, subsection, name, &key);
    CHECK(key->type == CONF_INT || key->type == CONF_PORT);
    int64_t value = 0;
    CHECK(text[0] == 0 || conf_value_int(span_of_str(text), &value));
    return value;
}

uint16_t conf_port(const struct conf *conf, const char *section, const char *subsection,
                   const char *name)
{
    int64_t port = conf_int(conf, section, subsection, name);
    CHECK(port >= 0 && port <= UINT16_MAX);
    return (uint16_t)port;
}

bool conf_bool(const struct conf *conf, const char *section, const char *subsection,
               const char *name)
{
    const struct conf_key *key;
    const char *text = scalar(conf, section, subsection, name, &key);
    CHECK(key->type == CONF_BOOL);
    bool value = false;
    CHECK(text[0] == 0 || conf_value_bool(span_of_str(text), &value));
    return value;
}

double conf_float(const struct conf *conf, const char *section, const char *subsection,
                  const char *name)
{
    const struct conf_key *key;
    const char *text = scalar(conf, section, subsection, name, &key);
    CHECK(key->type == CONF_FLOAT);
    double value = 0;
    CHECK(text[0] == 0 || conf_value_float(span_of_str(text), &value));
    return value;
}

static bool duration_of(enum conf_type type, struct span text, int64_t *ret_ns)
{
    switch (type) {
    case CONF_AGE:
        return conf_value_age(text, ret_ns);
    case CONF_TIME_OF_DAY:
        return conf_value_time_of_day(text, ret_ns);
    case CONF_DURATION:
        return time_parse_duration(text, ret_ns);
    default:
        return false;
    }
}

int64_t conf_duration(const struct conf *conf, const char *section, const char *subsection,
                      const char *name)
{
    const struct conf_key *key;
    const char *text = scalar(conf, section, subsection, name, &key);
    int64_t value = 0;
    CHECK(key->type == CONF_AGE || key->type == CONF_DURATION || key->type == CONF_TIME_OF_DAY);
    CHECK(text[0] == 0 || duration_of(key->type, span_of_str(text), &value));
    return value;
}

bool conf_is_set(const struct conf *conf, const char *section, const char *subsection,
                 const char *name)
{
    const struct conf_key *key;
    const struct conf_setting *setting = setting_of(conf, section, subsection, name, &key);
    for (size_t i = 0; setting != NULL && i < setting->values.count; i++) {
        if (setting->values.items[i].text[0] != 0) {
            return true;
        }
    }
    return false;
}

/* Element `index` of what the files give, or NULL when they give fewer. */
static const char *given_element(const struct conf_setting *setting, size_t index)
{
    for (size_t i = 0; setting != NULL && i < setting->values.count; i++) {
        const char *text = setting->values.items[i].text;
        if (text[0] != 0 && index-- == 0) {
            return text;
        }
    }
    return NULL;
}

size_t conf_list_count(const struct conf *conf, const char *section, const char *subsection,
                       const char *name)
{
    const struct conf_key *key;
    const struct conf_setting *setting = setting_of(conf, section, subsection, name, &key);
    CHECK(key->list);
    size_t count = 0;
    while (given_element(setting, count) != NULL) {
        count++;
    }
    return count == 0 && default_of(conf, key)[0] != 0 ? 1 : count;
}

const char *conf_list(const struct conf *conf, const char *section, const char *subsection,
                      const char *name, size_t index)
{
    CHECK(index < conf_list_count(conf, section, subsection, name));
    const struct conf_key *key;
    const struct conf_setting *setting = setting_of(conf, section, subsection, name, &key);
    const char *given = given_element(setting, index);
    return given != NULL ? given : default_of(conf, key);
}

size_t conf_subsection_count(const struct conf *conf, const char *name)
{
    const struct conf_section *section = section_of(conf, name);
    CHECK(section->kind == CONF_NAMED);
    size_t count = 0;
    for (size_t i = 0; i < conf->blocks.count; i++) {
        count += conf->blocks.items[i]->section == section;
    }
    return count;
}

const char *conf_subsection(const struct conf *conf, const char *name, size_t index)
{
    const struct conf_section *section = section_of(conf, name);
    for (size_t i = 0; i < conf->blocks.count; i++) {
        if (conf->blocks.items[i]->section == section && index-- == 0) {
            return conf->blocks.items[i]->name;
        }
    }
    check_failed("an index below conf_subsection_count()", __FILE__, __LINE__, __func__);
}

const char *conf_where(const struct conf *conf, const char *section, const char *subsection,
                       const char *name)
{
    static _Thread_local char text[ERR_TEXT_BYTES_MAX / 2];
    const struct conf_key *key;
    const struct conf_setting *setting =
        name == NULL ? NULL : setting_of(conf, section, subsection, name, &key);
    const struct conf_block *block = block_of(conf, section_of(conf, section), subsection);
    struct conf_place place = {.file = conf->path};
    if (setting != NULL && setting->values.count > 0) {
        place = setting->values.items[setting->values.count - 1].place;
    } else if (block != NULL) {
        place = block->place;
    }
    if (place.line == 0) {
        (void)snprintf(text, sizeof(text), "%s", place.file);
    } else {
        (void)snprintf(text, sizeof(text), "%s:%zu:%zu", place.file, place.line, place.column);
    }
    return text;
}
