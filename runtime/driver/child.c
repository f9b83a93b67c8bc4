/* child.c: runs work in a forked process. Its Error comes back through a pipe; one that ended without sending it
 * crashed. The copy has only the thread that forked, so the work must not use the pools of threads of before. */
#include "runtime/driver/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool write_all(int file, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = write(file, (const char *)bytes + done, size - done);
        if (count < 0 && errno != EINTR)
            return false;
        done += count > 0 ? (size_t)count : 0;
    }
    return true;
}

static bool read_all(int file, void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = read(file, (char *)bytes + done, size - done);
        if (count == 0 || (count < 0 && errno != EINTR))
            return false;
        done += count > 0 ? (size_t)count : 0;
    }
    return true;
}

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
    Error error;
    memset(&error, 0, sizeof error); /* all of it is sent */
    if (!work(data, &error) && error.kind == ERROR_NONE)
        error_set(&error, ERROR_MACHINE, "compiling failed");
    bool sent = write_all(pipe, &error, sizeof error);
    _exit(sent ? 0 : ERROR_MACHINE);
}

static bool wait_for(pid_t child, int pipe, Error *error) {
    Error sent;
    bool received = read_all(pipe, &sent, sizeof sent);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (received)
        return sent.kind == ERROR_NONE || error_set(error, sent.kind, "%s", sent.message);
    if (WIFSIGNALED(status))
        return error_set(error, ERROR_MACHINE, "the process that compiles was killed by signal %d", WTERMSIG(status));
    return error_set(error, ERROR_MACHINE, "the process that compiles ended with status %d", WEXITSTATUS(status));
}

bool child_run(RtChildWork *work, void *data, Error *error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return work(data, error);
    fflush(NULL); /* or both would write it */
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        follow_parent(parent);
        close(ends[0]);
        be_child(work, data, ends[1]);
    }
    close(ends[1]);
    bool ok = child < 0 ? work(data, error) : wait_for(child, ends[0], error);
    close(ends[0]);
    return ok;
}
