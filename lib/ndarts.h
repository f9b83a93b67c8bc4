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
 * last. A net computes the same bits for any number of threads. */
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
    NDARTS_ERROR_INPUT = 1,  /* what was given is wrong: a file, a shape, an argument */
    NDARTS_ERROR_MACHINE = 2 /* no memory, no device, no compiler, a failing disk */
} NdartsStatus;

typedef struct NdartsOptions {
    size_t size;             /* sizeof(NdartsOptions) */
    const char *device;      /* "cpu", "cuda", "cuda:N" or "auto"; NULL: what a module is for, the CPU for a text */
    int threads;             /* 0: one per core */
    int64_t batch;           /* of a text: images that go through together; 0: 16 */
    int double_precision;    /* of a text: compute in double */
    const char *const *sets; /* of a text: "NAME=VALUE" each, as --set of the programs */
    int set_count;
} NdartsOptions;

enum { NDARTS_MAX_RANK = 8 };

typedef struct NdartsTensor {
    const char *name; /* the net's own */
    int rank;
    int64_t shape[NDARTS_MAX_RANK]; /* activations N x C x H x W; -1 is the number of images */
    int64_t size;                   /* numbers of one image */
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

#ifdef __cplusplus
}
#endif

#endif
