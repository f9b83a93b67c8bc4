/* build.c: runs the C compiler. Everything is made in a temporary folder beside the result: one source, object and
 * message file per unit, then the linked module, which is renamed into place. */
#include "runtime/build.h"

#include "base/str.h"
#include "runtime/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool can_run(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Is there such a program (in $PATH, unless it has a slash)? */
static bool find_program(Arena *arena, const char *name) {
    if (strchr(name, '/'))
        return can_run(name);
    const char *path = getenv("PATH");
    for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
        size_t length = strcspn(p, ":");
        const char *folder = length ? arena_strndup(arena, p, length) : ".";
        if (can_run(arena_printf(arena, "%s/%s", folder, name)))
            return true;
        p += length + (p[length] == ':');
    }
    return false;
}

static void split_command(Arena *arena, const char *command, RtCompiler *compiler) {
    compiler->arg_count = 0;
    while (*(command += strspn(command, " \t")) && compiler->arg_count < COMPILER_MAX_ARGS) {
        size_t length = strcspn(command, " \t");
        compiler->args[compiler->arg_count++] = arena_strndup(arena, command, length);
        command += length;
    }
}

static bool read_version(Arena *arena, RtCompiler *compiler, Error *error) {
    Str command = str_create(arena);
    for (int i = 0; i < compiler->arg_count; i++)
        str_addf(&command, "'%s' ", compiler->args[i]);
    str_add(&command, "--version 2>/dev/null");
    char line[256] = "";
    FILE *pipe = popen(command.data, "r");
    bool ok = pipe && fgets(line, sizeof line, pipe);
    while (pipe && fgetc(pipe) != EOF)
        ;
    int status = pipe ? pclose(pipe) : -1;
    if (!ok || status != 0)
        return error_set(error, ERROR_MACHINE, "the C compiler '%s' does not run (tried --version)", compiler->args[0]);
    line[strcspn(line, "\n")] = '\0';
    compiler->version = arena_strdup(arena, line);
    return true;
}

bool rt_compiler_find(Arena *arena, RtCompiler *compiler, Error *error) {
    static const char *const names[] = {"cc", "gcc", "clang"};
    const char *wanted = getenv("CC");
    if (wanted && *wanted) {
        split_command(arena, wanted, compiler);
        if (compiler->arg_count == 0 || !find_program(arena, compiler->args[0]))
            return error_set(error, ERROR_MACHINE, "the C compiler '%s' (from $CC) is not there", wanted);
        return read_version(arena, compiler, error);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!find_program(arena, names[i]))
            continue;
        split_command(arena, names[i], compiler);
        return read_version(arena, compiler, error);
    }
    return error_set(error, ERROR_MACHINE, "no C compiler: looked for cc, gcc and clang in $PATH, and $CC is not set");
}

const char *rt_compiler_options(Arena *arena, int vector_bytes) {
    const char *machine = "";
#if defined(__x86_64__)
    /* A level of the architecture rather than "native": the same vector width means the same module on any machine.
     * Narrow code still gets fused multiply-add where there is one, since a call of fma() is very slow. */
    if (vector_bytes == 64)
        machine = " -march=x86-64-v4 -mprefer-vector-width=512 -mtune=native";
    else
        machine = machine_vector_bytes() >= 32 ? " -march=x86-64-v3 -mtune=native" : " -march=x86-64 -mtune=native";
#else
    machine = " -mcpu=native";
    (void)vector_bytes;
#endif
    const char *more = getenv("NDARTS_CFLAGS");
    return arena_printf(arena, "-std=gnu11 -O2 -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -w%s%s%s",
                        machine, more && *more ? " " : "", more ? more : "");
}

/* One run of a program: what it printed is in the file messages. */
typedef struct Job {
    char **argv;
    const char *messages;
    pid_t pid;
    int watch; /* a file that can be read when the process has ended; -1: the system has none, or it does not run */
    bool running;
    int status;
} Job;

