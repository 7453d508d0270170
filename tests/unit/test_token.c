#include "security/base64.h"
#include "security/signing_key.h"
#include "security/token.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

static const int64_t now_s = 1800000000;

static char directory[] = "/tmp/test-token-XXXXXX";
static struct signing_key *key;
static struct token_keys *keys;
static char *jwks;
static unsigned char secret[crypto_sign_SECRETKEYBYTES];
static char kid[TOKEN_KID_SIZE];

static const struct token_claims claims = {.account = "01J00000000000000000000001",
                                           .session = "01J00000000000000000000002",
                                           .email = "ann@example.org",
                                           .role = "user",
                                           .issued_at_s = 1800000000,
                                           .expires_at_s = 1800000900};

// The key of the RFC 8032 examples (7.1, test 1), whose thumbprint RFC 8037 (A.3) gives.
static const char seed_text[] =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n";

static int start(void **state)
{
    (void)state;
    struct error err = {0};
    if (mkdtemp(directory) == NULL)
        return -1;
    SCOPED(free) char *path = alloc_format("%s/signing.key", directory);
    if (!file_replace(path, seed_text, strlen(seed_text), 0600, &err))
        return -1;
    key = signing_key_open(path, &err);
    jwks = signing_key_jwks(key);
    keys = token_keys_parse(jwks, strlen(jwks), &err);
    unsigned char seed[32], public_key[32];
    sodium_hex2bin(seed, sizeof seed, seed_text, 64, NULL, NULL, NULL);
    crypto_sign_seed_keypair(public_key, secret, seed);
    text_copy(kid, sizeof kid, strstr(jwks, "\"kid\":\"") + 7);
    kid[43] = '\0';
    return keys == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    struct error err;
    token_keys_destroy(keys);
    signing_key_destroy(key);
    free(jwks);
    return file_remove_tree(directory, &err) ? 0 : -1;
}

// A token of these very texts, signed with the right key.
static void forge(const char *header, const char *payload, char out[4096])
{
    base64url_encode(header, strlen(header), out);
    snprintf(out + strlen(out), 2, ".");
    base64url_encode(payload, strlen(payload), out + strlen(out));
    unsigned char signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, NULL, (unsigned char *)out, strlen(out), secret);
    snprintf(out + strlen(out), 2, ".");
    base64url_encode(signature, sizeof signature, out + strlen(out));
}

static enum token_answer verify(const char *token)
{
    struct token_claims read;
    return token_verify(keys, token, now_s, &read);
}

static enum token_answer verify_header(const char *header)
{
    char token[4096];
    forge(header,
          "{\"iss\":\"unreel\",\"sub\":\"01J00000000000000000000001\","
          "\"sid\":\"01J00000000000000000000002\",\"email\":\"a@b.c\",\"role\":\"user\","
          "\"iat\":1800000000,\"exp\":1800000900}",
          token);
    return verify(token);
}

static enum token_answer verify_payload(const char *payload)
{
    char header[128], token[4096];
    snprintf(header, sizeof header, "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid);
    forge(header, payload, token);
    return verify(token);
}

static void a_signed_token_gives_its_claims_back(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    struct token_claims read = {0};
    token_sign(key, &claims, token);
    assert_int_equal(token_verify(keys, token, now_s, &read), TOKEN_VALID);
    assert_memory_equal(&read, &claims, sizeof claims);
}

static void the_longest_claims_fit(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    struct token_claims longest = claims, read;
    memset(longest.email, 'x', TOKEN_EMAIL_SIZE - 1);
    memset(longest.role, 'r', sizeof longest.role - 1);
    token_sign(key, &longest, token);
    assert_int_equal(token_verify(keys, token, now_s, &read), TOKEN_VALID);
    assert_string_equal(read.email, longest.email);
}

static void the_kid_is_the_thumbprint_of_rfc_8037(void **state)
{
    (void)state;
    assert_string_equal(kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_non_null(strstr(jwks, "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""));
    assert_non_null(strstr(jwks, "\"use\":\"sig\""));
}

static void any_changed_byte_is_refused(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    token_sign(key, &claims, token);
    for (size_t i = 0; token[i] != '\0'; i++) {
        char kept = token[i];
        for (int change = 0; change < 3; change++) {
            token[i] = change == 0 ? (kept == 'A' ? 'B' : 'A') : change == 1 ? '=' : '.';
            if (token[i] != kept)
                assert_int_not_equal(verify(token), TOKEN_VALID);
        }
        token[i] = (char)(kept ^ 0x20);
        if (token[i] != '\0')
            assert_int_not_equal(verify(token), TOKEN_VALID);
        token[i] = kept;
    }
    assert_int_equal(verify(token), TOKEN_VALID);
}

static void any_cut_token_is_refused(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    token_sign(key, &claims, token);
    for (size_t i = strlen(token); i-- > 0;) {
        token[i] = '\0';
        assert_int_equal(verify(token), TOKEN_INVALID);
    }
}

static void only_eddsa_is_an_algorithm(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"none",  "None",  "NONE",    "nOnE", "HS256", "RS256",
                                             "eddsa", "EDDSA", "Ed25519", "",     "EdDSA "};
    char header[160];
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
                 algorithms[i], kid);
        assert_int_equal(verify_header(header), TOKEN_INVALID);
    }
}

static void a_token_without_signature_is_refused(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    token_sign(key, &claims, token);
    strrchr(token, '.')[1] = '\0';
    assert_int_equal(verify(token), TOKEN_INVALID);
}

static void the_public_key_is_no_hmac_secret(void **state)
{
    (void)state;
    char header[160], token[4096];
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid);
    forge(header, "{}", token);
    char *dot = strrchr(token, '.');
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256(mac, (unsigned char *)token, (size_t)(dot - token), secret + 32);
    base64url_encode(mac, sizeof mac, dot + 1);
    assert_int_equal(verify(token), TOKEN_INVALID);
}

