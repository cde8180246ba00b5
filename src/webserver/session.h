/*
 * Which sessions have been at work on this webserver lately, for people who want to know where an
 * account is logged in. Kept in memory, bounded, forgotten with the session's timeout; sessions
 * themselves need no list (token.h). Any thread; time is an argument.
 */
#ifndef WEBSERVER_SESSION_H
#define WEBSERVER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

#define SESSION_MAX 4096 /* past it the one idle for longest is forgotten */
#define SESSION_ORIGIN_BYTES 64

struct session_seen {
    char session[UUID_TEXT_BYTES];
    int32_t uid;
    char origin[SESSION_ORIGIN_BYTES]; /* the peer's address */
    int64_t last_hit_ns;
};

struct session_list;

struct session_list *session_list_new(int64_t timeout_ns);
void session_list_free(struct session_list **list);

/* A request of this session has come. */
void session_hit(struct session_list *list, const char *session, int32_t uid, const char *origin,
                 int64_t now_ns);
void session_gone(struct session_list *list, const char *session);

/* The sessions of a user, the latest first; returns how many there are, at most `max`. */
size_t session_of_user(struct session_list *list, int32_t uid, int64_t now_ns,
                       struct session_seen *ret_sessions, size_t max);

#endif
