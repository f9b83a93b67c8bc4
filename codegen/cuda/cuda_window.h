/* cuda_window.h: depthwise convolutions by tiles: what cuda_window.c (the convolution) and cuda_window_grad.c (the
 * gradient of its weights) share. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_WINDOW_H
#define NDARTS_CODEGEN_CUDA_CUDA_WINDOW_H

#include "codegen/cuda/cuda.h"

enum {
    WINDOW_MOST = 8,        /* in a kernel */
    WINDOW_MOST_INLINE = 4, /* in an expression, as fuse keeps to */
    WINDOW_MOST_SHARED = 40 * 1024,
    WINDOW_MOST_TAPS = 49,
    WINDOW_MOST_REACH = 1024, /* pixels of the operands for one of the output; of several windows together */
    ROW = 0,
    COLUMN = 1
};

/* Axes of the description of operands: a pixel of what a window moves over, a tap, a pixel of the output's gradient. */
enum { AXIS_image, AXIS_y, AXIS_x, AXIS_channel, AXIS_kh, AXIS_kw, AXIS_oy, AXIS_ox, WINDOW_AXES };

/* What windows move over: a part of the tile in shared memory. */
typedef struct TileOperand {
    IrNode *node;
    CgScalar *pixel;
    int64_t pad[2];    /* the largest of its windows */
    int64_t region[2]; /* pixels */
    int64_t begin;     /* pixels of the operands before it */
} TileOperand;

/* A convolution with its weights, or the gradient of weights with dy. */
typedef struct TileWindow {
    IrNode *node;
    int step, operand; /* numbers */
    CgScalar *weight, *dy;
    int64_t kernel[2], dilation[2], pad[2];
} TileWindow;

/* Windows over the same pixels of the output. */
typedef struct WindowTile {
    CudaKernel *k;
    CgPrinter *p;
    int step_count, operand_count, count; /* steps of the group with windows; its others are sums */
    TileOperand operands[WINDOW_MOST];
    TileWindow windows[WINDOW_MOST];
    CgStep *source;                       /* describes an element of the operands */
    CgStep *formulas[CUDA_GROUP_WINDOWS]; /* what a step makes of its windows' results */
    int64_t channels, size[2], stride[2]; /* size: of the output */
    int64_t tile[2];                      /* pixels of the output */
    int lanes;                            /* channels of a tile; divides the number of threads */
} WindowTile;

/* Is the step the gradient of a depthwise convolution's weights that a tile can hold? */
bool window_fits_gradient(const CgStep *step);
/* Candidates of one edge, with different taps, share a tile. */
bool window_stands_beside(const CudaGroup *group, const CgStep *step);
/* Attributes, sizes and descriptions of the windows that the kernel's group begins with. */
WindowTile window_tile(CudaKernel *k);
int window_tap_count(const TileWindow *w);
/* "channel < 36", or "true". */
const char *window_channel_test(const WindowTile *t);
/* Brings the operands' pixels that the output's tile at y0, x0 needs into `tile`. */
void window_print_tile(const WindowTile *t);
/* The description's axes get the names of variables. */
void window_use_source(const WindowTile *t);
/* Offset in `tile` of a tap, from the pixel where the operand's common padding begins. */
int64_t window_tap(const WindowTile *t, const TileWindow *w, int64_t tap);
/* Elements of `tile`. */
int64_t window_elements(const WindowTile *t);
/* Tiles of the output side by side: groups of channels, columns, rows. */
void window_count_tiles(const WindowTile *t, long long count[3]);

#endif
