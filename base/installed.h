/* installed.h: where this program, or the shared library that this code is in, lies, and what was installed with it. */
#ifndef NDARTS_BASE_INSTALLED_H
#define NDARTS_BASE_INSTALLED_H

#include "base/arena.h"

/* The file that this code is in. */
const char *installed_file(void);

/* The folder of the language's own definitions: $NDARTS_LIBRARY, else that of the installation this program or shared
 * library is of, else, in a build folder, that of the source tree. Where there is none: the folders that
 * were looked in, parted by commas. */
const char *installed_library(Arena *arena);

#endif
