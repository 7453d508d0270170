#pragma once
// `unreel-media self-test`, which the converter asks before it takes work: whether a process that
// confined itself as the decoder does is really kept from everything, on this machine, now. With
// the descriptors and report of media_child.h; the report names the layers and ends with `done`, or
// with `fail` and what was possible.

// The arguments behind `self-test`. Exit status: 0 confined, 1 not, 2 usage.
int media_self_test_run(int argument_count, char **arguments);
