// Mail as files, for a machine without a mail server: DIR/MESSAGE-ID.eml, which mail programs open.

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "mail/mail_backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct outbox {
    struct mail base;
    char *path;
};

static void outbox_close(struct mail *mail)
{
    struct outbox *outbox = (struct outbox *)mail;
    free(outbox->path);
    free(outbox);
}

static bool outbox_check_url(const char *url, struct error *err)
{
    return url[strlen("outbox:")] != '\0' ||
           error_set(err, ERROR_INVALID, "outbox: needs a directory");
}

static struct mail *outbox_open(const char *url, struct error *err)
{
    const char *path = url + strlen("outbox:");
    if (!file_make_directory(path, 0700, err))
        return NULL;
    struct outbox *outbox = alloc_zeroed(1, sizeof *outbox);
    outbox->base.ops = &mail_outbox_ops;
    outbox->path = alloc_text(path);
    return &outbox->base;
}

// Neither a path nor a hidden file; room is left for what file_replace and ".eml" add.
static bool is_safe_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789@._-");
    return length > 0 && length <= 200 && name[length] == '\0' && name[0] != '.';
}

static enum mail_answer outbox_send(struct mail *mail, const struct mail_envelope *envelope,
                                    const char *message, size_t message_size, char *out_reply,
                                    size_t out_size)
{
    if (!is_safe_name(envelope->message_id)) {
        text_copy(out_reply, out_size, "the Message-ID cannot be the name of a file");
        return MAIL_REFUSED;
    }
    SCOPED(free)
    char *path = alloc_format("%s/%s.eml", ((struct outbox *)mail)->path, envelope->message_id);
    struct error err;
    if (!file_replace(path, message, message_size, 0600, &err)) {
        text_copy(out_reply, out_size, err.text);
        return MAIL_LATER;
    }
    snprintf(out_reply, out_size, "250 written to %s.eml", envelope->message_id);
    return MAIL_SENT;
}

static bool outbox_ready(struct mail *mail, const char *sender, struct error *err)
{
    (void)sender;
    const char *path = ((struct outbox *)mail)->path;
    return access(path, W_OK | X_OK) == 0 || error_set_errno(err, errno, "%s", path);
}

static const char *const outbox_schemes[] = {"outbox", NULL};

const struct mail_ops mail_outbox_ops = {
    .schemes = outbox_schemes,
    .check_url = outbox_check_url,
    .open = outbox_open,
    .close = outbox_close,
    .send = outbox_send,
    .ready = outbox_ready,
};
