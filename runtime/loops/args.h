/* args.h: command lines of the smaller commands, from a table. */
#ifndef NDARTS_RUNTIME_LOOPS_ARGS_H
#define NDARTS_RUNTIME_LOOPS_ARGS_H

#include "base/arena.h"
#include "base/diag.h"
#include "runtime/driver/runtime.h"

typedef enum ArgKind {
    ARG_text,     /* to: const char ** */
    ARG_int,      /* to: int64_t *, low..high */
    ARG_flag,     /* to: bool * */
    ARG_optional, /* to: const char **: --name=value, or "" for --name alone */
    ARG_list,     /* to: ArgList *; may be given several times */
    ARG_precision /* to: CgPrecision * */
} ArgKind;

typedef struct ArgList {
    const char **items;
    int count, capacity;
} ArgList;

typedef struct Arg {
    const char *name; /* "--threads", or "-o"; NULL: the command's operand, ARG_list: all that are left */
    ArgKind kind;
    void *to;
    int64_t low, high;
} Arg;

/* Reads argv[1..] ("--name value" and "--name=value"). A mistake is ERROR_INPUT and names the argument. */
bool args_parse(Arena *arena, int argc, char **argv, const Arg *args, int count, Error *error);

/* The value of an option that takes a whole number from low to high. */
bool args_parse_int(const char *option, const char *text, int64_t low, int64_t high, int64_t *value, Error *error);

/* The options that all commands share which run a program. */
typedef struct ProgramArgs {
    ArgList sets;
    int64_t threads, seed, vector_bytes;
    CgPrecision precision;
    bool plain;
    const char *device, *tune;
} ProgramArgs;
enum { PROGRAM_ARG_COUNT = 8 };
/* Fills args[0..PROGRAM_ARG_COUNT-1]: --set --threads --seed --precision --vector --plain --device --tune, and sets the defaults. */
void args_add_program(Arg *args, ProgramArgs *to);
RtProgramOptions args_program_options(const ProgramArgs *args, const char *path);

#endif
