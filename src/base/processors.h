#pragma once
// How many threads are of use: the processors that this process may run on, no more than its
// control group's quota. At least 1.
int processors_usable(void);
