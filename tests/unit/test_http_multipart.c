#include "http/http_multipart.h"

#include "base/buf.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Everything the parser said, as one text: "[name|filename|type]bytes." for each part.
static bool see_part(void *context, const struct http_multipart_part *part, struct error *err)
{
    (void)err;
    return buf_printf(context, "[%s|%s|%s]", part->name,
                      part->filename == NULL ? "-" : part->filename, part->content_type);
}

static bool see_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)err;
    return buf_append(context, bytes, size);
}

static bool see_end(void *context, struct error *err)
{
    (void)err;
    return buf_append_text(context, ".");
}

static bool feed(const char *type, const char *body, size_t size, size_t piece, size_t first,
                 struct buf *out)
{
    struct error err = {0};
    buf_clear(out);
    SCOPED(http_multipart_destroy)
    struct http_multipart *multipart = http_multipart_create(
        type, &(struct http_multipart_events){see_part, see_bytes, see_end, out}, &err);
    if (multipart == NULL)
        return false;
    for (size_t at = 0, count = first; at < size; at += count, count = piece) {
        if (count > size - at)
            count = size - at;
        // A copy of exact size, so that reading over its end is seen.
        char *copy = malloc(count);
        if (count > 0)
            memcpy(copy, body + at, count);
        bool is_fine = http_multipart_feed(multipart, copy, count, &err);
        free(copy);
        if (!is_fine)
            return false;
        if (count == 0 && piece == 0)
            return false;
    }
    return http_multipart_end(multipart, &err);
}

static const char usual_type[] = "multipart/form-data; boundary=AaB03x";

#define PART(disposition, bytes)                                                                   \
    "--AaB03x\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" bytes "\r\n"
#define CLOSE "--AaB03x--\r\n"

static bool reads(const char *body, size_t size, struct buf *out)
{
    return feed(usual_type, body, size, size, size, out);
}

static void expect(const char *body, const char *expected)
{
    SCOPED_BUF struct buf out;
    buf_init(&out, 1 << 20);
    bool is_fine = reads(body, strlen(body), &out);
    if (expected == NULL) {
        if (is_fine)
            fail_msg("this was read as %s:\n%s", out.bytes, body);
        return;
    }
    if (!is_fine)
        fail_msg("this was refused:\n%s", body);
    assert_string_equal(out.bytes, expected);
}

static void any_cut_of_the_input_gives_the_same_events(void **state)
{
    (void)state;
    static const char body[] = "a preamble\r\n" PART("name=\"preset\"", "voice")
        PART("name=\"f\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4",
             "\r\n--AaB03\r\r\n--AaB0\r\n\r\r\n--AaB03y\r\n-\0-\n--AaB03x-- \r")
            PART("name=\"empty\"", "") CLOSE "an epilogue --AaB03x";
    static const char expected[] = "[preset|-|text/plain]voice.[f|a.mp4|video/mp4]"
                                   "\r\n--AaB03\r\r\n--AaB0\r\n\r\r\n--AaB03y\r\n-\0-\n--AaB03x-- "
                                   "\r.[empty|-|text/plain].";
    SCOPED_BUF struct buf out;
    buf_init(&out, 1 << 16);
    size_t size = sizeof body - 1;
    for (size_t first = 1; first <= size; first++) {
        assert_true(feed(usual_type, body, size, size, first, &out));
        assert_int_equal(out.size, sizeof expected - 1);
        assert_memory_equal(out.bytes, expected, out.size);
    }
    for (size_t piece = 1; piece <= 90; piece++) {
        assert_true(feed(usual_type, body, size, piece, piece, &out));
        assert_memory_equal(out.bytes, expected, sizeof expected - 1);
    }
}

static void any_end_before_the_closing_boundary_is_seen(void **state)
{
    (void)state;
    static const char body[] =
        PART("name=\"a\"", "1") PART("name=\"b\"; filename=\"b\"", "22") CLOSE;
    SCOPED_BUF struct buf out;
    buf_init(&out, 1 << 16);
    for (size_t size = 0; size < sizeof body - 3; size++)
        assert_false(feed(usual_type, body, size, 7, 7, &out));
    assert_true(feed(usual_type, body, sizeof body - 3, 7, 7, &out));
}

