#include "liar.h"

#include "base/mem.h"

static struct liar *liar_of(struct io *io)
{
    return CONTAINER_OF(CONTAINER_OF(io, struct io_sim, io), struct liar, sim);
}

/* Files know their disk only by their methods; one liar lives at a time. */
static struct liar *living;
static const struct io_methods *honest;

static bool has(const char *path, const char *part)
{
    return strstr(path, part) != NULL;
}

static bool lies_about(const struct io_file *file, enum lie lie, const char *part)
{
    if (living->lie != lie || !has(file->path, part)) {
        return false;
    }
    living->told++;
    return true;
}

static int lying_open(struct io *io, const char *path, int flags, struct io_file **ret_file)
{
    struct liar *liar = liar_of(io);
    char *real = NULL;
    if (liar->lie == LIE_MARK && has(path, "/flushed-") && (flags & IO_CREATE) != 0) {
        liar->told++;
        real = mem_strdup("/nothing");
    }
    int rc = honest->open(io, real != NULL ? real : path, flags, ret_file);
    if (rc == 0) {
        (*ret_file)->methods = &liar->methods;
    }
    mem_free(real);
    return rc;
}

static int short_read_at(struct io_file *file, uint64_t offset, void *data, size_t bytes,
                         size_t *ret_bytes)
{
    bool is_short = living->short_reads && bytes > 1;
    return honest->read_at(file, offset, data, is_short ? bytes - bytes / 3 : bytes, ret_bytes);
}

static int lying_sync(struct io_file *file)
{
    if (lies_about(file, LIE_LOG_SYNC, ".log") || lies_about(file, LIE_SEGMENT_SYNC, ".tmp") ||
        lies_about(file, LIE_TAGS_SYNC, "tags.dat") || lies_about(file, LIE_CATALOGUE, ".cat") ||
        lies_about(file, LIE_CATALOGUE, "new.tmp")) {
        return 0;
    }
    return honest->sync(file);
}

static int lying_sync_dir(struct io *io, const char *path)
{
    struct liar *liar = liar_of(io);
    if (liar->lie == LIE_NAME_SYNC && (has(path, "web") || has(path, "default"))) {
        liar->told++;
        return 0;
    }
    return honest->sync_dir(io, path);
}

static int lying_rename(struct io *io, const char *from, const char *to)
{
    struct liar *liar = liar_of(io);
    if (liar->lie == LIE_TOMBSTONES && has(to, "/tombstones") && io_exists(io, to)) {
        liar->told++;
        return 0;
    }
    return honest->rename(io, from, to);
}

static int lying_remove(struct io *io, const char *path)
{
    struct liar *liar = liar_of(io);
    if (liar->lie == LIE_REMOVE && has(path, ".seg")) {
        liar->told++;
        return 0;
    }
    return honest->remove(io, path);
}

const char *liar_name(enum lie lie)
{
    static const char *const names[LIES] = {
        "none",   "log sync",   "segment sync", "name sync", "mark",
        "remove", "tombstones", "catalogue",    "tags sync",
    };
    return names[lie];
}

void liar_init(struct liar *liar, uint64_t seed, enum lie lie)
{
    *liar = (struct liar){.lie = lie};
    io_sim_init(&liar->sim, seed);
    honest = liar->sim.io.methods;
    liar->methods = *honest;
    liar->methods.open = lying_open;
    liar->methods.read_at = short_read_at;
    liar->methods.sync = lying_sync;
    liar->methods.sync_dir = lying_sync_dir;
    liar->methods.rename = lying_rename;
    liar->methods.remove = lying_remove;
    liar->sim.io.methods = &liar->methods;
    living = liar;
}

void liar_deinit(struct liar *liar)
{
    io_sim_deinit(&liar->sim);
}
