#pragma once
// Strict reading of numbers, sizes and durations, and care for UTF-8. No locale takes part.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Decimal digits with an optional '-'; nothing before or after; within [min, max].
bool text_parse_integer(const char *text, int64_t min, int64_t max, int64_t *out);

// "1048576", "512 KiB", "4GiB", "20 TiB"; also B. The unit's power is 1024; fractions are refused.
bool text_parse_size(const char *text, int64_t *out_bytes);

// "250ms", "15s", "20min", "12h", "7d"; a bare number is refused, because it hides its unit.
bool text_parse_duration(const char *text, int64_t *out_ms);

// The shortest exact form that the parser above reads back: "4GiB", "7d". `out` holds 32 bytes.
void text_format_size(int64_t bytes, char out[32]);
void text_format_duration(int64_t ms, char out[32]);

// Well-formed UTF-8 by RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool text_is_utf8(const char *text, size_t size);

// Copies at most out_size-1 bytes and never cuts a code point in two. Returns false if it was cut.
bool text_copy(char *out, size_t out_size, const char *text);

// Makes any bytes a readable UTF-8 line: control characters (C0, DEL, C1) become ' ', malformed
// sequences U+FFFD. At most out_size-1 bytes. For names that strangers chose.
void text_clean(char *out, size_t out_size, const char *bytes, size_t size);

bool text_starts_with(const char *text, const char *prefix);

// "sqlite:FILE" has the scheme "sqlite".
bool text_has_scheme(const char *url, const char *scheme);

// Whether it has one of them; NULL ends the list.
bool text_has_scheme_of(const char *url, const char *const *schemes);

// Lower-case hex of the bytes; `out` holds 2*size+1.
void text_hex(const void *bytes, size_t size, char *out);

// 0 to 15; -1 for what is no hex digit.
int text_hex_value(char digit);
