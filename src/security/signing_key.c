#include "security/signing_key.h"

#include "base/alloc.h"
#include "base/file.h"
#include "security/base64.h"
#include "security/jwk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEED_TEXT_SIZE = 2 * crypto_sign_SEEDBYTES, FILE_LIMIT_BYTES = SEED_TEXT_SIZE + 2 };

static_assert(SIGNING_KEY_TEXT_SIZE == SEED_TEXT_SIZE + 2, "digits, line end, NUL");

struct signing_key {
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
    char kid[TOKEN_KID_SIZE];
};

static_assert(JWK_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519");

SCOPE_DEFINE(json_decref, json_t *);

static bool sync_parent(const char *path, struct error *err)
{
    SCOPED(free) char *copy = alloc_text(path);
    return file_sync_directory(dirname(copy), err);
}

static bool write_file(const char *path, const char *text, size_t size, struct error *err)
{
    SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "create %s", path);
    if (!file_write_all(fd, text, size, err))
        return error_prefix(err, "%s", path);
    if (fsync(fd) != 0)
        return error_set_errno(err, errno, "fsync %s", path);
    return true;
}

static bool start_sodium(struct error *err)
{
    return sodium_init() >= 0 || error_set(err, ERROR_INTERNAL, "libsodium does not start");
}

bool signing_key_text(char out[SIGNING_KEY_TEXT_SIZE], struct error *err)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    if (!start_sodium(err))
        return false;
    randombytes_buf(seed, sizeof seed);
    sodium_bin2hex(out, SEED_TEXT_SIZE + 1, seed, sizeof seed);
    sodium_memzero(seed, sizeof seed);
    out[SEED_TEXT_SIZE] = '\n';
    out[SEED_TEXT_SIZE + 1] = '\0';
    return true;
}

// The file gets its name by link(2) when it is complete: of two that start at once, one wins and
// the other reads the winner's key.
bool signing_key_make(const char *path, struct error *err)
{
    SCOPED(free) char *directory = alloc_text(path);
    char text[SIGNING_KEY_TEXT_SIZE];
    if (!file_make_directory(dirname(directory), 0700, err) || !signing_key_text(text, err))
        return false;
    char token[TOKEN_SIZE];
    token_new(token);
    SCOPED(free) char *unfinished = alloc_format("%s.%s.tmp", path, token);
    bool is_made = write_file(unfinished, text, strlen(text), err);
    if (is_made && link(unfinished, path) != 0)
        is_made = errno == EEXIST ? error_set(err, ERROR_CONFLICT, "%s is there already", path)
                                  : error_set_errno(err, errno, "link %s", path);
    unlink(unfinished);
    sodium_memzero(text, sizeof text);
    return is_made && sync_parent(path, err);
}

static bool make_unless_another_did(const char *path, struct error *err)
{
    struct error failure = {0};
    if (signing_key_make(path, &failure) || failure.kind == ERROR_CONFLICT)
        return true;
    *err = failure;
    return false;
}

// 1 open, 0 absent, -1 with err; the caller closes out_fd in any case. Group-readable is fine: that
// is how Kubernetes mounts a secret for a process that is not root.
static int open_file(const char *path, int *out_fd, struct error *err)
{
    int fd = *out_fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &about) != 0) {
        error_set_errno(err, errno, "open the signing key %s", path);
        return -1;
    }
    if (!S_ISREG(about.st_mode) || (about.st_mode & 0027) != 0) {
        error_set(err, ERROR_INVALID,
                  "signing key %s: others can read it or the group can write it (mode %04o); it "
                  "must be 0600, 0400 or 0440",
                  path, about.st_mode & 07777);
        return -1;
    }
    return 1;
}

static bool read_seed(int fd, const char *path, unsigned char seed[crypto_sign_SEEDBYTES],
                      struct error *err)
{
    char text[FILE_LIMIT_BYTES + 1];
    ssize_t size = file_read_at(fd, text, sizeof text, 0, err);
    if (size < 0)
        return error_prefix(err, "signing key %s", path);
    while (size > 0 && size <= FILE_LIMIT_BYTES &&
           (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    bool is_read = size == SEED_TEXT_SIZE && sodium_hex2bin(seed, crypto_sign_SEEDBYTES, text,
                                                            SEED_TEXT_SIZE, NULL, NULL, NULL) == 0;
    sodium_memzero(text, sizeof text);
    if (!is_read)
        return error_set(err, ERROR_INVALID, "signing key %s: not %d hex digits", path,
                         SEED_TEXT_SIZE);
    return true;
}

struct signing_key *signing_key_open(const char *path, struct error *err)
{
    if (!start_sodium(err))
        return NULL;
    SCOPED_FD int fd = -1;
    int found = open_file(path, &fd, err);
    if (found == 0 && make_unless_another_did(path, err)) {
        found = open_file(path, &fd, err);
        if (found == 0)
            error_set(err, ERROR_UNAVAILABLE, "signing key %s: gone again", path);
    }
    unsigned char seed[crypto_sign_SEEDBYTES];
    if (found != 1 || !read_seed(fd, path, seed, err))
        return NULL;
    struct signing_key *key = alloc_zeroed(1, sizeof *key);
    crypto_sign_seed_keypair(key->public_key, key->secret_key, seed);
    sodium_memzero(seed, sizeof seed);
    jwk_thumbprint(key->public_key, key->kid);
    return key;
}

void signing_key_destroy(struct signing_key *key)
{
    if (key == NULL)
        return;
    sodium_memzero(key, sizeof *key);
    free(key);
}

// Appends the JSON in base64url and takes over the object.
static size_t append_object(char *out, size_t used, json_t *object)
{
    assert(object != NULL);
    SCOPED(free) char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    assert(text != NULL && used + BASE64URL_SIZE(strlen(text)) < TOKEN_TEXT_SIZE);
    base64url_encode(text, strlen(text), out + used);
    return used + strlen(out + used);
}

void token_sign(const struct signing_key *key, const struct token_claims *claims,
                char out[TOKEN_TEXT_SIZE])
{
    size_t size = append_object(
        out, 0, json_pack("{s:s, s:s, s:s}", "alg", "EdDSA", "typ", "at+jwt", "kid", key->kid));
    out[size++] = '.';
    size =
        append_object(out, size,
                      json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "iss", TOKEN_ISSUER, "sub",
                                claims->account, "sid", claims->session, "email", claims->email,
                                "role", claims->role, "iat", (json_int_t)claims->issued_at_s, "exp",
                                (json_int_t)claims->expires_at_s));
    unsigned char signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, NULL, (const unsigned char *)out, size, key->secret_key);
    assert(size + 1 + BASE64URL_SIZE(sizeof signature) <= TOKEN_TEXT_SIZE);
    out[size++] = '.';
    base64url_encode(signature, sizeof signature, out + size);
}

char *signing_key_jwks(const struct signing_key *key)
{
    char x[BASE64URL_SIZE(JWK_PUBLIC_SIZE)];
    base64url_encode(key->public_key, sizeof key->public_key, x);
    SCOPED(json_decref)
    json_t *set = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "OKP", "crv",
                            "Ed25519", "alg", "EdDSA", "use", "sig", "kid", key->kid, "x", x);
    assert(set != NULL);
    return json_dumps(set, JSON_COMPACT);
}
