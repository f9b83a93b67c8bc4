/* ndarts.h: networks of ndarts in other programs: open a module or a text, take weights, compute.
 *
 *     NdartsNet *net;
 *     char *message = NULL;
 *     if (ndarts_open("net.nd", NULL, &net, &message) || ndarts_set_weights(net, "w.safetensors", &message) ||
 *         ndarts_run(net, count, (const float *const[]){images}, (float *const[]){logits}, &message))
 *         fprintf(stderr, "%s\n", message);
 *     ndarts_free(message);
 *     ndarts_close(net);
 *
 * Link with `pkg-config --cflags --libs ndarts`. docs/library.md says more.
 *
 * Nothing here prints, ends the program, or changes its signals, folder or locale. Any thread may call any function:
 * calls for one net wait for each other, calls for different nets run side by side. Only ndarts_close must be the net's
 * last. A net computes the same bits for any number of threads. A process that fork makes can go on with its copies of
 * the nets on a CPU, unless another thread was in a call for them just then. */
#ifndef NDARTS_H
#define NDARTS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NdartsNet NdartsNet;

/* The numbers are the exit codes of the programs. */
typedef enum NdartsStatus {
    NDARTS_OK = 0,
    NDARTS_ERROR_INPUT = 1,   /* what was given is wrong: a file, a shape, an argument */
    NDARTS_ERROR_MACHINE = 2, /* no memory, no device, no compiler, a failing disk */
    NDARTS_INTERRUPTED = 130  /* as was asked for; what was reached is saved */
} NdartsStatus;

typedef struct NdartsOptions {
    size_t size;             /* sizeof(NdartsOptions) */
    const char *device;      /* "cpu", "cuda", "cuda:N" or "auto"; NULL: what a module is for, the CPU for a text */
    int threads;             /* 0: one per core */
    int64_t batch;           /* of a text: images that go through together; 0: 16 */
    const char *precision;   /* of a text: "f32" (NULL too), "f64", "bf16"; for a GPU "tf32" too */
    const char *const *sets; /* of a text: "NAME=VALUE" each, as --set of the programs */
    int set_count;
    const char *text;    /* what is compiled instead of the file, which then only names it: a text, whose imports are
                            looked for in the library only, or textual IR; or NULL */
    const char *network; /* which of several networks or experiments of the text is meant; NULL: the first of search,
                            train and network main */
    const char *kind;    /* "infer" (NULL too); "train": ndarts_pass computes in training mode and differentiates too */
} NdartsOptions;

enum { NDARTS_MAX_RANK = 8 };

typedef enum NdartsType {
    NDARTS_f32,
    NDARTS_f64,
    NDARTS_f16,
    NDARTS_bf16,
    NDARTS_i64,
    NDARTS_i32,
    NDARTS_u8,
    NDARTS_bool
} NdartsType;

/* Numbers of the caller, row-major: weights as PyTorch's state_dict has them, activations N x C x H x W. */
typedef struct NdartsArray {
    const char *name;
    NdartsType type;
    int rank;
    int64_t shape[NDARTS_MAX_RANK];
    void *data;
} NdartsArray;

typedef enum NdartsKind {
    NDARTS_weight,
    NDARTS_alpha,     /* an architecture parameter */
    NDARTS_statistic, /* a running average */
    NDARTS_optimizer
} NdartsKind;

/* What a net has. */
typedef struct NdartsTensor {
    const char *name; /* the net's own */
    NdartsType type;
    int rank;
    int64_t shape[NDARTS_MAX_RANK]; /* activations N x C x H x W; -1 is the number of images */
    int64_t size;                   /* numbers of one image */
    NdartsKind kind;                /* of parameters */
} NdartsTensor;

/* "0.1.0" */
const char *ndarts_version(void);

/* In all functions below message may be NULL. Otherwise a failure sets it to a text for a person, of one or many lines
 * (every mistake in a text, every weight that does not fit), which the caller frees with ndarts_free. */
void ndarts_free(char *message); /* NULL is allowed */

/* Opens a module (.so; .cubin for a GPU), a text of the language (.nd), which needs a C compiler the first time, or
 * textual IR (.ir). options may be NULL. On failure *net is NULL. A module is code: open only what you trust. */
