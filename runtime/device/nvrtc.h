/* nvrtc.h: CUDA source to PTX or a cubin, with the NVRTC library of the machine; nothing of CUDA is linked. */
#ifndef NDARTS_RUNTIME_DEVICE_NVRTC_H
#define NDARTS_RUNTIME_DEVICE_NVRTC_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* A cubin; a relocatable one, for nvjitlink.h; or the portable text (with a zero byte at its end). */
typedef enum NvrtcKind { NVRTC_cubin, NVRTC_part, NVRTC_ptx } NvrtcKind;

/* arch: "sm_90". The bytes are in the arena. Without the library, or when it refuses: false, and *error (ERROR_MACHINE) says what to install or holds
 * the log. */
bool cg_nvrtc_compile(Arena *arena, const char *source, const char *arch, NvrtcKind kind, void **bytes, size_t *size,
                      Error *error);
/* "13.0", or NULL without the library: part of a cache key. */
const char *cg_nvrtc_version(Arena *arena);
/* NULL when it compiles for the architecture "sm_90", or does not say; else which it compiles for, in words. */
const char *cg_nvrtc_refuses(Arena *arena, const char *arch);

#endif
