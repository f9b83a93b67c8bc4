/* library.h: shared libraries that are looked for when they are needed, so that programs start without them. */
#ifndef NDARTS_BASE_LIBRARY_H
#define NDARTS_BASE_LIBRARY_H

#include <stdbool.h>

/* libSTEM.so.N, newest N first, then libSTEM.so; where the system looks, then where NVIDIA's installer puts it. NULL
 * when it is nowhere. It is never unloaded. */
void *library_open(const char *stem, int newest, int oldest);
/* The address of a function goes to *function, which is a pointer to a function pointer; false when there is none. */
bool library_find(void *library, const char *name, void *function);

#endif
