#include "protocol/confinement.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

// What is really used is a tenth of it.
static const int64_t memory_base_bytes = 512LL * 1024 * 1024;
static const int64_t memory_thread_bytes = 64LL * 1024 * 1024;

// A sanitizer reserves terabytes of address space for itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static const struct {
    const char *name;
    bool is_required;
} all[CONFINEMENT_LAYERS] = {
    [CONFINEMENT_SECCOMP] = {"seccomp", true},
    [CONFINEMENT_NO_PRIVILEGE] = {"no_new_privs", true},
    [CONFINEMENT_RLIMITS] = {"rlimits", true},
    [CONFINEMENT_LANDLOCK] = {"landlock", false},
    [CONFINEMENT_NAMESPACES] = {"namespaces", false},
};

const char *confinement_layer_name(enum confinement_layer layer)
{
    return all[layer].name;
}

bool confinement_is_enough(unsigned layers)
{
    for (unsigned i = 0; i < CONFINEMENT_LAYERS; i++)
        if (all[i].is_required && (layers & 1u << i) == 0)
            return false;
    return true;
}

void confinement_format(unsigned layers, char out[CONFINEMENT_TEXT_SIZE])
{
    size_t size = 0;
    for (unsigned i = 0; i < CONFINEMENT_LAYERS; i++)
        if ((layers & 1u << i) != 0)
            size += (size_t)snprintf(out + size, CONFINEMENT_TEXT_SIZE - size, "%s%s",
                                     size > 0 ? " " : "", all[i].name);
    if (size == 0)
        snprintf(out, CONFINEMENT_TEXT_SIZE, "none");
}

static bool parse_word(const char *word, size_t size, unsigned *layers)
{
    for (unsigned i = 0; i < CONFINEMENT_LAYERS; i++) {
        if (strlen(all[i].name) == size && memcmp(all[i].name, word, size) == 0) {
            *layers |= 1u << i;
            return true;
        }
    }
    return false;
}

bool confinement_parse(const char *text, unsigned *out_layers)
{
    unsigned layers = 0;
    for (const char *word = text; strcmp(text, "none") != 0;) {
        size_t size = strcspn(word, " ");
        if (!parse_word(word, size, &layers))
            return false;
        if (word[size] == '\0')
            break;
        word += size + 1;
    }
    *out_layers = layers;
    return true;
}

int64_t confinement_memory_bytes(int threads)
{
    return IS_SANITIZED ? 0 : memory_base_bytes + threads * memory_thread_bytes;
}
