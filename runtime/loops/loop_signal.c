/* loop_signal.c: how a run is asked to save and end.
 *
 *     SIGINT    Ctrl-C                                 SIGHUP    the terminal or its connection is gone
 *     SIGTERM   a person, a batch system, a shutdown   SIGXCPU   the limit on processor time is near
 *
 * A second request ends the program at once, with what was saved before. Not every second signal is one: `timeout`
 * sends its signal to the process and to its group, and who loses a terminal is told by the kernel and by the shell.
 * A run that is part of another program leaves signals to that, and asks its observer instead.
 * Of several ranks all end behind the same step, so they tell each other. */
#include "runtime/loops/loop.h"

#include "base/clock.h"

#include <signal.h>

static volatile sig_atomic_t interrupted;
static double first_time;           /* of interrupted */
static const Ranks *asked;          /* whom loop_interrupted speaks for */
static bool agreed;                 /* all of them know */
static const RunObserver *watching; /* who is asked instead of signals; or NULL */

/* SIGHUP and SIGXCPU are said again and again, and nobody waits for the end. */
static bool is_impatient(int number) {
    static const double one_request = 0.2; /* seconds */
    return number != SIGHUP && number != SIGXCPU && clock_now() - first_time > one_request;
}

static void on_signal(int number) {
    if (!interrupted) {
        first_time = clock_now();
        interrupted = 1;
    } else if (is_impatient(number)) {
        signal(number, SIG_DFL);
        raise(number); /* when this function returns */
    }
}

/* nohup, for one, has its signal ignored: so it stays. */
static void catch_unless_ignored(int number, const struct sigaction *action) {
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, action, NULL);
}

/* Runs of one program come one after the other, and each is asked anew. */
static void ask_observer(const RunObserver *observer) {
    watching = observer;
    interrupted = 0;
    agreed = false;
}

void loop_catch_signals(const Ranks *ranks, const RunObserver *observer) {
    asked = ranks;
    if (observer) {
        ask_observer(observer);
        return;
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 4; i++) /* one after the other */
        sigaddset(&action.sa_mask, (int[]){SIGINT, SIGTERM, SIGHUP, SIGXCPU}[i]);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    catch_unless_ignored(SIGHUP, &action);
    catch_unless_ignored(SIGXCPU, &action);
}

bool loop_signal_came(void) {
    if (watching && watching->stop && watching->stop(watching->context))
        interrupted = 1;
    return interrupted != 0;
}

bool loop_interrupted(void) {
    agreed = agreed || (asked ? !ranks_all(asked, !loop_signal_came()) : loop_signal_came());
    return agreed;
}

void loop_ignore_readers(const RunObserver *observer) {
    if (!observer)
        signal(SIGPIPE, SIG_IGN);
}
