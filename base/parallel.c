/* parallel.c: threads that live as long as one piece of work. */
#include "base/parallel.h"

#include "base/arena.h"
#include "base/cancel.h"
#include "base/diag.h"
#include "base/locale.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>

enum { MOST = 16, STACK_BYTES = 16 << 20 /* passes and printers walk into what they find */ };

static bool leaves_cores;

void parallel_leave_cores(void) {
    leaves_cores = true;
}

/* What the caller is told, in its own thread. */
typedef struct Caller {
    FILE *redirected, *notes;
    const Cancel *cancel;
    void (*bug_hook)(FILE *out);
    bool escapes;
} Caller;

typedef struct Work {
    const Caller *caller;
    ParallelTask *task;
    void *data;
    int index;
    bool started, out_of_memory;
    pthread_t thread;
} Work;

/* Nobody leaves by the caller's own escape while others still work. */
static void run(Work *work) {
    jmp_buf escape, *outer = arena_escape;
    if (work->caller->escapes)
        arena_escape = &escape;
    if (work->caller->escapes && setjmp(escape))
        work->out_of_memory = true;
    else
        work->task(work->data, work->index);
    arena_escape = outer;
}

static void *enter(void *data) {
    Work *work = data;
    const Caller *caller = work->caller;
    locale_t before = locale_enter();
    diag_redirected = caller->redirected;
    diag_notes_redirected = caller->notes;
    cancel = caller->cancel;
    bug_hook = caller->bug_hook;
    run(work);
    if (before)
        locale_leave(before);
    return NULL;
}

/* Signals go to those who had them before. */
static void start(Work *work, int count) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < count; i++)
        work[i].started = pthread_create(&work[i].thread, &attributes, enter, &work[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void parallel_run(int count, ParallelTask *task, void *data) {
    const Caller caller = {diag_redirected, diag_notes_redirected, cancel, bug_hook, arena_escape != NULL};
    bool out_of_memory = false;
    Work work[MOST];
    if (count > MOST)
        bug("%d pieces of work beside each other", count);
    for (int i = 0; i < count; i++)
        work[i] = (Work){.caller = &caller, .task = task, .data = data, .index = i};
    if (!leaves_cores)
        start(work, count);
    for (int i = 0; i < count; i++)
        if (!work[i].started)
            run(&work[i]);
    for (int i = 0; i < count; i++) {
        if (work[i].started)
            pthread_join(work[i].thread, NULL);
        out_of_memory = out_of_memory || work[i].out_of_memory;
    }
    if (out_of_memory)
        memory_fail(0);
}
