#pragma once
// Genres by the numbers of ID3v1, which MP4's `gnre` counts from 1.

// From 0; NULL when there is none of that number.
const char *media_genre_name(unsigned number);
