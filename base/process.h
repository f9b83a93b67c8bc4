/* process.h: other programs: started without a shell, and ended when this process ends, however it ends. */
#ifndef NDARTS_BASE_PROCESS_H
#define NDARTS_BASE_PROCESS_H

#include "base/diag.h"
#include "base/str.h"

#include <sys/types.h>

typedef struct Process {
    pid_t pid;
    int life;  /* open while this process lives; -1: the system has no such thing */
    int watch; /* can be read when the program has ended; -1: the system has none */
} Process;

/* Open files for its standard input, output and errors; -1: /dev/null. */
typedef struct ProcessFiles {
    int input, output, errors;
} ProcessFiles;

/* What each of our programs does first; never a library: JSON has memory or the program ends, and a file that may not grow
 * any more is a failing write, which is reported. */
void process_begin(void);

/* argv[0] is looked for in $PATH unless it has a slash; NULL ends argv. environment: of the program, NULL: this
 * process's. */
bool process_start(Process *process, const char *const *argv, const char *const *environment, ProcessFiles files,
                   Error *error);
/* Waits for its end; the status of waitpid. */
int process_wait(Process *process);
/* The environment of this process with one variable changed, and the C locale: what the program says is read here. */
const char *const *process_environment(Arena *arena, const char *name, const char *value);
/* What may be the reason where a program fails, or writes nothing, and says so where nobody reads it: "; no file may have more than
 * 0 bytes (ulimit -f)", or "" without such a limit. */
const char *process_file_limit(Arena *arena);
/* Runs a program to its end: input (NULL: none) is its standard input, and what it wrote is added to *output. False, with
 * ERROR_MACHINE, when it cannot be started, or fails. */
bool process_run(const char *const *argv, const char *input, Str *output, Error *error);

#endif