static void what_looks_like_a_boundary_is_data_unless_a_line_starts_with_it(void **state)
{
    (void)state;
    expect(PART("name=\"a\"", "x--AaB03x\n--AaB03x--\r--AaB03x") CLOSE,
           "[a|-|text/plain]x--AaB03x\n--AaB03x--\r--AaB03x.");
    expect(PART("name=\"a\"", "x\r\n--AaB03xY") CLOSE, NULL);
    expect(PART("name=\"a\"", "x\r\n--AaB03x-Y") CLOSE, NULL);
    expect("--AaB03x \t\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--AaB03x--",
           "[a|-|text/plain]b.");
    expect("--AaB03x --\r\n", NULL);
    expect("\r\n--AaB03x--\r\n", "");
    expect("no boundary at all", NULL);
    expect("", NULL);
}

static void line_ends_are_crlf_and_nothing_else(void **state)
{
    (void)state;
    expect("--AaB03x\nContent-Disposition: form-data; name=\"a\"\n\nb\n--AaB03x--\n", NULL);
    expect("--AaB03x\r\nContent-Disposition: form-data; name=\"a\"\n\r\nb\r\n" CLOSE, NULL);
    expect("--AaB03x\r\nContent-Disposition: form-data; name=\"a\"\r\r\n\r\nb\r\n" CLOSE, NULL);
    expect("--AaB03x\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\nb\r\n" CLOSE, NULL);
}

static void headers_of_a_part_are_read_strictly(void **state)
{
    (void)state;
    expect("--AaB03x\r\n\r\nb\r\n" CLOSE, NULL);
    expect("--AaB03x\r\nContent-Type: text/plain\r\n\r\nb\r\n" CLOSE, NULL);
    expect("--AaB03x\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nb\r\n" CLOSE, NULL);
    expect("--AaB03x\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\nb\r\n" CLOSE, NULL);
    expect(PART("filename=\"x\"", "b") CLOSE, NULL);
    expect(PART("name=\"a\"; name=\"b\"", "b") CLOSE, NULL);
    expect(PART("name=\"a\"; filename=\"a\"; filename=\"b\"", "b") CLOSE, NULL);
    expect(PART("name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"", "b") CLOSE, NULL);
    expect(PART("name=\"a\"\r\nContent-Type: a/b\r\ncontent-type: c/d", "b") CLOSE, NULL);
    expect(PART("name=\"a", "b") CLOSE, NULL);
    expect(PART("name=\"a\" nonsense", "b") CLOSE, NULL);
    expect("--AaB03x\r\nCONTENT-DISPOSITION: Form-Data; NAME=a;\r\nX-Other: y\r\n\r\nb\r\n" CLOSE,
           "[a|-|text/plain]b.");
}

static void file_names_keep_their_characters(void **state)
{
    (void)state;
    expect(PART("name=\"f\"; filename=\"a \\\"b\\\" \\\\ c;=.mp4\"", "") CLOSE,
           "[f|a \"b\" \\ c;=.mp4|text/plain].");
    expect(PART("name=\"f\"; filename=\"C:\\dir\\film.mp4\"", "") CLOSE,
           "[f|C:\\dir\\film.mp4|text/plain].");
    expect(PART("name=\"f\"; filename=\"a%22b%2522.mp4\"", "") CLOSE,
           "[f|a\"b%2522.mp4|text/plain].");
    expect(PART("name=\"f\"; filename=\"gr\xC3\xBC\xC3\x9F.mp4\"", "") CLOSE,
           "[f|gr\xC3\xBC\xC3\x9F.mp4|text/plain].");
    expect(PART("name=\"f\"; filename=\"\"", "") CLOSE, "[f||text/plain].");
}

static void an_extended_file_name_wins_where_it_is_well_formed(void **state)
{
    (void)state;
    expect(PART("name=\"f\"; filename=\"plain\"; filename*=UTF-8''gr%C3%BC%C3%9Fe%20.mp4", "")
               CLOSE,
           "[f|gr\xC3\xBC\xC3\x9F"
           "e .mp4|text/plain].");
    expect(PART("name=\"f\"; filename*=utf-8'de'x; filename=\"plain\"", "") CLOSE,
           "[f|x|text/plain].");
    static const char *const wrong[] = {"UTF-8''%C3",  "UTF-8''%ZZ",    "UTF-8''a%00b",
                                        "UTF-8''%0Aa", "ISO-8859-1''a", "UTF-8'a",
                                        "UTF-8''"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, PART("name=\"f\"; filename=\"plain\"; filename*=%s", "") CLOSE,
                 wrong[i]);
        expect(body, "[f|plain|text/plain].");
    }
}

static void long_headers_are_refused_and_long_names_below_the_limit_are_not(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        bool is_fine;
    } cases[] = {{5000, true}, {8000, true}, {8192, false}, {10000, false}, {100000, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *name = malloc(cases[i].size + 1);
        memset(name, 'n', cases[i].size);
        name[cases[i].size] = '\0';
        SCOPED_BUF struct buf body, out;
        buf_init(&body, 1 << 20);
        buf_init(&out, 1 << 20);
        buf_printf(&body, PART("name=\"f\"; filename=\"%s\"", "") CLOSE, name);
        assert_int_equal(reads(body.bytes, body.size, &out), cases[i].is_fine);
        free(name);
    }
}

static void a_name_that_is_not_utf8_becomes_readable(void **state)
{
    (void)state;
    expect(PART("name=\"f\"; filename=\"a\xFFz\"", "") CLOSE, "[f|a\xEF\xBF\xBDz|text/plain].");
}

#define SEVENTY "1234567890123456789012345678901234567890123456789012345678901234567890"

static void the_content_type_names_one_legal_boundary(void **state)
{
    (void)state;
    static const char body[] = "--q\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--q--";
    static const char *const fine[] = {"multipart/form-data; boundary=q",
                                       "Multipart/Form-Data;boundary=\"q\"",
                                       "multipart/form-data; charset=utf-8; boundary=q;"};
    static const char *const wrong[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"q \"",
        "multipart/form-data; boundary=q; boundary=r",
        "multipart/form-data; boundary=\"q\r\n\"",
        "multipart/form-data; boundary=\"q",
        "multipart/form-databoundary=q",
        "multipart/mixed; boundary=q",
        "multipart/form-data, boundary=q",
        "multipart/form-data; boundary=q<",
        "multipart/form-data; boundary=" SEVENTY "1",
    };
    SCOPED_BUF struct buf out;
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_true(feed(fine[i], body, sizeof body - 1, 5, 5, &out));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (feed(wrong[i], body, sizeof body - 1, 5, 5, &out))
            fail_msg("taken: %s", wrong[i]);
}

static bool refuse_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)context;
    (void)bytes;
    (void)size;
    return error_set(err, ERROR_NO_SPACE, "full");
}

