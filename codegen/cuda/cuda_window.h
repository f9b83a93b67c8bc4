/* cuda_window.h: depthwise convolutions by tiles: what cuda_window.c (the convolution) and cuda_window_grad.c (the
 * gradient of its weights) share: cuda_window_fits.c (for which steps), cuda_window_tile.c (sizes and descriptions), cuda_window_read.c (how a tile gets into
 * shared memory). */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_WINDOW_H
#define NDARTS_CODEGEN_CUDA_CUDA_WINDOW_H

#include "codegen/cuda/cuda.h"

enum {
    WINDOW_MOST = 8,        /* in a kernel */
    WINDOW_MOST_INLINE = 4, /* in an expression, as fuse keeps to */
    WINDOW_MOST_SHARED = 40 * 1024,
    WINDOW_MOST_TAPS = 49,
    WINDOW_MOST_LOADS = 8,    /* of vectors of operands, that wait in registers */
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
    int64_t pitch;     /* pixels from one row to the next: odd, so that threads of two rows ask for different banks */
    int64_t begin;     /* pixels of the operands before it */
} TileOperand;

/* A convolution with its weights, or the gradient of weights with dy. */
typedef struct TileWindow {
    IrNode *node;
    int step, operand; /* numbers */
    CgScalar *weight, *dy;
    CgScalar *result;     /* in the formula */
    int sum;              /* number of the window that its taps are added to: its own, or the first of the step's */
    int64_t first_weight; /* weights of the windows before it */
    int64_t kernel[2], dilation[2], pad[2];
} TileWindow;

/* Windows over the same pixels of the output. */
typedef struct WindowTile {
    CudaKernel *k;
    CgPrinter *p;
    const CgProgram *program;
    int step_count, operand_count, count; /* steps of the group with windows; its others are sums */
    TileOperand operands[WINDOW_MOST];
    TileWindow windows[WINDOW_MOST];
    CgStep *source;                       /* describes an element of the operands */
    CgStep *formulas[CUDA_GROUP_WINDOWS]; /* what a step makes of its windows' results */
    int64_t channels, size[2], stride[2]; /* size: of the output */
    int64_t tile[2];                      /* pixels of the output; columns: a multiple of run */
    int lanes;                            /* channels of a tile: a power of two */
    int width;                            /* of the vectors that tiles consist of: 1 where something has no such form */
    int most_loads;                       /* that are under way together */
    int run;                              /* outputs side by side in a row that a thread makes */
} WindowTile;

/* ---- cuda_window_fits.c ---- */
/* Does the step consist of depthwise convolutions that one tile can hold? */
bool window_fits(const CgProgram *program, Arena *scratch, const CgStep *step);
/* Is the step the gradient of a depthwise convolution's weights that a tile can hold? */
bool window_fits_gradient(const CgStep *step);
/* Candidates of one edge, with different taps, share a tile. */
bool window_stands_beside(const CudaGroup *group, const CgStep *step);
/* Depthwise convolutions that a step computes: its own node, or those that stand inline in it. */
typedef struct FoundWindows {
    int count;
    IrNode *nodes[WINDOW_MOST + 1];
} FoundWindows;
FoundWindows window_find(const CgStep *step);
/* What a window moves over; and the images that its output is, or dy. */
IrNode *window_operand(const IrNode *node);
const int64_t *window_output(const IrNode *node);

/* The depthwise convolution that stands inline in a pointwise one, as its images; NULL: there is none. */
IrNode *window_inside(const IrNode *node);
bool window_can_be_inside(const IrNode *node, const IrNode *x);

/* ---- cuda_window_tile.c ---- */
/* What a tile of whole rows may take, of the output and of shared memory: each channel of a tile takes what a product needs for
 * it, besides. */
typedef struct WindowRoom {
    int64_t pixels, bytes, lane_bytes;
} WindowRoom;
/* The tile of a single window whose results stay in shared memory, sixteens of channels at a time; false: there is no room. */
bool window_measure_rows(const CgOptions *options, IrNode *node, const WindowRoom *room, WindowTile *t);
/* Bytes of shared memory that it takes: pixels, weights, results. */
int64_t window_rows_bytes(const WindowTile *t, const CgOptions *options);
/* Its description, for a kernel that computes it inside of its first step. */
void window_describe_rows(WindowTile *t, CudaKernel *k);
/* Attributes and sizes of the windows that the group begins with: nothing is described. */
WindowTile window_measure(const CgProgram *program, const CudaGroup *group);
/* The same with descriptions. */
WindowTile window_tile(CudaKernel *k);
/* What else is printed into the kernel has no vectors. */
void window_end(const WindowTile *t);
int window_tap_count(const TileWindow *w);
/* All windows' weights of one channel. */
int64_t window_weights(const WindowTile *t);
/* Vectors of a pixel of the tile. */
int window_vectors(const WindowTile *t);
/* Pixels from the tile's beginning to the window's first tap, of the output's first pixel. */
int64_t window_first_tap(const WindowTile *t, const TileWindow *w);
/* Pixels of a row that the taps of so many outputs move over: is there a tap at the x-th? */
int64_t window_row(const WindowTile *t, const TileWindow *w);
bool window_has_tap(const WindowTile *t, const TileWindow *w, int64_t x);
/* Pixels of all operands, with what the pitch adds. */
int64_t window_pixels(const WindowTile *t);
/* Tiles of the output side by side: groups of channels, columns, rows. */
void window_count_tiles(const WindowTile *t, long long count[3]);

/* ---- cuda_window.c ---- */
/* Brings the weights of the channels at `channel` into `weight`. */
void window_print_weights(const WindowTile *t);
/* The thread's outputs, from one item of the tile in shared memory to the next: those of window N are windowN[run], for the
 * rest to be printed. */
void window_print_items(const WindowTile *t, void (*print_results)(const WindowTile *t, int step));

/* ---- cuda_window_chain.c ---- */
/* The value, with the first of the windows' results in the place of the sum of all, where it is made of nothing else; NULL
 * where it is not. */
CgScalar *window_join_results(CgBuild *b, int count, CgScalar *const *results, CgScalar *value);

/* ---- cuda_window_read.c ---- */
/* "channel < 36", or nothing. */
const char *window_channel_test(const WindowTile *t, const char *channel);
/* The description's axes get the names of variables; along the channels there are vectors. */
void window_use_source(const WindowTile *t);
/* Brings the operands' pixels that the output's tile at y0, x0 needs into `tile`: the thread's vector of a pixel is number
 * `vector`, which begins at `channel`. */
void window_print_tile(const WindowTile *t);

#endif
