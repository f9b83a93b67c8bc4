/* device.h: which device a program runs on: --device=cpu, cuda, cuda:N, auto. */
#ifndef NDARTS_RUNTIME_DEVICE_DEVICE_H
#define NDARTS_RUNTIME_DEVICE_DEVICE_H

#include "runtime/device/backend.h"

typedef struct RtDeviceChoice {
    const RtBackend *backend;
    int number; /* of the GPU; or RT_OWN_NUMBER */
} RtDeviceChoice;

/* text NULL: the CPU. "auto" takes the first GPU when there is one and what it needs, else the CPU, and says so on
 * stderr. ERROR_INPUT when text is none of these. */
bool rt_device_choose(const char *text, RtDeviceChoice *choice, Error *error);
/* The compiler, its options and, of a GPU, the card: with a source and a processor they decide how fast its code is. NULL
 * when there is none. */
const char *rt_device_toolchain(Arena *arena, const char *text, int vector_bytes, Error *error);
/* One line about GPUs for `ndarts-run info`: "cuda: 1 GPU, NVIDIA ..., runtime 13.0, nvrtc 13.0", or what is missing.
 */
const char *rt_device_describe_cuda(Arena *arena);
/* What to compile for when nobody says: the first GPU's "sm_90"; "sm_80" where there is none. */
const char *rt_device_arch(Arena *arena);

#endif
