/* installed.h: where this program, or the shared library that this code is in, lies, and what was installed with it. */
#ifndef NDARTS_RUNTIME_DEVICE_INSTALLED_H
#define NDARTS_RUNTIME_DEVICE_INSTALLED_H

#include "base/arena.h"

/* The file that this code is in. */
const char *installed_file(void);

#endif