NdartsStatus ndarts_open(const char *path, const NdartsOptions *options, NdartsNet **net, char **message);
void ndarts_close(NdartsNet *net); /* NULL is allowed */

/* Takes the weights from a safetensors file, by name and shape. When they do not fit, message lists every difference
 * and the net stays as it was. A module may have its weights inside; then this is not needed. */
NdartsStatus ndarts_set_weights(NdartsNet *net, const char *path, char **message);
int ndarts_has_weights(NdartsNet *net);
/* The same from memory; of any type of float. */
NdartsStatus ndarts_set_parameters(NdartsNet *net, const NdartsArray *arrays, int count, char **message);
/* Instead of given weights those that a training begins with, as the seed draws them. */
NdartsStatus ndarts_initialize(NdartsNet *net, uint64_t seed, char **message);
/* Weights and running statistics by their PyTorch names; index counts from 0. */
int ndarts_parameter_count(const NdartsNet *net);
NdartsStatus ndarts_parameter(const NdartsNet *net, int index, NdartsTensor *tensor);
/* Copies its numbers, of its type. */
NdartsStatus ndarts_get_parameter(NdartsNet *net, int index, void *numbers, char **message);
/* Likewise of several, as they are at one moment: each array names one, and has its type and shape and room for its
 * numbers. */
NdartsStatus ndarts_get_parameters(NdartsNet *net, const NdartsArray *arrays, int count, char **message);

/* Images that go through together; ndarts_run takes any number of them. */
int64_t ndarts_batch(const NdartsNet *net);
int ndarts_input_count(const NdartsNet *net);
int ndarts_output_count(const NdartsNet *net);
/* What the net takes and gives; index counts from 0. The name lives as long as the net. */
NdartsStatus ndarts_input(const NdartsNet *net, int index, NdartsTensor *tensor);
NdartsStatus ndarts_output(const NdartsNet *net, int index, NdartsTensor *tensor);

/* Computes every output for `images` images, in evaluation mode. inputs: for each input images x size numbers,
 * normalised as in training, N x C x H x W; outputs: for each output room for images x size numbers, or NULL when it is
 * not wanted. */
NdartsStatus ndarts_run(NdartsNet *net, int64_t images, const float *const *inputs, float *const *outputs,
                        char **message);

/* The same for arrays with types and shapes, one for each input and each output: inputs of any type of number, outputs
 * f32 or f64, whose shapes do not matter; data NULL: not wanted. */
NdartsStatus ndarts_run_arrays(NdartsNet *net, const NdartsArray *inputs, const NdartsArray *outputs, char **message);

/* A pass in training mode, of a net of the kind "train", over one batch. */
typedef struct NdartsPass {
    size_t size;           /* sizeof(NdartsPass) */
    const char *graph;     /* "train-forward": input -> logits; or "gradients": input, grad_output -> grad/NAME of every
                              weight and architecture parameter, and grad/input, where d loss / d logits is grad_output */
    uint64_t seed, step;   /* name the random draws; a forward pass and its gradients have the same */
    int64_t epoch, epochs; /* of which this is part, of how many: for schedules of the text; epoch counts from 0 */
    int input_count, output_count;
    const NdartsArray *inputs, *outputs; /* by their names; outputs as of ndarts_run_arrays, those that are wanted */
} NdartsPass;

/* Both move the running statistics. There are at most ndarts_batch images. */
NdartsStatus ndarts_pass(NdartsNet *net, const NdartsPass *pass, char **message);

/* ---- texts ----
 * All take a text as ndarts_open does, and give back another, which the caller frees with ndarts_free; NULL on failure.
 */

/* A form of the text: "ast", "ir", "stages", "plan", "c", "cu" or "dot", as `ndartsc --emit` has them. graph: of which
 * step ("infer", "train", "search-weights", ...); NULL: what the text is for, and of "ir" and "dot" the network as the
 * text describes it. after: instead, the IR as it is behind the pass of that name, for each graph; form
 * is "ir" then. form NULL: "ir". */
NdartsStatus ndarts_ir(const char *path, const NdartsOptions *options, const char *form, const char *graph,
                       const char *after, char **result, char **message);
/* The size of a network and what it computes, a JSON object. */
NdartsStatus ndarts_stats(const char *path, const NdartsOptions *options, char **json, char **message);
/* What each operation of a network, or each candidate of a search, costs on this machine: the JSON object that `ndarts-run cost
 * --json` prints. options: batch 0 is 1. */
