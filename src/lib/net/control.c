#include "net/control.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"

#define DOMAIN "aquifer-control-v1\n"
#define NONCE_BYTES 32
#define SESSION_BYTES 16
#define WINDOW_WORDS (CONTROL_WINDOW / 64)

static const char *const refusal_names[] = {
    [0] = "none",
    [CONTROL_MALFORMED] = "malformed",
    [CONTROL_UNKNOWN_SESSION] = "unknown-session",
    [CONTROL_WRONG_MAC] = "wrong-mac",
    [CONTROL_REPLAYED] = "replayed",
    [CONTROL_ALTERED_BODY] = "altered-body",
};

const char *control_refusal_name(int refusal)
{
    CHECK(refusal >= 0 && (size_t)refusal < ARRAY_COUNT(refusal_names));
    return refusal_names[refusal];
}

/* ── MACs ────────────────────────────────────────────────────────────────────────────────── */

/* HMAC-SHA256 over the domain and each text, a newline after each: no text contains one. */
static void mac_lines(struct span key, const char *const *lines, size_t count,
                      uint8_t ret_mac[CONTROL_KEY_BYTES])
{
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key.data, key.bytes);
    (void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)DOMAIN, strlen(DOMAIN));
    for (size_t i = 0; i < count; i++) {
        (void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)lines[i], strlen(lines[i]));
        (void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)"\n", 1);
    }
    (void)crypto_auth_hmacsha256_final(&state, ret_mac);
    sodium_memzero(&state, sizeof(state));
}

static void mac_hex(const struct control_seal *seal, const char *const *lines, size_t count,
                    char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    uint8_t mac[CONTROL_KEY_BYTES];
    mac_lines(span_of(seal->key, sizeof(seal->key)), lines, count, mac);
    (void)sodium_bin2hex(ret_hex, CONTROL_HASH_TEXT_BYTES, mac, sizeof(mac));
}

static void session_key(const char *secret, const char *client_nonce, const char *server_nonce,
                        const char *session, uint8_t ret_key[CONTROL_KEY_BYTES])
{
    const char *lines[] = {"session", client_nonce, server_nonce, session};
    mac_lines(span_of_str(secret), lines, ARRAY_COUNT(lines), ret_key);
}

static void request_mac(const struct control_seal *seal, const char *method, const char *target,
                        char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    char sequence[24];
    (void)snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)seal->sequence);
    const char *lines[] = {"request", method, target, seal->session, sequence, seal->body};
    mac_hex(seal, lines, ARRAY_COUNT(lines), ret_hex);
}

static void trailer_mac(const struct control_seal *seal, const char *body_hash,
                        char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    char sequence[24];
    (void)snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)seal->sequence);
    const char *lines[] = {"body", seal->session, sequence, body_hash};
    mac_hex(seal, lines, ARRAY_COUNT(lines), ret_hex);
}

static void answer_mac(const struct control_seal *seal, int status, const char *body_hash,
                       char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    char sequence[24];
    char code[12];
    (void)snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)seal->sequence);
    (void)snprintf(code, sizeof(code), "%d", status);
    const char *lines[] = {"answer", seal->session, sequence, code, body_hash};
    mac_hex(seal, lines, ARRAY_COUNT(lines), ret_hex);
}

static bool mac_equal(const char *a, const char *b)
{
    return strlen(a) == CONTROL_HASH_TEXT_BYTES - 1 && strlen(b) == CONTROL_HASH_TEXT_BYTES - 1 &&
           sodium_memcmp(a, b, CONTROL_HASH_TEXT_BYTES - 1) == 0;
}

void control_hash(struct span data, char ret_hex[CONTROL_HASH_TEXT_BYTES])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, data.data, data.bytes);
    (void)sodium_bin2hex(ret_hex, CONTROL_HASH_TEXT_BYTES, hash, sizeof(hash));
}

/* ── Headers: "v1 name=value name=value" ─────────────────────────────────────────────────── */

static bool is_hex(struct span text, size_t digits)
{
    for (size_t i = 0; i < text.bytes; i++) {
        bool digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (!digit && !(text.data[i] >= 'a' && text.data[i] <= 'f')) {
            return false;
        }
    }
    return text.bytes == digits;
}

/* Takes "name=" off the front and returns what stands before the next space. */
static struct span take_field(struct span *rest, const char *name)
{
    struct span word = SPAN_NONE;
    struct span prefix = span_of_str(name);
    if (!span_split(rest, ' ', &word) || !span_starts_with(word, prefix)) {
        return SPAN_NONE;
    }
    return span_from(word, prefix.bytes);
}

