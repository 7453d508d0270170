#include "security/password.h"

#include "base/clock.h"
#include "base/text.h"
#include "security/password_common.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const unsigned long long passes = 1;
static const size_t memory_bytes = 46u << 20;

static_assert(PASSWORD_HASH_TEXT_SIZE >= crypto_pwhash_STRBYTES, "a PHC string fits");

// What a password is held against when there is no such account: same cost, never right.
static char dummy_hash[PASSWORD_HASH_TEXT_SIZE];

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slot_given;
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static int slots_limit = 2;
static int slots_taken;

bool password_start(struct error *err)
{
    if (sodium_init() < 0)
        return error_set(err, ERROR_INTERNAL, "libsodium does not start");
    unsigned char random[33];
    char password[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    text_hex(random, sizeof random, password);
    return password_hash(password, dummy_hash, err);
}

// Code points of well-formed UTF-8; false when one of them is a control character.
static bool count_characters(const char *text, size_t *out_count)
{
    *out_count = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0))
            return false;
        if ((*at & 0xC0) != 0x80)
            ++*out_count;
    }
    return true;
}

bool password_check(const char *password, const char *email, struct error *err)
{
    size_t size = strnlen(password, PASSWORD_MAX_BYTES + 1);
    size_t count;
    if (size > PASSWORD_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "The password is longer than %d bytes.",
                         PASSWORD_MAX_BYTES);
    if (!text_is_utf8(password, size))
        return error_set(err, ERROR_INVALID, "The password is not well-formed UTF-8.");
    if (!count_characters(password, &count))
        return error_set(err, ERROR_INVALID, "The password contains a control character.");
    if (count < PASSWORD_MIN_LENGTH)
        return error_set(err, ERROR_INVALID, "The password is shorter than %d characters.",
                         PASSWORD_MIN_LENGTH);
    if (password_is_common(password))
        return error_set(err, ERROR_INVALID,
                         "The password is one of the most common ones, which are guessed first.");
    if (strcasecmp(password, email) == 0)
        return error_set(err, ERROR_INVALID, "The password is the e-mail address itself.");
    return true;
}

bool password_hash(const char *password, char out[PASSWORD_HASH_TEXT_SIZE], struct error *err)
{
    if (crypto_pwhash_str_alg(out, password, strlen(password), passes, memory_bytes,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "no memory to hash a password");
    return true;
}

bool password_verify(const char *password, const char *hash)
{
    const char *held_against = hash == NULL ? dummy_hash : hash;
    bool is_right = crypto_pwhash_str_verify(held_against, password, strlen(password)) == 0;
    return is_right && hash != NULL;
}

bool password_needs_rehash(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, passes, memory_bytes) != 0;
}

static void prepare_slots(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&slot_given, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool password_slot_take(int timeout_ms)
{
    pthread_once(&slots_once, prepare_slots);
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&slots_lock);
    while (slots_taken >= slots_limit)
        if (pthread_cond_timedwait(&slot_given, &slots_lock, &deadline) != 0)
            break;
    bool is_free = slots_taken < slots_limit;
    if (is_free)
        slots_taken++;
    pthread_mutex_unlock(&slots_lock);
    return is_free;
}

void password_slot_give(void)
{
    pthread_mutex_lock(&slots_lock);
    slots_taken--;
    pthread_cond_signal(&slot_given);
    pthread_mutex_unlock(&slots_lock);
}

void password_slots(int limit)
{
    pthread_once(&slots_once, prepare_slots);
    pthread_mutex_lock(&slots_lock);
    slots_limit = limit;
    pthread_cond_broadcast(&slot_given);
    pthread_mutex_unlock(&slots_lock);
}
