/* A daemon's UUID, minted once and written back into its file. */
#include "conf/conf.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/gcfg.h"
#include "conf/settings.h"

/* Where in the file the UUID goes: bytes [from, to) make way for it. */
struct edit {
    bool key_found;
    bool header_found;
    size_t from, to;
    size_t header_line_to;
    struct buf value; /* what the key holds now */
};

static int find_place(struct span text, const char *path, const char *key, struct edit *edit)
{
    struct conf_gcfg scanner;
    struct conf_gcfg_item item;
    conf_gcfg_init(&scanner, text, path);
    bool in_global = false;
    int rc;
    while ((rc = conf_gcfg_next(&scanner, &item)) == 0) {
        if (item.kind == CONF_GCFG_HEADER) {
            in_global = span_equal_nocase(item.name, SPAN_LIT("Global")) && !item.has_subsection;
            if (in_global && !edit->header_found) {
                edit->header_found = true;
                edit->header_line_to = item.line_to;
            }
        } else if (in_global && item.has_value && span_equal_nocase(item.name, span_of_str(key))) {
            edit->key_found = true; /* the last one counts, as when reading */
            edit->from = item.value_from;
            edit->to = item.value_to;
            buf_clear(&edit->value);
            buf_append(&edit->value, item.value);
        }
    }
    conf_gcfg_deinit(&scanner);
    return rc < 0 ? rc : 0;
}

static bool has_crlf(struct span text)
{
    ptrdiff_t newline = span_find_byte(text, '\n');
    return newline > 0 && text.data[newline - 1] == '\r';
}

static void write_edited(struct span text, const struct edit *edit, const char *key,
                         const char *uuid, struct buf *ret_text)
{
    const char *newline = has_crlf(text) ? "\r\n" : "\n";
    if (edit->key_found) {
        buf_append(ret_text, span_first(text, edit->from));
        buf_printf(ret_text, "\"%s\"", uuid);
        buf_append(ret_text, span_from(text, edit->to));
        return;
    }
    if (!edit->header_found) {
        buf_append(ret_text, text);
        bool open_line = text.bytes > 0 && text.data[text.bytes - 1] != '\n';
        buf_printf(ret_text, "%s[Global]%s%s=\"%s\"%s", open_line ? newline : "", newline, key,
                   uuid, newline);
        return;
    }
    struct span rest = span_from(text, edit->header_line_to);
    buf_append(ret_text, span_first(text, edit->header_line_to));
    if (rest.bytes == 0) {
        buf_append_str(ret_text, newline);
    } else {
        buf_append_byte(ret_text, '\n');
        rest = span_from(rest, 1);
    }
    buf_printf(ret_text, "%s=\"%s\"%s", key, uuid, newline);
    buf_append(ret_text, rest);
}

static int write_back(struct io *io, const char *path, struct span text, const struct edit *edit,
                      const char *key, struct uuid *ret_uuid)
{
    uint8_t random[16];
    char uuid[UUID_TEXT_BYTES];
    io_random(io, random, sizeof(random));
    struct uuid minted = uuid_of_random(random);
    struct buf edited = {0};
    write_edited(text, edit, key, uuid_text(minted, uuid), &edited);
    int rc = io_write_file(io, path, buf_span(&edited));
    buf_deinit(&edited);
    if (rc == 0) {
        *ret_uuid = minted;
    }
    return rc;
}

/* Daemons that share one file must not undo each other's write, so they take turns. The lock is on
 * the directory, since the file itself is replaced; it ends with its descriptor. -1 where there is
 * no such directory: a simulated disk has but one user. */
static int lock_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path));
    int fd = open(slash == path ? "/" : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(directory);
    if (fd >= 0) {
        (void)flock(fd, LOCK_EX);
    }
    return fd;
}

static int find_or_mint(struct io *io, const struct conf *conf, const char *key,
                        struct uuid *ret_uuid)
{
    struct buf text = {0};
    struct edit edit = {0};
    int rc = io_read_file(io, conf->path, CONF_FILE_BYTES_MAX, &text);
    rc = rc < 0 ? rc : find_place(buf_span(&text), conf->path, key, &edit);
    /* It may have been written since the conf was loaded: by an earlier call, too. */
    if (rc == 0 && !uuid_parse(buf_span(&edit.value), ret_uuid)) {
        rc = write_back(io, conf->path, buf_span(&text), &edit, key, ret_uuid);
    }
    buf_deinit(&edit.value);
    buf_deinit(&text);
    return rc < 0 ? err_wrap(rc, "write a new %s into %s", key, conf->path) : 0;
}

int conf_uuid(struct io *io, const struct conf *conf, const char *key, struct uuid *ret_uuid)
{
    const char *known = conf_text(conf, CONF_GLOBAL, key);
    if (uuid_parse(span_of_str(known), ret_uuid)) {
        return 0;
    }
    struct stat before;
    bool has_mode = stat(conf->path, &before) == 0;
    int lock = lock_directory_of(conf->path);
    int rc = find_or_mint(io, conf, key, ret_uuid);
    if (has_mode) { /* the file holds secrets: it stays as private as it was */
        (void)chmod(conf->path, before.st_mode & 07777);
    }
    if (lock >= 0) {
        close(lock);
    }
    return rc;
}
