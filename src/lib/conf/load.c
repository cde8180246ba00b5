/* Loading: files into a conf, then the environment; every problem is noted, not only the first. */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "conf/gcfg.h"
#include "conf/settings.h"
#include "conf/value.h"

#define PROBLEMS_MAX 200 /* so many are listed; the rest is counted */
#define SECRETS_DIR "/run/secrets/"

struct loader {
    struct io *io;
    const struct conf_schema *schema;
    struct conf *conf;
    struct buf *problems; /* may be NULL */
    size_t problem_count;
    char *first_problem;
    int code; /* of the first */

    /* The file at hand. */
    const char *file;
    const struct conf_section *section; /* NULL: unknown, its keys are passed over */
    struct conf_block *block;
    char header[128]; /* as messages name the section: Storage-Well "x" */
};

/* Notes what err_text() says. */
static void note_fault(struct loader *loader, int code)
{
    if (loader->problem_count++ == 0) {
        loader->first_problem = mem_strdup(err_text());
        loader->code = code;
    }
    if (loader->problems != NULL && loader->problem_count <= PROBLEMS_MAX) {
        buf_printf(loader->problems, "%s\n", err_text());
    }
}

static struct conf_place place_of(const struct loader *loader, size_t line, size_t column)
{
    return (struct conf_place){loader->file, line, column};
}

