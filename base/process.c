/* process.c: starts programs, with no shell that reads their arguments.
 *
 * A program that this process started must not outlive it, though it may have started others itself (a compiler's
 * driver does). So each is the head of a process group, and the group owns a pipe whose other end is open here only:
 * when it closes, because this process ended, the system sends the group SIGTERM. The program sees to that itself
 * before it begins, or a process that is killed at once would leave it alone: hence vfork and not posix_spawn. */
#include "base/process.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFE_FILE = 3 }; /* the pipe's number in the program */

typedef struct Program {
    const char *const *argv, *const *environment;
    int files[LIFE_FILE + 1]; /* what it gets as 0 to 3, all of them above 3; -1: none */
    int life;                 /* the pipe's other end */
    int *failure;             /* errno, in the memory of both until it is another program */
} Program;

/* ---- in the new process, with the old one's memory and all signals blocked ---- */

/* Handlers go with the memory; and what this process ignores or blocks the program must not, or it would not end when
 * it should. A user's nohup holds for it too. */
static void set_signals(void) {
    static const int usual[] = {SIGINT, SIGTERM, SIGPIPE, SIGCHLD};
    struct sigaction action;
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        signal(usual[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool set_files(const int *files) {
    for (int i = 0; i <= STDERR_FILENO; i++) {
        int file = files[i] >= 0 ? files[i] : open("/dev/null", i == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        if (file < 0 || (file != i && dup2(file, i) < 0))
            return false;
        if (files[i] < 0 && file != i)
            close(file);
    }
    return files[LIFE_FILE] < 0 || dup2(files[LIFE_FILE], LIFE_FILE) >= 0;
}

/* The group gets SIGTERM when the other end closes; false when it has closed already. */
static bool bind_life(void) {
    struct pollfd other = {.fd = LIFE_FILE, .events = POLLIN};
    fcntl(LIFE_FILE, F_SETOWN, -getpid());
    fcntl(LIFE_FILE, F_SETSIG, SIGTERM);
    fcntl(LIFE_FILE, F_SETFL, O_ASYNC);
    return poll(&other, 1, 0) <= 0;
}

static _Noreturn void be_program(const Program *p) {
    setpgid(0, 0);
    if (p->life >= 0)
        close(p->life);
    bool ok = set_files(p->files) && (p->files[LIFE_FILE] < 0 || bind_life());
    if (ok) {
        set_signals();
        execvpe(p->argv[0], (char *const *)p->argv, p->environment ? (char *const *)p->environment : environ);
    }
    *p->failure = errno ? errno : EIO;
    _exit(127);
}

/* ---- in this one ---- */

static pid_t begin(const Program *p) {
    pid_t pid = vfork();
    if (pid == 0)
        be_program(p);
    return pid;
}

/* Files that the program gets under the numbers 0 to 3 must not have one of them before. */
static int move_up(int file) {
    return file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, LIFE_FILE + 1);
}

static void close_file(int file) {
    if (file >= 0)
        close(file);
}

static bool start(Process *process, const Program *p, ProcessFiles given, Error *error) {
    const int *files = p->files;
    if ((given.input >= 0 && files[0] < 0) || (given.output >= 0 && files[1] < 0) ||
        (given.errors >= 0 && files[2] < 0))
        return error_set(error, ERROR_MACHINE, "cannot run %s: %s", p->argv[0], strerror(errno));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    process->pid = begin(p);
    int code = process->pid < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (process->pid > 0 && *p->failure != 0) {
        process_wait(process);
        code = *p->failure;
    }
    process->watch = code ? -1 : (int)syscall(SYS_pidfd_open, process->pid, 0);
    return code == 0 || error_set(error, ERROR_MACHINE, "cannot run %s: %s", p->argv[0], strerror(code));
}

bool process_start(Process *process, const char *const *argv, const char *const *environment, ProcessFiles given,
                   Error *error) {
    int ends[2] = {-1, -1}, failure = 0;
    *process = (Process){.life = -1, .watch = -1};
    if (pipe2(ends, O_CLOEXEC) == 0)
        process->life = move_up(ends[1]);
    close_file(ends[1]);
    Program p = {.argv = argv,
                 .environment = environment,
                 .files = {move_up(given.input), move_up(given.output), move_up(given.errors),
                           process->life >= 0 ? move_up(ends[0]) : -1},
                 .life = process->life,
                 .failure = &failure};
    close_file(ends[0]);
    bool ok = start(process, &p, given, error);
    for (int i = 0; i <= LIFE_FILE; i++)
        close_file(p.files[i]);
    if (!ok) {
        close_file(process->life);
        process->life = -1;
    }
    return ok;
}

int process_wait(Process *process) {
    int status = 0;
    while (waitpid(process->pid, &status, 0) < 0)
        if (errno != EINTR) /* the program that uses us has collected it */
            break;
    close_file(process->watch);
    close_file(process->life);
    process->watch = process->life = -1;
    return status;
}

void process_begin(void) {
    memory_guard_json(false);
    signal(SIGXFSZ, SIG_IGN);
}

const char *const *process_environment(Arena *arena, const char *name, const char *value) {
    int count = 0;
    size_t length = strlen(name);
    while (environ[count])
        count++;
    const char **copy = ARENA_ARRAY(arena, const char *, count + 3), **at = copy;
    for (int i = 0; i < count; i++)
        if ((strncmp(environ[i], name, length) != 0 || environ[i][length] != '=') &&
            !str_starts_with(environ[i], "LC_ALL="))
            *at++ = environ[i];
    *at++ = arena_printf(arena, "%s=%s", name, value);
    *at = "LC_ALL=C";
    return copy;
}

const char *process_file_limit(Arena *arena) {
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return limited ? arena_printf(arena, "; no file may have more than %llu bytes (ulimit -f)",
                                  (unsigned long long)limit.rlim_cur)
                   : "";
}

static bool read_text(int file, Str *text) {
    char buffer[4096];
    ssize_t count;
    while ((count = read(file, buffer, sizeof buffer)) != 0) {
        if (count < 0 && errno != EINTR)
            return false;
        str_add_bytes(text, buffer, count > 0 ? (size_t)count : 0);
    }
    return true;
}

static bool check_end(const char *program, int status, Error *error) {
    if (WIFSIGNALED(status))
        return error_set(error, ERROR_MACHINE, "%s was killed by signal %d", program, WTERMSIG(status));
    return status == 0 || error_set(error, ERROR_MACHINE, "%s failed with status %d", program, WEXITSTATUS(status));
}

static bool run_on_files(const char *const *argv, const char *input, ProcessFiles files, Str *output, Error *error) {
    Process process;
    bool ok = files.output >= 0 && (!input || (files.input >= 0 && file_write_all(files.input, input, strlen(input)) &&
                                               lseek(files.input, 0, SEEK_SET) == 0));
    if (!ok)
        return error_set(error, ERROR_MACHINE, "cannot run %s: %s", argv[0], strerror(errno));
    if (!process_start(&process, argv, NULL, files, error))
        return false;
    if (!check_end(argv[0], process_wait(&process), error))
        return false;
    return (lseek(files.output, 0, SEEK_SET) == 0 && read_text(files.output, output)) ||
           error_set(error, ERROR_MACHINE, "cannot read what %s says: %s", argv[0], strerror(errno));
}

/* Files in memory: nothing to name, to fill up or to leave behind, and no pipe that can be full. */
bool process_run(const char *const *argv, const char *input, Str *output, Error *error) {
    ProcessFiles files = {input ? memfd_create("input", MFD_CLOEXEC) : -1, memfd_create("output", MFD_CLOEXEC), -1};
    bool ok = run_on_files(argv, input, files, output, error);
    close_file(files.input);
    close_file(files.output);
    return ok;
}
