#pragma once
// For implementers of a backend: a file that ends in one `const struct blobs_ops`, listed in
// blobs.c. Every member is required; blobs.h holds the contracts. blobs.c checks keys and computes
// size and SHA-256, so a backend only stores bytes and a description. suspend, commit and abort
// free the writer whatever they answer.

#include "blobs/blobs.h"

struct blobs_ops {
    const char *const *schemes; // {"file", NULL}
    // All that can be known of the URL without opening anything; INVALID. No password in its text.
    bool (*check_url)(const char *url, struct error *err);
    bool (*make)(const char *url, struct error *err);
    struct blobs *(*open)(const char *url, struct error *err);
    void (*close)(struct blobs *blobs);
    bool (*ready)(struct blobs *blobs, int64_t *out_free_bytes, struct error *err);

    struct blob_writer *(*create)(struct blobs *blobs, const char *key,
                                  const struct blob_about *about, struct error *err);
    struct blob_writer *(*resume)(struct blobs *blobs, const char *key, int64_t *out_offset,
                                  struct error *err);
    bool (*write)(struct blobs *blobs, struct blob_writer *writer, const void *bytes, size_t size,
                  struct error *err);
    // Reads back what an unfinished blob holds, for the digest of a resumed one.
    ssize_t (*read_back)(struct blobs *blobs, struct blob_writer *writer, int64_t offset, void *out,
                         size_t size, struct error *err);
    bool (*suspend)(struct blobs *blobs, struct blob_writer *writer, struct error *err);
    bool (*commit)(struct blobs *blobs, struct blob_writer *writer, const struct blob_info *info,
                   struct error *err);
    void (*abort)(struct blobs *blobs, struct blob_writer *writer);

    struct blob_reader *(*read)(struct blobs *blobs, const char *key, struct blob_info *out,
                                struct error *err);
    ssize_t (*read_at)(struct blobs *blobs, struct blob_reader *reader, int64_t offset, void *out,
                       size_t size, struct error *err);
    int (*descriptor)(struct blobs *blobs, struct blob_reader *reader); // -1: no files here
    int (*open_fd)(struct blobs *blobs, const char *key, const char *scratch_directory,
                   int cancel_fd, struct blob_info *out, struct error *err);
    bool (*stat)(struct blobs *blobs, const char *key, struct blob_info *out, struct error *err);
    bool (*remove)(struct blobs *blobs, const char *key, struct error *err);
    bool (*list)(struct blobs *blobs, const char *prefix, bool unfinished,
                 bool (*each)(const char *key, int64_t changed_at_ms, void *context), void *context,
                 struct error *err);
};

struct blobs {
    const struct blobs_ops *ops; // a backend's own struct begins with this one
};

struct blob_digest; // the running SHA-256; blobs.c alone uses it

struct blob_reader { // a backend's own struct begins with this one
    void (*destroy)(struct blob_reader *reader);
};

struct blob_writer {                             // a backend's own struct begins with this one
    void (*destroy)(struct blob_writer *writer); // the writer alone; what is stored stays
    char key[BLOB_KEY_SIZE];
    int64_t size_bytes;
    struct blob_digest *digest; // NULL in a resumed writer: commit reads everything back
    bool is_broken;             // a write failed
};

extern const struct blobs_ops blobs_files_ops, blobs_gridfs_ops;
extern const struct blobs_ops *const blobs_backends[]; // NULL ends it

// `source/ID` or `audio/ID/ATTEMPT` in the alphabet that blobs.h names, shorter than BLOB_KEY_SIZE.
bool blobs_key_is_valid(const char *key);
