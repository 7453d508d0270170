#pragma once
// Numbers as an MP4 holds them: the highest byte first.

#include <stdint.h>

static inline uint16_t big_endian_16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t big_endian_32(const unsigned char *at)
{
    return (uint32_t)big_endian_16(at) << 16 | big_endian_16(at + 2);
}

static inline uint64_t big_endian_64(const unsigned char *at)
{
    return (uint64_t)big_endian_32(at) << 32 | big_endian_32(at + 4);
}
