/* What a caller reads off an answer, or off a call without one. Tested by http_client_test.c. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "net/http_client.h"

void http_answer_deinit(struct http_answer *answer)
{
    buf_deinit(&answer->body);
    buf_deinit(&answer->header_text);
    *answer = (struct http_answer){0};
}

/* Of TLS, and of what is rare, curl's own words name the cause. */
const char *http_words_of(void *easy, int code, char *detail)
{
    long number = 0;
    curl_off_t us = 0;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        (void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
        return number != 0 ? strerrordesc_np((int)number) : "cannot be reached";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "its name cannot be resolved";
    case CURLE_OPERATION_TIMEDOUT:
        (void)curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &us);
        (void)snprintf(detail, CURL_ERROR_SIZE, "no answer within %lld ms", (long long)us / 1000);
        return detail;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        if (strstr(detail, "TLS") != NULL) {
            return detail;
        }
        return "the connection broke during the call";
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return "the connection broke during the call";
    default:
        return detail[0] != 0 ? detail : curl_easy_strerror((CURLcode)code);
    }
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0) {
            return answer->headers[i].value;
        }
    }
    return NULL;
}

const char *http_answer_error(struct http_answer *answer)
{
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.bytes, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "Error"));
    char *owned = text != NULL              ? mem_strdup(text)
                  : answer->body.bytes == 0 ? mem_printf("status %d", answer->status)
                                            : mem_strndup((const char *)answer->body.data,
                                                          MIN(answer->body.bytes, (size_t)200));
    json_decref(json);
    /* It replaces the body, which a caller that asks for the error has no other use for. */
    buf_clear(&answer->body);
    buf_append_str(&answer->body, owned);
    mem_free(owned);
    return buf_str(&answer->body);
}

static int fault_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 507:
        return ERR_NO_SPACE;
    default:
        return status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    }
}

int http_call_json(struct http_client *client, const struct http_call *call, const json_t *body,
                   json_t **ret_json)
{
    struct http_answer answer;
    struct http_call full = *call;
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    full.body = span_of_str(text);
    int rc = http_call(client, &full, &answer);
    free(text);
    if (rc < 0) {
        return rc;
    }
    json_t *json = NULL;
    if (answer.status < 200 || answer.status > 299) {
        int status = answer.status;
        rc = err_set((enum err)fault_of_status(status), "%s: %d: %s", call->url, status,
                     http_answer_error(&answer));
    } else if (span_trim(buf_span(&answer.body)).bytes > 0) {
        json = json_loadb((const char *)answer.body.data, answer.body.bytes, JSON_DECODE_ANY, NULL);
        rc = json == NULL ? err_set(ERR_PROTOCOL, "%s: the answer is not JSON", call->url) : 0;
    }
    http_answer_deinit(&answer);
    if (rc == 0) {
        *ret_json = json;
    }
    return rc;
}
