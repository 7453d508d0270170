#pragma once
// What a set-up LAME encoder says of itself, for the header of the MP3 (mp3/mp3_lame_header.h): the
// same as it would write.

#include "mp3/mp3_lame_header.h"

#include <lame/lame.h>

struct mp3_lame_facts media_lame_facts(lame_t lame); // after lame_init_params()
