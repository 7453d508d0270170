#pragma once
// A decorator over any SQL handle that fails the n-th call, for walking an operation through every
// fault it can meet:
//
//     for (int n = 1, is_hit = 1; is_hit; n++) {
//         ... bring the rows into their first state ...
//         faulty_sql_fail(n, 1, FAULTY_SQL_AFTER);
//         bool is_done = operation(...);
//         is_hit = faulty_sql_disarm();
//         ... the rows are as before or as after; is_done means after; not hit means is_done ...
//     }
//
// Calls are execute, query, BEGIN and COMMIT of all wrapped handles together. For one thread.

#include <stdbool.h>

enum faulty_sql_when {
    FAULTY_SQL_BEFORE, // UNAVAILABLE, and nothing happened
    FAULTY_SQL_AFTER,  // UNAVAILABLE, and yet it happened: the answer was lost
    FAULTY_SQL_BUSY,   // UNAVAILABLE, nothing happened, and a transaction may try again
};

// Wraps what sql_open opens from now on; remove ends that, and open handles stay wrapped.
void faulty_sql_install(void);
void faulty_sql_remove(void);

// Fails call `number` (1: the next one) and the ones behind it, `times` in all.
void faulty_sql_fail(int number, int times, enum faulty_sql_when when);

// Fails every execute and query whose text begins so, until disarmed. The text is borrowed.
void faulty_sql_fail_statements(const char *beginning, enum faulty_sql_when when);

// Fails no more. True when a call was failed since the arming.
bool faulty_sql_disarm(void);
