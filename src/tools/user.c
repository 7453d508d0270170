// `unreel user`: the first administrator, and a new password for who forgot his.
#include "tools/tools.h"

#include "accounts/accounts.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "config/config.h"
#include "security/password.h"
#include "tools/load.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { FAULTS_LIMIT_BYTES = 65536, LINE_SIZE = PASSWORD_MAX_BYTES + 3 };

static const char usage[] =
    "Usage: unreel user add EMAIL [--admin] [--password-stdin] [SETTINGS]\n"
    "       unreel user reset-password EMAIL [--password-stdin] [SETTINGS]\n\n"
    "Makes an account, or gives one a new password and ends its sessions. The password is asked\n"
    "for twice on the terminal, or read as one line from standard input with --password-stdin.";

struct request {
    const char *verb, *email;
    bool is_admin, reads_stdin;
};

static bool fail(const char *text)
{
    fprintf(stderr, "unreel: %s\n", text);
    return false;
}

// One line without its end; false when there is none or it is longer than any password.
static bool read_line(char out[LINE_SIZE])
{
    if (fgets(out, LINE_SIZE, stdin) == NULL)
        return fail("there was no password to read");
    size_t size = strcspn(out, "\n");
    if (out[size] == '\0' && size == LINE_SIZE - 1)
        return fail("the password is too long");
    out[size] = '\0';
    if (size > 0 && out[size - 1] == '\r')
        out[size - 1] = '\0';
    return true;
}

// Signals are off with the echo, as in getpass(3): nobody's terminal stays silent after Ctrl-C.
static bool ask_once(const char *prompt, char out[LINE_SIZE])
{
    struct termios kept;
    if (tcgetattr(STDIN_FILENO, &kept) != 0)
        return fail("the terminal does not answer");
    struct termios silent = kept;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    fputs(prompt, stderr);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
        return fail("the terminal does not hide what is typed");
    bool is_read = read_line(out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &kept);
    fputs("\n", stderr);
    return is_read;
}

static bool ask(bool reads_stdin, char out[LINE_SIZE])
{
    if (reads_stdin)
        return read_line(out);
    if (!isatty(STDIN_FILENO))
        return fail("there is no terminal to ask for the password; use --password-stdin");
    char again[LINE_SIZE];
    bool is_same = ask_once("Password: ", out) && ask_once("Once more: ", again);
    if (is_same && strcmp(out, again) != 0)
        is_same = fail("the two passwords differ");
    explicit_bzero(again, sizeof again);
    return is_same;
}

static bool hash_password(const struct request *request, char out[PASSWORD_HASH_TEXT_SIZE],
                          struct error *err)
{
    char password[LINE_SIZE];
    bool is_hashed = false;
    if (ask(request->reads_stdin, password))
        is_hashed = (password_start(err) && password_check(password, request->email, err) &&
                     password_hash(password, out, err)) ||
                    fail(err->text);
    explicit_bzero(password, sizeof password);
    return is_hashed;
}

static bool add(struct accounts *accounts, const struct request *request)
{
    struct error err = {0};
    struct account account;
    char hash[PASSWORD_HASH_TEXT_SIZE];
    if (!accounts_check_email(request->email, &err)) {
        error_prefix(&err, "%s", request->email);
        return fail(err.text);
    }
    if (!hash_password(request, hash, &err))
        return false;
    if (!accounts_create(accounts, request->email, hash, request->is_admin ? "admin" : "user",
                         &account, &err))
        return fail(err.kind == ERROR_CONFLICT ? "this address already has an account" : err.text);
    printf("%s\n", account.id);
    return true;
}

static bool reset_password(struct accounts *accounts, const struct request *request)
{
    struct error err = {0};
    struct account account;
    char hash[PASSWORD_HASH_TEXT_SIZE];
    if (!accounts_find_by_email(accounts, request->email, &account, &err))
        return fail(err.kind == ERROR_NOT_FOUND ? "there is no account of that address" : err.text);
    if (!hash_password(request, hash, &err))
        return false;
    if (!accounts_set_password(accounts, account.id, hash, &err))
        return fail(err.text);
    printf("%s\n", account.id);
    return true;
}

static bool read_words(const char *const *words, struct request *out)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--admin") == 0)
            out->is_admin = true;
        else if (strcmp(*words, "--password-stdin") == 0)
            out->reads_stdin = true;
        else if (**words == '-' || out->email != NULL)
            return false;
        else if (out->verb == NULL)
            out->verb = *words;
        else
            out->email = *words;
    }
    if (out->email == NULL)
        return false;
    return strcmp(out->verb, "add") == 0 ||
           (strcmp(out->verb, "reset-password") == 0 && !out->is_admin);
}

// False: `out_status` is the exit status; everything was said.
static bool read_arguments(char *const *arguments, struct config *out_config,
                           struct request *out_request, int *out_status)
{
    size_t count = 0;
    for (; arguments[count] != NULL; count++)
        if (strcmp(arguments[count], "--help") == 0 || strcmp(arguments[count], "-h") == 0) {
            load_settings(arguments, usage, 'A', out_config, out_status);
            return false;
        }
    SCOPED(free) const char **words = alloc_zeroed(count + 1, sizeof *words);
    SCOPED_BUF struct buf faults;
    buf_init(&faults, FAULTS_LIMIT_BYTES);
    bool is_right = true;
    if (!config_load(out_config, arguments, words, &faults)) {
        fprintf(stderr, "unreel: the settings are not right:\n%s", faults.bytes);
        is_right = false;
    } else if (!read_words(words, out_request)) {
        fprintf(stderr, "%s\n", usage);
        is_right = false;
    }
    *out_status = 2;
    return is_right;
}

int user_command(char *const *arguments)
{
    struct config config;
    struct request request = {0};
    struct error err = {0};
    int status;
    if (!read_arguments(arguments, &config, &request, &status))
        return status;
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(config.accounts, &err);
    if (accounts == NULL || !accounts_ready(accounts, &err)) {
        fail(err.text);
        fputs("Where there was no service yet, `unreel migrate` makes its databases.\n", stderr);
        return 1;
    }
    bool is_done = strcmp(request.verb, "add") == 0 ? add(accounts, &request)
                                                    : reset_password(accounts, &request);
    return is_done ? 0 : 1;
}
