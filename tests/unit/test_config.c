#include "config/config.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config config;
static struct buf faults;

static bool load(const char *first, ...)
{
    char *arguments[16] = {NULL};
    va_list list;
    va_start(list, first);
    size_t count = 0;
    for (const char *word = first; word != NULL; word = va_arg(list, const char *))
        arguments[count++] = strdup(word);
    va_end(list);
    buf_finish(&faults);
    buf_init(&faults, 16384);
    bool is_loaded = config_load(&config, arguments, NULL, &faults);
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    return is_loaded;
}

static int forget(void **state)
{
    (void)state;
    clearenv();
    buf_finish(&faults);
    return 0;
}

static void without_settings_everything_lives_under_data(void **state)
{
    (void)state;
    assert_true(load(NULL));
    assert_string_equal(config.jobs, "sqlite:./data/jobs.db");
    assert_string_equal(config.auth_url, "unix:./data/run/auth.sock");
    assert_int_equal(config.max_upload_bytes, 4LL << 30);
    assert_int_equal(config.retention_ms, 7LL * 24 * 3600 * 1000);
    assert_true(load("--data", "/srv/unreel", NULL));
    assert_string_equal(config.mail, "outbox:/srv/unreel/outbox");
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_command_line_beats_the_environment_beats_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/unreel-test-config-XXXXXX";
    close(mkstemp(path));
    write_file(path, "# comment\n\nretention = 1d\nconverters = 3\n cores=5 \r\n");
    setenv("UNREEL_CONVERTERS", "4", 1);
    setenv("UNREEL_CORES", "6", 1);
    assert_true(load("--config", path, "--cores=7", NULL));
    assert_int_equal(config.retention_ms, 86400000);
    assert_int_equal(config.converters, 4);
    assert_int_equal(config.cores, 7);
    unlink(path);
}

static void a_secret_may_come_from_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/unreel-test-config-XXXXXX";
    close(mkstemp(path));
    write_file(path, "mysql://unreel:secret@db/unreel\n");
    setenv("UNREEL_JOBS_FILE", path, 1);
    assert_true(load(NULL));
    assert_string_equal(config.jobs, "mysql://unreel:secret@db/unreel");
    SCOPED_BUF struct buf text;
    buf_init(&text, 16384);
    assert_true(config_print(&config, &text));
    assert_null(strstr(text.bytes, "secret"));
    assert_non_null(strstr(text.bytes, "jobs = mysql://unreel:***@db/unreel  # environment"));
    setenv("UNREEL_JOBS", "sqlite:x", 1);
    assert_false(load(NULL));
    assert_non_null(strstr(faults.bytes, "UNREEL_JOBS and UNREEL_JOBS_FILE are both given"));
    unlink(path);
}

static void a_path_is_never_read_from_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/unreel-test-config-XXXXXX";
    close(mkstemp(path));
    write_file(path, "canary\n");
    setenv("UNREEL_SIGNING_KEY_FILE", path, 1); // the key, where only its path belongs
    assert_false(load(NULL));
    assert_string_equal(faults.bytes, "UNREEL_SIGNING_KEY_FILE: this setting is a path itself: "
                                      "write UNREEL_SIGNING_KEY=PATH\n");
    unlink(path);
}

