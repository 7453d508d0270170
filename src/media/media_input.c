#include "media/media_input.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_codecs.h"

#include <libavutil/mem.h>
#include <string.h>
#include <time.h>

enum { BUFFER_BYTES = 64 * 1024 };

// Four bytes of the file that the demuxer reads as others.
struct patch {
    int64_t offset;
    const char *bytes;
};

// A stretch of the file in whose place the demuxer reads another one.
struct detour {
    int64_t at;
    int64_t from;
    int64_t size;
};

enum { PATCHES = MEDIA_TRACKS + MEDIA_METADATA_PLACES + 6 };

struct media_input {
    int fd;
    int64_t position;
    int64_t end; // the demuxer's end of file
    bool is_opening;
    bool is_too_slow;
    int64_t open_until_ms; // by the processor's clock
    unsigned patch_count;
    struct patch patches[PATCHES];
    struct detour detour;
    AVIOContext *io;
    AVFormatContext *format;
};

static void add_patch(struct media_input *input, int64_t offset, const char bytes[4])
{
    if (offset > 0)
        input->patches[input->patch_count++] = (struct patch){.offset = offset, .bytes = bytes};
}

static void apply_patches(const struct media_input *input, uint8_t *bytes, int size)
{
    for (unsigned i = 0; i < input->patch_count; i++) {
        int64_t at = input->patches[i].offset - input->position;
        for (int k = 0; k < 4; k++)
            if (at + k >= 0 && at + k < size)
                bytes[at + k] = (uint8_t)input->patches[i].bytes[k];
    }
}

// Where the bytes at the position lie in truth, and how many of `size` lie there.
static int64_t find_bytes(const struct media_input *input, int *size)
{
    const struct detour *detour = &input->detour;
    int64_t into = input->position - detour->at;
    bool is_inside = into >= 0 && into < detour->size;
    int64_t ahead = is_inside ? detour->size - into : -into;
    if (ahead > 0 && ahead < *size)
        *size = (int)ahead;
    return is_inside ? detour->from + into : input->position;
}

