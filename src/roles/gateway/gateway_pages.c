#include "roles/gateway/gateway_pages.h"

#include "base/buf.h"
#include "http/http_reply.h"
#include "protocol/choices.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_worker.h"

#include <string.h>

enum { PAGE_LIMIT_BYTES = 64 * 1024, ADDRESS_SIZE = 768 };

// The hash below is that of this very text; a unit test computes it.
const char gateway_page_style[] =
    ":root{color-scheme:light dark;--ink:#1c1b22;--paper:#fdfcfa;--soft:#f1eee8;--mark:#8a3b12}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ece9e4;--paper:#17161a;--soft:#242228;"
    "--mark:#f0a070}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:1.0625rem/1.6 system-ui,sans-serif}"
    "main{max-width:44rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}"
    "h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}"
    "h2{font-size:1.15rem;margin:2.25rem 0 .5rem}"
    "p{margin:.5rem 0}"
    "pre{background:var(--soft);padding:.9rem 1rem;border-radius:.5rem;overflow-x:auto;"
    "margin:.5rem 0}"
    "code{font:.9rem/1.5 ui-monospace,monospace}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0}"
    "th{font-weight:600;white-space:nowrap}"
    "a{color:var(--mark)}"
    "pre:focus-visible,a:focus-visible{outline:3px solid var(--mark);outline-offset:2px}";

#define STYLE_HASH "wUKoOyfCUezzE14OsovOngjelGtEsZXXiOPPJ2DsdS8="

const char gateway_page_policy[] =
    "default-src 'none'; style-src 'sha256-" STYLE_HASH "'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

static bool append_escaped(struct buf *out, const char *text)
{
    bool fits = true;
    for (; fits && *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fits = buf_append_text(out, "&lt;");
            break;
        case '>':
            fits = buf_append_text(out, "&gt;");
            break;
        case '&':
            fits = buf_append_text(out, "&amp;");
            break;
        case '"':
            fits = buf_append_text(out, "&quot;");
            break;
        case '\'':
            fits = buf_append_text(out, "&#39;");
            break;
        default:
            fits = buf_append(out, text, 1);
        }
    }
    return fits;
}

static bool begin_page(struct buf *out, const char *title)
{
    return buf_append_text(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                "<meta name=\"viewport\" content=\"width=device-width\">"
                                "<meta name=\"color-scheme\" content=\"light dark\"><title>") &&
           append_escaped(out, title) && buf_append_text(out, "</title><style>") &&
           buf_append_text(out, gateway_page_style) &&
           buf_append_text(out, "</style></head>\n<body><main>\n<h1>") &&
           append_escaped(out, title) && buf_append_text(out, "</h1>\n");
}

static bool end_page(struct buf *out)
{
    return buf_append_text(out, "</main></body></html>\n");
}

struct recipe {
    const char *title;
    const char *text;
    const char *before, *after; // the command, around the server's address
};

static const struct recipe recipes[] = {
    {"1. Make an account", "Your address is where the mails go.",
     "curl -H 'Content-Type: application/json' \\\n"
     "     -d '{\"email\":\"you@example.org\",\"password\":\"a long password\"}' \\\n     ",
     "/api/v1/accounts"},
    {"2. Log in", "The answer is a token that is good for a few minutes. Keep it in a variable.",
     "TOKEN=$(curl -s -u you@example.org -X POST ", "/login)"},
    {"3. Send a video", "The answer says the conversion's id.",
     "curl -H \"Authorization: Bearer $TOKEN\" -F file=@video.mp4 \\\n     ",
     "/api/v1/conversions"},
    {"4. Wait, if you like", "You can also close everything: a mail comes when it is done.",
     "curl -H \"Authorization: Bearer $TOKEN\" \\\n     '", "/api/v1/conversions/ID?wait=60'"},
    {"5. Fetch the MP3", "Or use the link in the mail, which needs no log-in.",
     "curl -OJ -H \"Authorization: Bearer $TOKEN\" \\\n     ", "/api/v1/conversions/ID/audio"},
};