static bool job_start(Job *job, Error *error) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, job->messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int code = posix_spawnp(&job->pid, job->argv[0], &actions, NULL, job->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    job->running = code == 0;
    job->watch = job->running ? (int)syscall(SYS_pidfd_open, job->pid, 0) : -1;
    return code == 0 || error_set(error, ERROR_MACHINE, "cannot run %s: %s", job->argv[0], strerror(code));
}

static void job_wait(Job *job) {
    while (waitpid(job->pid, &job->status, 0) < 0 && errno == EINTR)
        ;
    job->running = false;
    if (job->watch >= 0)
        close(job->watch);
    job->watch = -1;
}

enum { MOST_AT_ONCE = 64 };

/* Waits until one of the running jobs has ended: of our own, not for any child, since others in this program may have
 * children too. Where processes cannot be watched it is the one that was started first. */
static Job *wait_for_one(Job *jobs, int count) {
    struct pollfd files[MOST_AT_ONCE];
    Job *running[MOST_AT_ONCE], *ended = NULL;
    int running_count = 0;
    bool watched = true;
    for (int i = 0; i < count; i++) {
        if (!jobs[i].running)
            continue;
        files[running_count] = (struct pollfd){.fd = jobs[i].watch, .events = POLLIN};
        watched = watched && jobs[i].watch >= 0;
        running[running_count++] = &jobs[i];
    }
    while (watched && poll(files, (nfds_t)running_count, -1) < 0 && errno == EINTR)
        ;
    for (int i = 0; watched && i < running_count && !ended; i++)
        ended = files[i].revents ? running[i] : NULL;
    ended = ended ? ended : running[0];
    job_wait(ended);
    return ended;
}

static void first_lines(const char *path, char *text, size_t size) {
    enum { LINES = 6 };
    FILE *file = fopen(path, "r");
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; file && i < LINES && used + 1 < size && fgets(text + used, (int)(size - used), file); i++)
        used += strlen(text + used);
    if (used > 0 && text[used - 1] == '\n')
        text[used - 1] = '\0';
    if (file)
        fclose(file);
}

static bool job_check(const Job *job, const char *what, Error *error) {
    if (WIFEXITED(job->status) && WEXITSTATUS(job->status) == 0)
        return true;
    char text[700];
    first_lines(job->messages, text, sizeof text);
    if (WIFSIGNALED(job->status))
        return error_set(error, ERROR_MACHINE, "%s the generated code: %s was killed by signal %d\n%s", what,
                         job->argv[0], WTERMSIG(job->status), text);
    return error_set(error, ERROR_MACHINE, "%s the generated code: %s failed with status %d\n%s", what, job->argv[0],
                     WEXITSTATUS(job->status), text);
}

/* Runs all, at most one per core at a time; the first failure is reported after all that were started have ended. */
static bool run_jobs(Job *jobs, int count, const char *what, Error *error) {
    int cores = machine_core_count(), started = 0, ended = 0;
    bool ok = true;
    cores = cores < MOST_AT_ONCE ? cores : MOST_AT_ONCE;
    while (ended < count) {
        while (ok && started < count && started - ended < cores && (ok = job_start(&jobs[started], error)))
            started++;
        if (ended == started)
            break;
        ok = job_check(wait_for_one(jobs, started), what, error) && ok;
        ended++;
    }
    return ok && ended == count;
}

typedef struct Build {
    Arena *arena;
    const RtCompiler *compiler;
    const char *options, *folder;
    int unit_count;
} Build;

static const char *unit_path(const Build *b, int unit, const char *suffix) {
    return arena_printf(b->arena, "%s/unit%d.%s", b->folder, unit, suffix);
}

static const char *module_path(const Build *b) {
    return arena_printf(b->arena, "%s/module.so", b->folder);
}

/* gcc names itself "cc (Debian 12.2.0-14) 12.2.0", by the name it was called by. */
static bool is_gcc(const RtCompiler *compiler) {
    const char *slash = strrchr(compiler->args[0], '/'), *name = slash ? slash + 1 : compiler->args[0];
    size_t length = strlen(name);
    return !strncmp(compiler->version, name, length) && !strncmp(compiler->version + length, " (", 2);
}