static void an_error_of_the_callee_stops_the_parser_for_good(void **state)
{
    (void)state;
    SCOPED_BUF struct buf out;
    buf_init(&out, 1 << 16);
    struct error err = {0};
    SCOPED(http_multipart_destroy)
    struct http_multipart *multipart = http_multipart_create(
        usual_type, &(struct http_multipart_events){see_part, refuse_bytes, see_end, &out}, &err);
    assert_non_null(multipart);
    static const char body[] = PART("name=\"a\"", "1") CLOSE;
    assert_false(http_multipart_feed(multipart, body, sizeof body - 1, &err));
    assert_int_equal(err.kind, ERROR_NO_SPACE);
    assert_false(http_multipart_feed(multipart, body, sizeof body - 1, &err));
    assert_false(http_multipart_end(multipart, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_of_the_input_gives_the_same_events),
        cmocka_unit_test(any_end_before_the_closing_boundary_is_seen),
        cmocka_unit_test(what_looks_like_a_boundary_is_data_unless_a_line_starts_with_it),
        cmocka_unit_test(line_ends_are_crlf_and_nothing_else),
        cmocka_unit_test(headers_of_a_part_are_read_strictly),
        cmocka_unit_test(file_names_keep_their_characters),
        cmocka_unit_test(an_extended_file_name_wins_where_it_is_well_formed),
        cmocka_unit_test(long_headers_are_refused_and_long_names_below_the_limit_are_not),
        cmocka_unit_test(a_name_that_is_not_utf8_becomes_readable),
        cmocka_unit_test(the_content_type_names_one_legal_boundary),
        cmocka_unit_test(an_error_of_the_callee_stops_the_parser_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
