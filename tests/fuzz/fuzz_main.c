// Runs a target without libFuzzer, so that it is built by every compiler and tested with all else:
// the files of a folder, then a number of changes of them that are the same each time. Where a run
// fails, its number is said.
//
//   fuzz-NAME [-runs=N] [-seed=N] FILE|FOLDER…      libFuzzer's own options of that name
//   fuzz-NAME -only=N -write=FILE FOLDER            the input of run N

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

enum { INPUTS_LIMIT = 4096, INPUT_LIMIT_BYTES = 1 << 20, CHANGES_LARGEST = 8 };

struct input {
    unsigned char *bytes;
    size_t size;
};

static struct input inputs[INPUTS_LIMIT];
static size_t input_count;
static volatile long run_number = -1;

// So that every report ends in a signal, which tells the number.
const char *__asan_default_options(void)
{
    return "abort_on_error=1:detect_leaks=1";
}

const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}

static void tell(int number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "fuzz: run %ld failed\n", run_number);
    if (write(STDERR_FILENO, text, (size_t)size) < 0) {
        // Nobody listens.
    }
    raise(number);
}

static void listen_to(int number)
{
    struct sigaction action = {.sa_handler = tell, .sa_flags = SA_RESETHAND | SA_NODEFER};
    sigaction(number, &action, NULL);
}

static void load_file(const char *path)
{
    struct error err = {0};
    struct buf content;
    buf_init(&content, INPUT_LIMIT_BYTES);
    if (!file_read(path, &content, &err)) {
        fprintf(stderr, "fuzz: %s\n", err.text);
        exit(2);
    }
    if (input_count < INPUTS_LIMIT)
        inputs[input_count++] = (struct input){(unsigned char *)content.bytes, content.size};
}

static int is_named(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load(const char *path)
{
    struct stat about;
    struct dirent **entries;
    if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
        load_file(path);
        return;
    }
    int count = scandir(path, &entries, is_named, alphasort);
    for (int i = 0; i < count; i++) {
        SCOPED(free) char *name = alloc_format("%s/%s", path, entries[i]->d_name);
        load_file(name);
        free(entries[i]);
    }
    if (count < 0) {
        fprintf(stderr, "fuzz: there is no %s\n", path);
        exit(2);
    }
    free(entries);
}

// xorshift64*: a number of its own for each run.
static uint64_t dice_state;

static size_t roll(size_t sides)
{
    dice_state ^= dice_state >> 12;
    dice_state ^= dice_state << 25;
    dice_state ^= dice_state >> 27;
    return sides == 0 ? 0 : (size_t)((dice_state * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % sides;
}

static void change(unsigned char *bytes, size_t *size)
{
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '=', '\n'};
    size_t at = roll(*size), length = 1 + roll(16);
    if (*size == 0)
        return;
    if (length > *size - at)
        length = *size - at;
    switch (roll(6)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << roll(8));
        break;
    case 1:
        bytes[at] = values[roll(sizeof values)];
        break;
    case 2:
        memset(bytes + at, values[roll(5)], length);
        break;
    case 3:
        memmove(bytes + at, bytes + roll(*size - length + 1), length);
        break;
    case 4:
        memmove(bytes + at, bytes + at + length, *size - at - length);
        *size -= length;
        break;
    default:
        *size = roll(8) == 0 ? at : *size;
    }
}

static struct input make(long seed, long run)
{
    dice_state = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)run + 1;
    for (int i = 0; i < 8; i++)
        roll(1);
    const struct input *from = &inputs[roll(input_count)];
    struct input made = {alloc_zeroed(1, from->size + 1), from->size};
    memcpy(made.bytes, from->bytes, from->size);
    for (size_t changes = 1 + roll(CHANGES_LARGEST); changes > 0; changes--)
        change(made.bytes, &made.size);
    return made;
}

static void run(const struct input *input)
{
    // Of its exact size, so that a sanitizer sees one byte too many.
    SCOPED(free) unsigned char *bytes = alloc_zeroed(1, input->size > 0 ? input->size : 1);
    if (input->size > 0)
        memcpy(bytes, input->bytes, input->size);
    LLVMFuzzerTestOneInput(bytes, input->size);
}

int main(int count, char **arguments)
{
    long runs = 0, seed = 1, only = -1;
    const char *write_to = NULL;
    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], "-runs=", 6) == 0)
            runs = strtol(arguments[i] + 6, NULL, 10);
        else if (strncmp(arguments[i], "-seed=", 6) == 0)
            seed = strtol(arguments[i] + 6, NULL, 10);
        else if (strncmp(arguments[i], "-only=", 6) == 0)
            only = strtol(arguments[i] + 6, NULL, 10);
        else if (strncmp(arguments[i], "-write=", 7) == 0)
            write_to = arguments[i] + 7;
        else if (arguments[i][0] != '-')
            load(arguments[i]);
    }
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        listen_to(signals[i]);
    for (size_t i = 0; only < 0 && i < input_count; i++)
        run(&inputs[i]);
    for (run_number = only < 0 ? 0 : only; run_number < (only < 0 ? runs : only + 1);
         run_number++) {
        if (input_count == 0)
            break;
        struct input made = make(seed, run_number);
        struct error err = {0};
        if (write_to != NULL && !file_replace(write_to, made.bytes, made.size, 0600, &err))
            fprintf(stderr, "fuzz: %s\n", err.text);
        run(&made);
        free(made.bytes);
    }
    printf("%zu inputs, %ld runs\n", input_count, run_number);
    for (size_t i = 0; i < input_count; i++)
        free(inputs[i].bytes);
    return 0;
}
