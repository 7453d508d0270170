#include "media/media_options.h"

#include <assert.h>

enum { FIRST_CHOICE = 0x1000 }; // beyond every letter of the others

void media_options_list(const struct option *others, struct option out[MEDIA_OPTIONS_SIZE])
{
    size_t count = 0;
    for (const struct choice *choice; (choice = choices_at(count)) != NULL; count++) {
        assert(count < MEDIA_OPTIONS_SIZE);
        out[count] = (struct option){
            .name = choice->name,
            .has_arg = choice->placeholder != NULL ? required_argument : optional_argument,
            .val = FIRST_CHOICE + (int)count,
        };
    }
    do {
        assert(count < MEDIA_OPTIONS_SIZE);
        out[count++] = *others;
    } while ((others++)->name != NULL);
}

bool media_options_is_choice(int option)
{
    return option >= FIRST_CHOICE;
}

bool media_options_take(int option, const char *argument, struct choices *choices,
                        struct error *why)
{
    const struct choice *choice = choices_at((size_t)(option - FIRST_CHOICE));
    assert(choice != NULL);
    return choices_set(choices, choice->name, argument != NULL ? argument : "true", why);
}
