// One file on several threads: the same bytes whoever encodes them, the same sound as one
// encoder's.
#include "media/media_encode.h"
#include "media/media_pcm.h"
#include "media/media_segments.h"
#include "serial_lame.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

// Sounds of seconds have several segments then.
static const struct media_rules short_rules = {
    .segment_frames = 98, .lead_in_frames = 80, .exact_frames = 32};

static const struct media_format usual_format = {.rate_hz = 44100, .channels = 2};

static int frame_samples(struct media_format format)
{
    return format.rate_hz >= 32000 ? 1152 : 576;
}

static void compare_with_lame(enum sound kind, struct media_format format, const char *preset_name,
                              int frames, const struct media_rules *rules, struct difference *out)
{
    const struct preset *preset = preset_find(preset_name);
    struct sound_samples sound;
    struct encoded ours, serial;
    sound_samples_make(&sound, kind, format, (size_t)(frames * frame_samples(format)));
    encoded_by_threads(&ours, &sound, preset, 2, rules);
    encoded_by_lame(&serial, &sound, preset);
    encoded_compare(&ours, &serial, &sound, out);
    print_message("# %s %d Hz %d %s: %d different samples, worst frame %.2f dB\n", sound_name(kind),
                  format.rate_hz, format.channels, preset_name, (int)out->samples, out->worst_db);
    assert_int_equal(ours.frames, serial.frames);
    assert_int_equal(ours.result.segments, ours.result.joins + ours.result.thrown_away + 1);
    assert_true(ours.result.segments >= 2);
    encoded_finish(&ours);
    encoded_finish(&serial);
    sound_samples_finish(&sound);
}

static void the_bytes_do_not_depend_on_the_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8, 2, 8, 3};
    struct media_rules rules = {.segment_frames = 49, .lead_in_frames = 16, .exact_frames = 8};
    const char *const presets[] = {"standard", "cbr128"};
    for (int p = 0; p < 2; p++) {
        struct sound_samples sound;
        struct encoded first = {0};
        sound_samples_make(&sound, SOUND_CASTANETS, usual_format, 500 * 1152 + 77);
        for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
            struct encoded encoded;
            encoded_by_threads(&encoded, &sound, preset_find(presets[p]), threads[i], &rules);
            if (i == 0) {
                first = encoded;
                assert_true(first.result.joins > 0);
                continue;
            }
            assert_int_equal(encoded.bytes.size, first.bytes.size);
            assert_memory_equal(encoded.bytes.bytes, first.bytes.bytes, first.bytes.size);
            assert_int_equal(encoded.result.joins, first.result.joins);
            encoded_finish(&encoded);
        }
        encoded_finish(&first);
        sound_samples_finish(&sound);
    }
}

static void at_v2_every_sample_is_what_one_encoder_makes(void **state)
{
    (void)state;
    for (int kind = 0; kind < SOUND_KINDS; kind++) {
        struct difference difference;
        compare_with_lame((enum sound)kind, usual_format, "standard", 300, &short_rules,
                          &difference);
        assert_int_equal(difference.samples, 0);
    }
}

// Where a frame needs more bits than the highest bit rate gives, what it gets depends on how full
// the reservoir is.
static void close_to_one_encoder(enum sound kind, struct media_format format, const char *preset)
{
    struct difference difference;
    compare_with_lame(kind, format, preset, 300, &short_rules, &difference);
    assert_true(difference.snr_db > difference.serial_snr_db - 0.05);
    assert_true(difference.worst_db <= 4);
}

static void at_v0_it_is_as_good_as_one_encoder(void **state)
{
    (void)state;
    for (int kind = 0; kind < SOUND_KINDS; kind++)
        close_to_one_encoder((enum sound)kind, usual_format, "best");
}

static void a_constant_bit_rate_is_as_good_as_one_encoder(void **state)
{
    (void)state;
    for (int kind = 0; kind < SOUND_KINDS; kind++)
        close_to_one_encoder((enum sound)kind, usual_format, kind % 2 == 0 ? "cbr128" : "cbr192");
}

static void every_rate_of_mp3_is_encoded_in_segments(void **state)
{
    (void)state;
    static const int rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    for (int i = 0; i < 9; i++) {
        for (int channels = 1; channels <= 2; channels++) {
            struct media_format format = {.rate_hz = rates[i], .channels = channels};
            close_to_one_encoder(SOUND_CHORDS, format, "standard");
            if (rates[i] == 8000 || rates[i] == 24000)
                close_to_one_encoder(SOUND_SPEECH, format, "cbr128");
        }
    }
}

