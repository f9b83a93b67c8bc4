/* compiler.c: runs the C compiler. Everything is made in a temporary folder beside the result: one source, object and
 * message file per unit, the compiler's own temporary files, then the linked module, which is renamed into place. */
#include "runtime/device/compiler.h"

#include "base/cancel.h"
#include "base/process.h"
#include "base/scratch.h"
#include "base/str.h"
#include "runtime/device/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

static bool read_version(Arena *arena, RtCompiler *compiler, Error *error) {
    const char **argv = ARENA_ARRAY(arena, const char *, compiler->arg_count + 2);
    memcpy(argv, compiler->args, sizeof *argv * (size_t)compiler->arg_count);
    argv[compiler->arg_count] = "--version";
    Str text = str_create(arena);
    str_add(&text, "");
    Error why = {ERROR_NONE, ""};
    bool ran = process_run(argv, NULL, &text, &why);
    if (!ran || !text.length)
        return error_set(error, ERROR_MACHINE, "the C compiler '%s' does not run (tried --version): %s%s",
                         compiler->args[0], ran ? "it says nothing" : why.message, process_file_limit(arena));
    Str version = str_create(arena);
    str_add_bytes(&version, text.data, strcspn(text.data, "\n"));
    for (int i = 1; i < compiler->arg_count; i++)
        str_addf(&version, " %s", compiler->args[i]);
    compiler->version = version.data;
    return true;
}

/* The path of a program, whatever characters it has, or a command of several words. */
static bool find_wanted(Arena *arena, const char *wanted, RtCompiler *compiler, Error *error) {
    if (strchr(wanted, '/') && can_run(wanted)) {
        compiler->args = ARENA_ARRAY(arena, const char *, 1);
        compiler->args[0] = arena_strdup(arena, wanted);
        compiler->arg_count = 1;
        return true;
    }
    compiler->args = str_split_words(arena, wanted, &compiler->arg_count);
    if (!compiler->args)
        return error_set(error, ERROR_INPUT, "CC is %s, in which a quote is not closed", wanted);
    bool blanks = strchr(wanted, '/') && strchr(wanted, ' ');
    return (compiler->arg_count > 0 && find_program(arena, compiler->args[0])) ||
           error_set(error, ERROR_MACHINE, "the C compiler '%s' (from $CC) is not there%s", wanted,
                     blanks ? "; a path with blanks goes in quotes" : "");
}

static bool find_usual(Arena *arena, RtCompiler *compiler, Error *error) {
    static const char *const names[] = {"cc", "gcc", "clang"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (find_program(arena, names[i])) {
            compiler->args = str_split_words(arena, names[i], &compiler->arg_count);
            return true;
        }
    }
    return error_set(error, ERROR_MACHINE, "no C compiler: looked for cc, gcc and clang in $PATH, and $CC is not set");
}

bool rt_compiler_find(Arena *arena, RtCompiler *compiler, Error *error) {
    const char *wanted = getenv("CC"), *flags = getenv("NDARTS_CFLAGS");
    int count;
    if (flags && !str_split_words(arena, flags, &count))
        return error_set(error, ERROR_INPUT, "NDARTS_CFLAGS is %s, in which a quote is not closed", flags);
    bool found = wanted && *wanted ? find_wanted(arena, wanted, compiler, error) : find_usual(arena, compiler, error);
    return found && read_version(arena, compiler, error);
}

