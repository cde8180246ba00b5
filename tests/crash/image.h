/*
 * What stands on a simulated disk, taken from one and put on others, so that a test can damage it
 * in many ways. The caller's disk must be empty when an image is put on it.
 */
#ifndef CRASH_IMAGE_H
#define CRASH_IMAGE_H

#include "base/vec.h"
#include "io/sim.h"

struct image_file {
    char *path;
    bool is_dir;
    struct buf content;
};

struct image {
    VEC(struct image_file) files; /* directories before what is in them */
};

void image_take(struct image *image, struct io *io, const char *dir);
void image_put(const struct image *image, struct io *io);
void image_deinit(struct image *image);

#endif