static void all_faults_are_reported_at_once(void **state)
{
    (void)state;
    setenv("UNREEL_RETENTION", "7", 1);
    setenv("UNREEL_CONVERTRES", "2", 1);
    setenv("UNREEL_BLOBS_FILE", "/nonexistent/secret", 1);
    assert_false(load("--max-upload", "big", "--listen", "8080", "--log=xml", "--nonsense", NULL));
    static const char *const wanted[] = {
        "UNREEL_RETENTION: \"7\" is not a duration",
        "UNREEL_CONVERTRES: there is no such setting",
        "UNREEL_BLOBS_FILE: open /nonexistent/secret",
        "--max-upload: \"big\" is not a size such as 4GiB",
        "--listen: \"8080\" is not address:port",
        "--log: \"xml\" is not one of logfmt json",
        "--nonsense: there is no such option",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_non_null(strstr(faults.bytes, wanted[i]));
}

static void faults_never_show_what_may_be_a_password(void **state)
{
    (void)state;
    char path[] = "/tmp/unreel-test-config-XXXXXX";
    close(mkstemp(path));
    write_file(path, "jobs mysql://unreel:canary@db/unreel\nmysql://unreel:canary@db/x?y=1\n"
                     "jbos = mysql://unreel:canary@db/unreel\n");
    setenv("UNREEL_QUEUE", "canary", 1);
    setenv("UNREEL_JBOS", "canary", 1);
    assert_false(load("--jbos=mysql://unreel:canary@db", "mysql://unreel:canary@db", "--mail",
                      "//unreel:canary@db", "--config", path, NULL));
    assert_null(strstr(faults.bytes, "canary"));
    static const char *const wanted[] = {
        "line 1: this is not `name = value`",      "line 2: there is no setting \"mysql\"",
        "line 3: there is no setting \"jbos\"",    "UNREEL_QUEUE: not a URL such as local:",
        "UNREEL_JBOS: there is no such setting",   "--jbos: there is no such option",
        "--mail: not a URL such as outbox:{data}", "mysql: there is no such option",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_non_null(strstr(faults.bytes, wanted[i]));
    unlink(path);
}

static void an_empty_secret_file_is_a_fault(void **state)
{
    (void)state;
    setenv("UNREEL_JOBS_FILE", "/dev/null", 1);
    assert_false(load(NULL));
    assert_string_equal(faults.bytes, "UNREEL_JOBS_FILE: /dev/null is empty\n");
}

static void passwords_in_urls_are_masked(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"mysql://u:canary@h/d?tls=off", "mysql://u:***@h/d?tls=off"},
        {"mysql://u:x@h/d", "mysql://u:***@h/d"},
        {"mysql://u:can@ary@h:3306/d", "mysql://u:***@h:3306/d"},
        {"mysql://h:3306,g/d", "mysql://h:3306,g/d"},
        {"mysql://u@h/d", "mysql://u@h/d"},
        {"mongodb://u:canary@h/d?a=b&tlsCertificateKeyFilePassword=canary&c=d",
         "mongodb://u:***@h/d?a=b&tlsCertificateKeyFilePassword=***&c=d"},
        {"mongodb://h/d?authMechanismProperties=AWS_SESSION_TOKEN:canary",
         "mongodb://h/d?authMechanismProperties=***"},
        {"mongodb://h/d?&=x&y", "mongodb://h/d?&=x&y"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(load("--jobs", rows[i][0], NULL));
        SCOPED_BUF struct buf text;
        buf_init(&text, 16384);
        assert_true(config_print(&config, &text));
        char wanted[256];
        snprintf(wanted, sizeof wanted, "\njobs = %s  # command line\n", rows[i][1]);
        assert_non_null(strstr(text.bytes, wanted));
    }
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_false(load("--converters", "0", NULL));
    assert_non_null(strstr(faults.bytes, "a whole number from 1 to 64"));
    assert_false(load("--max-upload", "1B", NULL));
    assert_false(load("--converters", NULL));
    assert_non_null(strstr(faults.bytes, "--converters: a value is missing"));
}

static void an_empty_value_means_not_given(void **state)
{
    (void)state;
    setenv("UNREEL_RETENTION", "", 1);
    assert_true(load(NULL));
    assert_int_equal(config.retention_ms, 7LL * 24 * 3600 * 1000);
}

static void a_child_sees_what_its_parent_decided(void **state)
{
    (void)state;
    assert_true(load("--retention", "36h", "--data", "/srv", NULL));
    char **environment = config_environment(&config, 'N');
    bool has_retention = false, has_accounts = false;
    for (char **at = environment; *at != NULL; at++) {
        has_retention |= strcmp(*at, "UNREEL_RETENTION=36h") == 0;
        has_accounts |= strncmp(*at, "UNREEL_ACCOUNTS=", 16) == 0;
        putenv(*at);
    }
    assert_true(has_retention);
    assert_false(has_accounts);
    assert_true(load(NULL));
    assert_int_equal(config.retention_ms, 36LL * 3600 * 1000);
    clearenv();
    config_environment_free(environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_settings_everything_lives_under_data, forget),
        cmocka_unit_test_teardown(the_command_line_beats_the_environment_beats_the_file, forget),
        cmocka_unit_test_teardown(a_secret_may_come_from_a_file, forget),
        cmocka_unit_test_teardown(a_path_is_never_read_from_a_file, forget),
        cmocka_unit_test_teardown(all_faults_are_reported_at_once, forget),
        cmocka_unit_test_teardown(faults_never_show_what_may_be_a_password, forget),
        cmocka_unit_test_teardown(an_empty_secret_file_is_a_fault, forget),
        cmocka_unit_test_teardown(passwords_in_urls_are_masked, forget),
        cmocka_unit_test_teardown(values_out_of_range_are_refused, forget),
        cmocka_unit_test_teardown(an_empty_value_means_not_given, forget),
        cmocka_unit_test_teardown(a_child_sees_what_its_parent_decided, forget),
    };
    // The environment that would say so is cleared by the tests.
    cmocka_set_message_output(CM_OUTPUT_TAP);
    clearenv();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
