/* weights.h: weights from a file into a program. */
#ifndef NDARTS_RUNTIME_DRIVER_WEIGHTS_H
#define NDARTS_RUNTIME_DRIVER_WEIGHTS_H

#include "runtime/driver/runtime.h"

/* Reads the file and takes the weights out of it. NULL is right for a program that has weights embedded. net names the
 * program in messages. Nothing is changed on an error. */
bool weights_load(RtProgram *program, const char *net, const char *path, Error *error);

#endif
