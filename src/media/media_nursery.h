#pragma once
// `unreel-media nursery`: loads the program's 130 libraries once, then forks a child for each
// request of the converter (protocol/nursery.h) and says how it ended. It reads no file itself,
// holds no descriptor but its socket, has no environment and no secret.

// Serves one request after the other until the socket ends. In each child `work` gets the request's
// arguments and its descriptors 0, 1 and 2; what it returns is the child's exit status.
int media_nursery_run(int (*work)(int argument_count, char **arguments));
