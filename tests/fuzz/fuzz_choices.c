// Any texts as choices, NAME=VALUE between line ends: what is taken is written and read again as
// the same, and a refusal says why.

#include "protocol/choices.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect_sound(const struct choices *choices)
{
    assert(choices->preset != NULL && choices->start_ms >= 0 && choices->end_ms >= 0);
    assert(memchr(choices->track, '\0', sizeof choices->track) != NULL);
    assert(!choices->has_loudness ||
           (choices->loudness_centi_lufs >= -7000 && choices->loudness_centi_lufs <= -500));
}

static void expect_same_again(const struct choices *choices)
{
    struct choices again;
    struct error why = {0};
    char text[CHOICES_TEXT_SIZE];
    choices_init(&again);
    for (size_t i = 0; choices_at(i) != NULL; i++)
        if (choices_format(choices, i, text))
            assert(choices_set(&again, choices_at(i)->name, text, &why));
    assert(again.preset == choices->preset && strcmp(again.track, choices->track) == 0 &&
           again.is_mono == choices->is_mono && again.start_ms == choices->start_ms &&
           again.end_ms == choices->end_ms && again.has_loudness == choices->has_loudness &&
           again.loudness_centi_lufs == choices->loudness_centi_lufs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char text[1024];
    struct choices choices;
    struct error why = {0};
    if (size >= sizeof text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    choices_init(&choices);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        why = (struct error){0};
        assert(choices_set(&choices, line, value, &why) == (why.kind == ERROR_NONE));
        assert(why.kind == ERROR_NONE || why.text[0] != '\0');
        expect_sound(&choices);
    }
    why = (struct error){0};
    assert(choices_check(&choices, &why) == (why.kind == ERROR_NONE));
    expect_same_again(&choices);
    return 0;
}
