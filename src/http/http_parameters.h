#pragma once
// The parameters of a header value: `; name=token; name="quoted \" text"`. Pure.

#include "base/buf.h"

#include <stdbool.h>

enum { HTTP_PARAMETER_NAME_SIZE = 32 };

// Reads the parameter at *cursor and moves behind it. `name` in lower case, `value` unquoted.
// False at the end, where *cursor is at NUL, and where the text is malformed, where it is not.
bool http_parameters_next(const char **cursor, char name[HTTP_PARAMETER_NAME_SIZE],
                          struct buf *value);

// RFC 8187: "UTF-8'language'percent-encoded" into UTF-8 text without controls. False for anything
// else.
bool http_parameters_decode_extended(const char *text, struct buf *out);
