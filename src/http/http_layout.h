#pragma once
// Sees in libmicrohttpd 0.9.75 what its parser repairs in silence: line ends that are not CRLF,
// folded lines, NULs, more than one space in the request line, fields without a name. That version
// leaves method, target, version, names and values where they came from, in one buffer, with NULs
// over what stood between them; so every byte from the method to the empty line can be accounted
// for. Version 1.0 refuses all of these itself and may lay its buffer out as it likes.

#include <stdbool.h>
#include <stddef.h>

struct http_layout {
    const char *next; // where the next piece must begin
    bool is_plain;
};

void http_layout_init(struct http_layout *layout, const char *method, const char *target,
                      size_t target_size, const char *version);
void http_layout_field(struct http_layout *layout, const char *name, size_t name_size,
                       const char *value, size_t value_size);
// `size` as libmicrohttpd counted it, from the method to behind the empty line.
bool http_layout_end(const struct http_layout *layout, const char *method, size_t size);