static void where_nothing_joins_the_first_encoder_goes_on_to_the_end(void **state)
{
    (void)state;
    struct media_rules rules = {
        .segment_frames = 49, .lead_in_frames = 20, .exact_frames = 8, .is_never_joined = true};
    static const char *const presets[] = {"standard", "cbr128"};
    for (int p = 0; p < 2; p++) {
        struct sound_samples sound;
        struct encoded serial;
        sound_samples_make(&sound, SOUND_CHORDS, usual_format, 300 * 1152);
        encoded_by_lame(&serial, &sound, preset_find(presets[p]));
        for (int threads = 1; threads <= 4; threads++) {
            struct encoded ours;
            struct difference difference;
            encoded_by_threads(&ours, &sound, preset_find(presets[p]), threads, &rules);
            encoded_compare(&ours, &serial, &sound, &difference);
            assert_int_equal(difference.samples, 0);
            assert_int_equal(ours.result.joins, 0);
            assert_true(ours.result.thrown_away >= 4);
            encoded_finish(&ours);
        }
        encoded_finish(&serial);
        sound_samples_finish(&sound);
    }
}

// An exact join or none: of bursts at a constant rate few have one within so short a segment.
static void a_segment_that_cannot_be_joined_is_passed(void **state)
{
    (void)state;
    struct media_rules rules = {.segment_frames = 98, .lead_in_frames = 8, .exact_frames = 1000};
    struct sound_samples sound;
    struct encoded serial, first = {0};
    const struct preset *preset = preset_find("cbr128");
    sound_samples_make(&sound, SOUND_BURSTS, usual_format, 574 * 1152);
    encoded_by_lame(&serial, &sound, preset);
    for (int threads = 1; threads <= 4; threads++) {
        struct encoded ours;
        encoded_by_threads(&ours, &sound, preset, threads, &rules);
        assert_true(ours.result.thrown_away > 0);
        assert_int_equal(ours.frames, serial.frames);
        if (threads == 1) {
            first = ours;
            continue;
        }
        assert_int_equal(ours.bytes.size, first.bytes.size);
        assert_memory_equal(ours.bytes.bytes, first.bytes.bytes, first.bytes.size);
        encoded_finish(&ours);
    }
    encoded_finish(&first);
    encoded_finish(&serial);
    sound_samples_finish(&sound);
}

static void every_length_comes_out_to_the_sample(void **state)
{
    (void)state;
    struct media_rules rules = {.segment_frames = 49, .lead_in_frames = 10, .exact_frames = 4};
    static const int frames[] = {0, 1, 49, 59, 69, 98, 118};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        for (int off = frames[i] == 0 ? 0 : -1; off <= 1; off++) {
            struct sound_samples sound;
            struct encoded ours, serial;
            struct difference difference;
            sound_samples_make(&sound, SOUND_SPEECH, usual_format,
                               (size_t)(frames[i] * 1152 + off));
            // Checks the number of samples too.
            encoded_by_threads(&ours, &sound, preset_find("standard"), 2, &rules);
            encoded_by_lame(&serial, &sound, preset_find("standard"));
            assert_int_equal(ours.frames, serial.frames);
            encoded_compare(&ours, &serial, &sound, &difference);
            encoded_finish(&ours);
            encoded_finish(&serial);
            sound_samples_finish(&sound);
        }
    }
}

static void a_disk_that_is_full_in_the_middle_is_told(void **state)
{
    (void)state;
    struct sound_samples sound;
    sound_samples_make(&sound, SOUND_NOISE, usual_format, 600 * 1152);
    for (int threads = 1; threads <= 3; threads++) {
        struct media_failure why = {0};
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        SCOPED(media_encoder_close)
        struct media_encoder *encoder = media_encoder_create_with(threads, &short_rules, &why);
        assert_true(
            media_encoder_begin(encoder, fd, preset_find("cbr320"), usual_format, "", 0, &why));
        bool is_well = true;
        for (size_t at = 0; is_well && at < sound.count; at += 1152)
            is_well = media_encoder_write(encoder, sound.planes[0] + at, sound.planes[1] + at, 1152,
                                          &why);
        is_well = is_well && media_encoder_finish(encoder, &why);
        assert_false(is_well);
        assert_string_equal(why.code, "no_space");
        close(fd);
    }
    sound_samples_finish(&sound);
}

static void it_can_be_closed_at_any_moment(void **state)
{
    (void)state;
    struct sound_samples sound;
    sound_samples_make(&sound, SOUND_CHORDS, usual_format, 250 * 1152);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int moment = -2; moment <= 250; moment += moment < 100 ? 17 : 50) {
        struct media_failure why = {0};
        SCOPED(media_encoder_close)
        struct media_encoder *encoder = media_encoder_create_with(3, &short_rules, &why);
        assert_non_null(encoder);
        if (moment < -1)
            continue;
        assert_true(
            media_encoder_begin(encoder, fd, preset_find("standard"), usual_format, "", 0, &why));
        for (int frame = 0; frame < moment; frame++)
            assert_true(media_encoder_write(encoder, sound.planes[0] + frame * 1152,
                                            sound.planes[1] + frame * 1152, 1152, &why));
        assert_int_equal(media_encoder_samples(encoder), moment > 0 ? moment * 1152 : 0);
    }
    close(fd);
    sound_samples_finish(&sound);
}

