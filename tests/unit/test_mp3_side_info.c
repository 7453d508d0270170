#include "mp3/mp3_side_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Frames written bit by bit, as the standard's tables go.
struct writer {
    unsigned char bytes[MP3_FRAME_LIMIT_BYTES];
    unsigned position;
};

static void put(struct writer *writer, unsigned value, unsigned count)
{
    for (; count > 0; count--, writer->position++)
        writer->bytes[writer->position / 8] |=
            (unsigned char)(((value >> (count - 1)) & 1) << (7 - writer->position % 8));
}

static void put_part(struct writer *writer, bool is_mpeg1, unsigned bits, int block)
{
    put(writer, bits, 12);
    put(writer, 288, 9);
    put(writer, 0xff, 8);
    put(writer, is_mpeg1 ? 0xf : 0x1ff, is_mpeg1 ? 4 : 9);
    put(writer, block != 0, 1);
    if (block != 0) {
        put(writer, (unsigned)block & 3, 2);
        put(writer, (unsigned)block >> 2, 1);
        put(writer, 0x7ffff, 19);
    } else {
        put(writer, 0x3fffff, 22);
    }
    put(writer, is_mpeg1 ? 7 : 3, is_mpeg1 ? 3 : 2);
}

struct example {
    const char *name;
    unsigned char header[4];
    int side_bytes;
    int farthest;
    int begin_bits;
    int private_bits; // private bits and scfsi
    int parts;
};

static const struct example examples[] = {
    {"MPEG-1 stereo", {0xff, 0xfb, 0x90, 0x64}, 32, 511, 9, 3 + 8, 4},
    {"MPEG-1 mono", {0xff, 0xfb, 0x90, 0xc4}, 17, 511, 9, 5 + 4, 2},
    {"MPEG-2 stereo", {0xff, 0xf3, 0x80, 0x64}, 17, 255, 8, 2, 2},
    {"MPEG-2 mono", {0xff, 0xf3, 0x80, 0xc4}, 9, 255, 8, 1, 1},
    {"MPEG-2.5 stereo", {0xff, 0xe3, 0x80, 0x64}, 17, 255, 8, 2, 2},
    {"MPEG-2.5 mono", {0xff, 0xe3, 0x80, 0xc4}, 9, 255, 8, 1, 1},
    {"MPEG-1 stereo with CRC", {0xff, 0xfa, 0x90, 0x64}, 32, 511, 9, 3 + 8, 4},
    {"MPEG-2 mono with CRC", {0xff, 0xf2, 0x80, 0xc4}, 9, 255, 8, 1, 1},
};
enum { EXAMPLES = sizeof examples / sizeof examples[0] };

static const int blocks[4] = {MP3_BLOCK_SHORT, MP3_BLOCK_STOP, MP3_BLOCK_SHORT + MP3_BLOCK_MIXED,
                              MP3_BLOCK_LONG};

static struct writer write_example(const struct example *example, struct mp3_frame *frame)
{
    struct writer writer = {0};
    assert_true(mp3_frame_parse(example->header, frame));
    memcpy(writer.bytes, example->header, 4);
    writer.position = frame->has_crc ? 48 : 32;
    put(&writer, (unsigned)example->farthest - 1, (unsigned)example->begin_bits);
    put(&writer, 0xffff, (unsigned)example->private_bits);
    for (int part = 0; part < example->parts; part++)
        put_part(&writer, frame->version == 10, 1000u + (unsigned)part, blocks[part]);
    assert_int_equal(writer.position, 8 * ((frame->has_crc ? 6 : 4) + example->side_bytes));
    return writer;
}

static void every_field_is_found_in_every_version(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLES; i++) {
        const struct example *example = &examples[i];
        struct mp3_frame frame;
        struct writer writer = write_example(example, &frame);
        struct mp3_side_info side;
        print_message("# %s\n", example->name);
        assert_true(mp3_side_info_parse(&frame, writer.bytes, writer.position / 8, &side));
        assert_int_equal(side.overhead_bytes, writer.position / 8);
        assert_int_equal(mp3_side_info_size(&frame), example->side_bytes);
        assert_int_equal(mp3_side_info_farthest(&frame), example->farthest);
        assert_int_equal(side.main_data_begin, example->farthest - 1);
        assert_int_equal(side.parts, example->parts);
        int bits = 0;
        for (int part = 0; part < example->parts; part++) {
            bits += 1000 + part;
            assert_int_equal(side.blocks[part], blocks[part]);
        }
        assert_int_equal(side.main_data_bits, bits);
    }
}

