/* wide_device.h: what passes know of a device that runs hundreds of steps at once. */
#ifndef NDARTS_IR_WIDE_DEVICE_H
#define NDARTS_IR_WIDE_DEVICE_H

/* Depthwise convolutions that its kernels compute by tiles of their operands. */
typedef struct WideDevice {
    int most_windows; /* that stand inline in one expression */
    int most_taps;    /* of one */
} WideDevice;

#endif
