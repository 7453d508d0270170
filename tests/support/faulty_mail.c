#include "faulty_mail.h"

#include "base/alloc.h"
#include "base/text.h"
#include "mail/mail_backend.h"

struct faulty {
    struct mail base;
    struct mail *inner;
    struct fault *fault;
};

static const struct mail_ops faulty_ops;

struct mail *faulty_mail_wrap(struct mail *inner, struct fault *fault)
{
    struct faulty *faulty = alloc_zeroed(1, sizeof *faulty);
    faulty->base.ops = &faulty_ops;
    faulty->inner = inner;
    faulty->fault = fault;
    return &faulty->base;
}

static bool faulty_check_url(const char *url, struct error *err)
{
    (void)url;
    return error_set(err, ERROR_INVALID, "made by faulty_mail_wrap only");
}

static struct mail *faulty_open(const char *url, struct error *err)
{
    faulty_check_url(url, err);
    return NULL;
}

static void faulty_close(struct mail *mail)
{
    mail_close(((struct faulty *)mail)->inner);
    free(mail);
}

static enum mail_answer faulty_send(struct mail *mail, const struct mail_envelope *envelope,
                                    const char *message, size_t message_size, char *out_reply,
                                    size_t out_size)
{
    struct faulty *faulty = (struct faulty *)mail;
    enum fault_answer fault = fault_next(faulty->fault);
    enum mail_answer answer = MAIL_LATER;
    if (fault != FAULT_BEFORE)
        answer = mail_send(faulty->inner, envelope, message, message_size, out_reply, out_size);
    if (fault == FAULT_NONE)
        return answer;
    text_copy(out_reply, out_size, "451 this call was chosen to fail");
    return MAIL_LATER;
}

static bool faulty_ready(struct mail *mail, const char *sender, struct error *err)
{
    struct faulty *faulty = (struct faulty *)mail;
    if (fault_next(faulty->fault) != FAULT_NONE)
        return error_set(err, ERROR_UNAVAILABLE, "this call was chosen to fail");
    return mail_ready(faulty->inner, sender, err);
}

static const char *const faulty_schemes[] = {"faulty", NULL};

static const struct mail_ops faulty_ops = {
    .schemes = faulty_schemes,
    .check_url = faulty_check_url,
    .open = faulty_open,
    .close = faulty_close,
    .send = faulty_send,
    .ready = faulty_ready,
};
