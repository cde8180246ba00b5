#include "image.h"

#include "base/mem.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

struct walk {
    struct image *image;
    struct io *io;
    const char *dir;
};

static int take(void *context, const char *name)
{
    struct walk *walk = context;
    struct image_file file = {.path = mem_printf("%s/%s", walk->dir, name)};
    file.is_dir = io_read_file(walk->io, file.path, FILE_BYTES_MAX, &file.content) < 0;
    vec_push(&walk->image->files, file);
    if (file.is_dir) {
        struct walk below = {walk->image, walk->io, file.path};
        CHECK(io_list(walk->io, file.path, take, &below) == 0);
    }
    return 0;
}

void image_take(struct image *image, struct io *io, const char *dir)
{
    struct walk walk = {image, io, dir};
    vec_push(&image->files, (struct image_file){.path = mem_strdup(dir), .is_dir = true});
    CHECK(io_list(io, dir, take, &walk) == 0);
}

void image_put(const struct image *image, struct io *io)
{
    for (size_t i = 0; i < image->files.count; i++) {
        const struct image_file *file = &image->files.items[i];
        int rc = file->is_dir ? io_make_dirs(io, file->path)
                              : io_write_file(io, file->path, buf_span(&file->content));
        CHECK(rc == 0);
    }
}

void image_deinit(struct image *image)
{
    for (size_t i = 0; i < image->files.count; i++) {
        mem_free(image->files.items[i].path);
        buf_deinit(&image->files.items[i].content);
    }
    vec_deinit(&image->files);
}
