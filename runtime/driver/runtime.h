/* runtime.h: from a text to numbers. A program is a compiled text (or a module file) together with its state: the
 * parameters, the running statistics and the optimiser's memory.
 *
 *     RtProgram *p = rt_program_open(&options, &error);          text -> IR -> passes -> C -> module, through the cache
 *     rt_state_set(p, &weights, RT_STATE_weights, &error);
 *     rt_run(p, &run, &error);                                   one pass of one step graph
 *     loss = rt_output_scalar(p, GRAPH_search_weights, "loss");
 *     rt_program_close(p);
 *
 * Two layouts of a tensor are told apart: "outside", PyTorch's (activations NCHW, weights as in the state_dict,
 * row-major), in which Tensor values are always given and returned; and "storage", how the compiled code has it
 * (activations NHWC, numbers of the program's precision, labels int32), in which rt_run takes its inputs, so that a
 * data loader can write it directly.
 *
 * With several ranks all of them run the same graphs on the same batch, in the same order: each computes its share of the
 * images, sums are those of all, and what has images is put together when it is asked for. A program is used by one thread at a time; it has its own worker threads. Results
 * are the same bits for any number of them. */
#ifndef NDARTS_RUNTIME_DRIVER_RUNTIME_H
#define NDARTS_RUNTIME_DRIVER_RUNTIME_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor_file.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "ir/ir.h"
#include "ir/run_scalars.h"
#include "passes/pass.h"
#include "runtime/ranks/ranks.h"

#include <stdio.h>

typedef struct RtProgram RtProgram;

enum { RT_VECTOR_HOST = -1 };

typedef struct RtProgramOptions {
    const char *path;  /* a text ("-" is standard input), IR, or a module file, for which only device, seed and
                                threads matter */
    const char *text;  /* what is compiled instead of the file path, which then only names it: a text, whose imports are
                           looked for in the library only, or IR; or NULL */
    const char *entry; /* FrontendOptions.entry: which of several experiments or networks of the text it is; or NULL */
    const char *prefer;   /* FrontendOptions.prefer: which of several experiments of the text is meant; or NULL */
    FrontendFiles *files; /* FrontendOptions.files: what was read before; or NULL */
    const char *recipe;   /* FrontendOptions.recipe: a text whose training is applied to what path defines; or NULL */
    FrontendLookAt
        *look_at; /* FrontendOptions.look_at; or NULL, as in the library, which reads no folders of pictures */
    const char *const *sets; /* --set NAME=VALUE, in order */
    int set_count;
    uint64_t seed;      /* of the initial values */
    int threads;        /* 0: as many as there are cores */
    const Ranks *ranks; /* that run this program together, batch by batch; NULL: this process alone */
    const char *device; /* "cpu" (NULL too), "cuda", "cuda:N", "auto" */
    CgPrecision precision;
    int64_t batch;          /* largest number of images; 0: search.batch or train.batch of the text, else 16 */
    const GraphKind *kinds; /* the step graphs to compile */
    int kind_count;
    const char *const *fed_streams; /* draws that the caller feeds: PassContext.fed_streams */
    int fed_stream_count;
    int vector_bytes;         /* 64, 32, 16, 0 (scalar code), or RT_VECTOR_HOST */
    bool plain;               /* only the plain schedule */
    bool grad_output_loss;    /* loss = sum(logits * grad_output), grad_output being an input */
    bool input_gradient;      /* the gradients graph has the output grad/input too */
    const char *tune;         /* a table of tiles (tiles.h) instead of the user's own; or NULL */
    const char *costs;        /* the file of a table for the objective latency (cost.h); or NULL */
    const char *costs_text;   /* what is read instead of that file, which then only names it; or NULL */
    int64_t memory_budget;    /* bytes that rt_program_memory may count, 0: none, or what fits half of the machine */
    int64_t memory_limit;     /* bytes: a budget that is too small is exceeded up to this; 0: it is not */
    const char *batch_option; /* how the user says what the batch is, for advice; NULL: found out */
    bool at_once;             /* begin with quickly compiled code of the same bits, until better code is there */
    bool narrow;              /* share memory over time also on a GPU that would be faster without */
} RtProgramOptions;

/* A text in the language, or IR as --emit=ir prints it (a path that ends in ".ir"). Mistakes are printed to stderr as
 * they are found; NULL and ERROR_INPUT then. */
IrModule *rt_text_load(Arena *arena, const char *path, const char *const *sets, int set_count, Error *error);
/* The same, by the options path, prefer, recipe and sets. */
IrModule *rt_text_load_options(Arena *arena, const RtProgramOptions *options, Error *error);
/* The source that rt_program_open would compile for a device of this target, and the options it was made with. */
const CgOutput *rt_text_generate(Arena *arena, const RtProgramOptions *options, const CgTarget *target, CgOptions *cg,
                                 Error *error);
/* Compiles (or finds in the cache) and loads; parameters have their initial values. Mistakes in the text are printed to
 * stderr as they are found, error then says ERROR_INPUT and how many there were. NULL on failure. */
RtProgram *rt_program_open(const RtProgramOptions *options, Error *error);
bool rt_is_module_file(const char *path); /* by its suffix */
/* Loads a module file (.so, or .cubin for a GPU), which needs no compiler. Embedded weights (nd_weights) become the
 * parameters' values. device as in the options; NULL: what the file is for. */
