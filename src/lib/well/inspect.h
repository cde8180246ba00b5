/*
 * Looking at the files of a well without opening the well: for people and tools. Nothing is
 * written, removed or repaired, so the directory may be that of a running node: files that are
 * merged away meanwhile are passed over.
 */
#ifndef WELL_INSPECT_H
#define WELL_INSPECT_H

#include "io/io.h"

/* A file, after its damage. Borrowed for the call. */
struct well_seen_file {
    const char *name;
    uint64_t bytes;
    uint64_t entries;
    uint64_t points;
    int64_t oldest_ns; /* of what is in it, if it has anything */
    int64_t newest_ns;
    uint8_t packed_level; /* 0: it is not packed */
    bool is_void;    /* replaced by another file, or of a flush that was not completed: it is not
                        read, and goes when the well is opened */
    uint64_t faults; /* places where it is damaged */
};

/* Any of them may be NULL; what a method returns but 0 stops the walk and is returned. */
struct well_visitor {
    int (*damage)(void *context, const char *name, const char *text);
    int (*file)(void *context, const struct well_seen_file *seen);
    void *context;
    bool verifies; /* every byte is looked at; else headers, footers and names are */
};

/* Files by name. Damage within `file`s that are void is not looked for. ERR_NOT_FOUND when there
 * is no such directory. */
MUST_CHECK int well_inspect(struct io *io, const char *dir, const struct well_visitor *visitor);

#endif
