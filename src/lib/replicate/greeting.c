#include "replicate/greeting.h"

#include <string.h>

#include "base/err.h"

static int check_type(const struct replicate_message *message, enum replicate_message_type type)
{
    if (message->type == REPLICATE_REFUSED) {
        return err_set(ERR_DENIED, "refused: %.*s", SPAN_ARG(message->text));
    }
    if (message->type != type) {
        return err_set(ERR_PROTOCOL, "message %d where %d was due", message->type, type);
    }
    return 0;
}

static int check_protocol(const struct replicate_message *message)
{
    if (message->protocol != REPLICATE_PROTOCOL) {
        return err_set(ERR_UNSUPPORTED, "they speak version %d of the replication protocol, we %d",
                       message->protocol, REPLICATE_PROTOCOL);
    }
    return 0;
}

static void take_self(struct replicate_message *message, const struct replicate_self *self)
{
    message->node = self->origin.node;
    message->origin = self->origin;
    message->places = *self->places;
    message->members = *self->members;
}

void replicate_challenge(struct replicate_greeting *greeting,
                         const uint8_t random[REPLICATE_NONCE_BYTES], struct buf *out)
{
    struct replicate_message message = {.type = REPLICATE_CHALLENGE,
                                        .protocol = REPLICATE_PROTOCOL};
    memcpy(greeting->target_nonce, random, REPLICATE_NONCE_BYTES);
    memcpy(message.nonce, random, REPLICATE_NONCE_BYTES);
    replicate_message_write(out, &message, 0);
}

int replicate_hello(struct replicate_greeting *greeting, const struct replicate_message *challenge,
                    const struct replicate_self *self, struct span name,
                    const uint8_t random[REPLICATE_NONCE_BYTES], struct buf *out)
{
    int rc = check_type(challenge, REPLICATE_CHALLENGE);
    rc = rc < 0 ? rc : check_protocol(challenge);
    if (rc < 0) {
        return rc;
    }
    struct replicate_message message = {
        .type = REPLICATE_HELLO, .protocol = REPLICATE_PROTOCOL, .name = name};
    memcpy(greeting->target_nonce, challenge->nonce, REPLICATE_NONCE_BYTES);
    memcpy(greeting->forwarder_nonce, random, REPLICATE_NONCE_BYTES);
    memcpy(message.nonce, random, REPLICATE_NONCE_BYTES);
    take_self(&message, self);
    replicate_mac(self->secret, true, greeting->target_nonce, greeting->forwarder_nonce,
                  message.node, message.mac);
    replicate_message_write(out, &message, 1);
    return 0;
}

static int check_peer(const struct replicate_greeting *greeting,
                      const struct replicate_message *message, bool forwarder,
                      const struct replicate_self *self)
{
    uint8_t mac[REPLICATE_MAC_BYTES];
    replicate_mac(self->secret, forwarder, greeting->target_nonce, greeting->forwarder_nonce,
                  message->node, mac);
    if (!replicate_mac_equal(mac, message->mac)) {
        return err_set(ERR_AUTH, "they do not know the secret of replication");
    }
    if (uuid_equal(message->node, self->origin.node)) {
        char text[UUID_TEXT_BYTES];
        return err_set(ERR_CONFLICT,
                       "two nodes have the id %s: give one of them another Indexer-UUID",
                       uuid_text(message->node, text));
    }
    return 0;
}

int replicate_check_hello(const struct replicate_greeting *greeting,
                          const struct replicate_message *hello, const struct replicate_self *self)
{
    int rc = check_type(hello, REPLICATE_HELLO);
    rc = rc < 0 ? rc : check_protocol(hello);
    if (rc < 0) {
        return rc;
    }
    struct replicate_greeting theirs = *greeting;
    memcpy(theirs.forwarder_nonce, hello->nonce, REPLICATE_NONCE_BYTES);
    return check_peer(&theirs, hello, true, self);
}

void replicate_welcome(const struct replicate_greeting *greeting,
                       const struct replicate_message *hello, const struct replicate_self *self,
                       struct buf *out)
{
    struct replicate_message message = {.type = REPLICATE_WELCOME, .needs = self->needs};
    take_self(&message, self);
    if (self->doubt != NULL) {
        message.doubt = *self->doubt;
    }
    replicate_mac(self->secret, false, greeting->target_nonce, hello->nonce, message.node,
                  message.mac);
    replicate_message_write(out, &message, 1);
}

int replicate_check_welcome(const struct replicate_greeting *greeting,
                            const struct replicate_message *welcome,
                            const struct replicate_self *self)
{
    int rc = check_type(welcome, REPLICATE_WELCOME);
    return rc < 0 ? rc : check_peer(greeting, welcome, false, self);
}

void replicate_refuse(struct buf *out, int rc)
{
    const char *text = rc == ERR_AUTH ? "another secret" : err_text();
    struct replicate_message message = {.type = REPLICATE_REFUSED, .text = span_of_str(text)};
    message.text.bytes = MIN(message.text.bytes, (size_t)REPLICATE_TEXT_BYTES_MAX);
    replicate_message_write(out, &message, 0);
}

bool replicate_is_behind(const struct replicate_self *self, const struct replicate_places *theirs)
{
    return replicate_places_of(theirs, self->origin).position >
           replicate_places_of(self->places, self->origin).position;
}
