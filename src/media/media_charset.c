#include "media/media_charset.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"

#include <stdint.h>
#include <string.h>

// clang-format off
// Mac OS Roman above ASCII (Unicode consortium, MAPPINGS/VENDORS/APPLE/ROMAN.TXT).
static const uint16_t mac_roman[128] = {
    0x00c4, 0x00c5, 0x00c7, 0x00c9, 0x00d1, 0x00d6, 0x00dc, 0x00e1,
    0x00e0, 0x00e2, 0x00e4, 0x00e3, 0x00e5, 0x00e7, 0x00e9, 0x00e8,
    0x00ea, 0x00eb, 0x00ed, 0x00ec, 0x00ee, 0x00ef, 0x00f1, 0x00f3,
    0x00f2, 0x00f4, 0x00f6, 0x00f5, 0x00fa, 0x00f9, 0x00fb, 0x00fc,
    0x2020, 0x00b0, 0x00a2, 0x00a3, 0x00a7, 0x2022, 0x00b6, 0x00df,
    0x00ae, 0x00a9, 0x2122, 0x00b4, 0x00a8, 0x2260, 0x00c6, 0x00d8,
    0x221e, 0x00b1, 0x2264, 0x2265, 0x00a5, 0x00b5, 0x2202, 0x2211,
    0x220f, 0x03c0, 0x222b, 0x00aa, 0x00ba, 0x03a9, 0x00e6, 0x00f8,
    0x00bf, 0x00a1, 0x00ac, 0x221a, 0x0192, 0x2248, 0x2206, 0x00ab,
    0x00bb, 0x2026, 0x00a0, 0x00c0, 0x00c3, 0x00d5, 0x0152, 0x0153,
    0x2013, 0x2014, 0x201c, 0x201d, 0x2018, 0x2019, 0x00f7, 0x25ca,
    0x00ff, 0x0178, 0x2044, 0x20ac, 0x2039, 0x203a, 0xfb01, 0xfb02,
    0x2021, 0x00b7, 0x201a, 0x201e, 0x2030, 0x00c2, 0x00ca, 0x00c1,
    0x00cb, 0x00c8, 0x00cd, 0x00ce, 0x00cf, 0x00cc, 0x00d3, 0x00d4,
    0xf8ff, 0x00d2, 0x00da, 0x00db, 0x00d9, 0x0131, 0x02c6, 0x02dc,
    0x00af, 0x02d8, 0x02d9, 0x02da, 0x00b8, 0x02dd, 0x02db, 0x02c7,
};
// clang-format on

static void append_code_point(struct buf *out, uint32_t point)
{
    unsigned char bytes[4];
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char marks[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i > 1; i--, point >>= 6)
        bytes[i - 1] = (unsigned char)(0x80 | (point & 0x3f));
    bytes[0] = (unsigned char)(marks[size] | point);
    buf_append(out, bytes, size);
}

static bool is_lead(uint32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_trail(uint32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

static void decode_utf16(const unsigned char *bytes, size_t size, struct buf *out)
{
    bool is_little = size >= 2 && bytes[0] == 0xff && bytes[1] == 0xfe;
    bool has_mark = is_little || (size >= 2 && bytes[0] == 0xfe && bytes[1] == 0xff);
    uint32_t lead = 0;
    for (size_t i = has_mark ? 2 : 0; i + 1 < size; i += 2) {
        uint32_t unit = (uint32_t)bytes[i + is_little] << 8 | bytes[i + !is_little];
        if (unit == 0)
            break;
        if (lead != 0 && !is_trail(unit))
            append_code_point(out, 0xfffd);
        if (is_trail(unit))
            append_code_point(out, lead == 0 ? 0xfffd
                                             : 0x10000 + ((lead - 0xd800) << 10) + unit - 0xdc00);
        else if (!is_lead(unit))
            append_code_point(out, unit);
        lead = is_lead(unit) ? unit : 0;
    }
}

static void decode_mac_roman(const unsigned char *bytes, size_t size, struct buf *out)
{
    for (size_t i = 0; i < size; i++)
        append_code_point(out, bytes[i] < 0x80 ? bytes[i] : mac_roman[bytes[i] - 0x80]);
}

// Of what was read only up to a limit, the end may lie inside a code point.
static size_t without_cut_end(const unsigned char *bytes, size_t size)
{
    size_t whole = size;
    while (whole > 0 && size - whole < 3 && (bytes[whole - 1] & 0xc0) == 0x80)
        whole--;
    if (whole == 0 || bytes[whole - 1] < 0xc0)
        return size;
    size_t wanted = bytes[whole - 1] < 0xe0 ? 2 : bytes[whole - 1] < 0xf0 ? 3 : 4;
    return size - whole + 1 < wanted ? whole - 1 : size;
}

static void decode(enum media_charset charset, const unsigned char *bytes, size_t size,
                   bool may_be_cut, struct buf *out)
{
    bool has_mark = size >= 2 && ((bytes[0] == 0xfe && bytes[1] == 0xff) ||
                                  (bytes[0] == 0xff && bytes[1] == 0xfe));
    if (charset == MEDIA_CHARSET_UTF16 || has_mark) {
        decode_utf16(bytes, size, out);
        return;
    }
    size = strnlen((const char *)bytes, size);
    if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        size -= 3;
    }
    size_t whole = may_be_cut ? without_cut_end(bytes, size) : size;
    if (charset == MEDIA_CHARSET_GUESSED && !text_is_utf8((const char *)bytes, whole))
        decode_mac_roman(bytes, size, out);
    else
        buf_append(out, bytes, whole);
}

// Cleans line by line, so that the ends of lines stay.
static void clean_lines(char *out, size_t out_size, const char *text, size_t size)
{
    size_t filled = 0;
    while (size > 0) {
        size_t line = 0;
        while (line < size && text[line] != '\n' && text[line] != '\r')
            line++;
        text_clean(out + filled, out_size - filled, text, line);
        filled += strlen(out + filled);
        if (line < size && filled + 1 < out_size)
            out[filled++] = '\n';
        bool is_pair = line + 1 < size && text[line] == '\r' && text[line + 1] == '\n';
        line += line == size ? 0 : is_pair ? 2 : 1;
        text += line;
        size -= line;
    }
    out[filled] = '\0';
}

static char *trim(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\n'))
        text[--size] = '\0';
    return text + strspn(text, " \n");
}

char *media_charset_decode(enum media_charset charset, const void *bytes, size_t size,
                           bool has_lines, size_t limit_bytes)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, size * 3); // a byte of Mac OS Roman becomes three at most
    decode(charset, bytes, size, size >= limit_bytes, &text);
    SCOPED(free) char *clean = alloc_zeroed(1, limit_bytes + 1);
    if (has_lines)
        clean_lines(clean, limit_bytes + 1, text.bytes, text.size);
    else
        text_clean(clean, limit_bytes + 1, text.bytes, text.size);
    const char *trimmed = trim(clean);
    return trimmed[0] != '\0' ? alloc_text(trimmed) : NULL;
}
