/* progress.h: what a run shows while it goes: a bar that redraws itself on a terminal, now and then a plain line
 * elsewhere. */
#ifndef NDARTS_RUNTIME_LOOPS_PROGRESS_H
#define NDARTS_RUNTIME_LOOPS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
    FILE *out;
    bool terminal;
    int64_t epochs, steps; /* per run, per epoch */
    int64_t first_done;    /* steps that were done before this process began */
    int64_t images;        /* since the beginning of this process */
    double started, shown; /* seconds */
    bool bar_drawn;
} Progress;

void progress_begin(Progress *progress, FILE *out, int64_t epochs, int64_t steps, int64_t first_done);
/* After a step: `step` steps of `epoch` are done; images: processed by it. loss and accuracy (0..1): means of the epoch
 * so far. */
void progress_step(Progress *progress, int64_t epoch, int64_t step, int64_t images, double loss, double accuracy);
/* Clears the bar, so that a line can be printed. */
void progress_clear(Progress *progress);
double progress_images_per_second(const Progress *progress);

#endif
