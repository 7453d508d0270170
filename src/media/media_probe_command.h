#pragma once
// `unreel probe FILE`: the face of media_probe.h for the command line.

// The arguments begin with the command's own name. Returns the exit status.
int media_probe_command_run(int argument_count, char **arguments);
