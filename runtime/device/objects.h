/* objects.h: modules linked of objects, most of which other modules had made. */
#ifndef NDARTS_RUNTIME_DEVICE_OBJECTS_H
#define NDARTS_RUNTIME_DEVICE_OBJECTS_H

#include "runtime/device/compiler.h"

/* Compiles what the cache has not, in the folder of work, and links all to *module, a file there. The new objects are left
 * in the cache, unless they are drafts. The module computes the same bits whatever the cache had. */
bool rt_objects_build(const RtCompiling *work, const CgDefinitions *definitions, const char **module, Error *error);
/* Bytes of source that it would compile. */
size_t rt_objects_left(const RtCompiling *work, const CgDefinitions *definitions);

#endif
