// Any texts as the fields of a mail, separated by NUL: it is refused, or it has exactly the headers
// that we write, in ASCII, with sound lines.

#include "base/file.h"
#include "mail/mail_message.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { FIELDS = 6 };

// The line without its CRLF; `at` moves behind it.
static size_t line_size(const char **at, const char *end)
{
    const char *line = *at;
    while (*at < end && **at != '\r' && **at != '\n') {
        assert(**at >= ' ' || **at == '\t');
        (*at)++;
    }
    assert(end - *at >= 2 && (*at)[0] == '\r' && (*at)[1] == '\n');
    size_t size = (size_t)(*at - line);
    *at += 2;
    return size;
}

static void check(const struct buf *mail, bool is_traced)
{
    static const char *const names[] = {"Date: ",
                                        "From: ",
                                        "To: ",
                                        "Subject: ",
                                        "Message-ID: <",
                                        "Auto-Submitted",
                                        "MIME-Version",
                                        "Content-Type: text/plain",
                                        "Content-Transfer-",
                                        "X-Traceparent: "};
    const char *at = mail->bytes, *end = mail->bytes + mail->size;
    size_t headers = 0;
    for (;;) {
        const char *line = at;
        size_t size = line_size(&at, end);
        if (size == 0)
            break;
        assert(size <= (memmem(line, size, "=?", 2) != NULL ? 76 : 400));
        if (line[0] == ' ')
            continue;
        assert(headers < sizeof names / sizeof names[0]);
        assert(size >= strlen(names[headers]) &&
               memcmp(line, names[headers], strlen(names[headers])) == 0);
        headers++;
    }
    assert(headers == (is_traced ? 10 : 9));
    while (at < end) {
        assert(*at != '.');
        assert(line_size(&at, end) <= 76);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *fields[FIELDS];
    SCOPED_BUF struct buf text, mail;
    buf_init(&text, 1 << 20);
    buf_init(&mail, 1 << 20);
    if (!buf_append(&text, bytes, size) || !buf_append(&text, "\0\0\0\0\0\0", FIELDS))
        return 0;
    const char *next = text.bytes;
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = next;
        next += strlen(next) + 1;
    }
    const struct mail_message message = {
        .from = fields[0][0] == '\0' ? "Unreel <unreel@example.org>" : fields[0],
        .to = fields[1][0] == '\0' ? "someone@example.org" : fields[1],
        .subject = fields[2],
        .message_id = fields[3][0] == '\0' ? "1@example.org" : fields[3],
        .traceparent = fields[4],
        .date_ms = (int64_t)size * 1000,
        .body = fields[5]};
    struct error err = {0};
    if (mail_message_write(&message, &mail, &err))
        check(&mail, fields[4][0] != '\0');
    else
        assert(err.kind != ERROR_NONE);
    return 0;
}
