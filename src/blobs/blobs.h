#pragma once
// Large bytes: written as a stream, invisible until committed, immutable from then on, and saying
// what they are (owner, conversion, name, size, SHA-256 beside the bytes).
//
// `file:DIRECTORY`: incoming/KEY/{data,meta.json}, both fsynced; the directory is renamed into
// place and its parent fsynced. `mongodb://…/DATABASE`: GridFS on a replica set, on the disks of a
// majority. Keys are `source/ID` and `audio/ID/ATTEMPT`: lower-case and
// upper-case letters, digits, '-' and at most two '/'.
//
// `struct blobs` belongs to one thread at a time. A writer or reader belongs to nobody: it may be
// used from another thread with that thread's own `struct blobs`, one call at a time.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BLOB_KEY_SIZE = 96, BLOB_SHA256_SIZE = 65 };

struct blobs;
struct blob_writer;
struct blob_reader;

// Whether there is a backend for the URL and it is right in itself; opens nothing. INVALID if not,
// with a text that holds no password.
bool blobs_check_url(const char *url, struct error *err);

// Makes the store where there is none yet. For `unreel serve` and `unreel migrate` alone: a role
// that did it would take a disk that is not mounted just now for a new, empty store.
bool blobs_make(const char *url, struct error *err);
// UNAVAILABLE where there is no store.
struct blobs *blobs_open(const char *url, struct error *err);
void blobs_close(struct blobs *blobs);
SCOPE_DEFINE(blobs_close, struct blobs *);

// Answers and can be written to; free space in bytes where the backend knows it (else INT64_MAX).
bool blobs_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err);

struct blob_about { // what a writer says; borrowed for the call
    const char *owner, *conversion, *name, *content_type;
};

struct blob_info {
    char key[BLOB_KEY_SIZE];
    int64_t size_bytes;
    char sha256[BLOB_SHA256_SIZE]; // hex
    int64_t committed_at_ms;
};

// Of several writers of a key, at most one commits. A store that sees its writers live (`file:`)
// answers the second with CONFLICT. One that does not lets the newest win: the calls of whoever had
// the key before are CONFLICT from then on, and change nothing.

// An unfinished blob of that key that somebody left is thrown away. CONFLICT when it is committed,
// or when a living writer has it and the store does not take it away.
struct blob_writer *blobs_create(struct blobs *blobs, const char *key,
                                 const struct blob_about *about, struct error *err);
// Goes on with an unfinished blob; `out_offset` is how much of it the store has durably. CONFLICT
// as above.
struct blob_writer *blobs_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                 struct error *err);
// After false only blob_abort is allowed. A full store is NO_SPACE.
bool blob_write(struct blobs *blobs, struct blob_writer *writer, const void *bytes, size_t size,
                struct error *err);
// Makes what was written so far durable, for a later blobs_resume, and frees the writer.
bool blob_suspend(struct blobs *blobs, struct blob_writer *writer, struct error *err);
// Durable and visible when it returns true; a resumed blob is read back once for its SHA-256. Frees
// the writer either way; a failed commit leaves nothing visible (UNAVAILABLE may mean that it is
// not known: look with blobs_stat).
bool blob_commit(struct blobs *blobs, struct blob_writer *writer, struct blob_info *out,
                 struct error *err);
// Throws it away; takes NULL. Who cannot get a handle any more gives NULL for it: then the blob is
// left unfinished.
void blob_abort(struct blobs *blobs, struct blob_writer *writer);

// NOT_FOUND when it is not there or not committed.
struct blob_reader *blobs_read(struct blobs *blobs, const char *key, struct blob_info *out,
                               struct error *err);
// Up to `size` bytes from the offset; fewer only at the end; -1 on failure.
ssize_t blob_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset, void *out,
                     size_t size, struct error *err);
// A descriptor of exactly the blob's bytes, which the caller closes; it outlives the reader. -1
// where the store has no files (nothing failed): then blob_read_at is the way. Copies nothing.
int blob_descriptor(struct blobs *blobs, struct blob_reader *reader);
void blob_close(struct blob_reader *reader); // takes NULL

// A descriptor to read the whole blob from; the caller closes it. Backends without files copy it to
// an unlinked temporary file in `scratch_directory`; once `cancel_fd` (or -1) is readable they
// stop, as UNAVAILABLE. -1 on failure.
int blobs_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                  int cancel_fd, struct blob_info *out, struct error *err);

bool blobs_stat(struct blobs *blobs, const char *key, struct blob_info *out, struct error *err);
// Nothing there is fine. Also removes an unfinished blob of that key. CONFLICT when a living writer
// has it and the store does not take it away: try again later.
bool blobs_remove(struct blobs *blobs, const char *key, struct error *err);

// Calls `each` for every committed blob whose key begins with `prefix`, in no order; false from
// `each` stops. `unfinished` lists those that are not committed instead.
bool blobs_list(struct blobs *blobs, const char *prefix, bool unfinished,
                bool (*each)(const char *key, int64_t changed_at_ms, void *context), void *context,
                struct error *err);
