#include "roles/auth/auth_throttle.h"

#include "base/alloc.h"
#include "base/id.h"
#include "security/keyed_hash.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum {
    WAYS = 4, // places a key may take
    SETS = 16384,
    FREE_FAILURES = 2, // more than that many cost time
    LONGEST_WAIT_MS = 900 * 1000,
    FORGET_AFTER_MS = 24 * 3600 * 1000,
    CLIENT_WINDOW_MS = 60 * 1000,
    CLIENT_FAILURES = 20,
    EMAIL_KEY_SIZE = 256,
};

struct entry {
    uint64_t key;
    int64_t at_ms;     // an account's last failure; a client's first of this minute
    uint32_t failures; // 0: the place is free
};

struct table {
    struct entry places[SETS][WAYS];
};

struct auth_throttle {
    pthread_mutex_t lock;
    unsigned char hash_key[KEYED_HASH_KEY_SIZE];
    struct table accounts, clients;
};

struct auth_throttle *auth_throttle_create(void)
{
    // 3 MiB, of which the kernel hands out only the pages that are touched.
    struct auth_throttle *throttle = alloc_zeroed(1, sizeof *throttle);
    pthread_mutex_init(&throttle->lock, NULL);
    random_bytes(throttle->hash_key, sizeof throttle->hash_key);
    return throttle;
}

void auth_throttle_destroy(struct auth_throttle *throttle)
{
    if (throttle == NULL)
        return;
    pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

static uint64_t account_key(const struct auth_throttle *throttle, const char *email)
{
    char folded[EMAIL_KEY_SIZE];
    size_t size = strnlen(email, sizeof folded);
    for (size_t i = 0; i < size; i++)
        folded[i] = (char)(email[i] >= 'A' && email[i] <= 'Z' ? email[i] + 32 : email[i]);
    return keyed_hash(throttle->hash_key, folded, size);
}

static bool client_key(const struct auth_throttle *throttle, const char *client, uint64_t *out)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (client == NULL)
        return false;
    if (inet_pton(AF_INET, client, &v4) == 1)
        *out = keyed_hash(throttle->hash_key, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, client, &v6) == 1)
        *out = IN6_IS_ADDR_V4MAPPED(&v6) ? keyed_hash(throttle->hash_key, v6.s6_addr + 12, 4)
                                         : keyed_hash(throttle->hash_key, v6.s6_addr, 8);
    else
        return false;
    return true;
}

static struct entry *find(struct table *table, uint64_t key)
{
    struct entry *set = table->places[key % SETS];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].failures > 0 && set[i].key == key)
            return &set[i];
    return NULL;
}

// The key's entry, or the place of whoever has the fewest failures, oldest first, emptied.
static struct entry *find_or_make(struct table *table, uint64_t key, int64_t now_ms)
{
    struct entry *entry = find(table, key);
    if (entry != NULL)
        return entry;
    struct entry *set = table->places[key % SETS];
    entry = &set[0];
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].failures < entry->failures ||
            (set[i].failures == entry->failures && set[i].at_ms < entry->at_ms))
            entry = &set[i];
    *entry = (struct entry){.key = key, .at_ms = now_ms};
    return entry;
}

static int64_t account_wait_ms(const struct entry *entry, int64_t now_ms)
{
    if (entry == NULL || entry->failures <= FREE_FAILURES)
        return 0;
    uint32_t doublings = entry->failures - FREE_FAILURES - 1;
    int64_t delay_ms = doublings >= 10 ? LONGEST_WAIT_MS : (int64_t)1000 << doublings;
    if (delay_ms > LONGEST_WAIT_MS)
        delay_ms = LONGEST_WAIT_MS;
    int64_t left_ms = entry->at_ms + delay_ms - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

static int64_t client_wait_ms(const struct entry *entry, int64_t now_ms)
{
    if (entry == NULL || entry->failures < CLIENT_FAILURES)
        return 0;
    int64_t left_ms = entry->at_ms + CLIENT_WINDOW_MS - now_ms;
    return left_ms > 0 ? left_ms : 0;
}

int64_t auth_throttle_wait_ms(struct auth_throttle *throttle, const char *email, const char *client,
                              int64_t now_ms)
{
    uint64_t of_account = account_key(throttle, email), of_client = 0;
    bool has_client = client_key(throttle, client, &of_client);
    pthread_mutex_lock(&throttle->lock);
    int64_t wait_ms = account_wait_ms(find(&throttle->accounts, of_account), now_ms);
    if (has_client) {
        int64_t also_ms = client_wait_ms(find(&throttle->clients, of_client), now_ms);
        wait_ms = also_ms > wait_ms ? also_ms : wait_ms;
    }
    pthread_mutex_unlock(&throttle->lock);
    return wait_ms;
}

void auth_throttle_failed(struct auth_throttle *throttle, const char *email, const char *client,
                          int64_t now_ms)
{
    uint64_t of_account = account_key(throttle, email), of_client = 0;
    bool has_client = client_key(throttle, client, &of_client);
    pthread_mutex_lock(&throttle->lock);
    struct entry *entry = find_or_make(&throttle->accounts, of_account, now_ms);
    if (now_ms - entry->at_ms >= FORGET_AFTER_MS)
        entry->failures = 0;
    if (entry->failures < UINT32_MAX)
        entry->failures++;
    entry->at_ms = now_ms;
    if (has_client) {
        entry = find_or_make(&throttle->clients, of_client, now_ms);
        if (now_ms - entry->at_ms >= CLIENT_WINDOW_MS)
            *entry = (struct entry){.key = of_client, .at_ms = now_ms};
        if (entry->failures < UINT32_MAX)
            entry->failures++;
    }
    pthread_mutex_unlock(&throttle->lock);
}

void auth_throttle_succeeded(struct auth_throttle *throttle, const char *email)
{
    uint64_t key = account_key(throttle, email);
    pthread_mutex_lock(&throttle->lock);
    struct entry *entry = find(&throttle->accounts, key);
    if (entry != NULL)
        entry->failures = 0;
    pthread_mutex_unlock(&throttle->lock);
}
