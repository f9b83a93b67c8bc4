/* run_folder.h: the folder of a run: it belongs to one process at a time, and what an earlier run left in it is set
 * aside, never removed. Private to loop*.c, search*.c and train*.c. */
#ifndef NDARTS_RUNTIME_LOOPS_RUN_FOLDER_H
#define NDARTS_RUNTIME_LOOPS_RUN_FOLDER_H

#include "base/arena.h"
#include "base/diag.h"

typedef struct RunFolder {
    const char *path; /* NULL: not open */
    int lock;         /* a descriptor; -1: none, the file system has no locks */
} RunFolder;

/* A checkpoint of that name is written to see whether there is room, and removed at once. */
#define RUN_FOLDER_TRIAL "checkpoint.trial.safetensors"

/* Whether runs write a file or folder of that name. There is one list of them, in run_folder.c: only what it has is set
 * aside, all else in a folder is the user's. */
bool run_folder_knows(const char *name);

/* Makes the folder if need be and locks it until run_folder_close or the end of the process, however that comes.
 * ERROR_INPUT when another process has it, named. Then it is put in order: what killed processes left half-written is
 * removed, and a set-aside that was cut short is undone. path must outlive the folder. */
bool run_folder_open(Arena *arena, const char *path, RunFolder *folder, Error *error);
void run_folder_close(RunFolder *folder); /* a zeroed RunFolder is allowed */

/* Whether there is anything of an earlier run. */
bool run_folder_is_used(Arena *arena, const RunFolder *folder);
/* Moves everything that runs have written to a new folder in this one, `earlier-` and the date: *aside is its path. All
 * or nothing, also when the process is killed half-way: the next run_folder_open moves it back. */
bool run_folder_set_aside(Arena *arena, const RunFolder *folder, const char **aside, Error *error);
/* The folder that was set aside last, or NULL. */
const char *run_folder_latest_aside(Arena *arena, const char *path);

#endif
