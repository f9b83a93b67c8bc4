/* wide_device.h: what passes know of a device that runs hundreds of steps at once. */
#ifndef NDARTS_IR_WIDE_DEVICE_H
#define NDARTS_IR_WIDE_DEVICE_H

#include "ir/ir.h"

/* Depthwise convolutions that its kernels compute by tiles of their operands. */
typedef struct WideDevice {
    const char *target; /* whose it is, as --target names it */
    int most_windows;   /* that stand inline in one expression */
    int most_taps;      /* of one */
    /* Is a convolution's result, inline in the pointwise one that alone reads it, made in the tiles of its kernel, for so many
     * images, numbers having so many bytes? */
    bool (*makes_inside)(const IrNode *pointwise, IrNode *convolution, int element_bytes, int64_t images);
} WideDevice;

#endif