static int64_t processor_ms(void)
{
    return (int64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

static int read_bytes(void *context, uint8_t *out, int size)
{
    struct media_input *input = context;
    if (input->is_opening && processor_ms() > input->open_until_ms)
        input->is_too_slow = true;
    if (input->is_too_slow)
        return AVERROR_EXIT;
    struct error err;
    if (input->position >= input->end)
        return AVERROR_EOF;
    if (size > input->end - input->position)
        size = (int)(input->end - input->position);
    int64_t from = find_bytes(input, &size);
    ssize_t got = file_read_at(input->fd, out, (size_t)size, from, &err);
    if (got < 0)
        return AVERROR(EIO);
    if (got == 0)
        return AVERROR_EOF;
    apply_patches(input, out, (int)got);
    input->position += got;
    return (int)got;
}

static int64_t seek_to(void *context, int64_t offset, int whence)
{
    struct media_input *input = context;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return input->end;
    if (whence == SEEK_CUR)
        offset += input->position;
    else if (whence == SEEK_END)
        offset += input->end;
    else if (whence != SEEK_SET)
        return AVERROR(EINVAL);
    if (offset < 0)
        return AVERROR(EINVAL);
    return input->position = offset;
}

static int refuse_to_open(AVFormatContext *format, AVIOContext **out, const char *url, int flags,
                          AVDictionary **options)
{
    (void)format;
    (void)out;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static bool prepare(struct media_input *input, struct media_failure *why)
{
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (buffer != NULL)
        input->io = avio_alloc_context(buffer, BUFFER_BYTES, 0, input, read_bytes, NULL, seek_to);
    if (input->io == NULL)
        av_free(buffer);
    AVFormatContext *format = input->format = avformat_alloc_context();
    if (input->io == NULL || format == NULL)
        return media_fail(why, "internal", "There is not enough memory.");
    format->pb = input->io;
    // It need not look at fragments: their index alone took 28 MB for six hours.
    format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_IGNIDX;
    format->io_open = refuse_to_open;
    format->max_streams = MEDIA_STREAMS;
    format->protocol_whitelist = av_strdup("");
    format->format_whitelist = av_strdup("mov,mp4,m4a,3gp,3g2,mj2");
    format->codec_whitelist = av_strdup(media_codec_whitelist);
    if (format->protocol_whitelist == NULL || format->format_whitelist == NULL ||
        format->codec_whitelist == NULL)
        return media_fail(why, "internal", "There is not enough memory.");
    return true;
}

// Without avformat_find_stream_info: it would decode the start twice, and the header says all
// that a decoder of our list needs.
static bool open_format(struct media_input *input, struct media_failure *why)
{
    AVDictionary *options = NULL;
    av_dict_set(&options, "enable_drefs", "0", 0);
    av_dict_set(&options, "use_absolute_path", "0", 0);
    av_dict_set(&options, "ignore_chapters", "1", 0);
    const AVInputFormat *mov = av_find_input_format("mov");
    input->is_opening = true;
    input->open_until_ms = processor_ms() + MEDIA_HEADER_PROCESSOR_MS;
    int result = avformat_open_input(&input->format, NULL, mov, &options);
    input->is_opening = false;
    av_dict_free(&options);
    // What the demuxer allocates is as large as the file says.
    if (input->is_too_slow || result == AVERROR(ENOMEM))
        return media_fail(why, "too_complex", NULL);
    if (result < 0)
        return media_fail(why, "not_media", "This file's index is damaged.");
    return true;
}

static void hide_tracks(struct media_input *input, const struct media_boxes *boxes,
                        const struct media_track *track)
{
    for (unsigned i = 0; i < boxes->track_count; i++)
        if (&boxes->tracks[i] != track)
            add_patch(input, boxes->tracks[i].type_offset, "free");
}

// Our own reader takes the texts, and a cover would be held in memory here.
static void hide_metadata(struct media_input *input, const struct media_boxes *boxes)
{
    for (unsigned i = 0; i < MEDIA_METADATA_PLACES; i++)
        add_patch(input, boxes->metadata_offsets[i], "free");
}

static void hide_table(struct media_input *input, const struct media_track *track)
{
    static const char zero[4] = {0};
    add_patch(input, track->times.count_offset, zero);
    add_patch(input, track->chunks.count_offset, zero);
    add_patch(input, track->sizes.count_offset, zero);
    add_patch(input, track->offsets.count_offset, zero);
    add_patch(input, track->edits.count_offset, zero);
}

// The sample entry takes the first one's place, and is the only one.
static bool show_description(struct media_input *input, const struct media_track *track,
                             unsigned description, struct media_failure *why)
{
    static const char one[4] = {0, 0, 0, 1};
    int64_t at = track->formats_offset;
    for (unsigned i = 0;; i++) {
        unsigned char head[4];
        struct error err;
        if (track->formats_end - at < 8 ||
            file_read_at(input->fd, head, sizeof head, at, &err) != sizeof head)
            return media_fail(why, "not_media", "This file's index is damaged.");
        int64_t size = MEDIA_FOURCC(head[0], head[1], head[2], head[3]);
        if (size < 8 || size > track->formats_end - at)
            return media_fail(why, "not_media", "This file's index is damaged.");
        if (i == description) {
            input->detour = (struct detour){.at = track->formats_offset, .from = at, .size = size};
            add_patch(input, track->formats_offset - 4, one);
            return true;
        }
        at += size;
    }
}

struct media_input *media_input_open(int fd, const struct media_boxes *boxes,
                                     const struct media_track *track, unsigned description,
                                     struct media_failure *why)
{
    struct media_input *input = alloc_zeroed(1, sizeof *input);
    *input = (struct media_input){.fd = fd, .end = boxes->index_end};
    hide_tracks(input, boxes, track);
    hide_metadata(input, boxes);
    hide_table(input, track);
    if ((description == 0 || show_description(input, track, description, why)) &&
        prepare(input, why) && open_format(input, why))
        return input;
    media_input_close(input);
    return NULL;
}

void media_input_close(struct media_input *input)
{
    if (input == NULL)
        return;
    avformat_close_input(&input->format);
    if (input->io != NULL)
        av_freep(&input->io->buffer);
    avio_context_free(&input->io);
    free(input);
}

AVStream *media_input_stream(struct media_input *input, uint32_t track_id)
{
    AVStream *found = NULL;
    for (unsigned i = 0; i < input->format->nb_streams; i++) {
        AVStream *stream = input->format->streams[i];
        bool is_wanted = stream->id == (int)track_id && found == NULL &&
                         stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        if (is_wanted)
            found = stream;
        stream->discard = is_wanted ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    return found;
}
