/* build.h: from generated C to a shared object, by the system's compiler. */
#ifndef NDARTS_RUNTIME_BUILD_H
#define NDARTS_RUNTIME_BUILD_H

#include "base/arena.h"
#include "base/diag.h"
#include "codegen/codegen.h"

enum { COMPILER_MAX_ARGS = 16 };

typedef struct RtCompiler {
    int arg_count;
    const char *args[COMPILER_MAX_ARGS]; /* the command: $CC may hold options too */
    const char *version;                 /* first line of --version */
} RtCompiler;

/* $CC, or else the first of cc, gcc, clang that there is. ERROR_MACHINE when there is none. */
bool rt_compiler_find(Arena *arena, RtCompiler *compiler, Error *error);
/* The options that decide which instructions and which bits come out, separated by spaces; $NDARTS_CFLAGS last. */
const char *rt_compiler_options(Arena *arena, int vector_bytes);
/* Compiles the units side by side and links them into path, which appears whole or not at all. A compiler's error is
 * ERROR_MACHINE with its first lines. */
bool rt_build_shared(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *path,
                     Error *error);

#endif
