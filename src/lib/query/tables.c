#include "query/tables.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

struct kept {
    char hash[QUERY_TABLE_HASH_BYTES];
    struct buf contents;
};

struct query_tables {
    uint64_t bytes_max;
    pthread_mutex_t lock;
    VEC(struct kept *) list; /* oldest first */
    uint64_t bytes;
};

struct query_tables *query_tables_new(uint64_t bytes_max)
{
    struct query_tables *tables = MEM_NEW(struct query_tables);
    tables->bytes_max = bytes_max;
    CHECK(pthread_mutex_init(&tables->lock, NULL) == 0);
    return tables;
}

/* Under the lock. */
static void drop_oldest(struct query_tables *tables)
{
    struct kept *kept = tables->list.items[0];
    tables->bytes -= kept->contents.bytes;
    buf_deinit(&kept->contents);
    mem_free(kept);
    tables->list.count--;
    memmove(tables->list.items, tables->list.items + 1, tables->list.count * sizeof(struct kept *));
}

void query_tables_free(struct query_tables **place)
{
    struct query_tables *tables = *place;
    *place = NULL;
    if (tables != NULL) {
        while (tables->list.count > 0) {
            drop_oldest(tables);
        }
        vec_deinit(&tables->list);
        CHECK(pthread_mutex_destroy(&tables->lock) == 0);
        mem_free(tables);
    }
}

void query_table_hash(struct span contents, char ret_hash[QUERY_TABLE_HASH_BYTES])
{
    uint64_t low = 0;
    uint64_t high = 0;
    hash128(contents, &low, &high);
    (void)snprintf(ret_hash, QUERY_TABLE_HASH_BYTES, "%016" PRIx64 "%016" PRIx64, high, low);
}

/* Under the lock. */
static struct kept *find(struct query_tables *tables, const char *hash)
{
    for (size_t i = 0; i < tables->list.count; i++) {
        if (strcmp(tables->list.items[i]->hash, hash) == 0) {
            return tables->list.items[i];
        }
    }
    return NULL;
}

int query_tables_put(struct query_tables *tables, const char *hash, struct span contents)
{
    char found[QUERY_TABLE_HASH_BYTES];
    query_table_hash(contents, found);
    if (strcmp(found, hash) != 0) {
        return err_set(ERR_INVALID, "the table is not the one of hash %.32s", hash);
    }
    if (contents.bytes > tables->bytes_max) {
        return err_set(ERR_TOO_LARGE, "a table of %zu bytes is not kept", contents.bytes);
    }
    CHECK(pthread_mutex_lock(&tables->lock) == 0);
    if (find(tables, hash) == NULL) {
        struct kept *kept = MEM_NEW(struct kept);
        memcpy(kept->hash, found, sizeof(found));
        buf_append(&kept->contents, contents);
        tables->bytes += contents.bytes;
        vec_push(&tables->list, kept);
        while (tables->bytes > tables->bytes_max) {
            drop_oldest(tables);
        }
    }
    CHECK(pthread_mutex_unlock(&tables->lock) == 0);
    return 0;
}

bool query_tables_get(struct query_tables *tables, const char *hash, struct buf *contents)
{
    CHECK(pthread_mutex_lock(&tables->lock) == 0);
    const struct kept *kept = find(tables, hash);
    if (kept != NULL) {
        buf_append(contents, buf_span(&kept->contents));
    }
    CHECK(pthread_mutex_unlock(&tables->lock) == 0);
    return kept != NULL;
}
