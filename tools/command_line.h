/* command_line.h: the command lines of all programs, by two tables: commands.def and options.def. A program reads its
 * arguments into Options, of which each command uses what its rows name, and hands on what the libraries want to know. */
#ifndef NDARTS_TOOLS_COMMAND_LINE_H
#define NDARTS_TOOLS_COMMAND_LINE_H

#include "base/arena.h"
#include "base/diag.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include "runtime/driver/runtime.h"
#include "runtime/loops/run.h"

#include <limits.h>

typedef enum Command {
#define COMMAND(id, ...) COMMAND_##id,
#include "tools/commands.def"
#undef COMMAND
    COMMAND_COUNT
} Command;

/* Values of an option that may be given several times, or that has several; items NULL: it was not given. */
typedef struct OptionList {
    const char **items;
    int count, capacity;
} OptionList;

/* NULL, false, 0: not given, unless options_default says something else. */
typedef struct Options {
    Arena *arena;
    Command command;
    OptionList inputs; /* operands */
    bool help, version, list_passes, list_settings, list_methods, format_text;
    /* what is written, and where */
    const char *output, *out, *draw, *table, *profile; /* profile: "" without a file */
    bool json, tensorboard, log_steps, verbose, epoch_per_step, hessian, spectrum;
    /* the forms of a text */
    const char *emit, *target, *graph, *kind, *arch, *card;
    OptionList graphs, batches;
    bool dot, verify_only;
    /* the text */
    const char *network, *recipe, *data, *part, *spec;
    OptionList sets, init_except;
    /* weights and images */
    const char *weights, *init, *feed, *array, *class_names, *key, *strip, *net;
    /* a run */
    bool resume, allow_different_build, allow_different_data;
    const char *seeds, *spread;
    int64_t seed, epoch, steps; /* seed, epoch: -1 when not given */
    int64_t keep_ops;           /* 0: a genotype */
    int64_t warm_up, repeats;   /* repeats 0: as many as take a second */
    bool cpu_time;
    /* numbers and machines */
    int64_t batch, chunks, rank_count, vector_bytes, threads, memory_budget, keep_bytes;
    const Ranks *ranks; /* that a launcher started, or that are compiled for; NULL: this process alone */
    CgPrecision precision;
    bool plain, no_cudnn;
    const char *tune, *costs, *device, *memory_report; /* memory_report: "" without a file */
    /* passes */
    OptionList only_passes, disabled_passes, fed_streams;
    const char *print_before, *print_after, *dump_to;
    bool print_after_all, print_after_change, timing, pass_statistics, remarks;
    /* genotypes */
    const char *name, *format, *auxiliary;
    GenotypeChoice choice; /* line, name, network and sizes */
} Options;

/* What options are before any is given. */
Options options_default(Arena *arena, Command command);
/* Reads argv[first..] ("--name value", "--name=value"; what does not begin with - is an operand). A mistake is
 * ERROR_INPUT and names the argument. --help among them ends reading: nothing else matters then. */
bool options_parse(Options *options, int argc, char **argv, int first, Error *error);
/* Of the ranks that do it together: that all were started with the same command, operands and options, but for --threads and
 * --device. ERROR_INPUT names the rank and the option. */
bool options_agree(const Options *options, Error *error);
/* Of the table: how the command is used, and every option that it takes. */
void options_print_help(FILE *out, Command command);
/* How it is used and what it is for, in two lines. */
void options_print_summary(FILE *out, Command command);
/* "search" of ndarts-run search. */
const char *options_command_name(Command command);

/* A whole number from low to high; option names it in the message. */
bool options_parse_int(const char *option, const char *text, int64_t low, int64_t high, int64_t *value, Error *error);
/* The first operand, or NULL. */
const char *options_input(const Options *options);

/* ---- options_give.c: what the libraries are told ---- */
RtProgramOptions options_program(const Options *options);
LoopOptions options_loop(const Options *options);
/* The sets of options that the passes look at: which run, what is printed. */
void options_set_passes(const Options *options, PassContext *ctx);
/* The target that --target names. */
bool options_target(const Options *options, const CgTarget **target, Error *error);
/* --graph=A,B; none is given twice. */
bool options_graph_kinds(const Options *options, GraphKind *kinds, int *count, Error *error);
/* The path of --recipe, in *recipe, which is NULL when none was given. */
bool options_recipe(const Options *options, const char **recipe, Error *error);
int options_list_passes(void);
/* To -o, or to stdout. */
bool options_write(const Options *options, const void *data, size_t size, Error *error);

#endif
