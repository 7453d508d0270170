#pragma once
// Boxes one after the other, read leniently: for what may be damaged without harm. What is no box,
// or reaches over the end of what holds it, ends the walk. (media_boxes.c is the strict reader of
// what a conversion stands on.)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_box {
    uint32_t type;
    int64_t body;
    int64_t end;
};

// Every walk is paid from one budget, so that no file can keep us for long.
struct media_box_reader {
    int fd;
    int boxes_left;
};

// The box at *at, which moves behind it; false at the end.
bool media_box_next(struct media_box_reader *reader, int64_t *at, int64_t end,
                    struct media_box *out);

// The first child of that type.
bool media_box_find(struct media_box_reader *reader, int64_t start, int64_t end, uint32_t type,
                    struct media_box *out);

// All of the bytes or nothing.
bool media_box_bytes(const struct media_box_reader *reader, void *out, size_t size, int64_t offset);
