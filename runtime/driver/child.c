/* child.c: runs work in a forked process. Its Error comes back through a pipe, after a message without one if it goes on
 * for a while; one that ended without sending it crashed. The copy has only the thread that forked, so the work must not
 * use the pools of threads of before. */
#include "runtime/driver/child.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Message {
    bool goes_on;
    Error error;
} Message;

struct RtChild {
    pid_t process;
    int pipe;
    RtChildState state;
};

static int parent_pipe = -1; /* in the child whose work may be handed over before its end */

/* It ends by the signals that the parent only takes note of (but not by one that a user had it ignore), and with the
 * parent: the system tells it when the thread that forked ends, which waits for it and so ends first only with all. */
static void follow_parent(pid_t parent) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            signal(numbers[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it ended before it could be told of */
        _exit(ERROR_MACHINE);
}

/* Without exit(): its handlers, and what is buffered, belong to the parent. */
static _Noreturn void be_child(RtChildWork *work, void *data, int pipe) {
    Message message;
    memset(&message, 0, sizeof message); /* all of it is sent */
    if (!work(data, &message.error) && message.error.kind == ERROR_NONE)
        error_set(&message.error, ERROR_MACHINE, "compiling failed");
    bool sent = file_write_all(pipe, &message, sizeof message);
    _exit(sent ? 0 : ERROR_MACHINE);
}

static int reap(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* The next message; or, of one that ended without any, what it ended with. */
static Message receive(RtChild *child) {
    Message m;
    bool received = file_read_exactly(child->pipe, &m, sizeof m);
    if (received && m.goes_on)
        return m;
    int status = reap(child->process);
    if (!received) {
        m = (Message){0};
        if (WIFSIGNALED(status))
            error_set(&m.error, ERROR_MACHINE, "the process that compiles was killed by signal %d", WTERMSIG(status));
        else
            error_set(&m.error, ERROR_MACHINE, "the process that compiles ended with status %d", WEXITSTATUS(status));
    }
    child->state = m.error.kind == ERROR_NONE ? CHILD_DONE : CHILD_FAILED;
    return m;
}

/* False: no process could be made. */
static bool start(RtChild *child, RtChildWork *work, void *data, bool ahead) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    fflush(NULL); /* or both would write it */
    pid_t parent = getpid(), process = fork();
    if (process == 0) {
        follow_parent(parent);
        close(ends[0]);
        parent_pipe = ahead ? ends[1] : -1;
        be_child(work, data, ends[1]);
    }
    close(ends[1]);
    *child = (RtChild){process, ends[0], CHILD_WORKS};
    if (process < 0)
        close(ends[0]);
    return process > 0;
}

bool child_run(RtChildWork *work, void *data, RtChild **later, Error *error) {
    if (later)
        *later = NULL;
    RtChild *child = calloc(1, sizeof *child);
    if (!child || !start(child, work, data, later != NULL)) {
        free(child);
        return work(data, error);
    }
    Message m = receive(child);
    if (child->state == CHILD_WORKS)
        *later = child;
    else
        child_end(child);
    return m.error.kind == ERROR_NONE || error_set(error, m.error.kind, "%s", m.error.message);
}

/* ---- work that goes on ---- */

bool child_can_hand_over(void) {
    return parent_pipe >= 0;
}

void child_hand_over(void) {
    Message message;
    memset(&message, 0, sizeof message);
    message.goes_on = true;
    if (!file_write_all(parent_pipe, &message, sizeof message))
        _exit(ERROR_MACHINE); /* nobody is there */
    parent_pipe = -1;
}

RtChildState child_look(RtChild *child) {
    struct pollfd end = {.fd = child->pipe, .events = POLLIN};
    if (child->state == CHILD_WORKS && poll(&end, 1, 0) > 0)
        receive(child);
    return child->state;
}

bool child_end(RtChild *child) {
    if (!child)
        return false;
    bool works = child->state == CHILD_WORKS;
    if (works) {
        kill(child->process, SIGKILL);
        reap(child->process);
    }
    close(child->pipe);
    free(child);
    return works;
}