static void put_text(char *to, size_t room, struct span text)
{
    CHECK(text.bytes < room);
    if (text.bytes > 0) {
        memcpy(to, text.data, text.bytes);
    }
    to[text.bytes] = 0;
}

struct request_header {
    struct control_seal seal; /* without the key */
    char mac[CONTROL_HASH_TEXT_BYTES];
};

static bool parse_request_header(const char *header, struct request_header *ret_parsed)
{
    struct span rest = span_of_str(header);
    struct span version = SPAN_NONE;
    (void)span_split(&rest, ' ', &version);
    struct span session = take_field(&rest, "session=");
    struct span sequence = take_field(&rest, "sequence=");
    struct span body = take_field(&rest, "body=");
    struct span mac = take_field(&rest, "mac=");
    bool body_ok = is_hex(body, CONTROL_HASH_TEXT_BYTES - 1) || span_equal_str(body, "trailer");
    if (!span_equal_str(version, "v1") || !is_hex(session, 2 * SESSION_BYTES) || !body_ok ||
        !is_hex(mac, CONTROL_HASH_TEXT_BYTES - 1) || rest.bytes > 0 ||
        !span_to_u64(sequence, &ret_parsed->seal.sequence)) {
        return false;
    }
    put_text(ret_parsed->seal.session, sizeof(ret_parsed->seal.session), session);
    put_text(ret_parsed->seal.body, sizeof(ret_parsed->seal.body), body);
    put_text(ret_parsed->mac, sizeof(ret_parsed->mac), mac);
    return true;
}

/* ── The server's table ──────────────────────────────────────────────────────────────────── */

struct session {
    char name[CONTROL_SESSION_TEXT_BYTES];
    uint8_t key[CONTROL_KEY_BYTES];
    bool proven;
    uint64_t highest;            /* sequence seen */
    uint64_t seen[WINDOW_WORDS]; /* bit (n % CONTROL_WINDOW) for n in (highest - window, highest] */
    int64_t used_ns;
    struct session *older, *newer; /* by use, within its list */
};

struct list {
    struct session *oldest, *newest;
    size_t count;
};

struct control {
    struct io *io;
    char *secret;
    pthread_mutex_t lock;
    struct map by_name;
    struct list unproven, proven;
};

static void list_remove(struct list *list, struct session *session)
{
    *(session->older != NULL ? &session->older->newer : &list->oldest) = session->newer;
    *(session->newer != NULL ? &session->newer->older : &list->newest) = session->older;
    session->older = session->newer = NULL;
    list->count--;
}

static void list_append(struct list *list, struct session *session)
{
    session->older = list->newest;
    session->newer = NULL;
    *(list->newest != NULL ? &list->newest->newer : &list->oldest) = session;
    list->newest = session;
    list->count++;
}

static void drop_session(struct control *control, struct session *session)
{
    list_remove(session->proven ? &control->proven : &control->unproven, session);
    (void)map_remove(&control->by_name, span_of_str(session->name));
    sodium_memzero(session->key, sizeof(session->key));
    mem_free(session);
}

static void expire(struct control *control, struct list *list, int64_t now, int64_t life_ms)
{
    while (list->oldest != NULL && now - list->oldest->used_ns > life_ms * TIME_MS_NS) {
        drop_session(control, list->oldest);
    }
}

static void make_room(struct control *control, int64_t now)
{
    expire(control, &control->unproven, now, CONTROL_UNPROVEN_MS);
    expire(control, &control->proven, now, CONTROL_IDLE_MS);
    if (control->unproven.count + control->proven.count >= CONTROL_SESSIONS_MAX) {
        struct session *oldest = control->unproven.oldest;
        drop_session(control, oldest != NULL ? oldest : control->proven.oldest);
    }
}

struct control *control_new(struct io *io, const char *secret)
{
    CHECK(sodium_init() >= 0);
    struct control *control = MEM_NEW(struct control);
    control->io = io;
    control->secret = mem_strdup(secret);
    pthread_mutex_init(&control->lock, NULL);
    return control;
}

