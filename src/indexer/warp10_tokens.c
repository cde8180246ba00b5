/* Tested by warp10_test.c. */
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "service/log.h"

#define FILE_BYTES_MAX (64u << 20)
#define NOBODY "00000000-0000-0000-0000-000000000000"

struct warp10_table {
    struct token_table *table;
    unsigned holders;
};

struct warp10_tokens {
    struct io *io;
    const struct conf *conf;
    pthread_mutex_t lock;
    struct warp10_table *present;
    uint64_t digest; /* of all files, of the last look */
    int64_t looked_ns;
};

static size_t file_count(const struct warp10_tokens *tokens)
{
    return conf_list_count(tokens->conf, "Warp10", NULL, "Token-File");
}

/* All files, one after the other; those that are not there yet are empty. */
static int read_files(struct warp10_tokens *tokens, struct buf *texts, uint64_t *ret_digest)
{
    *ret_digest = 0;
    for (size_t i = 0; i < file_count(tokens); i++) {
        const char *path = conf_list(tokens->conf, "Warp10", NULL, "Token-File", i);
        int rc = !io_exists(tokens->io, path)
                     ? 0
                     : io_read_file(tokens->io, path, FILE_BYTES_MAX, &texts[i]);
        if (rc < 0) {
            return rc;
        }
        *ret_digest = hash64_seeded(buf_span(&texts[i]), *ret_digest + 1);
    }
    return 0;
}

static int add_simple(const struct conf *conf, struct token_table *table, const char *kind)
{
    struct buf text = {0};
    struct buf key = {0};
    const char *application = conf_text(conf, "Warp10", NULL, "Application");
    buf_printf(&key, "%s-Token", kind[0] == 'r' ? "Read" : "Write");
    const char *token = conf_text(conf, "Warp10", NULL, buf_str(&key));
    int rc = 0;
    if (token[0] != 0) {
        buf_printf(&text, "token.%s.config.name=%s\ntoken.%s.config.owner=" NOBODY "\n", kind,
                   token, kind);
        if (application[0] != 0) {
            buf_printf(&text, "token.%s.config.app=%s\n", kind, application);
        }
        rc = token_table_read(table, buf_span(&text));
        rc = rc < 0 ? err_wrap(rc, "[Warp10] %s", buf_str(&key)) : 0;
    }
    buf_deinit(&text);
    buf_deinit(&key);
    return rc;
}

static int add_keys(const struct conf *conf, struct token_table *table)
{
    struct buf aes = {0};
    struct buf hash = {0};
    int rc = 0;
    if (conf_is_set(conf, "Warp10", NULL, "Token-AES-Key")) {
        rc = warp10_key_bytes(&aes, conf_text(conf, "Warp10", NULL, "Token-AES-Key"));
        rc = rc < 0 ? rc
                    : warp10_key_bytes(&hash, conf_text(conf, "Warp10", NULL, "Token-Hash-Key"));
        rc = rc < 0 ? rc : token_table_keys(table, buf_span(&aes), buf_span(&hash));
        rc = rc < 0 ? err_wrap(rc, "[Warp10] Token-AES-Key, Token-Hash-Key") : 0;
    }
    buf_deinit(&aes);
    buf_deinit(&hash);
    return rc;
}

static int make_table(struct warp10_tokens *tokens, const struct buf *texts,
                      struct token_table **ret_table)
{
    struct token_table *table = token_table_new();
    int rc = add_keys(tokens->conf, table);
    rc = rc < 0 ? rc : add_simple(tokens->conf, table, "read");
    rc = rc < 0 ? rc : add_simple(tokens->conf, table, "write");
    for (size_t i = 0; rc == 0 && i < file_count(tokens); i++) {
        rc = token_table_read(table, buf_span(&texts[i]));
        if (rc < 0) {
            rc = err_wrap(rc, "%s", conf_list(tokens->conf, "Warp10", NULL, "Token-File", i));
        }
    }
    if (rc < 0) {
        token_table_free(&table);
        return rc;
    }
    *ret_table = table;
    return 0;
}

static void drop(struct warp10_table *table)
{
    if (table != NULL && --table->holders == 0) {
        token_table_free(&table->table);
        mem_free(table);
    }
}

/* Under the lock. */
static int look(struct warp10_tokens *tokens)
{
    struct buf *texts = mem_alloc_array(file_count(tokens) + 1, sizeof(*texts));
    struct token_table *table = NULL;
    uint64_t digest;
    int rc = read_files(tokens, texts, &digest);
    if (rc == 0 && (tokens->present == NULL || digest != tokens->digest)) {
        tokens->digest = digest;
        rc = make_table(tokens, texts, &table);
    }
    if (table != NULL) {
        drop(tokens->present);
        tokens->present = MEM_NEW(struct warp10_table);
        tokens->present->table = table;
        tokens->present->holders = 1;
    }
    for (size_t i = 0; i < file_count(tokens); i++) {
        buf_deinit(&texts[i]);
    }
    mem_free(texts);
    return rc;
}

int warp10_tokens_open(struct io *io, const struct conf *conf, struct warp10_tokens **ret_tokens)
{
    struct warp10_tokens *tokens = MEM_NEW(struct warp10_tokens);
    tokens->io = io;
    tokens->conf = conf;
    tokens->looked_ns = io_monotonic_ns(io);
    pthread_mutex_init(&tokens->lock, NULL);
    int rc = look(tokens);
    if (rc < 0) {
        warp10_tokens_close(&tokens);
        return rc;
    }
    *ret_tokens = tokens;
    return 0;
}

void warp10_tokens_close(struct warp10_tokens **tokens)
{
    if (*tokens == NULL) {
        return;
    }
    drop((*tokens)->present);
    pthread_mutex_destroy(&(*tokens)->lock);
    mem_free(*tokens);
    *tokens = NULL;
}

struct warp10_table *warp10_tokens_take(struct warp10_tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    int64_t now_ns = io_monotonic_ns(tokens->io);
    if (now_ns - tokens->looked_ns >= TIME_S_NS) {
        tokens->looked_ns = now_ns;
        int rc = look(tokens);
        if (rc < 0) {
            log_fault("warp10-tokens", "tokens stay as they were", rc, NULL);
        }
    }
    struct warp10_table *table = tokens->present;
    table->holders++;
    pthread_mutex_unlock(&tokens->lock);
    return table;
}

void warp10_tokens_give(struct warp10_tokens *tokens, struct warp10_table **table)
{
    pthread_mutex_lock(&tokens->lock);
    drop(*table);
    pthread_mutex_unlock(&tokens->lock);
    *table = NULL;
}

const struct token_table *warp10_table_of(const struct warp10_table *table)
{
    return table->table;
}