static void the_beginning_is_changed_and_nothing_else(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLES; i++) {
        struct mp3_frame frame;
        struct writer writer = write_example(&examples[i], &frame);
        unsigned char before[MP3_FRAME_LIMIT_BYTES];
        memcpy(before, writer.bytes, sizeof before);
        struct mp3_side_info side;
        for (int begin = 0; begin <= examples[i].farthest; begin++) {
            mp3_side_info_set_begin(&frame, writer.bytes, begin);
            assert_true(mp3_side_info_parse(&frame, writer.bytes, sizeof before, &side));
            assert_int_equal(side.main_data_begin, begin);
        }
        mp3_side_info_set_begin(&frame, writer.bytes, examples[i].farthest - 1);
        assert_memory_equal(writer.bytes, before, sizeof before);
    }
}

// The bytes end where the heap block ends: the address sanitizer sees a read behind them.
static void cut_side_information_is_refused_without_reading_on(void **state)
{
    (void)state;
    for (int i = 0; i < EXAMPLES; i++) {
        struct mp3_frame frame;
        struct writer writer = write_example(&examples[i], &frame);
        size_t whole = writer.position / 8;
        for (size_t size = 4; size <= whole; size++) {
            unsigned char *bytes = malloc(size);
            memcpy(bytes, writer.bytes, size);
            struct mp3_side_info side;
            assert_int_equal(mp3_side_info_parse(&frame, bytes, size, &side), size == whole);
            free(bytes);
        }
    }
}

static void what_the_standard_forbids_is_refused(void **state)
{
    (void)state;
    struct mp3_frame frame;
    struct mp3_side_info side;
    struct writer writer = write_example(&examples[0], &frame);
    const unsigned first_part = 32 + 20;
    writer.bytes[(first_part + 12 + 8) / 8] |= 1 << (7 - (first_part + 12 + 8) % 8);
    assert_false(mp3_side_info_parse(&frame, writer.bytes, sizeof writer.bytes, &side)); // 289

    writer = write_example(&examples[0], &frame);
    const unsigned type = first_part + 34; // the first part is of short blocks: binary 10
    writer.bytes[type / 8] &= (unsigned char)~(1u << (7 - type % 8));
    assert_false(mp3_side_info_parse(&frame, writer.bytes, sizeof writer.bytes, &side));
}

static void a_frame_without_room_for_it_is_refused(void **state)
{
    (void)state;
    struct mp3_frame frame;
    struct mp3_side_info side;
    struct writer writer = write_example(&examples[0], &frame);
    frame.size_bytes = 35;
    assert_false(mp3_side_info_parse(&frame, writer.bytes, sizeof writer.bytes, &side));
    frame.size_bytes = 36;
    assert_true(mp3_side_info_parse(&frame, writer.bytes, sizeof writer.bytes, &side));
}

static void random_bytes_give_an_answer(void **state)
{
    (void)state;
    uint32_t seed = 1;
    int accepted = 0;
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[40];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (unsigned char)(seed >> 24);
        }
        memcpy(bytes, examples[round % EXAMPLES].header, 4);
        struct mp3_frame frame;
        struct mp3_side_info side;
        assert_true(mp3_frame_parse(bytes, &frame));
        if (!mp3_side_info_parse(&frame, bytes, sizeof bytes, &side))
            continue;
        accepted++;
        assert_in_range(side.main_data_begin, 0, mp3_side_info_farthest(&frame));
        assert_in_range(side.main_data_bits, 0, 4095 * side.parts);
    }
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_found_in_every_version),
        cmocka_unit_test(the_beginning_is_changed_and_nothing_else),
        cmocka_unit_test(cut_side_information_is_refused_without_reading_on),
        cmocka_unit_test(what_the_standard_forbids_is_refused),
        cmocka_unit_test(a_frame_without_room_for_it_is_refused),
        cmocka_unit_test(random_bytes_give_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