NdartsStatus ndarts_cost(const char *path, const NdartsOptions *options, char **json, char **message);
/* The cells of a genotype's network as an SVG document; it takes Graphviz. */
NdartsStatus ndarts_draw(const char *path, const NdartsOptions *options, char **svg, char **message);

typedef struct NdartsDerive {
    size_t size;               /* sizeof(NdartsDerive) */
    const char *path;          /* a checkpoint, a safetensors file, an alphas.jsonl, a search's folder; or */
    const NdartsArray *arrays; /* architecture parameters by their names; path is NULL then */
    int array_count;
    const char *spec;      /* the search that they are of; NULL: what the file says, else the cells of DARTS */
    const char *spec_text; /* instead of that file, as NdartsOptions.text; or NULL */
    const char *name;      /* what the genotype is called; NULL: as the file */
    int keep_ops;          /* 0: a genotype; else a space of so many candidates on each edge */
    int64_t epoch;         /* which line of an alphas.jsonl; -1: the last */
} NdartsDerive;

/* The genotype of architecture parameters, as a text. */
NdartsStatus ndarts_derive(const NdartsDerive *derive, char **text, char **message);

/* ---- runs ----
 * Searches and trainings as `ndarts-run` does them, with the same results bit for bit, in the caller's process: no signals
 * are caught, nothing is printed. One at a time in a process. */

typedef struct NdartsStep {
    int64_t epoch, epochs, step, steps; /* so many steps of the epoch are done, of so many; epochs count from 0 */
    double loss, accuracy;              /* means of the epoch so far; accuracy in 0..1 */
    double images_per_second;           /* of the run so far */
} NdartsStep;

typedef struct NdartsEpoch {
    int64_t epoch, epochs;
    const char *metrics;  /* a JSON object: its line of metrics.jsonl */
    const char *genotype; /* of a search, a text; else NULL */
    double seconds, images_per_second;
} NdartsEpoch;

typedef struct NdartsRun {
    size_t size;           /* sizeof(NdartsRun) */
    const char *path;      /* a text with a search or a training */
    NdartsOptions options; /* but batch and network, which the text says */
    const char *out;       /* the folder of the results; NULL: runs/ and the text's name */
    const char *recipe;    /* a text that says how, or its name in specs/recipes; or NULL */
    const char *costs;     /* a file with what ndarts_cost said, for the objective latency; NULL: it is measured */
    const char *init;      /* a safetensors file of weights to begin with; or NULL */
    int resume, allow_different_build, allow_different_data, tensorboard, log_steps; /* as the options of ndarts-run */
    int has_seed;
    uint64_t seed;
    /* Called in the caller's thread, with context; each may be NULL. */
    void *context;
    int (*stop)(void *context); /* before every step and every batch that is evaluated: 1 ends the run, saved */
    void (*step)(void *context, const NdartsStep *step);
    void (*epoch)(void *context, const NdartsEpoch *epoch); /* when it is written down */
    void (*say)(void *context, const char *text);           /* what the program would print; from any thread */
} NdartsRun;

/* The genotype that was found, as a text. NDARTS_INTERRUPTED when it was stopped: the message says where it was saved, and
 * resume goes on. */
NdartsStatus ndarts_search(const NdartsRun *run, char **genotype, char **message);
/* Likewise; the accuracies as the program prints them. result.json in the folder has them for programs. */
NdartsStatus ndarts_train(const NdartsRun *run, char **result, char **message);

typedef struct NdartsEvaluate {
    size_t size; /* sizeof(NdartsEvaluate) */
    const char *path;
    NdartsOptions options;     /* batch 0: 64 */
    const char *weights;       /* a safetensors file; or */
    const NdartsArray *arrays; /* weights by their names; neither: the module has its own */
    int array_count;
    const char *data;   /* "cifar10(\"PATH\")"; NULL: that of the text's training */
    const char *part;   /* "test" (NULL too) or "train" */
    const char *recipe; /* or NULL */
} NdartsEvaluate;

/* Loss and accuracies on a data set, a JSON object as `ndarts-run eval --json` prints it. */
NdartsStatus ndarts_evaluate(const NdartsEvaluate *evaluate, char **json, char **message);

#ifdef __cplusplus
}
#endif

#endif
