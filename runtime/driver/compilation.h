/* compilation.h: from a text to source, stage by stage. The one way there: the compiler may stop at any of them, a
 * program that runs goes on to a module (compile.c).
 *
 *     compilation_load      text -> module          the tree, the IR
 *     compilation_choose    what is made, and how   targets, kinds, sizes, tiles
 *     compilation_build     module -> step graphs   passes, within the budget of memory
 *     compilation_generate  step graphs -> source and plan */
#ifndef NDARTS_RUNTIME_DRIVER_COMPILATION_H
#define NDARTS_RUNTIME_DRIVER_COMPILATION_H

#include "passes/pass.h"
#include "runtime/device/fit.h"
#include "runtime/device/tiles.h"
#include "runtime/driver/runtime.h"

typedef struct Compilation {
    Arena *arena;
    const RtProgramOptions *options;
    const char *arch;   /* of the GPU that is compiled for; NULL: not known yet */
    PassContext passes; /* what passes are told besides: which run, what is printed */
    Diag *diag;         /* of compilation_load on */
    IrModule *module;
    bool has_steps; /* the module has step graphs instead of @forward, which go on where they stopped */
    int kind_count;
    GraphKind kinds[GRAPH_KIND_COUNT];
    CgOptions cg;
    RtTiles tiles;
    IrGraph *graphs[GRAPH_KIND_COUNT]; /* of the kinds */
    RtBuild build;                     /* how they were built */
    const IrGraph *at;                 /* the graph that is being worked on, for bug() */
} Compilation;

/* Mistakes are printed as they are found. False without an error: that is all there is to say. */
bool compilation_load(Compilation *c, Error *error);
/* A module without @forward, as --dump-to writes it, has the graphs of steps, which are what there is. */
bool compilation_use_steps(Compilation *c, Error *error);
/* Of the kinds of the options, or what the text is for, how they are made for a target; cg is complete but for what concerns the module itself. */
bool compilation_choose(Compilation *c, const CgTarget *target, Error *error);
/* Whether a budget of memory leaves all bits as they are. On a GPU sums are made otherwise then; values that are kept in bf16
 * are rounded. */
bool compilation_budget_keeps_bits(const RtProgramOptions *options, const CgTarget *target);
/* What was chosen, as text: with the module of the text, and what compiles, it decides what is made. */
void compilation_add_choices(const Compilation *c, Str *s);
bool compilation_build(Compilation *c, Error *error);
CgOutput *compilation_generate(const Compilation *c);

/* What passes are told for a graph of this compilation. */
PassContext compilation_passes(const Compilation *c, GraphKind kind, const RtBuild *build);
int64_t compilation_batch(const Compilation *c);
/* Those of this machine, unless the options say other ones. */
int compilation_vector_bytes(const RtProgramOptions *options);

#endif
