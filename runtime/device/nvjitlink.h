/* nvjitlink.h: several relocatable cubins become one, with the nvJitLink library of the machine. */
#ifndef NDARTS_RUNTIME_DEVICE_NVJITLINK_H
#define NDARTS_RUNTIME_DEVICE_NVJITLINK_H

#include "base/arena.h"
#include "base/diag.h"

#include <stddef.h>

typedef struct NvPart {
    const void *bytes;
    size_t size;
} NvPart;

bool nvjitlink_is_there(void);
/* parts: of NVRTC_part (nvrtc.h), for arch. False: *error (ERROR_MACHINE) holds the log. */
bool nvjitlink_join(Arena *arena, const char *arch, const NvPart *parts, int count, void **bytes, size_t *size,
                    Error *error);

#endif
