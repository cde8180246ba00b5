#include "cli/archive.h"

#include <inttypes.h>

#include "base/err.h"

struct source {
    struct io_file *file;
    uint64_t offset;
    struct progress progress;
};

static int read_source(void *context, void *data, size_t bytes, size_t *ret_got)
{
    struct source *source = context;
    int rc = io_read_at(source->file, source->offset, data, bytes, ret_got);
    if (rc == 0) {
        source->offset += *ret_got;
        progress_add(&source->progress, *ret_got);
    }
    return rc;
}

static void take_record(struct cli_archive *archive, const struct object_archive_record *record)
{
    if (record->type == OBJECT_ARCHIVE_INFO) {
        const char *created = json_string_value(json_object_get(record->info, "created"));
        snprintf(archive->created, sizeof(archive->created), "%s", created == NULL ? "" : created);
        archive->counted = true;
    } else if (record->type == OBJECT_ARCHIVE_OBJECT) {
        archive->kinds[record->object->kind]++;
    } else if (record->type == OBJECT_ARCHIVE_END) {
        archive->counts = record->counts;
    }
}

static int read_all(struct source *source, const char *password, struct cli_archive *archive)
{
    struct object_archive_reader *reader;
    struct object_archive_reader_options options = {
        .read = read_source,
        .context = source,
        .password = password,
        .damage_only = password == NULL || password[0] == '\0',
    };
    int rc = object_archive_reader_new(&options, &reader);
    if (rc < 0) {
        return rc;
    }
    archive->encrypted = object_archive_is_encrypted(reader);
    bool ended = false;
    while (rc == 0 && !ended) {
        struct object_archive_record record;
        rc = object_archive_next(reader, &record);
        if (rc == 0) {
            ended = record.type == OBJECT_ARCHIVE_END;
            take_record(archive, &record);
            object_archive_record_deinit(&record);
        }
    }
    object_archive_reader_free(&reader);
    return rc;
}

int cli_archive_verify(struct io *io, const char *path, const char *password, bool quiet,
                       struct cli_archive *ret_archive)
{
    struct source source = {0};
    struct cli_archive archive = {0};
    int rc = io_open(io, path, IO_READ, &source.file);
    if (rc < 0) {
        return rc;
    }
    rc = io_size(source.file, &archive.bytes);
    if (rc == 0) {
        progress_begin(&source.progress, io, "verifying", archive.bytes, quiet);
        rc = read_all(&source, password, &archive);
        progress_end(&source.progress);
        rc = rc < 0 ? err_wrap(rc, "%s", path) : 0;
    }
    io_close(&source.file);
    if (rc == 0) {
        *ret_archive = archive;
    }
    return rc;
}

void cli_archive_print(const char *path, const struct cli_archive *archive)
{
    printf("%s: ", path);
    progress_print_bytes(stdout, (double)archive->bytes);
    printf(", %s, undamaged\n", archive->encrypted ? "encrypted" : "not encrypted");
    if (!archive->counted) {
        printf("  what is in it needs its password (--backup-password)\n");
        return;
    }
    printf("  taken %s: %" PRIu64 " objects, %" PRIu64 " contents of ", archive->created,
           archive->counts.objects, archive->counts.blobs);
    progress_print_bytes(stdout, (double)archive->counts.blob_bytes);
    printf("\n");
    for (size_t i = 0; i < CLI_ARCHIVE_KINDS_MAX; i++) {
        if (archive->kinds[i] > 0) {
            printf("  %8" PRIu64 " %s\n", archive->kinds[i], object_kind_name((enum object_kind)i));
        }
    }
}
