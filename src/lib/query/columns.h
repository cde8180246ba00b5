/*
 * The values that the stages of a pipeline gave the entries of one block, by name: a column each,
 * with a value per entry. They come before what arrived with the entries; at the end of a
 * pipeline they become enumerated values of the entries ("sealing").
 *
 * A set of columns lives as long as its pipeline and is emptied for each block. One thread.
 */
#ifndef QUERY_COLUMNS_H
#define QUERY_COLUMNS_H

#include "base/arena.h"
#include "base/vec.h"
#include "query/pipeline.h"
#include "query/value.h"

struct query_column {
    struct span name;           /* borrowed from the query */
    struct query_value *values; /* by number of the entry in the block */
    size_t capacity;
};

struct query_columns {
    VEC(struct query_column) list; /* those in use come first */
    size_t count;                  /* in use */
    size_t entries;                /* of the block */
    int64_t now_ns;                /* of the search */
    struct arena *arena;           /* texts made on the way; emptied with the columns */
    VEC(struct entry) sealed;
    struct buf sealed_bytes;
    struct entry *edited; /* the block's entries, once a stage has changed one */
    size_t edited_capacity;
    VEC(uint32_t) repeated; /* picks of a block that a stage has made longer */
};

void query_columns_init(struct query_columns *columns);
void query_columns_deinit(struct query_columns *columns);
void query_columns_begin(struct query_columns *columns, size_t entries);

/* The values of this column, made if it is new. Valid until the block ends. */
struct query_value *query_block_column(struct query_block *block, struct span name);

/* The values of this column by number of the entry, for who asks for those of many entries: one of
 * type NONE says that query_block_get() is to be asked. NULL: there is no such column. */
const struct query_value *query_block_values(const struct query_block *block, struct span name);

/* The value of `name` in this entry: a column, what arrived with it, or one of the universal names
 * SRC, TAG, TIMESTAMP, DATA, NOW. False when there is none. Valid until the block ends. */
bool query_block_get(const struct query_block *block, size_t index, struct span name,
                     struct query_value *ret_value);

/* As query_block_get, as text. */
bool query_block_text(const struct query_block *block, size_t index, struct span name,
                      struct span *ret_text);

/* Leaves the picks that pass. */
void query_block_keep(struct query_block *block,
                      bool (*passes)(const void *plan, struct query_block *block, size_t index),
                      const void *plan);

/* Sets a value of the entry; DATA is the entry's data. Texts live as long as the block. */
void query_block_set(struct query_block *block, size_t index, struct span name,
                     struct query_value value);

/* The entry `index` of the block, for changes to its data: the block's entries become a copy. */
struct entry *query_block_edit(struct query_block *block, size_t index);

/* Makes block->picks[i] pieces[i] entries in its place, 0 or more, each with the values of the
 * first; block->picks names them afterwards. The bytes of new data live as long as the block:
 * columns->arena. */
void query_block_repeat(struct query_block *block, const uint32_t *pieces);

/* Calls `each` with the names of all values that the entry has, those that arrived first. */
void query_block_names(const struct query_block *block, size_t index,
                       void (*each)(void *context, struct span name), void *context);

/* Appends the entry's enumerated values with its columns: those for which `wanted`, which may be
 * NULL, says so. */
void query_block_put_evs(const struct query_block *block, size_t index, struct buf *buf,
                         bool (*wanted)(const void *context, struct span name),
                         const void *context);

/* Makes the columns enumerated values of the picked entries: block->entries are copies then, valid
 * until the next block. */
void query_block_seal(struct query_block *block,
                      bool (*wanted)(const void *context, struct span name), const void *context);

#endif
