/* schedule_core.h: the inner loops of the fast C schedules, as text. Nothing here knows about nodes: only shapes and the
 * names of pointers. Every loop has constant bounds; channels are cut into segments of vectors (print_c.h). */
#ifndef NDARTS_CODEGEN_C_SCHEDULE_CORE_H
#define NDARTS_CODEGEN_C_SCHEDULE_CORE_H

#include "base/str.h"

#include <stdint.h>

enum { CORE_MAX_VECTORS = 4 };

/* How much of the result a loop has in registers at a time. Zeros: chosen by the width of the vectors. */
typedef struct CoreTile {
    int length; /* columns; dense gradients: input channels */
    int width; /* dense, dense gradients: vectors of output channels, at most CORE_MAX_VECTORS; depthwise gradients: rows of
                   the kernel; depthwise: not used */
} CoreTile;

/* A window sliding over a source image that already has its padding: output pixel (h, w) sees source pixels
 * (h * stride + kh * dilation, w * stride + kw * dilation). */
typedef struct CoreWindow {
    int64_t height, width; /* of the output (of dy in the gradients) */
    int64_t channels;      /* depthwise: of source and output; dense: of the output */
    int64_t in_channels;   /* dense: of the source */
    int64_t kernel[2], stride[2], dilation[2];
    int64_t row_pitch;                    /* elements from one source row to the next */
    int64_t pixel_pitch;                  /* elements from one source pixel to the next */
    int64_t dy_row_pitch, dy_pixel_pitch; /* gradients: likewise of dy */
    int max_width;                        /* elements of the widest vector: 16, 8, 4 */
    bool half;                            /* the result is stored as bf16 */
    bool pairs; /* dense: operands are bf16, two neighbours along the sum together (prelude_bf16.c): input channels, of
                   gradients columns, of which there is an even number */
    CoreTile tile;
} CoreWindow;

/* Rows from <= h < to, two variables, are computed.
 * out[h][w][c] = sum over kh, kw of source * weight[kh][kw][c] (weight index counted down from the end when flipped). */
void core_print_depthwise(Str *out, const CoreWindow *shape, bool flipped, const char *source, const char *weight,
                          const char *result);
/* out[h][w][o] = sum over kh, kw, i of source * weight[kh][kw][i][o]. */
void core_print_dense(Str *out, const CoreWindow *shape, const char *source, const char *weight, const char *result);
/* gradient[kh][kw][c] = sum over h, w of source * dy[h][w][c]; added to what is there unless the variable `first` is set. */
void core_print_depthwise_gradient(Str *out, const CoreWindow *shape, const char *source, const char *dy,
                                   const char *gradient);
/* gradient[kh][kw][i][o] = sum over h, w of source * dy[h][w][o]; likewise. */
void core_print_dense_gradient(Str *out, const CoreWindow *shape, const char *source, const char *dy,
                               const char *gradient);

#endif
