#include "webserver/password.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "base/check.h"

_Static_assert(PASSWORD_HASH_BYTES == crypto_pwhash_STRBYTES, "as libsodium has it");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_room = PTHREAD_COND_INITIALIZER;
static unsigned running, callers;

static size_t hash_bytes = crypto_pwhash_MEMLIMIT_INTERACTIVE;

static char nobodys_hash[PASSWORD_HASH_BYTES];
static pthread_once_t nobodys_once = PTHREAD_ONCE_INIT;

void password_use_memory(size_t bytes)
{
    hash_bytes = bytes;
}

bool password_has_room(void)
{
    pthread_mutex_lock(&lock);
    bool room = callers < PASSWORD_CALLERS_MAX;
    pthread_mutex_unlock(&lock);
    return room;
}

void password_enter(void)
{
    pthread_mutex_lock(&lock);
    callers++;
    while (running == PASSWORD_HASHES_MAX) {
        pthread_cond_wait(&has_room, &lock);
    }
    running++;
    pthread_mutex_unlock(&lock);
}

void password_leave(void)
{
    pthread_mutex_lock(&lock);
    running--;
    callers--;
    pthread_cond_signal(&has_room);
    pthread_mutex_unlock(&lock);
}

void password_hash(const char *password, char ret_hash[PASSWORD_HASH_BYTES])
{
    password_enter();
    int rc = crypto_pwhash_str_alg(ret_hash, password, strlen(password),
                                   crypto_pwhash_OPSLIMIT_INTERACTIVE, hash_bytes,
                                   crypto_pwhash_ALG_ARGON2ID13);
    password_leave();
    CHECK(rc == 0);
}

static void make_nobodys_hash(void)
{
    password_hash("a password that nobody has", nobodys_hash);
}

bool password_is(const char *hash, const char *password)
{
    if (strlen(password) > PASSWORD_BYTES_MAX) {
        return false;
    }
    (void)pthread_once(&nobodys_once, make_nobodys_hash);
    password_enter();
    bool right = crypto_pwhash_str_verify(hash == NULL ? nobodys_hash : hash, password,
                                          strlen(password)) == 0;
    password_leave();
    return right && hash != NULL;
}
