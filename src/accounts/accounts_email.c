// What may be an address: RFC 5321's dot-string and domain, without quotes, comments and literals.

#include "accounts/accounts.h"

#include "base/text.h"

#include <string.h>

enum { LOCAL_LIMIT = 64, LABEL_LIMIT = 63 };

static const char digits[] = "0123456789";
static const char letters_and_digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// RFC 5322, 3.2.3: atext beyond letters and digits.
static const char further_atext[] = "!#$%&'*+-/=?^_`{|}~";

static bool is_atext(char c)
{
    return c && (strchr(letters_and_digits, c) || strchr(further_atext, c));
}

static bool check_local(const char *local, size_t size, struct error *err)
{
    if (size == 0)
        return error_set(err, ERROR_INVALID, "there is nothing in front of the @");
    if (size > LOCAL_LIMIT)
        return error_set(err, ERROR_INVALID, "more than %d characters in front of the @",
                         LOCAL_LIMIT);
    for (size_t i = 0; i < size; i++) {
        bool is_lone_dot = local[i] == '.' && i > 0 && i + 1 < size && local[i - 1] != '.';
        if (!is_atext(local[i]) && !is_lone_dot)
            return error_set(err, ERROR_INVALID,
                             local[i] == '.' ? "a dot at a place where no address has one"
                                             : "a character that is not allowed in an address");
    }
    return true;
}

static bool check_label(const char *label, size_t size, struct error *err)
{
    if (size == 0)
        return error_set(err, ERROR_INVALID, "the domain has an empty part");
    if (size > LABEL_LIMIT)
        return error_set(err, ERROR_INVALID, "a part of the domain has more than %d characters",
                         LABEL_LIMIT);
    for (size_t i = 0; i < size; i++) {
        bool is_inner_hyphen = label[i] == '-' && i > 0 && i + 1 < size;
        if (!strchr(letters_and_digits, label[i]) && !is_inner_hyphen)
            return error_set(err, ERROR_INVALID, "the domain is not a host's name");
    }
    return true;
}

static bool check_domain(const char *domain, struct error *err)
{
    const char *label = domain;
    for (;;) {
        size_t size = strcspn(label, ".");
        if (!check_label(label, size, err))
            return false;
        if (label[size] == '\0')
            break;
        label += size + 1;
    }
    // No top level domain is a number (RFC 3696, 2), but the end of an IP address is.
    if (label[strspn(label, digits)] == '\0')
        return error_set(err, ERROR_INVALID, "the domain is not a host's name");
    return true;
}

bool accounts_check_email(const char *email, struct error *err)
{
    const char *at = strchr(email, '@');
    if (!at)
        return error_set(err, ERROR_INVALID, "an e-mail address has an @");
    if (strlen(email) >= EMAIL_SIZE)
        return error_set(err, ERROR_INVALID, "an e-mail address has at most %d characters",
                         EMAIL_SIZE - 1);
    return check_local(email, (size_t)(at - email), err) && check_domain(at + 1, err);
}
