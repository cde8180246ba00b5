/* The reference page, printed from the schema's rows. */
#include "conf/conf.h"
#include "conf/schema.h"

static const char *type_word(const struct conf_key *key)
{
    static const char *const words[] = {
        [CONF_TEXT] = "text",       [CONF_PATH] = "path",         [CONF_BOOL] = "bool",
        [CONF_INT] = "int",         [CONF_PORT] = "port",         [CONF_FLOAT] = "number",
        [CONF_AGE] = "days",        [CONF_DURATION] = "duration", [CONF_TIME_OF_DAY] = "HH:MM",
        [CONF_ADDRESS] = "address", [CONF_UUID] = "uuid",         [CONF_LEVEL] = "level",
    };
    return words[key->type];
}

static void print_readers(unsigned readers, struct buf *page)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {CONF_WEBSERVER, "webserver"},
        {CONF_INDEXER, "indexer"},
        {CONF_DATASTORE, "datastore"},
        {CONF_LOADBALANCER, "loadbalancer"},
    };
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if ((readers & names[i].bit) != 0) {
            buf_printf(page, "%s%s", separator, names[i].name);
            separator = ", ";
        }
    }
}

static void print_default(const struct conf_key *key, struct buf *page)
{
    if (key->def == NULL) {
        return;
    }
    struct span text = span_of_str(key->def);
    if (span_starts_with(text, SPAN_LIT("{data}"))) {
        buf_printf(page, "*Data-Directory*`%s`", key->def + sizeof("{data}") - 1);
    } else if (span_starts_with(text, SPAN_LIT("{config}"))) {
        buf_printf(page, "*Config-Location*`%s`", key->def + sizeof("{config}") - 1);
    } else {
        buf_printf(page, "`%s`", key->def);
    }
}

static void print_environment(const struct conf_key *key, struct buf *page)
{
    struct span names = span_of_str(key->environment);
    struct span name;
    const char *separator = "; environment ";
    while (span_split(&names, ' ', &name)) {
        buf_printf(page, "%s`%.*s`", separator, SPAN_ARG(name));
        separator = " or ";
    }
}

static void print_key(const struct conf_key *key, struct buf *page)
{
    buf_printf(page, "| %s | %s%s | ", key->name, type_word(key), key->list ? ", list" : "");
    print_default(key, page);
    buf_append_str(page, " | ");
    print_readers(key->readers, page);
    bool idle = (key->readers & CONF_NO_EFFECT) != 0;
    buf_printf(page, " | %s%s%s", idle ? "*no effect yet*" : "",
               idle && key->help[0] != 0 ? ": " : "", key->help);
    print_environment(key, page);
    buf_append_str(page, " |\n");
}

static void print_aliases(const struct conf_schema *schema, const char *section, struct buf *page)
{
    for (size_t i = 0; i < schema->alias_count; i++) {
        const struct conf_alias *alias = &schema->aliases[i];
        if (alias->section == NULL && strcmp(alias->name, section) == 0) {
            buf_printf(page, "Also written `[%s]`.\n\n", alias->alias);
        } else if (alias->section != NULL && strcmp(alias->section, section) == 0) {
            buf_printf(page, "`%s` may also be written `%s`.\n\n", alias->name, alias->alias);
        }
    }
}

static void print_section(const struct conf_schema *schema, const struct conf_section *section,
                          struct buf *page)
{
    const char *name = section->kind == CONF_NAMED ? " \"name\"" : "";
    buf_printf(page, "### `[%s%s]`\n\n", section->name, name);
    if (section->kind == CONF_IGNORED) {
        buf_append_str(page, "Accepted and passed over.\n\n");
        return;
    }
    buf_printf(page, "%s\n\n", section->help);
    print_aliases(schema, section->name, page);
    buf_append_str(page, "| Key | Type | Default | Concerns | Meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < section->key_count; i++) {
        print_key(&section->keys[i], page);
    }
    buf_append_byte(page, '\n');
}

void conf_print_reference(const struct conf_schema *schema, struct buf *page)
{
    buf_printf(page, "## %s\n\n%s\n\n", schema->title, schema->help);
    for (size_t i = 0; i < schema->section_count; i++) {
        print_section(schema, &schema->sections[i], page);
    }
}