RtProgram *rt_program_load(const char *device, const char *path, int threads, uint64_t seed, Error *error);
void rt_program_close(RtProgram *program); /* NULL is allowed */

/* Of its text; NULL for a program loaded from a module file. */
const Settings *rt_program_settings(const RtProgram *program);
int64_t rt_program_batch(const RtProgram *program); /* largest number of images of one run, of all ranks together */
CgPrecision rt_program_precision(const RtProgram *program);
int rt_program_threads(const RtProgram *program);
size_t rt_program_memory(const RtProgram *program); /* bytes of state and arenas */
/* Does better code of it follow (RtProgramOptions.at_once)? */
bool rt_program_is_draft(const RtProgram *program);
bool rt_program_has_weights(const RtProgram *program); /* embedded in its module */
/* What must agree for two runs to give the same bits: target, precision, vector width, compiler, options, hash of the
 * generated source. One line of text; belongs to the program. */
const char *rt_program_identity(const RtProgram *program);

/* ---- parameters and other state ---- */
typedef struct RtTensorInfo {
    const char *name;
    TensorType type; /* TENSOR_f32 or TENSOR_f64 by precision; labels TENSOR_i32 */
    int rank;
    int64_t shape[TENSOR_MAX_RANK]; /* outside; -1 is the number of images */
    IrParamKind kind;               /* parameters only */
    bool auxiliary;                 /* parameters only */
} RtTensorInfo;

int rt_param_count(const RtProgram *program);
const RtTensorInfo *rt_param_info(const RtProgram *program, int index);
int rt_param_find(const RtProgram *program, const char *name); /* -1 when absent */
/* Any float type is converted. A wrong shape is ERROR_INPUT with expected and found; an unknown name likewise. */
bool rt_param_set(RtProgram *program, const Tensor *tensor, Error *error);
/* The value, of the program's precision, copied into the arena. bug() when there is no such parameter. */
Tensor rt_param_get(const RtProgram *program, const char *name, Arena *arena);
/* Back to the initial values that seed names (all state, optimiser's memory too). */
void rt_state_initialize(RtProgram *program, uint64_t seed);

typedef enum RtStateMode {
    RT_STATE_weights, /* every weight and statistic must be there (not the auxiliary head's, when the program has none);
                         alphas and optimiser's memory are taken when there; what the program does not know is ignored
                         when optional (alphas, momentum/..., num_batches_tracked, auxiliary_head...), an error
                         otherwise */
    RT_STATE_all      /* a checkpoint: everything of the program must be there */
} RtStateMode;
/* Takes values by name. When names or shapes do not fit, every difference is printed (diag_stream) and nothing is
 * changed. */
bool rt_state_set(RtProgram *program, const TensorFile *file, RtStateMode mode, Error *error);
/* Appends every parameter, statistic and optimiser tensor (copies in the arena), exactly. */
void rt_state_get(const RtProgram *program, Arena *arena, TensorFile *file);

/* ---- running ---- */
typedef struct RtInput {
    const char *name; /* "input", "labels", or a fed stream */
    const void *data; /* storage layout */
} RtInput;

typedef struct RtRun {
    GraphKind kind;
    int64_t batch;                    /* images in this batch, 1 .. rt_program_batch */
    uint64_t seed, step, image_base;  /* name the draws: contracts.md, "Random numbers" */
    double scalars[RUN_SCALAR_COUNT]; /* as RunScalar numbers them; rt_step (step.h) knows what they are */
    int64_t epoch, epochs;            /* likewise: of the schedules that a module has itself */
    int input_count;
    const RtInput *inputs;
} RtRun;

/* From now on a line is added to the file for each run of a graph: the run-time block as the device got it
 * (docs/cli.md). A line that cannot be written makes the run fail. Once for a program. */
bool rt_log_begin(RtProgram *program, const char *path, Error *error);
/* From now on all runs are timed, kernel by kernel. */
void rt_profile_begin(RtProgram *program);
/* Prints what was timed as tables and, when there is a path, writes the first runs as a file for chrome://tracing. */
bool rt_profile_end(RtProgram *program, FILE *out, const char *trace_path, Error *error);

bool rt_has_graph(const RtProgram *program, GraphKind kind);
bool rt_run(RtProgram *program, const RtRun *run, Error *error);

/* What a graph takes and gives. NULL when it has no such input or output. */
const RtTensorInfo *rt_input_info(const RtProgram *program, GraphKind kind, const char *name);
int rt_input_count(const RtProgram *program, GraphKind kind);
const RtTensorInfo *rt_input_info_at(const RtProgram *program, GraphKind kind, int index);
const RtTensorInfo *rt_output_info(const RtProgram *program, GraphKind kind, const char *name);
int rt_output_count(const RtProgram *program, GraphKind kind);
const RtTensorInfo *rt_output_info_at(const RtProgram *program, GraphKind kind, int index);

/* From outside to storage: images first..first+count-1 of tensor, converted, in the arena. NULL with ERROR_INPUT when
 * the shape is not the input's. */
void *rt_input_pack(const RtProgram *program, GraphKind kind, const char *name, const Tensor *tensor, int64_t first,
                    int64_t count, Arena *arena, Error *error);
/* An output of the latest run of that graph (valid until the next run of any, and while its inputs are there), outside
 * layout, copied into the arena. bug() when there is none. */
Tensor rt_output_get(const RtProgram *program, GraphKind kind, const char *name, Arena *arena);
double rt_output_scalar(const RtProgram *program, GraphKind kind, const char *name);

#endif
