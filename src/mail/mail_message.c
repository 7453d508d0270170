#include "mail/mail_message.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LINE_WIDTH = 76,  // RFC 2045: a quoted-printable line; RFC 2047: a line with an encoded word
    PLAIN_WIDTH = 60, // a header's text that is not worth folding
    LOCAL_LIMIT = 64,
    ADDRESS_LIMIT = 254,
};

static const char letters_and_digits[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char hexadecimal[] = "0123456789ABCDEF";

static bool is_letter_or_digit(char byte)
{
    return byte != '\0' && strchr(letters_and_digits, byte) != NULL;
}

// RFC 5322 atext.
static bool is_atom_byte(char byte)
{
    return is_letter_or_digit(byte) ||
           (byte != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

static bool is_dotted(const char *text, size_t size, bool (*is_allowed)(char byte))
{
    if (size == 0 || text[0] == '.' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '.' ? text[i + 1] == '.' : !is_allowed(text[i]))
            return false;
    return true;
}

static bool is_domain_byte(char byte)
{
    return is_letter_or_digit(byte) || byte == '-';
}

bool mail_address_is_plain(const char *address)
{
    const char *at = strchr(address, '@');
    if (at == NULL || strlen(address) > ADDRESS_LIMIT)
        return false;
    size_t local_size = (size_t)(at - address);
    return local_size <= LOCAL_LIMIT && is_dotted(address, local_size, is_atom_byte) &&
           is_dotted(at + 1, strlen(at + 1), is_domain_byte);
}

// UTF-8 without control bytes, C1 among them: fit for a header once it is encoded.
static bool is_header_text(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0))
            return false;
    return text_is_utf8(text, strlen(text));
}

bool mail_address(const char *from, char *out, size_t out_size)
{
    if (!is_header_text(from))
        return false;
    const char *open = strrchr(from, '<');
    if (open == NULL)
        return text_copy(out, out_size, from) && mail_address_is_plain(out);
    size_t size = strcspn(open + 1, ">");
    if (open[1 + size] != '>' || open[2 + size] != '\0' || size >= out_size)
        return false;
    memcpy(out, open + 1, size);
    out[size] = '\0';
    return mail_address_is_plain(out);
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

static size_t code_point_size(const char *text)
{
    unsigned char first = (unsigned char)*text;
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

static bool put_hex(struct buf *out, char byte)
{
    unsigned char value = (unsigned char)byte;
    const char text[] = {'=', hexadecimal[value >> 4], hexadecimal[value & 15]};
    return buf_append(out, text, sizeof text);
}

// One code point in the "Q" encoding that RFC 2047 allows everywhere, names included.
static bool put_q(struct buf *out, const char *text, size_t size)
{
    if (size == 1 && is_letter_or_digit(*text))
        return buf_append(out, text, 1);
    if (*text == ' ')
        return buf_append_text(out, "_");
    for (size_t i = 0; i < size; i++)
        if (!put_hex(out, text[i]))
            return false;
    return true;
}

// RFC 2047 encoded words, one a line, the first behind the header's name; a code point is never in
// two of them.
static bool put_encoded_words(struct buf *out, const char *text, size_t text_size)
{
    const char *end = text + text_size;
    const char *last_line_end = memrchr(out->bytes, '\n', out->size);
    size_t line_start = last_line_end == NULL ? 0 : (size_t)(last_line_end + 1 - out->bytes);
    bool is_put = buf_append_text(out, "=?UTF-8?Q?");
    while (is_put && text < end) {
        size_t size = code_point_size(text);
        size_t width = size == 1 && (is_letter_or_digit(*text) || *text == ' ') ? 1 : 3 * size;
        if (out->size - line_start + width + strlen("?=") > LINE_WIDTH) {
            is_put = buf_append_text(out, "?=\r\n =?UTF-8?Q?");
            line_start = out->size - strlen(" =?UTF-8?Q?");
        }
        is_put = is_put && put_q(out, text, size);
        text += size;
    }
    return is_put && buf_append_text(out, "?=");
}

static bool put_subject(struct buf *out, const char *subject)
{
    bool is_plain = is_ascii(subject) && strlen(subject) <= PLAIN_WIDTH &&
                    strstr(subject, "=?") == NULL && subject[0] != ' ';
    return buf_append_text(out, "Subject: ") &&
           (is_plain ? buf_append_text(out, subject)
                     : put_encoded_words(out, subject, strlen(subject))) &&
           buf_append_text(out, "\r\n");
}

static bool is_plain_name(const char *name, size_t size)
{
    if (size > PLAIN_WIDTH || name[0] == ' ')
        return false;
    for (size_t i = 0; i < size; i++)
        if (name[i] != ' ' && !is_letter_or_digit(name[i]))
            return false;
    return true;
}

// `Name <address>`, where the name may stand in quotes. Only letters, digits and spaces go out as
// they are; for all else an encoded word needs no rules about quoting.
static bool put_from(struct buf *out, const char *from, const char *address)
{
    const char *open = strrchr(from, '<');
    size_t size = open == NULL ? 0 : (size_t)(open - from);
    while (size > 0 && from[size - 1] == ' ')
        size--;
    if (size >= 2 && from[0] == '"' && from[size - 1] == '"') {
        from++;
        size -= 2;
    }
    if (size == 0)
        return buf_printf(out, "From: %s\r\n", address);
    bool is_plain = is_plain_name(from, size);
    bool is_short = is_plain && size + strlen(address) <= PLAIN_WIDTH;
    return buf_append_text(out, "From: ") &&
           (is_plain ? buf_append(out, from, size) : put_encoded_words(out, from, size)) &&
           buf_printf(out, is_short ? " <%s>\r\n" : "\r\n <%s>\r\n", address);
}

static bool put_date(struct buf *out, int64_t date_ms)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(date_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL)
        return false;
    return buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[utc.tm_wday],
                      utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                      utc.tm_sec);
}

static bool is_line_end(const char *text)
{
    return text[0] == '\0' || text[0] == '\n' || (text[0] == '\r' && text[1] == '\n');
}

// Whether RFC 2045 lets the byte stand for itself. A point that begins a line is encoded too:
// nothing then hangs on a server that handles the dots of SMTP wrongly.
static bool is_printable(const char *text, size_t column)
{
    char byte = *text;
    if (byte == ' ' || byte == '\t')
        return !is_line_end(text + 1);
    return byte > ' ' && byte < 0x7F && byte != '=' && !(byte == '.' && column == 0);
}

static bool put_body(struct buf *out, const char *body)
{
    size_t column = 0;
    bool is_put = true;
    for (const char *at = body; is_put && *at != '\0'; at++) {
        if (*at == '\r' && at[1] == '\n')
            continue;
        if (*at == '\n') {
            is_put = buf_append_text(out, "\r\n");
            column = 0;
            continue;
        }
        size_t width = is_printable(at, column) ? 1 : 3;
        // The last column is kept for the '=' of a soft line end.
        if (column + width > LINE_WIDTH - 1) {
            is_put = buf_append_text(out, "=\r\n");
            column = 0;
            width = is_printable(at, column) ? 1 : 3;
        }
        is_put = is_put && (width == 1 ? buf_append(out, at, 1) : put_hex(out, *at));
        column += width;
    }
    return is_put && (column == 0 || buf_append_text(out, "\r\n"));
}

static bool check(const struct mail_message *message, char *out_address, size_t out_size,
                  struct error *err)
{
    const char *problem = NULL;
    if (!mail_address(message->from, out_address, out_size))
        problem = "the sender is not an address";
    else if (!mail_address_is_plain(message->to))
        problem = "the recipient is not a plain address";
    else if (!is_header_text(message->subject) || strlen(message->subject) > 4096)
        problem = "the subject is too long, not UTF-8, or has control characters";
    else if (!mail_address_is_plain(message->message_id))
        problem = "the Message-ID is not of the form id@domain";
    else if (message->traceparent != NULL &&
             (strspn(message->traceparent, "0123456789abcdef-") != strlen(message->traceparent) ||
              strlen(message->traceparent) > 100))
        problem = "the traceparent is malformed";
    else if (!text_is_utf8(message->body, strlen(message->body)))
        problem = "the body is not UTF-8";
    return problem == NULL || error_set(err, ERROR_INVALID, "mail: %s", problem);
}

bool mail_message_write(const struct mail_message *message, struct buf *out, struct error *err)
{
    char sender[ADDRESS_LIMIT + 1];
    if (!check(message, sender, sizeof sender, err))
        return false;
    bool is_traced = message->traceparent != NULL && message->traceparent[0] != '\0';
    bool is_written = put_date(out, message->date_ms) && put_from(out, message->from, sender) &&
                      buf_printf(out, "To: %s\r\n", message->to) &&
                      put_subject(out, message->subject) &&
                      buf_printf(out, "Message-ID: <%s>\r\n", message->message_id) &&
                      buf_append_text(out, "Auto-Submitted: auto-generated\r\n"
                                           "MIME-Version: 1.0\r\n"
                                           "Content-Type: text/plain; charset=utf-8\r\n"
                                           "Content-Transfer-Encoding: quoted-printable\r\n");
    if (is_written && is_traced)
        is_written = buf_printf(out, "X-Traceparent: %s\r\n", message->traceparent);
    is_written = is_written && buf_append_text(out, "\r\n") && put_body(out, message->body);
    return is_written || error_set(err, ERROR_TOO_LARGE, "the mail is too large");
}
