#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

// Largest first: formatting takes the first unit that divides the value.
static const struct unit size_units[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"B", 1},
};
static const struct unit duration_units[] = {
    {"d", INT64_C(86400000)}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1},
};

bool text_parse_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative = *text == '-';
    const char *at = text + is_negative;
    int64_t value = 0;
    if (*at == '\0')
        return false;
    for (; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        int digit = *at - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!is_negative && __builtin_mul_overflow(value, -1, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

static bool parse_with_unit(const char *text, const struct unit *units, size_t count,
                            bool needs_unit, int64_t *out)
{
    char digits[20];
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    int64_t value = 0;
    if (!text_parse_integer(digits, 0, INT64_MAX, &value))
        return false;
    const char *unit = text + length;
    while (*unit == ' ')
        unit++;
    if (*unit == '\0' && !needs_unit) {
        *out = value;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(unit, units[i].name) == 0)
            return !__builtin_mul_overflow(value, units[i].factor, out);
    return false;
}

static void format_with_unit(int64_t value, const struct unit *units, size_t count, char out[32])
{
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % units[i].factor != 0))
        i++;
    snprintf(out, 32, "%" PRId64 "%s", value / units[i].factor, units[i].name);
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

bool text_parse_size(const char *text, int64_t *out_bytes)
{
    return parse_with_unit(text, size_units, COUNT(size_units), false, out_bytes);
}

bool text_parse_duration(const char *text, int64_t *out_ms)
{
    return parse_with_unit(text, duration_units, COUNT(duration_units), true, out_ms);
}

void text_format_size(int64_t bytes, char out[32])
{
    format_with_unit(bytes, size_units, COUNT(size_units), out);
}

void text_format_duration(int64_t ms, char out[32])
{
    format_with_unit(ms, duration_units, COUNT(duration_units), out);
}

// Length of the well-formed sequence at the front of the bytes, 0 if there is none (RFC 3629 §4).
static size_t utf8_sequence(const unsigned char *at, size_t left, uint32_t *out)
{
    unsigned char first = at[0];
    if (first < 0x80) {
        *out = first;
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < length)
        return 0;
    uint32_t point = first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3F);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < smallest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    *out = point;
    return length;
}

bool text_is_utf8(const char *text, size_t size)
{
    uint32_t point;
    for (size_t at = 0; at < size;) {
        size_t length = utf8_sequence((const unsigned char *)text + at, size - at, &point);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

bool text_copy(char *out, size_t out_size, const char *text)
{
    size_t size = strlen(text);
    bool fits = size < out_size;
    if (!fits) {
        size = out_size - 1;
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
            size--;
    }
    memcpy(out, text, size);
    out[size] = '\0';
    return fits;
}

void text_clean(char *out, size_t out_size, const char *bytes, size_t size)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    size_t filled = 0;
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = utf8_sequence((const unsigned char *)bytes + at, size - at, &point);
        const char *piece = bytes + at;
        size_t piece_size = length;
        if (length == 0) {
            piece = replacement;
            piece_size = 3;
            length = 1;
        } else if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
            piece = " ";
            piece_size = 1;
        }
        if (filled + piece_size >= out_size)
            break;
        memcpy(out + filled, piece, piece_size);
        filled += piece_size;
        at += length;
    }
    out[filled] = '\0';
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_has_scheme(const char *url, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(url, scheme, length) == 0 && url[length] == ':';
}

bool text_has_scheme_of(const char *url, const char *const *schemes)
{
    for (; *schemes != NULL; schemes++)
        if (text_has_scheme(url, *schemes))
            return true;
    return false;
}

void text_hex(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = ((const unsigned char *)bytes)[i];
        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
    out[2 * size] = '\0';
}

int text_hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}
