/* compiler.h: from generated C to a shared object, by the system's compiler. */
#ifndef NDARTS_RUNTIME_DEVICE_COMPILER_H
#define NDARTS_RUNTIME_DEVICE_COMPILER_H

#include "base/arena.h"
#include "base/diag.h"
#include "codegen/codegen.h"

typedef struct RtCompiler {
    int arg_count;
    const char **args;   /* the command: $CC may hold options too */
    const char *version; /* first line of --version */
} RtCompiler;

/* $CC, a program's path or a command in words (str_split_words), or else the first of cc, gcc, clang that there is.
 * Runs it once, for its version. ERROR_MACHINE when there is none. */
bool rt_compiler_find(Arena *arena, RtCompiler *compiler, Error *error);
/* The options that decide which instructions and which bits come out, as words of a command; $NDARTS_CFLAGS last. */
const char *rt_compiler_options(Arena *arena, int vector_bytes);
/* Compiles the units side by side and links them, all in a folder that is there for it alone; *module is the file. A
 * compiler's error is ERROR_MACHINE with its first lines. */
bool rt_build_in_folder(Arena *arena, const RtCompiler *compiler, const CgOutput *output, const char *options,
                        const char *folder, const char **module, Error *error);
/* The same into path, which appears whole or not at all. */
bool rt_build_shared(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *path,
                     Error *error);

#endif
