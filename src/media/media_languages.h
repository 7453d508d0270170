#pragma once
// Languages by their codes: ISO 639-2 (both forms: "deu" and "ger"), ISO 639-1 ("de"), and BCP 47
// tags, which begin with one of them ("de-CH"). Case never counts.

#include <stdbool.h>
#include <stdint.h>

enum { MEDIA_LANGUAGE_SIZE = 36 }; // holds every tag that we keep

// Whether a track of the language `tag` is meant by `wanted`: the same language, and nothing more
// special than the tag says ("de" means "deu" and "de-CH"; "de-CH" does not mean "de-AT").
bool media_language_is(const char *tag, const char *wanted);

// "German" for "deu", "ger", "de" and "de-CH"; NULL for what we do not know by name.
const char *media_language_name(const char *tag);

// Whether it has the form of a language tag: words of letters and digits, joined by '-'.
bool media_language_is_tag(const char *text);

// The code that mdhd packs in 16 bits: ISO 639-2, or a number of the classic Mac OS in old
// QuickTime files. "" when it names none, or says that the language is not known.
void media_language_unpack(uint16_t packed, char out[4]);