static void the_header_is_exactly_alg_typ_and_kid(void **state)
{
    (void)state;
    char header[256];
    static const char *const forms[] = {
        // the key's name is put in for ~
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"~\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"~\",\"jku\":\"http://x\"}",
        "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"~\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"refresh\",\"kid\":\"~\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"AT+JWT\",\"kid\":\"~\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"~\",\"x\":1}",
        "{\"alg\":\"EdDSA\",\"kid\":\"~\"}",
        "{\"alg\":[\"EdDSA\"],\"typ\":\"at+jwt\",\"kid\":\"~\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"~\"} ,",
        "[\"~\"]",
        "\"~\"",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *place = strchr(forms[i], '~');
        snprintf(header, sizeof header, "%.*s%s%s", (int)(place - forms[i]), forms[i], kid,
                 place + 1);
        assert_int_equal(verify_header(header), TOKEN_INVALID);
    }
    snprintf(header, sizeof header, "{\"kid\":\"%s\",\"typ\":\"JWT\",\"alg\":\"EdDSA\"}", kid);
    assert_int_equal(verify_header(header), TOKEN_VALID);
}

static void an_unknown_kid_is_told_apart(void **state)
{
    (void)state;
    static const char *const kids[] = {"", "../../etc/passwd", "' OR 1=1 --", "kPrK"};
    char header[160];
    for (size_t i = 0; i < sizeof kids / sizeof kids[0]; i++) {
        snprintf(header, sizeof header, "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
                 kids[i]);
        assert_int_equal(verify_header(header), TOKEN_UNKNOWN_KEY);
    }
    assert_int_equal(verify_header("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":7}"),
                     TOKEN_INVALID);
}

static void times_are_kept_with_thirty_seconds_of_leeway(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE];
    struct token_claims read;
    token_sign(key, &claims, token);
    assert_int_equal(token_verify(keys, token, now_s - 30, &read), TOKEN_VALID);
    assert_int_equal(token_verify(keys, token, now_s - 31, &read), TOKEN_INVALID);
    assert_int_equal(token_verify(keys, token, now_s + 929, &read), TOKEN_VALID);
    assert_int_equal(token_verify(keys, token, now_s + 930, &read), TOKEN_EXPIRED);
}

static void odd_shapes_are_refused(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE + 8];
    static const char *const tails[] = {".", "=", "==", "A", " ", "\n", ".e30"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        token_sign(key, &claims, token);
        snprintf(token + strlen(token), 8, "%s", tails[i]);
        assert_int_equal(verify(token), TOKEN_INVALID);
    }
    static const char *const wrong[] = {"", ".", "..", "...", "a.b.c", "e30.e30.", " . . "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(verify(wrong[i]), TOKEN_INVALID);
    SCOPED(free) char *large = alloc_zeroed(1, 65537);
    memset(large, 'A', 65536);
    assert_int_equal(verify(large), TOKEN_INVALID);
    large[100] = large[200] = '.';
    assert_int_equal(verify(large), TOKEN_INVALID);
}

// The last character of a 64-byte signature carries 4 unused bits, which must be zero.
static void base64_that_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char token[TOKEN_TEXT_SIZE];
    token_sign(key, &claims, token);
    char *last = token + strlen(token) - 1;
    size_t value = (size_t)(strchr(alphabet, *last) - alphabet);
    for (size_t bits = 1; bits < 16; bits++) {
        *last = alphabet[value ^ bits];
        assert_int_equal(verify(token), TOKEN_INVALID);
    }
}

