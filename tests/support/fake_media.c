// Stands in for `unreel-media child`: does what the first word of its source (descriptor 0) says,
// with the number behind it where there is one.
#include "media/media_nursery.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FRAME_SIZE = 417, FRAME_SAMPLES = 1152, RATE_HZ = 44100 };

extern char **environ;

static void say(const char *text)
{
    if (write(2, text, strlen(text)) < 0)
        _exit(9);
}

// Silence: MPEG 1 layer III, 128 kbit/s, 44.1 kHz.
static void write_mp3(int frames)
{
    unsigned char frame[FRAME_SIZE] = {0xFF, 0xFB, 0x90, 0x64};
    for (int i = 0; i < frames; i++)
        if (write(1, frame, sizeof frame) != sizeof frame)
            _exit(9);
}

static int say_done(long duration_ms)
{
    char line[64];
    snprintf(line, sizeof line, "done duration_ms=%ld\n", duration_ms);
    say(line);
    return 0;
}

static int done(int frames)
{
    write_mp3(frames);
    say("progress 500\n");
    return say_done((long)frames * FRAME_SAMPLES * 1000 / RATE_HZ);
}

static int wrong_duration(int frames)
{
    write_mp3(frames);
    return say_done((long)frames * FRAME_SAMPLES * 1000 / RATE_HZ + 5000);
}

static int garbage(int number)
{
    (void)number;
    if (write(1, "this is no MP3", 14) < 0)
        return 9;
    return say_done(1000);
}

static int no_audio(int number)
{
    (void)number;
    say("progress 10\nfail no_audio Send your money to the address below.\n");
    return 1;
}

static int full_disk(int number)
{
    (void)number;
    say("fail no_space The scratch directory is full.\n");
    return 1;
}

static int crash(int number)
{
    (void)number;
    say("done duration_ms=1000\n");
    return kill(getpid(), SIGKILL);
}

// As the kernel ends a process that makes a call which is not on its list.
static int forbidden_call(int number)
{
    (void)number;
    say("confined seccomp no_new_privs rlimits\n");
    return kill(getpid(), SIGSYS);
}

static int mute(int number)
{
    return number;
}

static int stay(void)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &ignored, NULL);
    for (;;)
        pause();
    return 1;
}

static int kill_parent(int number)
{
    (void)number;
    kill(getppid(), SIGKILL);
    return stay();
}

static int stop_parent(int number)
{
    kill(getppid(), SIGSTOP);
    return done(number);
}

static int hang(int number)
{
    (void)number;
    say("progress 500\n");
    return stay();
}

// Until the test lets the source go.
static int wait_for_lock(int number)
{
    if (flock(0, LOCK_SH) != 0)
        return 9;
    return done(number);
}

static int babble(int number)
{
    (void)number;
    for (;;)
        say("no line ever ends here, and it goes on and on");
    return 1;
}

static int chatter(int number)
{
    (void)number;
    for (;;)
        say("progress 1\n");
    return 1;
}

static int half_a_line(int number)
{
    (void)number;
    say("done duration_ms=1000\nsomething behind it");
    return 0;
}

// Children that outlive this process and hold the report open.
static int leave_children(int number)
{
    for (int i = 0; i < number; i++)
        if (fork() == 0)
            stay();
    return done(10);
}

static int huge(int number)
{
    (void)number;
    for (;;)
        write_mp3(100);
    return 1;
}

static int spin(int number)
{
    (void)number;
    volatile uint64_t count = 0;
    for (;;)
        count++;
    return 1;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return -1;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory);
    closedir(directory);
    return count;
}

// Reports as a transient failure whatever is not as it should be.
static int look_around(int number)
{
    (void)number;
    struct rlimit core, files;
    int death_signal = 0;
    sigset_t blocked, none;
    sigemptyset(&none);
    struct sigaction on_pipe;
    if (environ[0] != NULL)
        say("fail internal The environment is not empty.\n");
    else if (count_descriptors() != 3)
        say("fail internal Other descriptors than 0, 1 and 2 are open.\n");
    else if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
        say("fail internal A core could be dumped.\n");
    else if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max > 16)
        say("fail internal Too many files could be opened.\n");
    else if (prctl(PR_GET_PDEATHSIG, &death_signal) != 0 || death_signal != SIGKILL)
        say("fail internal It would outlive its parent.\n");
    else if (getpgrp() != getpid())
        say("fail internal It is in its parent's group.\n");
    else if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0 ||
             memcmp(&blocked, &none, sizeof(unsigned long)) != 0)
        say("fail internal Signals are blocked.\n");
    else if (sigaction(SIGPIPE, NULL, &on_pipe) != 0 || on_pipe.sa_handler != SIG_DFL)
        say("fail internal SIGPIPE is ignored.\n");
    else
        return done(10);
    return 1;
}

static const struct {
    const char *word;
    int (*behave)(int number);
} behaviours[] = {
    {"done", done},
    {"wrong_duration", wrong_duration},
    {"garbage", garbage},
    {"no_audio", no_audio},
    {"full_disk", full_disk},
    {"crash", crash},
    {"kill_parent", kill_parent},
    {"stop_parent", stop_parent},
    {"forbidden_call", forbidden_call},
    {"mute", mute},
    {"hang", hang},
    {"wait_for_lock", wait_for_lock},
    {"babble", babble},
    {"chatter", chatter},
    {"half_a_line", half_a_line},
    {"leave_children", leave_children},
    {"huge", huge},
    {"spin", spin},
    {"look_around", look_around},
};

static int work(int argument_count, char **arguments)
{
    (void)argument_count;
    (void)arguments;
    char source[64] = "";
    if (read(0, source, sizeof source - 1) <= 0)
        _exit(8);
    char *number = strchr(source, ' ');
    if (number != NULL)
        *number++ = '\0';
    for (size_t i = 0; i < sizeof behaviours / sizeof behaviours[0]; i++)
        if (strcmp(behaviours[i].word, source) == 0)
            _exit(behaviours[i].behave(number != NULL ? atoi(number) : 0));
    say("fail not_media This is no video.\n");
    return 1;
}

int main(void)
{
    return media_nursery_run(work);
}
