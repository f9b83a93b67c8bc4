/* compile.h: how a program gets its module from a text. */
#ifndef NDARTS_RUNTIME_DRIVER_COMPILE_H
#define NDARTS_RUNTIME_DRIVER_COMPILE_H

#include "runtime/driver/program.h"

/* Sets the module, the settings and the identity of a program whose device is open. */
bool program_compile(RtProgram *program, const RtProgramOptions *options, Error *error);

/* Between two runs: once the better code of a program that began with a draft is there, the graphs go on with it. */
void program_take_better(RtProgram *program);

#endif
