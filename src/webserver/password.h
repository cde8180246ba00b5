/*
 * Passwords: argon2id, in the text form of libsodium, which names what it took to make. One hash
 * takes some 50 ms and 64 MiB, so at most PASSWORD_HASHES_MAX run at a time; further callers wait.
 */
#ifndef WEBSERVER_PASSWORD_H
#define WEBSERVER_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_HASHES_MAX 4
#define PASSWORD_CALLERS_MAX 24 /* at work or waiting; well below the number of workers */
#define PASSWORD_BYTES_MAX 1024
#define PASSWORD_HASH_BYTES 128 /* with the NUL */

/* Of each hash made from now on, instead of 64 MiB; before any other thread calls. A hash that was
 * made with other memory is checked with that. */
void password_use_memory(size_t bytes);

/* False: as many callers as there should be. Whoever does not know yet who is asking does not join
 * them: else a flood of logins would take all workers, and health checks would wait behind it. */
bool password_has_room(void);

/* One of PASSWORD_HASHES_MAX, waits until it may be; what a hash does around its work. */
void password_enter(void);
void password_leave(void);

void password_hash(const char *password, char ret_hash[PASSWORD_HASH_BYTES]);

/* `hash` NULL: there is no such account; false, after the same time as for one that exists. */
bool password_is(const char *hash, const char *password);

#endif
