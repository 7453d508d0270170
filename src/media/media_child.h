#pragma once
// The face for the converter: `unreel-media child` with the source on descriptor 0, the MP3 on 1,
// report lines on 2 and nothing else. It opens no file.

// The arguments behind `child`. Exit status: 0 done, 1 failed (the report says why), 2 usage.
int media_child_run(int argument_count, char **arguments);