void control_free(struct control **control)
{
    if (*control == NULL) {
        return;
    }
    while ((*control)->unproven.oldest != NULL) {
        drop_session(*control, (*control)->unproven.oldest);
    }
    while ((*control)->proven.oldest != NULL) {
        drop_session(*control, (*control)->proven.oldest);
    }
    map_deinit(&(*control)->by_name);
    sodium_memzero((*control)->secret, strlen((*control)->secret));
    mem_free((*control)->secret);
    pthread_mutex_destroy(&(*control)->lock);
    mem_free(*control);
    *control = NULL;
}

static void random_hex(struct io *io, size_t bytes, char *ret_hex)
{
    uint8_t random[NONCE_BYTES];
    CHECK(bytes <= sizeof(random));
    io_random(io, random, bytes);
    (void)sodium_bin2hex(ret_hex, 2 * bytes + 1, random, bytes);
}

int control_hello(struct control *control, const char *client_nonce,
                  char ret_session[CONTROL_SESSION_TEXT_BYTES],
                  char ret_nonce[CONTROL_NONCE_TEXT_BYTES])
{
    if (!is_hex(span_of_str(client_nonce), 2 * NONCE_BYTES)) {
        return err_set(ERR_INVALID, "the nonce must be %d hex digits", 2 * NONCE_BYTES);
    }
    struct session *session = MEM_NEW(struct session);
    random_hex(control->io, SESSION_BYTES, session->name);
    random_hex(control->io, NONCE_BYTES, ret_nonce);
    session_key(control->secret, client_nonce, ret_nonce, session->name, session->key);
    session->used_ns = io_monotonic_ns(control->io);
    memcpy(ret_session, session->name, sizeof(session->name));

    pthread_mutex_lock(&control->lock);
    make_room(control, session->used_ns);
    CHECK(map_put(&control->by_name, span_of_str(session->name), session) == NULL);
    list_append(&control->unproven, session);
    pthread_mutex_unlock(&control->lock);
    return 0;
}

/* Whether `sequence` is new; marks it. Several connections share a session, so requests may come
 * out of order, but not from further behind than the window. */
static bool use_sequence(struct session *session, uint64_t sequence)
{
    if (sequence == 0 || sequence == UINT64_MAX) {
        return false;
    }
    if (sequence > session->highest) {
        uint64_t steps = sequence - session->highest;
        if (steps >= CONTROL_WINDOW) {
            memset(session->seen, 0, sizeof(session->seen));
        } else {
            for (uint64_t n = session->highest + 1; n <= sequence; n++) {
                session->seen[n % CONTROL_WINDOW / 64] &= ~(UINT64_C(1) << (n % 64));
            }
        }
        session->highest = sequence;
    } else if (session->highest - sequence >= CONTROL_WINDOW) {
        return false;
    }
    uint64_t *word = &session->seen[sequence % CONTROL_WINDOW / 64];
    uint64_t bit = UINT64_C(1) << (sequence % 64);
    bool fresh = (*word & bit) == 0;
    *word |= bit;
    return fresh;
}

static int verify_locked(struct control *control, const struct request_header *parsed,
                         const char *method, const char *target, struct control_seal *ret_seal)
{
    int64_t now = io_monotonic_ns(control->io);
    expire(control, &control->unproven, now, CONTROL_UNPROVEN_MS);
    expire(control, &control->proven, now, CONTROL_IDLE_MS);
    struct session *session = map_get_str(&control->by_name, parsed->seal.session);
    if (session == NULL) {
        return CONTROL_UNKNOWN_SESSION;
    }
    struct control_seal seal = parsed->seal;
    memcpy(seal.key, session->key, sizeof(seal.key));
    char mac[CONTROL_HASH_TEXT_BYTES];
    request_mac(&seal, method, target, mac);
    if (!mac_equal(mac, parsed->mac)) {
        return CONTROL_WRONG_MAC;
    }
    /* Only now: who does not know the secret must not move the window. */
    if (!use_sequence(session, seal.sequence)) {
        return CONTROL_REPLAYED;
    }
    list_remove(session->proven ? &control->proven : &control->unproven, session);
    session->proven = true;
    session->used_ns = now;
    list_append(&control->proven, session);
    *ret_seal = seal;
    return 0;
}

int control_verify(struct control *control, const char *header, const char *method,
                   const char *target, struct control_seal *ret_seal)
{
    struct request_header parsed = {0};
    if (!parse_request_header(header, &parsed)) {
        return CONTROL_MALFORMED;
    }
    pthread_mutex_lock(&control->lock);
    int refusal = verify_locked(control, &parsed, method, target, ret_seal);
    pthread_mutex_unlock(&control->lock);
    return refusal;
}

