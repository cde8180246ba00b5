/* Tested by client_test.c. */
#include "ingest/link.h"

#include <inttypes.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/wire.h"
#include "ingest/snappy.h"

#define LOG_IN_MS 5000
#define CONFIRM_MS 5000
#define READ_BYTES (64u << 10)
#define THROTTLE_MS_MAX 5000
#define TAG_RESPONSE_ARENA_BYTES (96u << 20)

struct ingest_link {
    struct ingest_stream *stream;
    const struct ingest_link_options *options; /* while opening */
    uint16_t version;                          /* of the server */
    struct buf in;                             /* decompressed */
    struct buf plain;                          /* to be compressed, or empty */
    struct buf out;
    size_t sent; /* of out */
    bool compressed;
    struct ingest_snappy_reader unframer;
    struct ingest_snappy_writer framer;

    struct ingest_items window;
    uint64_t next_id;
    VEC(int32_t) tags; /* server's number by handle; -1: unknown */
    bool asking;
    uint16_t asked;
    int64_t heard_ms;
    int64_t throttled_until_ms;
    uint8_t own_source[16];
};

int64_t ingest_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- items ---- */

void ingest_items_push(struct ingest_items *items, struct ingest_item *item)
{
    item->next = NULL;
    if (items->last == NULL) {
        items->first = item;
    } else {
        items->last->next = item;
    }
    items->last = item;
    items->count++;
}

struct ingest_item *ingest_items_pop(struct ingest_items *items)
{
    struct ingest_item *item = items->first;
    if (item != NULL) {
        items->first = item->next;
        items->last = items->first == NULL ? NULL : items->last;
        items->count--;
    }
    return item;
}

void ingest_items_prepend(struct ingest_items *to, struct ingest_items *from)
{
    if (from->count > 0) {
        from->last->next = to->first;
        to->first = from->first;
        to->last = to->last == NULL ? from->last : to->last;
        to->count += from->count;
    }
    *from = (struct ingest_items){0};
}

/* ---- bytes ---- */

static struct buf *output(struct ingest_link *link)
{
    return link->compressed ? &link->plain : &link->out;
}

/* Writes what the socket takes now. */
static int write_some(struct ingest_link *link)
{
    if (link->plain.bytes > 0) {
        ingest_snappy_write(&link->framer, buf_span(&link->plain), &link->out);
        buf_clear(&link->plain);
    }
    while (link->sent < link->out.bytes) {
        size_t put;
        int rc =
            ingest_stream_write(link->stream, span_from(buf_span(&link->out), link->sent), &put);
        if (rc == INGEST_STREAM_AGAIN) {
            break;
        }
        if (rc < 0) {
            return rc;
        }
        link->sent += put;
    }
    if (link->sent == link->out.bytes) {
        buf_clear(&link->out);
        link->sent = 0;
    } else if (link->sent > link->out.bytes / 2) {
        buf_consume(&link->out, link->sent);
        link->sent = 0;
    }
    return 0;
}

/* Reads what is there now; 0 also when that is nothing. */
static int read_some(struct ingest_link *link)
{
    for (;;) {
        uint8_t bytes[READ_BYTES];
        size_t got;
        int rc = ingest_stream_read(link->stream, bytes, sizeof(bytes), &got);
        if (rc == INGEST_STREAM_AGAIN) {
            return 0;
        }
        if (rc == INGEST_STREAM_END) {
            return err_set(ERR_UNAVAILABLE, "the indexer closed the connection");
        }
        if (rc < 0) {
            return rc;
        }
        link->heard_ms = ingest_monotonic_ms();
        link->throttled_until_ms = 0; /* by the protocol, any byte ends it */
        if (link->compressed) {
            rc = ingest_snappy_read(&link->unframer, span_of(bytes, got), &link->in);
            if (rc < 0) {
                return rc;
            }
        } else {
            buf_append(&link->in, span_of(bytes, got));
        }
        if (got < sizeof(bytes)) {
            return 0;
        }
    }
}

