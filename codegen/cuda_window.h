/* cuda_window.h: depthwise convolutions by tiles: what cuda_window.c (the convolution) and cuda_window_grad.c (the
 * gradient of its weights) share. */
#ifndef NDARTS_CODEGEN_CUDA_WINDOW_H
#define NDARTS_CODEGEN_CUDA_WINDOW_H

#include "codegen/cuda.h"

enum { WINDOW_MOST_SHARED = 40 * 1024, WINDOW_MOST_TAPS = 49, ROW = 0, COLUMN = 1 };

/* Axes of the description of operands: a pixel of what the window moves over, a tap, a pixel of the output's gradient.
 */
enum { AXIS_image, AXIS_y, AXIS_x, AXIS_channel, AXIS_kh, AXIS_kw, AXIS_oy, AXIS_ox, WINDOW_AXES };

typedef struct Window {
    CgPrinter *p;
    const CgStep *step;
    IrNode *operand, *weight_node, *dy_node; /* weight_node of the convolution, dy_node of the gradient; else NULL */
    CgStep *source;                          /* describes an element of the operands */
    CgScalar *pixel, *weight, *dy;
    int64_t channels, size[2]; /* of the convolution's output */
    int64_t kernel[2], stride[2], dilation[2], pad[2];
    int64_t tile[2], region[2]; /* pixels of the output; of the operand */
    int lanes;                  /* channels of a tile; divides the number of threads */
} Window;

/* Attributes, sizes of tiles and descriptions; operand, weight_node or dy_node, channels, size and kernel are set.
 * False when the kernel cannot be made. */
bool window_prepare(Window *w, const CgProgram *program);
/* "channel < 36", or "true". */
const char *window_channel_test(const Window *w);
/* Brings the operand's pixels that the output's tile at y0, x0 needs into `tile`. */
void window_print_tile(const Window *w);
/* Offset in `tile` of a tap, from the pixel of the first. */
int64_t window_tap(const Window *w, int64_t kh, int64_t kw);

#endif
