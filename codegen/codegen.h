/* codegen.h: from step graphs (after all passes) to source text and a plan. */
#ifndef NDARTS_CODEGEN_CODEGEN_H
#define NDARTS_CODEGEN_CODEGEN_H

#include "codegen/c/loop_tiles.h"
#include "codegen/plan/target.h"

typedef struct CgOutput {
    int unit_count;
    const char **units;               /* source texts; unit 0 holds nd_plan and nd_kernels */
    const CgDefinitions *definitions; /* or the same in parts, as the options say; else NULL */
    const Plan *plan;
    int loop_count; /* C target: loops with a tile, each key once */
    const CgLoop *loops;
} CgOutput;

extern const CgTarget *const cg_targets[TARGET_COUNT]; /* by their ids */
const CgTarget *cg_target_find(const char *name);      /* NULL when there is none */
/* K: into how many chunks a batch is cut for sums over images. */
int cg_chunk_count(const CgTarget *target, int64_t batch);
/* Generates one module from the step graphs of ir (one kernel text serves all places that need it). */
CgOutput *cg_generate(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count,
                      const CgOptions *options);
/* Its plan alone. */
const Plan *cg_plan(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count, const CgOptions *options);
/* Source of functions with the bodies of the loops, in an exported array nd_loops. */
const CgOutput *cg_generate_loops(Arena *arena, const CgLoop *loops, int count, const CgOptions *options);
/* The stages of the graphs, printed (--emit=stages). */
const char *cg_print_stages(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count,
                            const CgOptions *options);

#endif
