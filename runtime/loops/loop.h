/* loop.h: what search and training have in common: compiling, batches of one
 * pass, evaluation, checkpoints, Ctrl-C. Private to loop*.c, search*.c and train*.c. */
#ifndef NDARTS_RUNTIME_LOOPS_LOOP_H
#define NDARTS_RUNTIME_LOOPS_LOOP_H

#include "ir/settings.h"
#include "runtime/data/data.h"
#include "runtime/driver/runtime.h"
#include "runtime/driver/step.h"
#include "runtime/loops/checkpoint.h"
#include "runtime/loops/evaluate.h"
#include "runtime/loops/progress.h"
#include "runtime/loops/run.h"
#include "runtime/loops/run_folder.h"

/* What goes together (loop_options.c); sets the folder when none is given. command is for messages. */
bool loop_check_options(Arena *arena, const char *command, LoopOptions *options, Error *error);

typedef struct Loop {
    Arena *arena;
    LoopOptions options;
    const char *costs_text;   /* of options.costs */
    const char *costs_hash;   /* what they are to this text; NULL: it asks for none */
    RunFolder folder;         /* options.out */
    const RunFolder *whole;   /* of several runs, the first of which is to set aside what is in it; or NULL */
    const char *what;         /* "search", "training": for messages */
    const char *prefer;       /* RtProgramOptions.prefer */
    const char *const *lines; /* names of the results that have one line per epoch; NULL at the end */
    FrontendFiles *files;     /* the text and its imports, as they were at the start */
    IrModule *module;         /* of the text: its settings */
    Settings settings;        /* the same, read */
    DataOptions data_options;
    Dataset data; /* the training images */
    Augment augment, no_augment;
    RtProgram *program;
    bool has_begun;      /* loop_begin is done */
    int64_t steps;       /* per epoch */
    Checkpoint at;       /* the position; its tensors are filled only while saving and loading */
    Checkpoint restored; /* as read, until it is taken */
    Arena *restored_arena;
    Progress progress;
    double epoch_started, epoch_rate; /* seconds; images per second in its steps */
} Loop;

/* SIGPIPE is ignored from here on, unless the run is part of another program. */
void loop_ignore_readers(const RunObserver *observer);
/* Whether a signal that asks for an end (loop_signal.c) came since loop_catch_signals, or the observer wants one: to any of
 * the ranks, which all ask at the same places; or to this process. */
void loop_catch_signals(const Ranks *ranks, const RunObserver *observer);
bool loop_interrupted(void);
bool loop_signal_came(void);
/* Says why the run ends, now and as the error: ERROR_INTERRUPTED, whatever failed because of it. Returns false. */
bool loop_end_interrupted(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says that there is nothing to save, and returns false with ERROR_INTERRUPTED. */
bool loop_stop_before_start(Error *error);

/* Whether this is the rank that prints and writes; the others compute the same and write nothing. */
bool loop_writes(const Loop *l);
/* Waits for all ranks. False, with ERROR_MACHINE, when another of them could not do its part; ok: this one could, else the
 * error is there already. */
bool loop_meet(const Loop *l, bool ok, Error *error);

/* The options of the program; what loop_open_program compiles. */
RtProgramOptions loop_program_options(const Loop *l);
bool loop_load_text(Loop *l, Error *error); /* module */
/* OUT, for this run alone; a run that is resumed has one. */
bool loop_open_folder(Loop *l, Error *error);
/* Opens the training images and prepares both augmentations. */
bool loop_open_data(Loop *l, Error *error);
/* One line on stderr: the data of the run, then how its pictures are divided. */
void loop_print_data(const Loop *l, const char *division);
/* Compiles and sets the initial state that at.seed names. */
bool loop_open_program(Loop *l, const GraphKind *kinds, int kind_count, Error *error);
/* What loaders have in common: the training images, augmented, in batches of the program. */
LoaderOptions loop_loader_options(const Loop *l);
/* How far the run is. */
RtPosition loop_position(const Loop *l);
/* An evaluation at the place where the run is. */
RtRun loop_evaluation(const Loop *l);
/* Runs a graph on a batch, as a pass at this position (rt_step). A loss that is no number is an error. */
bool loop_run(Loop *l, GraphKind kind, const Batch *batch, PassResult *result, Error *error);
/* Likewise a graph that has training images besides (evaluate_pair), unless training is NULL. */
bool loop_run_pair(Loop *l, GraphKind kind, const Batch *training, const Batch *batch, PassResult *result,
                   Error *error);
/* Behind a step: the progress of the run, for whoever looks; images: processed by it. */
void loop_show_step(Loop *l, int64_t images);
/* The epoch is written down, and the run has moved on to the next. */
void loop_show_epoch(const Loop *l, const RunEpoch *epoch);
/* Of a batch of the round: its number, whether or not those before it could be read. */
int64_t loop_batch_number(const Loop *l, const Batch *batch);
/* After the last batch of an epoch: that none failed, and that there was any (or a signal came). */
bool loop_check_epoch(const Loop *l, Error *error);
/* With --profile: prints it and writes OUT/profile.json, or the file that was named. */
bool loop_finish_profile(Loop *l, Error *error);
/* OUT/name; run_folder.c's list must have it. */
const char *loop_file(const Loop *l, const char *name);
void loop_close(Loop *l);

/* network.ir, the module itself, and run.json, what is run on what (loop_describe.c); resumed: where they are missing.
 */
bool loop_describe(const Loop *l, const char *command, Error *error);
/* All weights and statistics under their names, as OUT/NAME. */
bool loop_save_weights(const Loop *l, const char *name, Error *error);

/* ---- state and checkpoints (loop_checkpoint.c) ---- */
bool loop_save_checkpoint(Loop *l, Error *error);
/* Reads the file that the state comes from, OUT's checkpoint or --init, and sees that it is of this experiment: before
 * anything slow is done. */
bool loop_read_state(Loop *l, Error *error);
/* Then, with the images open, sees that they are those that the run began with. */
bool loop_check_data(Loop *l, Error *error);
/* Then, with the program open, takes its values and position. */
bool loop_set_state(Loop *l, Error *error);
/* All is ready for the next step: only now results in OUT are touched. What an earlier run left is set aside (resumed:
 * lines of epochs that are not done yet go), the run is described, and a first checkpoint written, so that a full disk
 * is known at once. */
bool loop_begin(Loop *l, const char *command, Error *error);
/* Adds to the message of a failing machine that nothing of before is lost. */
void loop_explain_failure(const Loop *l, Error *error);
/* Saves, says so, and returns false with ERROR_INTERRUPTED. */
bool loop_stop_interrupted(Loop *l, Error *error);
/* The epoch is complete, and written down (or, with an error, could not be): the position moves to the next, and the checkpoint
 * is written. All ranks must have the same parameters then. */
bool loop_next_epoch(Loop *l, bool written, Error *error);

#endif