int control_seal_body(const struct control_seal *seal, const char *body_hash, const char *trailer)
{
    char expected[CONTROL_HASH_TEXT_BYTES];
    if (strcmp(seal->body, "trailer") != 0) {
        return mac_equal(seal->body, body_hash) ? 0 : CONTROL_ALTERED_BODY;
    }
    trailer_mac(seal, body_hash, expected);
    return trailer != NULL && mac_equal(expected, trailer) ? 0 : CONTROL_ALTERED_BODY;
}

void control_seal_answer(const struct control_seal *seal, int status, const char *body_hash,
                         char ret_header[CONTROL_HEADER_BYTES_MAX])
{
    char mac[CONTROL_HASH_TEXT_BYTES];
    answer_mac(seal, status, body_hash, mac);
    (void)snprintf(ret_header, CONTROL_HEADER_BYTES_MAX, "v1 body=%s mac=%s", body_hash, mac);
}

size_t control_session_count(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    size_t count = control->unproven.count + control->proven.count;
    pthread_mutex_unlock(&control->lock);
    return count;
}

/* ── Client ──────────────────────────────────────────────────────────────────────────────── */

void control_client_begin(struct control_client *client, struct io *io)
{
    *client = (struct control_client){0};
    random_hex(io, NONCE_BYTES, client->nonce);
}

int control_client_accept(struct control_client *client, const char *secret, const char *session,
                          const char *server_nonce)
{
    if (session == NULL || server_nonce == NULL ||
        !is_hex(span_of_str(session), 2 * SESSION_BYTES) ||
        !is_hex(span_of_str(server_nonce), 2 * NONCE_BYTES)) {
        return err_set(ERR_PROTOCOL,
                       "the answer to the Control-Auth hello has no session or nonce");
    }
    put_text(client->session, sizeof(client->session), span_of_str(session));
    session_key(secret, client->nonce, server_nonce, session, client->key);
    client->sequence = 0;
    return 0;
}

void control_client_sign(struct control_client *client, const char *method, const char *target,
                         const char *body_hash, struct control_seal *ret_seal,
                         char ret_header[CONTROL_HEADER_BYTES_MAX])
{
    CHECK(client->session[0] != 0);
    struct control_seal seal = {.sequence = ++client->sequence};
    memcpy(seal.session, client->session, sizeof(seal.session));
    memcpy(seal.key, client->key, sizeof(seal.key));
    put_text(seal.body, sizeof(seal.body), span_of_str(body_hash));
    char mac[CONTROL_HASH_TEXT_BYTES];
    request_mac(&seal, method, target, mac);
    (void)snprintf(ret_header, CONTROL_HEADER_BYTES_MAX,
                   "v1 session=%s sequence=%llu body=%s mac=%s", seal.session,
                   (unsigned long long)seal.sequence, seal.body, mac);
    *ret_seal = seal;
}

void control_client_trailer(const struct control_seal *seal, const char *body_hash,
                            char ret_trailer[CONTROL_HASH_TEXT_BYTES])
{
    trailer_mac(seal, body_hash, ret_trailer);
}

int control_client_check(const struct control_seal *seal, int status, const char *header,
                         char ret_body_hash[CONTROL_HASH_TEXT_BYTES])
{
    struct span rest = span_of_str(header);
    struct span version = SPAN_NONE;
    (void)span_split(&rest, ' ', &version);
    struct span hash = take_field(&rest, "body=");
    struct span mac = take_field(&rest, "mac=");
    bool hash_ok = is_hex(hash, CONTROL_HASH_TEXT_BYTES - 1) || span_equal_str(hash, "-");
    if (!span_equal_str(version, "v1") || !hash_ok || !is_hex(mac, CONTROL_HASH_TEXT_BYTES - 1)) {
        return err_set(ERR_AUTH, "the server did not prove that it knows the control secret");
    }
    char declared[CONTROL_HASH_TEXT_BYTES];
    char given[CONTROL_HASH_TEXT_BYTES];
    char expected[CONTROL_HASH_TEXT_BYTES];
    put_text(declared, sizeof(declared), hash);
    put_text(given, sizeof(given), mac);
    answer_mac(seal, status, declared, expected);
    if (!mac_equal(expected, given)) {
        return err_set(ERR_AUTH,
                       "the server has another control secret, or its answer was altered");
    }
    memcpy(ret_body_hash, declared, sizeof(declared));
    return 0;
}
