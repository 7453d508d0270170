#include "http/http_layout.h"

#include <string.h>

// Behind a line's text: spaces that were cut off, then CR and LF, both overwritten.
static void end_line(struct http_layout *layout, const char *end)
{
    end += strspn(end, " \t");
    if (end[0] != '\0' || end[1] != '\0')
        layout->is_plain = false;
    layout->next = end + 2;
}

void http_layout_init(struct http_layout *layout, const char *method, const char *target,
                      size_t target_size, const char *version)
{
    layout->is_plain = target == method + strlen(method) + 1 && version == target + target_size + 1;
    end_line(layout, version + strlen(version));
}

void http_layout_field(struct http_layout *layout, const char *name, size_t name_size,
                       const char *value, size_t value_size)
{
    if (!layout->is_plain)
        return;
    // Only spaces may lie between the colon, which was overwritten too, and the value.
    const char *start = name + name_size + 1;
    if (name != layout->next || value != start + strspn(start, " \t"))
        layout->is_plain = false;
    else
        end_line(layout, value + value_size);
}

bool http_layout_end(const struct http_layout *layout, const char *method, size_t size)
{
    return layout->is_plain && layout->next + 2 == method + size;
}
