#pragma once
// What is in a file, as JSON for programs and curious people: its tracks of sound, texts, cover
// and chapters, and whether it can be converted. docs/probe.md says what each member means.

#include "base/buf.h"
#include "media/media_failure.h"

// No file makes more.
enum { MEDIA_PROBE_BYTES = 16 * 1024 * 1024 };

// Before the confinement: later no seed for tables can be got.
void media_probe_prepare(void);

// Appends one JSON object. A file that is no media at all is told of in there, too; false only
// when the file cannot be read.
bool media_probe(int fd, struct buf *out, struct media_failure *why);
