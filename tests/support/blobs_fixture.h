#pragma once
// One blob store for the tests of a file: MongoDB's where UNREEL_TEST_BACKEND is `mongodb`, else
// files in a temporary directory. What must work fails the test with the reason.

#include "blobs/blobs.h"
#include "temporary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern struct temporary store_directory;
extern char *store_url;
extern struct blobs *store_blobs;
extern const struct blob_about store_about;

void store_choose(void);       // at the start of main; ends the program where there is no server
int store_open(void **state);  // a group's set-up
int store_close(void **state); // and its end

// Keys are new in every run, so a shared store may be used.
void store_key(char out[BLOB_KEY_SIZE]);
// Bytes that differ for each seed and do not repeat early; the caller frees them.
char *store_bytes(size_t size, unsigned int seed);
void store_sha256(const void *bytes, size_t size, char out[BLOB_SHA256_SIZE]);

struct blob_writer *store_create(const char *key);
void store_write(struct blob_writer *writer, const char *bytes, size_t size);
void store_commit(struct blob_writer *writer);
void store_put(const char *key, const char *bytes, size_t size); // the three above

void store_assert_holds(const char *key, const char *bytes, size_t size);
void store_assert_absent(const char *key);

// For blobs_list: counts what it is shown, and how often that key was among it.
struct store_search {
    const char *key; // NULL: none
    int found, seen, stop_after;
    int64_t changed_at_ms;
};
bool store_look(const char *key, int64_t changed_at_ms, void *context);
bool store_is_listed(const char *key, bool unfinished);
