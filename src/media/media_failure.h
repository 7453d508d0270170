#pragma once
// Why a conversion did not succeed: a code of protocol/media_report.h for programs, a sentence for
// the person who owns the file. (base/error.h sorts by what a caller should do; here the reason is
// the product.)

#include "protocol/media_report.h"

#include <stdbool.h>

struct media_failure {
    char code[MEDIA_CODE_SIZE];
    char detail[MEDIA_DETAIL_SIZE];
};

// Sets code and sentence; a NULL format takes the sentence of the table. Returns false.
bool media_fail(struct media_failure *why, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same for a system call's errno: full disks are `no_space`, all else is `internal`.
bool media_fail_errno(struct media_failure *why, int error_number, const char *what);
