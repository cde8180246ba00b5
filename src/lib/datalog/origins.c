#include "datalog/origins.h"

#include "base/mem.h"

struct datalog_origin_row {
    struct datalog_origin origin;
    uint64_t durable, durable_time;
    uint64_t staged, staged_time;
};

_Static_assert(sizeof(struct datalog_origin) == 24, "an origin is its own key: it has no padding");

void datalog_origins_deinit(struct datalog_origins *origins)
{
    size_t at = 0;
    struct span key;
    void *row;
    while (map_next(&origins->rows, &at, &key, &row)) {
        mem_free(row);
    }
    map_deinit(&origins->rows);
    vec_deinit(&origins->touched);
}

static struct datalog_origin_row *find(const struct datalog_origins *origins,
                                       const struct datalog_origin *origin)
{
    return map_get(&origins->rows, span_of(origin, sizeof(*origin)));
}

static struct datalog_origin_position durable_of(const struct datalog_origin_row *row)
{
    return (struct datalog_origin_position){row->origin, row->durable, row->durable_time};
}

struct datalog_origin_position datalog_origins_durable(const struct datalog_origins *origins,
                                                       struct datalog_origin origin)
{
    const struct datalog_origin_row *row = find(origins, &origin);
    struct datalog_origin_position none = {.origin = origin};
    return row != NULL ? durable_of(row) : none;
}

uint64_t datalog_origins_staged(const struct datalog_origins *origins, struct datalog_origin origin)
{
    const struct datalog_origin_row *row = find(origins, &origin);
    return row != NULL ? row->staged : 0;
}

bool datalog_origins_stage(struct datalog_origins *origins, struct datalog_origin_position position)
{
    struct datalog_origin_row *row = find(origins, &position.origin);
    if (row == NULL) {
        if (origins->rows.count >= DATALOG_ORIGINS_MAX) {
            return false;
        }
        row = MEM_NEW(struct datalog_origin_row);
        row->origin = position.origin;
        (void)map_put(&origins->rows, span_of(&row->origin, sizeof(row->origin)), row);
    }
    if (row->staged == row->durable) {
        vec_push(&origins->touched, row);
    }
    if (position.position > row->staged) {
        row->staged = position.position;
        row->staged_time = position.time;
    }
    return true;
}

void datalog_origins_commit(struct datalog_origins *origins)
{
    for (size_t i = 0; i < origins->touched.count; i++) {
        struct datalog_origin_row *row = origins->touched.items[i];
        row->durable = row->staged;
        row->durable_time = row->staged_time;
    }
    vec_clear(&origins->touched);
}

void datalog_origins_rollback(struct datalog_origins *origins)
{
    for (size_t i = 0; i < origins->touched.count; i++) {
        struct datalog_origin_row *row = origins->touched.items[i];
        row->staged = row->durable;
        row->staged_time = row->durable_time;
    }
    vec_clear(&origins->touched);
}

void datalog_origins_each(const struct datalog_origins *origins, bool staged,
                          void (*each)(void *context,
                                       const struct datalog_origin_position *position),
                          void *context)
{
    size_t at = 0;
    struct span key;
    void *value;
    while (map_next(&origins->rows, &at, &key, &value)) {
        const struct datalog_origin_row *row = value;
        struct datalog_origin_position position = durable_of(row);
        if (staged) {
            position.position = row->staged;
            position.time = row->staged_time;
        }
        if (position.position > 0) {
            each(context, &position);
        }
    }
}
