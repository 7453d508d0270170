#include "roles/gateway/gateway_keys.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    FIRST_FETCH_EVERY_MS = 250,
    REFETCH_EVERY_MS = 10000,
    FETCH_TIMEOUT_MS = 2000,
    JWKS_LIMIT_BYTES = 64 * 1024,
    COMPLAIN_EVERY_MS = 60000,
    COMPLAIN_FIRST_AFTER_MS = 5000,
};

struct gateway_keys {
    pthread_mutex_t lock; // over jwks and version
    struct buf jwks;
    atomic_uint version; // 0: none yet; grows with each new set

    pthread_mutex_t fetch_lock; // over what follows: one fetch at a time
    struct http_client *client;
    int64_t next_fetch_at_ms;
    bool last_fetch_failed;
    int64_t next_complaint_at_ms;

    pthread_t thread; // ends when there is a first set
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool is_stopping;
};

static bool is_good_set(const struct buf *jwks, struct error *err)
{
    SCOPED(token_keys_destroy)
    struct token_keys *parsed = token_keys_parse(jwks->bytes, jwks->size, err);
    return parsed != NULL;
}

static bool fetch(struct gateway_keys *keys, struct error *err)
{
    const struct http_client_request request = {
        .method = "GET", .path = "/.well-known/jwks.json", .timeout_ms = FETCH_TIMEOUT_MS};
    struct http_client_reply reply;
    bool is_good = http_client_send(keys->client, &request, &reply, err);
    if (is_good && reply.status != 200)
        is_good = error_set(err, ERROR_UNAVAILABLE, "auth answered %d", reply.status);
    if (is_good && is_good_set(&reply.body, err)) {
        pthread_mutex_lock(&keys->lock);
        buf_clear(&keys->jwks);
        if (buf_append(&keys->jwks, reply.body.bytes, reply.body.size))
            atomic_fetch_add(&keys->version, 1);
        else
            is_good = error_set(err, ERROR_TOO_LARGE, "the key set is too large");
        pthread_mutex_unlock(&keys->lock);
    } else {
        is_good = false;
    }
    http_client_reply_finish(&reply);
    return is_good;
}

// With the fetch lock held. A complaint a minute is enough.
static void fetch_and_note(struct gateway_keys *keys)
{
    struct error err = {0};
    keys->last_fetch_failed = !fetch(keys, &err);
    int64_t now_ms = clock_monotonic_ms();
    keys->next_fetch_at_ms = now_ms + REFETCH_EVERY_MS;
    if (!keys->last_fetch_failed || now_ms < keys->next_complaint_at_ms)
        return;
    keys->next_complaint_at_ms = now_ms + COMPLAIN_EVERY_MS;
    log_warn("cannot fetch the keys of auth", LOG_TEXT("reason", err.text));
}

// Fetches unless a newer set has come or it is too early. False: auth could not be asked.
static bool refetch(struct gateway_keys *keys, unsigned seen_version)
{
    pthread_mutex_lock(&keys->fetch_lock);
    if (atomic_load(&keys->version) == seen_version &&
        clock_monotonic_ms() >= keys->next_fetch_at_ms)
        fetch_and_note(keys);
    bool was_asked = !keys->last_fetch_failed;
    pthread_mutex_unlock(&keys->fetch_lock);
    return was_asked;
}

static bool wait_for_stop(struct gateway_keys *keys, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&keys->stop_lock);
    while (!keys->is_stopping &&
           pthread_cond_timedwait(&keys->stop_signal, &keys->stop_lock, &until) == 0) {
    }
    bool is_stopping = keys->is_stopping;
    pthread_mutex_unlock(&keys->stop_lock);
    return is_stopping;
}

static void *first_fetch(void *context)
{
    struct gateway_keys *keys = context;
    do {
        pthread_mutex_lock(&keys->fetch_lock);
        if (atomic_load(&keys->version) == 0)
            fetch_and_note(keys);
        pthread_mutex_unlock(&keys->fetch_lock);
    } while (atomic_load(&keys->version) == 0 && !wait_for_stop(keys, FIRST_FETCH_EVERY_MS));
    return NULL;
}

struct gateway_keys *gateway_keys_start(const char *auth_url, struct error *err)
{
    struct http_client *client = http_client_open(auth_url, err);
    if (client == NULL)
        return NULL;
    struct gateway_keys *keys = alloc_zeroed(1, sizeof *keys);
    keys->client = client;
    // All roles start together, and auth may be the last.
    keys->next_complaint_at_ms = clock_monotonic_ms() + COMPLAIN_FIRST_AFTER_MS;
    buf_init(&keys->jwks, JWKS_LIMIT_BYTES);
    pthread_mutex_init(&keys->lock, NULL);
    pthread_mutex_init(&keys->fetch_lock, NULL);
    pthread_mutex_init(&keys->stop_lock, NULL);
    pthread_cond_init(&keys->stop_signal, NULL);
    int failure = pthread_create(&keys->thread, NULL, first_fetch, keys);
    if (failure == 0)
        return keys;
    error_set_errno(err, failure, "start the thread that fetches keys");
    http_client_close(client);
    buf_finish(&keys->jwks);
    free(keys);
    return NULL;
}

void gateway_keys_stop(struct gateway_keys *keys)
{
    if (keys == NULL)
        return;
    pthread_mutex_lock(&keys->stop_lock);
    keys->is_stopping = true;
    pthread_cond_signal(&keys->stop_signal);
    pthread_mutex_unlock(&keys->stop_lock);
    pthread_join(keys->thread, NULL);
    http_client_close(keys->client);
    buf_finish(&keys->jwks);
    free(keys);
}

bool gateway_keys_are_known(struct gateway_keys *keys, struct error *err)
{
    if (atomic_load(&keys->version) != 0)
        return true;
    return error_set(err, ERROR_UNAVAILABLE, "the keys of auth are not known yet");
}

void gateway_keys_copy_finish(struct gateway_keys_copy *copy)
{
    token_keys_destroy(copy->parsed);
    *copy = (struct gateway_keys_copy){0};
}

static void bring_up_to_date(struct gateway_keys *keys, struct gateway_keys_copy *copy)
{
    if (atomic_load(&keys->version) == copy->version)
        return;
    struct error err = {0};
    token_keys_destroy(copy->parsed);
    pthread_mutex_lock(&keys->lock);
    // It was parsed once before it became the set in force.
    copy->parsed = token_keys_parse(keys->jwks.bytes, keys->jwks.size, &err);
    copy->version = atomic_load(&keys->version);
    pthread_mutex_unlock(&keys->lock);
}

enum gateway_keys_answer gateway_keys_verify(struct gateway_keys *keys,
                                             struct gateway_keys_copy *copy, const char *token,
                                             enum token_answer *out_answer,
                                             struct token_claims *out)
{
    bring_up_to_date(keys, copy);
    if (copy->parsed == NULL)
        return GATEWAY_KEYS_UNAVAILABLE;
    int64_t now_s = clock_now_ms() / 1000;
    *out_answer = token_verify(copy->parsed, token, now_s, out);
    if (*out_answer != TOKEN_UNKNOWN_KEY)
        return GATEWAY_KEYS_ANSWERED;
    bool was_asked = refetch(keys, copy->version);
    bring_up_to_date(keys, copy);
    *out_answer = token_verify(copy->parsed, token, now_s, out);
    if (*out_answer == TOKEN_UNKNOWN_KEY && !was_asked)
        return GATEWAY_KEYS_UNAVAILABLE;
    return GATEWAY_KEYS_ANSWERED;
}