static int wait_for(struct ingest_link *link, bool reading, int64_t deadline_ms)
{
    int64_t left = deadline_ms - ingest_monotonic_ms();
    int rc = left <= 0 ? INGEST_STREAM_TIMEOUT
                       : ingest_stream_wait(link->stream, reading, !reading,
                                            link->options->stream.wake_fd, (int)left);
    if (rc == INGEST_STREAM_TIMEOUT) {
        return err_set(ERR_UNAVAILABLE, "the indexer did not answer in time");
    }
    return rc;
}

static int send_all(struct ingest_link *link, int64_t deadline_ms)
{
    int rc = write_some(link);
    while (rc == 0 && link->sent < link->out.bytes) {
        rc = wait_for(link, false, deadline_ms);
        if (rc == 0) {
            rc = write_some(link);
        }
    }
    return rc;
}

/* Blocks until `bytes` bytes are in link->in. */
static int need(struct ingest_link *link, size_t bytes, int64_t deadline_ms)
{
    while (link->in.bytes < bytes) {
        int rc = read_some(link);
        if (rc < 0) {
            return rc;
        }
        if (link->in.bytes < bytes) {
            rc = wait_for(link, true, deadline_ms);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* ---- log-in ---- */

static int answer_challenge(struct ingest_link *link, int64_t deadline_ms)
{
    int rc = need(link, INGEST_CHALLENGE_BYTES, deadline_ms);
    if (rc < 0) {
        return rc;
    }
    struct ingest_challenge challenge;
    ingest_challenge_read(link->in.data, &challenge);
    buf_consume(&link->in, INGEST_CHALLENGE_BYTES);
    link->version = challenge.version;

    uint8_t answer[INGEST_ANSWER_BYTES];
    ingest_answer(&challenge, link->options->secret_hash, answer);
    const char *tenant = link->options->tenant;
    bool with_tenant = tenant != NULL && tenant[0] != '\0';
    if (with_tenant && link->version < 7) {
        return err_set(ERR_UNSUPPORTED, "the indexer knows no tenants");
    }
    if (with_tenant) {
        buf_append(&link->out, span_of(ingest_tenant_header, sizeof(ingest_tenant_header)));
    }
    buf_append(&link->out, span_of(answer, sizeof(answer)));
    if (with_tenant) {
        wire_put_u16(&link->out, link->version);
        wire_put_u16(&link->out, (uint16_t)strlen(tenant));
        buf_append_str(&link->out, tenant);
    }
    return send_all(link, deadline_ms);
}

static int take_verdict(struct ingest_link *link, struct arena *arena, int64_t deadline_ms)
{
    int rc = need(link, 2, deadline_ms);
    size_t length = rc < 0 ? 0 : wire_load_u16(link->in.data);
    if (rc < 0 || (rc = need(link, 2 + length, deadline_ms)) < 0) {
        return rc;
    }
    uint32_t id;
    const char *info;
    rc = ingest_state_response_read(span_of(link->in.data + 2, length), arena, &id, &info);
    if (rc < 0) {
        return rc;
    }
    buf_consume(&link->in, 2 + length);
    if (id == INGEST_AUTHENTICATED) {
        return 0;
    }
    return err_set(ERR_AUTH, "the indexer refused the log-in: %s",
                   info[0] != '\0' ? info : "wrong ingest secret");
}

static int keep_numbers(struct ingest_link *link, const struct ingest_tag_list *answer)
{
    const struct ingest_link_options *options = link->options;
    for (size_t tag = 0; tag < options->tag_count; tag++) {
        int32_t number = -1;
        for (size_t i = 0; i < answer->count && number < 0; i++) {
            if (strcmp(answer->names[i], options->tags[tag]) == 0) {
                number = answer->numbers[i];
            }
        }
        if (number < 0) {
            return err_set(ERR_DENIED, "the indexer refused the tag \"%s\"", options->tags[tag]);
        }
        vec_push(&link->tags, number);
    }
    return 0;
}

static int ask_tags(struct ingest_link *link, struct arena *arena, int64_t deadline_ms)
{
    static const char *const fallback[] = {"default"}; /* no tag at all is a refusal */
    const struct ingest_link_options *options = link->options;
    bool any = options->tag_count > 0;
    ingest_tag_request_write(&link->out, any ? options->tags : fallback,
                             any ? options->tag_count : 1);
    int rc = send_all(link, deadline_ms);
    if (rc < 0 || (rc = need(link, 4, deadline_ms)) < 0) {
        return rc;
    }
    uint32_t length = wire_load_u32(link->in.data);
    if (length > INGEST_TAG_LIST_BYTES_MAX) {
        return err_set(ERR_PROTOCOL, "a tag response of %" PRIu32 " bytes", length);
    }
    rc = need(link, 4 + (size_t)length, deadline_ms);
    if (rc < 0) {
        return rc;
    }
    struct ingest_tag_list answer;
    rc = ingest_tag_response_read(span_of(link->in.data + 4, length), arena, &answer);
    if (rc < 0) {
        return rc;
    }
    buf_consume(&link->in, 4 + (size_t)length);
    if (answer.count == 0) {
        return err_set(ERR_DENIED, "the indexer refused the tags");
    }
    return keep_numbers(link, &answer);
}

/* Waits for one message of set-up; PONGs may come in between. */
static int expect(struct ingest_link *link, enum ingest_message message, size_t body_bytes,
                  uint8_t *ret_body)
{
    int64_t deadline_ms = ingest_monotonic_ms() + CONFIRM_MS;
    int rc = send_all(link, deadline_ms);
    while (rc == 0) {
        rc = need(link, 4, deadline_ms);
        if (rc < 0) {
            return rc;
        }
        uint32_t magic = wire_load_u32(link->in.data);
        if (magic == (uint32_t)INGEST_PONG) {
            buf_consume(&link->in, 4);
            continue;
        }
        if (magic != (uint32_t)message) {
            return err_set(ERR_PROTOCOL, "the indexer sent 0x%08" PRIx32 " during set-up", magic);
        }
        rc = need(link, 4 + body_bytes, deadline_ms);
        if (rc < 0) {
            return rc;
        }
        if (body_bytes > 0) {
            memcpy(ret_body, link->in.data + 4, body_bytes);
        }
        buf_consume(&link->in, 4 + body_bytes);
        return 0;
    }
    return rc;
}

static int introduce(struct ingest_link *link)
{
    int rc = 0;
    if (link->version >= 4) {
        ingest_message_write(&link->out, INGEST_FORCE_ACK);
        ingest_message_write(&link->out, INGEST_API_VER);
        wire_put_u16(&link->out, INGEST_VERSION);
        rc = expect(link, INGEST_CONFIRM_API_VER, 0, NULL);
    }
    if (rc == 0 && link->version >= 3) {
        const char *const strings[] = {link->options->name, link->options->version,
                                       link->options->uuid};
        ingest_message_write(&link->out, INGEST_FORCE_ACK);
        ingest_message_write(&link->out, INGEST_ID);
        for (size_t i = 0; i < ARRAY_COUNT(strings); i++) {
            wire_put_u32(&link->out, (uint32_t)strlen(strings[i]));
            buf_append_str(&link->out, strings[i]);
        }
        rc = expect(link, INGEST_CONFIRM_ID, 0, NULL);
    }
    return rc;
}

static int ask_permission(struct ingest_link *link)
{
    if (link->version < 4) {
        return 0;
    }
    uint8_t yes[8];
    ingest_message_write(&link->out, INGEST_OK);
    int rc = expect(link, INGEST_CONFIRM_OK, sizeof(yes), yes);
    if (rc == 0 && wire_load_u64(yes) == 0) {
        rc = err_set(ERR_NO_SPACE, "the indexer takes no entries at the moment");
    }
    return rc;
}

static int configure(struct ingest_link *link)
{
    if (link->version < 5) {
        return 0;
    }
    int64_t deadline_ms = ingest_monotonic_ms() + CONFIRM_MS;
    wire_put_u32(&link->out, 1);
    wire_put_u8(&link->out, link->options->compress ? INGEST_SNAPPY : INGEST_PLAIN);
    int rc = send_all(link, deadline_ms);
    if (rc < 0 || (rc = need(link, 5, deadline_ms)) < 0) {
        return rc;
    }
    uint32_t length = wire_load_u32(link->in.data);
    uint8_t answer = link->in.data[4];
    if (length == 0 || length > INGEST_CONFIG_BYTES_MAX ||
        (answer != INGEST_PLAIN && answer != INGEST_SNAPPY)) {
        return err_set(ERR_PROTOCOL, "the indexer answered with a wrong stream configuration");
    }
    rc = need(link, 4 + (size_t)length, deadline_ms);
    if (rc < 0) {
        return rc;
    }
    buf_consume(&link->in, 4 + (size_t)length);
    link->compressed = answer == INGEST_SNAPPY;
    return 0;
}

static int log_in(struct ingest_link *link)
{
    int64_t deadline_ms = ingest_monotonic_ms() + LOG_IN_MS;
    struct arena *arena = arena_new(TAG_RESPONSE_ARENA_BYTES);
    int rc = answer_challenge(link, deadline_ms);
    rc = rc < 0 ? rc : take_verdict(link, arena, deadline_ms);
    rc = rc < 0 ? rc : ask_tags(link, arena, deadline_ms);
    arena_free(&arena);
    if (rc < 0) {
        return rc;
    }
    ingest_state_response_write(&link->out, INGEST_HOT, "");
    rc = send_all(link, deadline_ms);
    rc = rc < 0 ? rc : introduce(link);
    rc = rc < 0 ? rc : ask_permission(link);
    rc = rc < 0 ? rc : configure(link);
    if (rc == 0) {
        ingest_link_force_ack(link); /* also the first compressed bytes, which the server awaits */
        rc = write_some(link);
    }
    return rc;
}

int ingest_link_open(const struct ingest_target *target, const struct ingest_link_options *options,
                     struct ingest_link **ret_link)
{
    struct ingest_stream *stream;
    int rc = ingest_stream_connect(target, &options->stream, &stream);
    if (rc < 0) {
        return rc;
    }
    struct ingest_link *link = MEM_NEW(struct ingest_link);
    link->stream = stream;
    link->options = options;
    link->next_id = 1;
    ingest_stream_own_source(stream, link->own_source);
    rc = log_in(link);
    link->options = NULL;
    if (rc < 0) {
        struct ingest_items none = {0};
        ingest_link_close(&link, &none);
        return rc;
    }
    *ret_link = link;
    return 0;
}

void ingest_link_close(struct ingest_link **link, struct ingest_items *ret_window)
{
    struct ingest_link *gone = *link;
    if (gone == NULL) {
        return;
    }
    for (struct ingest_item *item; (item = ingest_items_pop(&gone->window)) != NULL;) {
        ingest_items_push(ret_window, item);
    }
    ingest_stream_close(&gone->stream);
    buf_deinit(&gone->in);
    buf_deinit(&gone->plain);
    buf_deinit(&gone->out);
    ingest_snappy_reader_deinit(&gone->unframer);
    vec_deinit(&gone->tags);
    mem_free(gone);
    *link = NULL;
}

/* ---- hot ---- */

bool ingest_link_knows_tag(const struct ingest_link *link, uint16_t tag)
{
    return tag < link->tags.count && link->tags.items[tag] >= 0;
}

void ingest_link_put(struct ingest_link *link, struct ingest_item *item)
{
    CHECK(ingest_link_knows_tag(link, item->tag));
    item->id = link->next_id++;
    struct entry entry = {
        .time_ns = item->time_ns,
        .tag = (uint16_t)link->tags.items[item->tag],
        .data = span_of(item->bytes, item->data_bytes),
    };
    if (link->version >= 8) {
        entry.enumerated = span_of(item->bytes + item->data_bytes, item->evs_bytes);
    }
    memcpy(entry.source, item->own_source ? link->own_source : item->source, 16);
    ingest_entry_write(output(link), &entry, item->id);
    ingest_items_push(&link->window, item);
}

void ingest_link_ask_tag(struct ingest_link *link, uint16_t tag, const char *name)
{
    CHECK(!link->asking);
    struct buf *out = output(link);
    ingest_message_write(out, INGEST_FORCE_ACK);
    ingest_message_write(out, INGEST_TAG);
    wire_put_u32(out, (uint32_t)strlen(name));
    buf_append_str(out, name);
    link->asking = true;
    link->asked = tag;
}

void ingest_link_force_ack(struct ingest_link *link)
{
    ingest_message_write(output(link), INGEST_FORCE_ACK);
}

void ingest_link_report(struct ingest_link *link, struct span json)
{
    if (link->version >= 6 && json.bytes <= INGEST_STATE_BYTES_MAX) {
        struct buf *out = output(link);
        ingest_message_write(out, INGEST_STATE);
        wire_put_u32(out, (uint32_t)json.bytes);
        buf_append(out, json);
    }
}

/* Confirmations come in order; one that does not is looked for all the same. */
static void confirm(struct ingest_link *link, uint64_t id, struct ingest_items *confirmed)
{
    struct ingest_items passed = {0};
    for (struct ingest_item *item; (item = link->window.first) != NULL && item->id <= id;) {
        (void)ingest_items_pop(&link->window);
        ingest_items_push(item->id == id ? confirmed : &passed, item);
    }
    ingest_items_prepend(&link->window, &passed);
}

static void take_tag_answer(struct ingest_link *link, int32_t number)
{
    if (!link->asking) {
        return;
    }
    link->asking = false;
    while (link->tags.count <= link->asked) {
        vec_push(&link->tags, -1);
    }
    link->tags.items[link->asked] = number;
}

/* One message off the front; INGEST_STREAM_AGAIN when there is no whole one. */
static int take_message(struct ingest_link *link, struct span *rest, struct ingest_items *confirmed)
{
    if (rest->bytes < 4) {
        return INGEST_STREAM_AGAIN;
    }
    uint32_t magic = wire_load_u32(rest->data);
    bool has_u64 = magic == (uint32_t)INGEST_CONFIRM_ENTRY || magic == (uint32_t)INGEST_THROTTLE ||
                   magic == (uint32_t)INGEST_CONFIRM_TAG ||
                   magic == (uint32_t)INGEST_CONFIRM_DITTO_BLOCK;
    if (has_u64 && rest->bytes < 12) {
        return INGEST_STREAM_AGAIN;
    }
    uint64_t value = has_u64 ? wire_load_u64(rest->data + 4) : 0;
    switch (magic) {
    case (uint32_t)INGEST_CONFIRM_ENTRY:
        confirm(link, value, confirmed);
        break;
    case (uint32_t)INGEST_THROTTLE:
        link->throttled_until_ms =
            ingest_monotonic_ms() + (int64_t)MIN(value / 1000000, (uint64_t)THROTTLE_MS_MAX);
        break;
    case (uint32_t)INGEST_CONFIRM_TAG:
        take_tag_answer(link, (uint16_t)value);
        break;
    case (uint32_t)INGEST_ERROR_TAG:
        take_tag_answer(link, -1);
        break;
    case (uint32_t)INGEST_PONG:
    case (uint32_t)INGEST_FORCE_ACK:
    case (uint32_t)INGEST_CONFIRM_STATE:
    case (uint32_t)INGEST_CONFIRM_DITTO_BLOCK:
        break;
    default:
        return err_set(ERR_PROTOCOL, "the indexer sent the unknown message 0x%08" PRIx32, magic);
    }
    *rest = span_from(*rest, has_u64 ? 12 : 4);
    return 0;
}

int ingest_link_pump(struct ingest_link *link, struct ingest_items *ret_confirmed)
{
    int rc = write_some(link);
    int read_rc = read_some(link); /* also after a fault: confirmations may be waiting there */
    struct span rest = buf_span(&link->in);
    int took;
    do {
        took = take_message(link, &rest, ret_confirmed);
    } while (took == 0);
    buf_consume(&link->in, link->in.bytes - rest.bytes);
    return rc < 0 ? rc : took < 0 ? took : read_rc;
}

size_t ingest_link_window(const struct ingest_link *link)
{
    return link->window.count;
}

size_t ingest_link_unsent_bytes(const struct ingest_link *link)
{
    return link->out.bytes - link->sent + link->plain.bytes;
}

bool ingest_link_asking_tag(const struct ingest_link *link)
{
    return link->asking;
}

bool ingest_link_throttled(const struct ingest_link *link, int64_t now_ms)
{
    return now_ms < link->throttled_until_ms;
}

int64_t ingest_link_heard_ms(const struct ingest_link *link)
{
    return link->heard_ms;
}

struct ingest_stream *ingest_link_stream(struct ingest_link *link)
{
    return link->stream;
}