const char *rt_compiler_options(Arena *arena, int vector_bytes) {
    const char *machine = "";
#if defined(__x86_64__)
    /* A level of the architecture rather than "native": the same vector width means the same module on any machine.
     * Narrow code still gets fused multiply-add where there is one, since a call of fma() is very slow. The products of
     * bf16 have the same bits with and without their instructions, which nothing else uses. */
    if (vector_bytes == 64)
        machine = machine_has_bf16() ? " -march=x86-64-v4 -mavx512bf16 -mprefer-vector-width=512 -mtune=native"
                                     : " -march=x86-64-v4 -mprefer-vector-width=512 -mtune=native";
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
typedef struct CompilerJob {
    const char **argv;
    const char *const *environment;
    const char *input; /* its standard input; NULL: nothing */
    const char *messages;
    Process process;
    bool running;
    int status;
} CompilerJob;

static bool job_start(CompilerJob *job, Error *error) {
    int messages = open(job->messages, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (messages < 0)
        return error_set(error, ERROR_MACHINE, "cannot write %s: %s", job->messages, strerror(errno));
    int input = job->input ? open(job->input, O_RDONLY | O_CLOEXEC) : -1;
    if (job->input && input < 0) {
        close(messages);
        return error_set(error, ERROR_MACHINE, "cannot read %s: %s", job->input, strerror(errno));
    }
    job->running =
        process_start(&job->process, job->argv, job->environment, (ProcessFiles){input, messages, messages}, error);
    close(messages);
    if (input >= 0)
        close(input);
    return job->running;
}

static void job_wait(CompilerJob *job) {
    job->status = process_wait(&job->process);
    job->running = false;
}

enum { MOST_AT_ONCE = 64 };

/* Waits until one of the running jobs has ended: of our own, not for any child, since others in this program may have
 * children too. Where processes cannot be watched it is the one that was started first. */
static CompilerJob *wait_for_one(CompilerJob *jobs, int count) {
    struct pollfd files[MOST_AT_ONCE];
    CompilerJob *running[MOST_AT_ONCE], *ended = NULL;
    int running_count = 0;
    bool watched = true;
    for (int i = 0; i < count; i++) {
        if (!jobs[i].running)
            continue;
        files[running_count] = (struct pollfd){.fd = jobs[i].process.watch, .events = POLLIN};
        watched = watched && jobs[i].process.watch >= 0;
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

static bool job_check(const CompilerJob *job, const char *what, Error *error) {
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

/* Also false when nobody waits for it any more: then no further one is started. */
static bool start_next(CompilerJob *job, Error *error) {
    return cancel_wanted() ? error_set(error, ERROR_INTERRUPTED, "interrupted while it compiled")
                           : job_start(job, error);
}

/* Runs all, at most one per core at a time; the first failure is reported after all that were started have ended. */
static bool run_jobs(CompilerJob *jobs, int count, const char *what, Error *error) {
    int cores = machine_core_count(), started = 0, ended = 0;
    bool ok = true;
    cores = cores < MOST_AT_ONCE ? cores : MOST_AT_ONCE;
    while (ended < count) {
        while (ok && started < count && started - ended < cores && (ok = start_next(&jobs[started], error)))
            started++;
        if (ended == started)
            break;
        ok = job_check(wait_for_one(jobs, started), what, error) && ok;
        ended++;
    }
    return ok && ended == count;
}

static const char *unit_path(const RtCompiling *c, int unit, const char *suffix) {
    return arena_printf(c->arena, "%s/unit%d.%s", c->folder, unit, suffix);
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

typedef struct CompilerCall {
    Arena *arena;
    const char **words;
    int count, capacity;
} CompilerCall;

static void add_words(CompilerCall *c, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        ARENA_PUSH(c->arena, c->words, c->count, c->capacity, words[i]);
}

static void split_and_add(CompilerCall *c, const char *text) {
    int count;
    const char **words = str_split_words(c->arena, text, &count);
    add_words(c, words, count);
}

/* The compiler, its options, then the arguments given. */
static const char **make_command(const RtCompiling *c, int count, const char *const *arguments) {
    CompilerCall call = {.arena = c->arena};
    add_words(&call, c->compiler->args, c->compiler->arg_count);
    split_and_add(&call, is_gcc(c->compiler) ? economies : "");
    split_and_add(&call, c->options);
    split_and_add(&call, c->draft ? "-Og" : "");
    add_words(&call, arguments, count);
    add_words(&call, (const char *[]){NULL}, 1);
    return call.words;
}

/* The compiler gets it by standard input, not by its name, which it would write into the assembler's text as it is; what
 * it says of it is of unitN.c all the same. */
static bool write_unit(const char *path, int unit, const char *text, Error *error) {
    FILE *file = fopen(path, "w");
    bool ok = file && fprintf(file, "#line 1 \"unit%d.c\"\n", unit) > 0 && fputs(text, file) >= 0;
    ok = file && fclose(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
}

/* A compiler that is killed leaves its own temporary files; they go with the folder. */
static const char *const *compiler_environment(const RtCompiling *c) {
    return process_environment(c->arena, "TMPDIR", c->folder);
}

bool rt_compile_units(const RtCompiling *c, int count, const char *const *units, const char **objects, Error *error) {
    CompilerJob *jobs = ARENA_ARRAY(c->arena, CompilerJob, count + 1);
    const char *const *environment = compiler_environment(c);
    for (int i = 0; i < count; i++) {
        objects[i] = unit_path(c, i, "o");
        if (!write_unit(unit_path(c, i, "c"), i, units[i], error))
            return false;
        jobs[i].argv =
            make_command(c, 7, (const char *[]){"-ffunction-sections", "-x", "c", "-c", "-", "-o", objects[i]});
        jobs[i].input = unit_path(c, i, "c");
        jobs[i].environment = environment;
        jobs[i].messages = unit_path(c, i, "txt");
    }
    return run_jobs(jobs, count, "cannot compile", error);
}

bool rt_link_objects(const RtCompiling *c, int count, const char *const *objects, const char **module, Error *error) {
    const char **arguments = ARENA_ARRAY(c->arena, const char *, count + 5);
    *module = arena_printf(c->arena, "%s/module.so", c->folder);
    arguments[0] = "-shared";
    arguments[1] = "-Wl,--gc-sections"; /* objects may define what this module does not need */
    memcpy(arguments + 2, objects, sizeof *objects * (size_t)count);
    arguments[count + 2] = "-o";
    arguments[count + 3] = *module;
    arguments[count + 4] = "-lm";
    CompilerJob job = {.argv = make_command(c, count + 5, arguments),
                       .environment = compiler_environment(c),
                       .messages = unit_path(c, 0, "txt")};
    return run_jobs(&job, 1, "cannot link", error) &&
           (access(*module, F_OK) == 0 ||
            error_set(error, ERROR_MACHINE,
                      "the C compiler '%s' made no module; do CC and NDARTS_CFLAGS tell it to do "
                      "something else?",
                      c->compiler->args[0]));
}

bool rt_build_in_folder(const RtCompiling *c, const CgOutput *output, const char **module, Error *error) {
    const char **objects = ARENA_ARRAY(c->arena, const char *, output->unit_count);
    return rt_compile_units(c, output->unit_count, output->units, objects, error) &&
           rt_link_objects(c, output->unit_count, objects, module, error);
}

bool rt_build_shared(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *path,
                     Error *error) {
    Arena *arena = arena_create();
    Scratch scratch;
    const char *module;
    /* A path must not look like an option. */
    bool made = scratch_make(arena, *path == '/' ? path : arena_printf(arena, "./%s", path), &scratch, error);
    RtCompiling work = {arena, compiler, options, scratch.folder, false};
    bool ok = made && rt_build_in_folder(&work, output, &module, error);
    if (ok && rename(module, path) != 0)
        ok = error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
    if (made)
        scratch_remove(&scratch);
    arena_destroy(arena);
    return ok;
}
