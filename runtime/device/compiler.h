/* compiler.h: from generated C to a shared object, by the system's compiler. */
#ifndef NDARTS_RUNTIME_DEVICE_COMPILER_H
#define NDARTS_RUNTIME_DEVICE_COMPILER_H

#include "base/arena.h"
#include "base/diag.h"
#include "codegen/codegen.h"

typedef struct RtCompiler {
    int arg_count;
    const char **args;   /* the command: $CC may hold options too */
    const char *version; /* first line of --version, and the command's other words */
} RtCompiler;

/* $CC, a program's path or a command in words (str_split_words), or else the first of cc, gcc, clang that there is.
 * Runs it once, for its version. ERROR_MACHINE when there is none. */
bool rt_compiler_find(Arena *arena, RtCompiler *compiler, Error *error);
/* The options that decide which instructions and which bits come out, as words of a command; $NDARTS_CFLAGS last. */
const char *rt_compiler_options(Arena *arena, int vector_bytes);

/* What is compiled, and how, in a folder that is there for it alone. */
typedef struct RtCompiling {
    Arena *arena;
    const RtCompiler *compiler;
    const char *options, *folder;
    bool draft; /* in a third of the time; the code takes a third longer, and computes the same bits */
} RtCompiling;

/* Compiles the source texts side by side; objects[i] is the file made of units[i]. A compiler's error is ERROR_MACHINE
 * with its first lines. */
bool rt_compile_units(const RtCompiling *work, int count, const char *const *units, const char **objects, Error *error);
/* Links objects to *module, a file. */
bool rt_link_objects(const RtCompiling *work, int count, const char *const *objects, const char **module, Error *error);
/* Both. */
bool rt_build_in_folder(const RtCompiling *work, const CgOutput *output, const char **module, Error *error);
/* The same, in a folder of its own, into path, which appears whole or not at all. */
bool rt_build_shared(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *path,
                     Error *error);

#endif