static bool write_recipe(struct buf *out, const struct recipe *recipe, const char *address)
{
    return buf_append_text(out, "<h2>") && append_escaped(out, recipe->title) &&
           buf_append_text(out, "</h2>\n<p>") && append_escaped(out, recipe->text) &&
           buf_append_text(out, "</p>\n<pre tabindex=\"0\"><code>") &&
           append_escaped(out, recipe->before) && append_escaped(out, address) &&
           append_escaped(out, recipe->after) && buf_append_text(out, "</code></pre>\n");
}

static bool write_presets(struct buf *out)
{
    bool fits = buf_append_text(out, "<h2>Choose the sound</h2>\n<p>Add <code>-F preset=NAME</code>"
                                     " in step 3.</p>\n<table>\n");
    const struct preset *preset;
    for (size_t i = 0; fits && (preset = preset_at(i)) != NULL; i++)
        fits = buf_append_text(out, "<tr><th scope=\"row\"><code>") &&
               append_escaped(out, preset->name) && buf_append_text(out, "</code></th><td>") &&
               append_escaped(out, preset->summary) && buf_append_text(out, "</td></tr>\n");
    return fits && buf_append_text(out, "</table>\n");
}

static bool write_choices(struct buf *out)
{
    bool fits = buf_append_text(out, "<p>Likewise, if you like:</p>\n<table>\n");
    const struct choice *choice;
    for (size_t i = 0; fits && (choice = choices_at(i)) != NULL; i++)
        if (strcmp(choice->name, "preset") != 0)
            fits =
                buf_append_text(out, "<tr><th scope=\"row\"><code>") &&
                append_escaped(out, choice->name) && buf_append_text(out, "=") &&
                append_escaped(out, choice->placeholder != NULL ? choice->placeholder : "true") &&
                buf_append_text(out, "</code></th><td>") && append_escaped(out, choice->summary) &&
                buf_append_text(out, "</td></tr>\n");
    return fits && buf_append_text(out, "</table>\n<p>A time is 83.5 (seconds), 1:23.5 or "
                                        "0:01:23.5.</p>\n");
}

bool gateway_page_write_home(const char *address, struct buf *out)
{
    bool fits = begin_page(out, "Unreel") &&
                buf_append_text(out, "<p>Send a video, get its sound as an MP3. You need an "
                                     "account, and a terminal with <code>curl</code>.</p>\n");
    for (size_t i = 0; fits && i < sizeof recipes / sizeof recipes[0]; i++)
        fits = write_recipe(out, &recipes[i], address);
    return fits && write_presets(out) && write_choices(out) && end_page(out);
}

bool gateway_page_write_link_over(struct buf *out)
{
    return begin_page(out, "This link is over") &&
           buf_append_text(out, "<p>The MP3 behind it was removed, or the link was not copied as "
                                "a whole.</p>\n<p>If it is still kept, log in and fetch it from "
                                "your list, or send the video again.</p>\n") &&
           end_page(out);
}

static void reply_page(struct http_exchange *exchange, int status, const struct buf *page)
{
    http_reply_header(exchange, "Content-Security-Policy", gateway_page_policy);
    http_reply_header(exchange, "X-Content-Type-Options", "nosniff");
    http_reply_header(exchange, "Referrer-Policy", "no-referrer");
    http_reply_header(exchange, "Cache-Control", "no-cache");
    http_reply_bytes(exchange, status, "text/html; charset=utf-8", page->bytes, page->size);
}

void gateway_page_home(struct http_exchange *exchange)
{
    char address[ADDRESS_SIZE];
    SCOPED_BUF struct buf page;
    buf_init(&page, PAGE_LIMIT_BYTES);
    gateway_public_url(exchange, address, sizeof address);
    gateway_page_write_home(address, &page);
    reply_page(exchange, 200, &page);
}

void gateway_page_link_over(struct http_exchange *exchange)
{
    SCOPED_BUF struct buf page;
    buf_init(&page, PAGE_LIMIT_BYTES);
    gateway_page_write_link_over(&page);
    reply_page(exchange, 404, &page);
}