/* What gcc can leave out: the text is vectorised and unrolled already, and its loops have constant bounds. Compiling
 * the search of noisy_darts_a takes 7.3 s of processor time instead of 9.3; a step takes as long. The bits are the
 * same. */
static const char economies[] = "-fno-tree-vectorize -fno-tree-bit-ccp -fno-tree-pre -fno-tree-vrp -fno-code-hoisting "
                                "-fno-tree-tail-merge -fno-store-merging -fno-ipa-icf -fno-ipa-cp";

static char **add_words(const Build *b, char **argv, const char *words) {
    RtCompiler split;
    split_command(b->arena, words, &split);
    for (int i = 0; i < split.arg_count; i++)
        *argv++ = arena_strdup(b->arena, split.args[i]);
    return argv;
}

/* The compiler, its options, then the arguments given. */
static char **make_command(const Build *b, int count, const char *const *arguments) {
    char **argv = ARENA_ARRAY(b->arena, char *, b->compiler->arg_count + 2 * COMPILER_MAX_ARGS + count + 1),
         **at = argv;
    for (int i = 0; i < b->compiler->arg_count; i++)
        *at++ = arena_strdup(b->arena, b->compiler->args[i]);
    at = add_words(b, at, is_gcc(b->compiler) ? economies : "");
    at = add_words(b, at, b->options);
    for (int i = 0; i < count; i++)
        *at++ = arena_strdup(b->arena, arguments[i]);
    return argv;
}

static bool write_text(const char *path, const char *text, Error *error) {
    FILE *file = fopen(path, "w");
    bool ok = file && fputs(text, file) >= 0;
    ok = file && fclose(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

static bool compile_units(const Build *b, const CgOutput *output, Error *error) {
    Job *jobs = ARENA_ARRAY(b->arena, Job, b->unit_count);
    for (int i = 0; i < b->unit_count; i++) {
        if (!write_text(unit_path(b, i, "c"), output->units[i], error))
            return false;
        jobs[i].argv = make_command(b, 4, (const char *[]){"-c", unit_path(b, i, "c"), "-o", unit_path(b, i, "o")});
        jobs[i].messages = unit_path(b, i, "txt");
    }
    return run_jobs(jobs, b->unit_count, "cannot compile", error);
}

static bool link_units(const Build *b, Error *error) {
    const char **arguments = ARENA_ARRAY(b->arena, const char *, b->unit_count + 4);
    int count = 0;
    arguments[count++] = "-shared";
    for (int i = 0; i < b->unit_count; i++)
        arguments[count++] = unit_path(b, i, "o");
    arguments[count++] = "-o";
    arguments[count++] = module_path(b);
    arguments[count++] = "-lm";
    Job job = {.argv = make_command(b, count, arguments), .messages = unit_path(b, 0, "txt")};
    return run_jobs(&job, 1, "cannot link", error);
}

static void remove_folder(const Build *b) {
    for (int i = 0; i < b->unit_count; i++) {
        unlink(unit_path(b, i, "c"));
        unlink(unit_path(b, i, "o"));
        unlink(unit_path(b, i, "txt"));
    }
    unlink(module_path(b));
    rmdir(b->folder);
}

static bool build_in_folder(const Build *b, const CgOutput *output, const char *path, Error *error) {
    if (!compile_units(b, output, error) || !link_units(b, error))
        return false;
    return rename(module_path(b), path) == 0 ||
           error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

bool rt_build_shared(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *path,
                     Error *error) {
    Arena *arena = arena_create();
    char *folder = arena_printf(arena, "%s.build-XXXXXX", path);
    bool ok = mkdtemp(folder) != NULL;
    if (ok) {
        Build b = {arena, compiler, options, folder, output->unit_count};
        ok = build_in_folder(&b, output, path, error);
        remove_folder(&b);
    } else {
        error_set(error, ERROR_MACHINE, "cannot make a folder for building, %s: %s", folder, strerror(errno));
    }
    arena_destroy(arena);
    return ok;
}