static void claims_are_read_strictly(void **state)
{
    (void)state;
#define COMMON                                                                                     \
    "\"iss\":\"unreel\",\"sub\":\"01J00000000000000000000001\","                                   \
    "\"sid\":\"01J00000000000000000000002\",\"email\":\"a@b.c\",\"role\":\"user\","
    assert_int_equal(verify_payload("{" COMMON "\"iat\":1800000000,\"exp\":1800000900}"),
                     TOKEN_VALID);
    assert_int_equal(
        verify_payload("{" COMMON "\"iat\":1800000000,\"exp\":1800000900,\"nbf\":1800000030}"),
        TOKEN_VALID);
    static const char *const wrong[] = {
        "{" COMMON "\"iat\":1800000000}",
        "{" COMMON "\"exp\":1800000900}",
        "{" COMMON "\"iat\":1800000000,\"exp\":\"1800000900\"}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900.5}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1e300}",
        "{" COMMON "\"iat\":-1,\"exp\":1800000900}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000000}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900,\"exp\":1900000000}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900,\"role\":\"admin\"}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900,\"nbf\":1800000031}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900,\"nbf\":null}",
        "{" COMMON "\"iat\":1800000000,\"exp\":1800000900}x",
        "{\"iss\":\"other\",\"sub\":\"01J00000000000000000000001\","
        "\"sid\":\"01J00000000000000000000002\",\"email\":\"a@b.c\",\"role\":\"user\","
        "\"iat\":1800000000,\"exp\":1800000900}",
        "{\"iss\":\"unreel\",\"sub\":\"1 OR 1\",\"sid\":\"01J00000000000000000000002\","
        "\"email\":\"a@b.c\",\"role\":\"user\",\"iat\":1800000000,\"exp\":1800000900}",
        "{\"iss\":\"unreel\",\"sub\":\"01J00000000000000000000001\","
        "\"sid\":\"01J00000000000000000000002\",\"email\":\"\",\"role\":\"user\","
        "\"iat\":1800000000,\"exp\":1800000900}",
        "{\"iss\":\"unreel\",\"sub\":\"01J00000000000000000000001\","
        "\"sid\":\"01J00000000000000000000002\",\"email\":\"a@b.c\","
        "\"role\":\"a role that is too long\",\"iat\":1800000000,\"exp\":1800000900}",
        "[]",
        "",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(verify_payload(wrong[i]), TOKEN_INVALID);
#undef COMMON
}

static void key_sets_are_read_strictly(void **state)
{
    (void)state;
    struct error err = {0};
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"x\",\"e\":\"AQAB\",\"kid\":\"a\"}]}",
        // The right key under another name.
        ("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","
         "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"),
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qY\"}]}",
        "{\"keys\":[],\"keys\":[]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(token_keys_parse(wrong[i], strlen(wrong[i]), &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void several_keys_live_side_by_side(void **state)
{
    (void)state;
    struct error err = {0};
    SCOPED(free) char *path = alloc_format("%s/second.key", directory);
    SCOPED(signing_key_destroy) struct signing_key *second = signing_key_open(path, &err);
    assert_non_null(second);
    SCOPED(free) char *second_jwks = signing_key_jwks(second);
    char both[1024], token[TOKEN_TEXT_SIZE];
    snprintf(both, sizeof both, "%.*s,{\"kty\":\"EC\"},%s", (int)strlen(jwks) - 2, jwks,
             strchr(second_jwks, '[') + 1);
    SCOPED(token_keys_destroy) struct token_keys *set = token_keys_parse(both, strlen(both), &err);
    assert_non_null(set);
    struct token_claims read;
    token_sign(key, &claims, token);
    assert_int_equal(token_verify(set, token, now_s, &read), TOKEN_VALID);
    token_sign(second, &claims, token);
    assert_int_equal(token_verify(set, token, now_s, &read), TOKEN_VALID);
    assert_int_equal(token_verify(keys, token, now_s, &read), TOKEN_UNKNOWN_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_token_gives_its_claims_back),
        cmocka_unit_test(the_longest_claims_fit),
        cmocka_unit_test(the_kid_is_the_thumbprint_of_rfc_8037),
        cmocka_unit_test(any_changed_byte_is_refused),
        cmocka_unit_test(any_cut_token_is_refused),
        cmocka_unit_test(only_eddsa_is_an_algorithm),
        cmocka_unit_test(a_token_without_signature_is_refused),
        cmocka_unit_test(the_public_key_is_no_hmac_secret),
        cmocka_unit_test(the_header_is_exactly_alg_typ_and_kid),
        cmocka_unit_test(an_unknown_kid_is_told_apart),
        cmocka_unit_test(times_are_kept_with_thirty_seconds_of_leeway),
        cmocka_unit_test(odd_shapes_are_refused),
        cmocka_unit_test(base64_that_is_not_canonical_is_refused),
        cmocka_unit_test(claims_are_read_strictly),
        cmocka_unit_test(key_sets_are_read_strictly),
        cmocka_unit_test(several_keys_live_side_by_side),
    };
    return cmocka_run_group_tests(tests, start, end);
}
