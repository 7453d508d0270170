#include "security/token.h"

#include "base/alloc.h"
#include "base/text.h"
#include "security/base64.h"
#include "security/jwk.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

enum { KEYS_LIMIT = 16, JWKS_LIMIT_BYTES = 65536, LEEWAY_S = 30 };

struct public_key {
    char kid[TOKEN_KID_SIZE];
    unsigned char bytes[JWK_PUBLIC_SIZE];
};

struct token_keys {
    size_t count;
    struct public_key keys[KEYS_LIMIT];
};

SCOPE_DEFINE(json_decref, json_t *);

// "" when the member is absent or no text.
static const char *text_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static bool is_absent_or(const json_t *object, const char *name, const char *value)
{
    const json_t *member = json_object_get(object, name);
    return member == NULL ||
           (json_is_string(member) && strcmp(text_member(object, name), value) == 0);
}

static bool add_key(struct token_keys *keys, const json_t *jwk, struct error *err)
{
    // RFC 7517, 5: keys of kinds that one does not know are passed over.
    if (strcmp(text_member(jwk, "kty"), "OKP") != 0 ||
        strcmp(text_member(jwk, "crv"), "Ed25519") != 0 || !is_absent_or(jwk, "use", "sig") ||
        !is_absent_or(jwk, "alg", "EdDSA"))
        return true;
    if (keys->count == KEYS_LIMIT)
        return error_set(err, ERROR_INVALID, "key set: more than %d keys", KEYS_LIMIT);
    struct public_key *key = &keys->keys[keys->count];
    const char *x = text_member(jwk, "x");
    size_t size = 0;
    if (!base64url_decode(x, strlen(x), key->bytes, sizeof key->bytes, &size) ||
        size != sizeof key->bytes)
        return error_set(err, ERROR_INVALID, "key set: x is not 32 bytes in base64url");
    jwk_thumbprint(key->bytes, key->kid);
    if (strcmp(text_member(jwk, "kid"), key->kid) != 0)
        return error_set(err, ERROR_INVALID, "key set: kid is not the key's thumbprint");
    keys->count++;
    return true;
}

struct token_keys *token_keys_parse(const char *jwks_json, size_t size, struct error *err)
{
    SCOPED(token_keys_destroy) struct token_keys *keys = alloc_zeroed(1, sizeof *keys);
    if (sodium_init() < 0) {
        error_set(err, ERROR_INTERNAL, "libsodium does not start");
        return NULL;
    }
    json_error_t where;
    SCOPED(json_decref)
    json_t *document = size > JWKS_LIMIT_BYTES
                           ? NULL
                           : json_loadb(jwks_json, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *list = json_object_get(document, "keys");
    if (!json_is_array(list)) {
        error_set(err, ERROR_INVALID, "key set: no JSON object with an array of keys");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_key(keys, json_array_get(list, i), err))
            return NULL;
    if (keys->count == 0) {
        error_set(err, ERROR_INVALID, "key set: no Ed25519 key for signatures");
        return NULL;
    }
    return TAKE(keys);
}

void token_keys_destroy(struct token_keys *keys)
{
    free(keys);
}

// One of the token's three parts.
struct part {
    const char *text;
    size_t size;
};

static bool split(const char *token, struct part parts[3])
{
    size_t size = strnlen(token, TOKEN_TEXT_SIZE);
    if (size == TOKEN_TEXT_SIZE)
        return false;
    const char *first = memchr(token, '.', size);
    const char *second = first == NULL ? NULL : strchr(first + 1, '.');
    if (second == NULL || strchr(second + 1, '.') != NULL)
        return false;
    parts[0] = (struct part){token, (size_t)(first - token)};
    parts[1] = (struct part){first + 1, (size_t)(second - first - 1)};
    parts[2] = (struct part){second + 1, size - (size_t)(second + 1 - token)};
    return true;
}

static json_t *decode_object(struct part part)
{
    unsigned char bytes[TOKEN_TEXT_SIZE];
    size_t size;
    if (!base64url_decode(part.text, part.size, bytes, sizeof bytes, &size))
        return NULL;
    SCOPED(json_decref)
    json_t *object = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(object) ? TAKE(object) : NULL;
}

// Exactly alg, typ and kid: so neither crit nor any member that brings a key of its own passes.
static bool check_header(const json_t *header)
{
    const char *type = text_member(header, "typ");
    return json_object_size(header) == 3 && strcmp(text_member(header, "alg"), "EdDSA") == 0 &&
           (strcmp(type, "at+jwt") == 0 || strcmp(type, "JWT") == 0) &&
           json_is_string(json_object_get(header, "kid"));
}

static const struct public_key *find_key(const struct token_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->keys[i].kid, kid) == 0)
            return &keys->keys[i];
    return NULL;
}

static bool check_signature(const struct public_key *key, const struct part parts[3])
{
    unsigned char signature[crypto_sign_BYTES];
    size_t size;
    if (!base64url_decode(parts[2].text, parts[2].size, signature, sizeof signature, &size) ||
        size != sizeof signature)
        return false;
    size_t signed_size = parts[0].size + 1 + parts[1].size;
    return crypto_sign_verify_detached(signature, (const unsigned char *)parts[0].text, signed_size,
                                       key->bytes) == 0;
}

static bool read_time(const json_t *claims, const char *name, int64_t *out)
{
    const json_t *member = json_object_get(claims, name);
    if (!json_is_integer(member))
        return false;
    *out = json_integer_value(member);
    return *out >= 0;
}

static enum token_answer read_claims(const json_t *claims, int64_t now_s, struct token_claims *out)
{
    struct token_claims read = {0};
    const char *account = text_member(claims, "sub");
    const char *session = text_member(claims, "sid");
    const char *email = text_member(claims, "email");
    const char *role = text_member(claims, "role");
    int64_t not_before_s = 0;
    if (strcmp(text_member(claims, "iss"), TOKEN_ISSUER) != 0 || !id_is_valid(account) ||
        !id_is_valid(session) || *email == '\0' || *role == '\0' ||
        !text_copy(read.account, sizeof read.account, account) ||
        !text_copy(read.session, sizeof read.session, session) ||
        !text_copy(read.email, sizeof read.email, email) ||
        !text_copy(read.role, sizeof read.role, role) ||
        !read_time(claims, "iat", &read.issued_at_s) ||
        !read_time(claims, "exp", &read.expires_at_s) ||
        (json_object_get(claims, "nbf") != NULL && !read_time(claims, "nbf", &not_before_s)))
        return TOKEN_INVALID;
    if (read.issued_at_s > now_s + LEEWAY_S || not_before_s > now_s + LEEWAY_S ||
        read.expires_at_s <= read.issued_at_s)
        return TOKEN_INVALID;
    if (read.expires_at_s <= now_s - LEEWAY_S)
        return TOKEN_EXPIRED;
    *out = read;
    return TOKEN_VALID;
}

enum token_answer token_verify(const struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *out)
{
    struct part parts[3];
    if (!split(token, parts))
        return TOKEN_INVALID;
    SCOPED(json_decref) json_t *header = decode_object(parts[0]);
    if (!check_header(header))
        return TOKEN_INVALID;
    const struct public_key *key = find_key(keys, text_member(header, "kid"));
    if (key == NULL)
        return TOKEN_UNKNOWN_KEY;
    if (!check_signature(key, parts))
        return TOKEN_INVALID;
    SCOPED(json_decref) json_t *claims = decode_object(parts[1]);
    return claims == NULL ? TOKEN_INVALID : read_claims(claims, now_s, out);
}
