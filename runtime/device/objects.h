/* objects.h: modules linked of objects, most of which other modules had made. */
#ifndef NDARTS_RUNTIME_DEVICE_OBJECTS_H
#define NDARTS_RUNTIME_DEVICE_OBJECTS_H

#include "runtime/device/compiler.h"

/* Compiles what the cache has not, in the folder of work, and links all to *module, a file there. The new objects are left
 * in the cache, unless they are drafts. The module computes the same bits whatever the cache had. */
bool rt_objects_build(const RtCompiling *work, const CgDefinitions *definitions, const char **module, Error *error);
/* What it would compile: so many functions of all, and the bytes of their source. */
typedef struct RtObjectsLeft {
    int functions, all;
    size_t bytes;
} RtObjectsLeft;
RtObjectsLeft rt_objects_left(const RtCompiling *work, const CgDefinitions *definitions);

#endif
