#pragma once
// What keeper and worker share; only crew.c and crew_keeper.c see it.

#include "queue/queue.h"
#include "roles/crew/crew.h"

#include <pthread.h>

enum crew_hint_state {
    CREW_HINT_NONE,
    CREW_HINT_WAITING, // for the worker
    CREW_HINT_TAKEN,
    CREW_HINT_DONE, // for the keeper, to be acknowledged
};

struct crew {
    const struct crew_duty *duty;
    const char *queue_url, *jobs_url;
    pthread_t keeper, worker;
    bool is_started;
    int keeper_fd; // eventfd: the keeper shall look at once
    int cancel_fd; // eventfd: readable while the work at hand is cancelled

    pthread_mutex_t lock; // for all that follows
    pthread_cond_t worker_wakes;
    bool is_stopping;
    enum crew_hint_state hint_state;
    struct queue_hint hint;
    int64_t hold_number; // grows with each hold; tells an old renewal's answer from a new one's
    bool is_held;
    char id[ID_SIZE];
    char claim[JOBS_CLAIM_SIZE];
    int64_t progress_permille;
    enum crew_cancel cancelled;

    // Touched by the admin port's thread alone.
    struct jobs *check_jobs;
    struct queue *check_queue;
};

void *crew_keeper_main(void *crew);

// Under the lock.
void crew_cancel(struct crew *crew, enum crew_cancel reason);

// eventfd: readable, and not readable again.
void crew_raise(int event_fd);
void crew_lower(int event_fd);