// A disk that stands still at one frame until all samples are taken or a second is over.
struct slow_disk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t frames, stops_at;
    int64_t samples_taken, samples;
    int64_t samples_taken_meanwhile;
};

static bool write_slowly(void *context, const unsigned char *bytes, size_t size,
                         struct media_failure *why)
{
    (void)bytes, (void)size, (void)why;
    struct slow_disk *disk = context;
    pthread_mutex_lock(&disk->lock);
    if (disk->frames++ == disk->stops_at) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        while (disk->samples_taken < disk->samples &&
               pthread_cond_timedwait(&disk->changed, &disk->lock, &until) == 0)
            continue;
        disk->samples_taken_meanwhile = disk->samples_taken;
    }
    pthread_mutex_unlock(&disk->lock);
    return true;
}

static void while_the_disk_stands_still_no_frames_pile_up(void **state)
{
    (void)state;
    struct media_format format = {.rate_hz = 16000, .channels = 1};
    struct sound_samples sound;
    sound_samples_make(&sound, SOUND_CHORDS, format, 2000 * 576);
    struct slow_disk disk = {.lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER,
                             // one of the last of the first segment: its encoder has been joined
                             .stops_at = media_segment_start(&short_rules, 1) - 6,
                             .samples = 2000 * 576};
    struct media_failure why = {0};
    struct media_segments_result result;
    SCOPED(media_layout_destroy)
    struct media_layout *layout =
        media_layout_create((struct media_layout_output){.write = write_slowly, .context = &disk});
    SCOPED(media_segments_close)
    struct media_segments *segments = media_segments_create(2, &short_rules, &why);
    assert_non_null(segments);
    media_segments_begin(segments, preset_find("voice"), format, layout);
    for (int64_t at = 0; at < disk.samples; at += 576) {
        const float *samples = sound.planes[0] + at;
        assert_true(media_segments_write(segments, samples, samples, 576, &why));
        pthread_mutex_lock(&disk.lock);
        disk.samples_taken = at + 576;
        pthread_cond_signal(&disk.changed);
        pthread_mutex_unlock(&disk.lock);
    }
    assert_true(media_segments_finish(segments, &result, &why));
    assert_true(disk.samples_taken_meanwhile > 0);
    assert_true(disk.samples_taken_meanwhile < 1500 * 576);
    sound_samples_finish(&sound);
}

static void the_window_wraps_around_its_memory(void **state)
{
    (void)state;
    struct media_pcm pcm;
    media_pcm_init(&pcm, 2, 100);
    float left[70], right[70];
    int64_t checked = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 70; i++) {
            left[i] = (float)(pcm.end + i);
            right[i] = -left[i];
        }
        assert_true(media_pcm_room(&pcm) >= 70);
        media_pcm_put(&pcm, pcm.end, left, right, 70);
        pcm.end += 70;
        while (checked < pcm.end) {
            const float *l, *r;
            size_t count = media_pcm_at(&pcm, checked, (size_t)(pcm.end - checked), &l, &r);
            assert_true(count > 0);
            for (size_t i = 0; i < count; i++, checked++)
                assert_true(l[i] == (float)checked && r[i] == (float)-checked);
        }
        pcm.start = pcm.end - 30;
    }
    media_pcm_finish(&pcm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_wraps_around_its_memory),
        cmocka_unit_test(the_bytes_do_not_depend_on_the_threads),
        cmocka_unit_test(at_v2_every_sample_is_what_one_encoder_makes),
        cmocka_unit_test(at_v0_it_is_as_good_as_one_encoder),
        cmocka_unit_test(a_constant_bit_rate_is_as_good_as_one_encoder),
        cmocka_unit_test(every_rate_of_mp3_is_encoded_in_segments),
        cmocka_unit_test(where_nothing_joins_the_first_encoder_goes_on_to_the_end),
        cmocka_unit_test(a_segment_that_cannot_be_joined_is_passed),
        cmocka_unit_test(every_length_comes_out_to_the_sample),
        cmocka_unit_test(a_disk_that_is_full_in_the_middle_is_told),
        cmocka_unit_test(it_can_be_closed_at_any_moment),
        cmocka_unit_test(while_the_disk_stands_still_no_frames_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