PRINTF_LIKE(3, 4)
static void note(struct loader *loader, struct conf_place place, const char *format, ...)
{
    char text[ERR_TEXT_BYTES_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int code = place.line == 0 ? err_set(ERR_INVALID, "%s: %s", place.file, text)
                               : err_set(ERR_INVALID, "%s:%zu:%zu: %s", place.file, place.line,
                                         place.column, text);
    note_fault(loader, code);
}

/* ---- suggestions ---- */

/* A file of rubbish has more unknown names than anybody reads; only those that are listed are worth
 * the search. */
static bool is_listed(const struct loader *loader)
{
    return loader->problem_count < PROBLEMS_MAX;
}

static const char *nearest_section(const struct conf_schema *schema, struct span name)
{
    VEC(const char *) names = {0};
    for (size_t i = 0; i < schema->section_count; i++) {
        vec_push(&names, schema->sections[i].name);
    }
    const char *nearest = text_nearest(span_first(name, 100), names.items, names.count);
    vec_deinit(&names);
    return nearest;
}

static const char *nearest_key(const struct conf_section *section, struct span name)
{
    VEC(const char *) names = {0};
    for (size_t i = 0; i < section->key_count; i++) {
        vec_push(&names, section->keys[i].name);
    }
    const char *nearest = text_nearest(span_first(name, 100), names.items, names.count);
    vec_deinit(&names);
    return nearest;
}

/* Another section that has the key, or NULL. */
static const char *section_with_key(const struct conf_schema *schema, struct span name)
{
    for (size_t i = 0; i < schema->section_count; i++) {
        if (conf_schema_key(schema, &schema->sections[i], name) != NULL) {
            return schema->sections[i].name;
        }
    }
    return NULL;
}

static void note_unknown_section(struct loader *loader, const struct conf_gcfg_item *item)
{
    struct conf_place place = place_of(loader, item->line, item->column);
    const char *nearest = is_listed(loader) ? nearest_section(loader->schema, item->name) : NULL;
    if (nearest == NULL) {
        note(loader, place, "unknown section [%s]", loader->header);
    } else {
        note(loader, place, "unknown section [%s], did you mean [%s]?", loader->header, nearest);
    }
}

static void note_unknown_key(struct loader *loader, const struct conf_gcfg_item *item)
{
    struct conf_place place = place_of(loader, item->line, item->column);
    struct span name = span_first(item->name, 80);
    const char *elsewhere = section_with_key(loader->schema, item->name);
    const char *nearest = is_listed(loader) ? nearest_key(loader->section, item->name) : NULL;
    if (elsewhere != NULL) {
        note(loader, place, "unknown key \"%.*s\" in [%s], it belongs into [%s]", SPAN_ARG(name),
             loader->header, elsewhere);
    } else if (nearest != NULL) {
        note(loader, place, "unknown key \"%.*s\" in [%s], did you mean \"%s\"?", SPAN_ARG(name),
             loader->header, nearest);
    } else {
        note(loader, place, "unknown key \"%.*s\" in [%s]", SPAN_ARG(name), loader->header);
    }
}

/* ---- one file ---- */

static void take_header(struct loader *loader, const struct conf_gcfg_item *item)
{
    const struct conf_section *section = conf_schema_section(loader->schema, item->name);
    struct conf_place place = place_of(loader, item->line, item->column);
    struct span shown = span_first(item->name, 60);
    if (item->has_subsection) {
        (void)snprintf(loader->header, sizeof(loader->header), "%.*s \"%.*s\"", SPAN_ARG(shown),
                       SPAN_ARG(span_first(item->subsection, 50)));
    } else {
        (void)snprintf(loader->header, sizeof(loader->header), "%.*s", SPAN_ARG(shown));
    }
    loader->section = NULL;
    loader->block = NULL;
    if (section == NULL) {
        note_unknown_section(loader, item);
    } else if (section->kind == CONF_ONE && item->has_subsection) {
        note(loader, place, "unknown section [%s]: [%s] takes no name in quotes", loader->header,
             section->name);
    } else if (section->kind == CONF_NAMED && !item->has_subsection) {
        note(loader, place, "[%s] needs a name: [%s \"name\"]", section->name, section->name);
    } else {
        loader->section = section;
        struct span name = item->has_subsection ? item->subsection : SPAN_NONE;
        loader->block = conf_block_make(loader->conf, section, name, place);
        if (loader->block == NULL) {
            loader->section = NULL;
            note(loader, place, "more than %zu sections", CONF_BLOCKS_MAX);
        }
    }
}

/* The key alone, without '='. */
static void take_blank(struct loader *loader, const struct conf_key *key, struct conf_place place)
{
    if (key->list) {
        conf_setting_clear(loader->block, key);
    } else if (key->type == CONF_BOOL) {
        conf_setting_put(loader->block, key, SPAN_LIT("true"), place);
    } else {
        note(loader, place, "\"%s\" in [%s] has no value: expected %s after '='", key->name,
             loader->header, conf_type_name(key->type));
    }
}

static void take_variable(struct loader *loader, const struct conf_gcfg_item *item)
{
    if (loader->section == NULL || loader->section->kind == CONF_IGNORED) {
        return;
    }
    const struct conf_key *key = conf_schema_key(loader->schema, loader->section, item->name);
    struct conf_place place = place_of(loader, item->line, item->column);
    if (key == NULL) {
        note_unknown_key(loader, item);
    } else if (!item->has_value) {
        take_blank(loader, key, place);
    } else if (conf_value_check(key, item->value) < 0) {
        char reason[256];
        (void)snprintf(reason, sizeof(reason), "%s", err_text());
        note(loader, place_of(loader, item->value_line, item->value_column), "%s in [%s]: %s",
             key->name, loader->header, reason);
    } else {
        conf_setting_put(loader->block, key, conf_value_canonical(key, item->value), place);
    }
}

/* A syntax error ends the file: what follows it would be guesswork. */
static void take_text(struct loader *loader, struct span text, const char *name)
{
    struct conf_gcfg scanner;
    conf_gcfg_init(&scanner, text, name);
    loader->file = conf_keep_file(loader->conf, name);
    loader->section = NULL;
    loader->block = NULL;
    int rc;
    struct conf_gcfg_item item;
    while ((rc = conf_gcfg_next(&scanner, &item)) == 0) {
        if (item.kind == CONF_GCFG_HEADER) {
            take_header(loader, &item);
        } else {
            take_variable(loader, &item);
        }
    }
    if (rc < 0) {
        note_fault(loader, rc);
    }
    conf_gcfg_deinit(&scanner);
}

static void take_file(struct loader *loader, const char *path)
{
    struct buf text = {0};
    int rc = io_read_file(loader->io, path, CONF_FILE_BYTES_MAX, &text);
    if (rc < 0) {
        note_fault(loader, rc);
    } else {
        take_text(loader, buf_span(&text), path);
    }
    buf_deinit(&text);
}

/* ---- overlays ---- */

struct overlays {
    struct loader *loader;
    const char *directory;
    size_t count;
};

static int ignore_name(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 0;
}

static int take_overlay(void *context, const char *name)
{
    struct overlays *overlays = context;
    struct loader *loader = overlays->loader;
    if (!span_ends_with(span_of_str(name), SPAN_LIT(".conf"))) {
        return 0;
    }
    char *path = mem_printf("%s/%s", overlays->directory, name);
    bool directory = io_list(loader->io, path, ignore_name, NULL) == 0;
    if (!directory && ++overlays->count <= CONF_OVERLAYS_MAX) {
        take_file(loader, path);
    } else if (overlays->count == CONF_OVERLAYS_MAX + 1) {
        note(loader, (struct conf_place){.file = path}, "more than %zu overlay files",
             CONF_OVERLAYS_MAX);
    }
    mem_free(path);
    return 0;
}

static void take_overlays(struct loader *loader, const char *path)
{
    char *directory = mem_printf("%s.d", path);
    struct overlays overlays = {.loader = loader, .directory = directory};
    if (io_exists(loader->io, directory)) {
        int rc = io_list(loader->io, directory, take_overlay, &overlays);
        if (rc < 0) {
            note_fault(loader, rc);
        }
    }
    mem_free(directory);
}

/* ---- environment ---- */

/* Whether the files leave the key to the environment: absent, empty, false or 0. */
static bool left_open(const struct conf *conf, const char *section, const struct conf_key *key)
{
    if (!conf_is_set(conf, section, NULL, key->name)) {
        return true;
    }
    switch (key->list ? CONF_TEXT : key->type) {
    case CONF_BOOL:
        return !conf_bool(conf, section, NULL, key->name);
    case CONF_INT:
    case CONF_PORT:
        return conf_int(conf, section, NULL, key->name) == 0;
    default:
        return false;
    }
}

static struct conf_block *open_block(struct loader *loader, const struct conf_section *section,
                                     struct conf_place place)
{
    struct conf_block *block = conf_block_make(loader->conf, section, SPAN_NONE, place);
    if (block == NULL) {
        note(loader, place, "more than %zu sections", CONF_BLOCKS_MAX);
    }
    return block;
}

static void put_outside_value(struct loader *loader, struct conf_block *block,
                              const struct conf_key *key, struct span value,
                              struct conf_place place)
{
    bool flag = false;
    bool fits = true;
    if (key->type == CONF_BOOL) {
        fits = conf_value_environment_bool(value, &flag);
        value = flag ? SPAN_LIT("true") : SPAN_LIT("false");
    }
    if (fits && conf_value_check(key, value) == 0) {
        conf_setting_put(block, key, conf_value_canonical(key, value), place);
    } else {
        note(loader, place, "is not %s", conf_type_name(key->type));
    }
}

static void put_outside(struct loader *loader, const struct conf_section *section,
                        const struct conf_key *key, struct span value, struct conf_place place)
{
    struct conf_block *block = open_block(loader, section, place);
    if (block == NULL) {
        return;
    }
    if (!key->list) {
        put_outside_value(loader, block, key, value, place);
        return;
    }
    struct span piece;
    while (span_split(&value, ',', &piece)) {
        piece = span_trim(piece);
        if (piece.bytes > 0) {
            put_outside_value(loader, block, key, piece, place);
        }
    }
}

/* The first line of a file that a variable or Docker-Secrets names. ERR_NOT_FOUND is not noted. */
static int first_line(struct loader *loader, const char *path, const char *why, struct buf *line)
{
    int rc = io_read_file(loader->io, path, CONF_FILE_BYTES_MAX, line);
    struct span rest = buf_span(line);
    struct span first = SPAN_NONE;
    if (rc == 0 && (!span_split(&rest, '\n', &first) || span_trim(first).bytes == 0)) {
        rc = err_set(ERR_INVALID, "%s: its first line is empty", path);
    }
    if (rc < 0) {
        return err_wrap(rc, "%s", why);
    }
    line->bytes = first.bytes - (first.data[first.bytes - 1] == '\r');
    return 0;
}

static void take_variable_file(struct loader *loader, const struct conf_section *section,
                               const struct conf_key *key, const char *name, const char *path)
{
    char *why = mem_printf("environment variable %s", name);
    struct buf line = {0};
    int rc = first_line(loader, path, why, &line);
    if (rc < 0) {
        note_fault(loader, rc);
    } else {
        struct conf_place place = {.file = conf_keep_file(loader->conf, why)};
        put_outside(loader, section, key, buf_span(&line), place);
    }
    buf_deinit(&line);
    mem_free(why);
}

/* True when the variable or its _FILE twin is there. */
static bool take_environment(struct loader *loader, const struct conf_section *section,
                             const struct conf_key *key, const char *name)
{
    const char *value = getenv(name);
    if (value != NULL && value[0] != 0) {
        char *why = mem_printf("environment variable %s", name);
        struct conf_place place = {.file = conf_keep_file(loader->conf, why)};
        put_outside(loader, section, key, span_of_str(value), place);
        mem_free(why);
        return true;
    }
    char *file_name = mem_printf("%s_FILE", name);
    const char *path = getenv(file_name);
    bool there = path != NULL && path[0] != 0;
    if (there) {
        take_variable_file(loader, section, key, file_name, path);
    }
    mem_free(file_name);
    return there;
}

static void take_secret_file(struct loader *loader, const struct conf_section *section,
                             const struct conf_key *key)
{
    char *path = mem_printf("%s%s", SECRETS_DIR, key->secret_file);
    struct buf line = {0};
    int rc = first_line(loader, path, "Docker-Secrets", &line);
    if (rc == 0) {
        struct conf_place place = {.file = conf_keep_file(loader->conf, path)};
        put_outside(loader, section, key, buf_span(&line), place);
    } else if (rc != ERR_NOT_FOUND) {
        note_fault(loader, rc);
    }
    buf_deinit(&line);
    mem_free(path);
}

static void complete_key(struct loader *loader, const struct conf_section *section,
                         const struct conf_key *key, bool docker_secrets)
{
    bool open = left_open(loader->conf, section->name, key);
    struct span names = span_of_str(key->environment);
    struct span name;
    while (open && span_split(&names, ' ', &name)) {
        char *variable = mem_strndup((const char *)name.data, name.bytes);
        open = !take_environment(loader, section, key, variable);
        mem_free(variable);
    }
    if (open && docker_secrets && key->secret_file != NULL) {
        take_secret_file(loader, section, key);
    }
}

static void complete_from_outside(struct loader *loader)
{
    const struct conf_schema *schema = loader->schema;
    const struct conf_section *global = conf_schema_section(schema, SPAN_LIT("Global"));
    bool docker_secrets = conf_schema_key(schema, global, SPAN_LIT("Docker-Secrets")) != NULL &&
                          conf_bool(loader->conf, CONF_GLOBAL, "Docker-Secrets");
    for (size_t i = 0; i < schema->section_count; i++) {
        const struct conf_section *section = &schema->sections[i];
        for (size_t k = 0; section->kind == CONF_ONE && k < section->key_count; k++) {
            complete_key(loader, section, &section->keys[k], docker_secrets);
        }
    }
}

/* ---- from outside ---- */

/* Gives the conf, or the first problem. */
static int finish(struct loader *loader, struct conf **ret_conf)
{
    int rc = 0;
    if (loader->problem_count == 0) {
        conf_expand_defaults(loader->conf);
        *ret_conf = loader->conf;
        loader->conf = NULL;
    } else if (loader->problem_count == 1) {
        rc = err_set(loader->code, "%s", loader->first_problem);
    } else {
        rc = err_set(loader->code, "%s (and %zu more)", loader->first_problem,
                     loader->problem_count - 1);
    }
    if (loader->problems != NULL && loader->problem_count > PROBLEMS_MAX) {
        buf_printf(loader->problems, "and %zu more\n", loader->problem_count - PROBLEMS_MAX);
    }
    mem_free(loader->first_problem);
    conf_free(&loader->conf);
    return rc;
}

int conf_load_reporting(struct io *io, const char *path, const struct conf_schema *schema,
                        struct buf *problems, struct conf **ret_conf)
{
    struct loader loader = {
        .io = io, .schema = schema, .conf = conf_new(schema, path), .problems = problems};
    take_file(&loader, path);
    take_overlays(&loader, path);
    complete_from_outside(&loader);
    return finish(&loader, ret_conf);
}

int conf_load(struct io *io, const char *path, const struct conf_schema *schema,
              struct conf **ret_conf)
{
    return conf_load_reporting(io, path, schema, NULL, ret_conf);
}

int conf_parse(struct span text, const char *name, const struct conf_schema *schema,
               struct buf *problems, struct conf **ret_conf)
{
    struct loader loader = {.schema = schema, .conf = conf_new(schema, name), .problems = problems};
    if (text.bytes > CONF_FILE_BYTES_MAX) {
        note(&loader, (struct conf_place){.file = name}, "has %zu bytes, at most %zu are read",
             text.bytes, CONF_FILE_BYTES_MAX);
    } else {
        take_text(&loader, text, name);
    }
    return finish(&loader, ret_conf);
}
