/* codegen.h: from step graphs (after all passes) to source text and a plan. */
#ifndef NDARTS_CODEGEN_CODEGEN_H
#define NDARTS_CODEGEN_CODEGEN_H

#include "codegen/abi.h"
#include "ir/ir.h"

typedef enum CgTarget { TARGET_c, TARGET_cuda } CgTarget;
typedef enum CgPrecision { PRECISION_f32, PRECISION_f64 } CgPrecision;

typedef struct CgTiles CgTiles; /* tune.h, as is the next */
typedef struct CgLoop CgLoop;

typedef struct CgOptions {
    CgTarget target;
    CgPrecision precision;
    int vector_bytes;      /* 64, 32, 16; 0: scalar code (plain schedule only). C target */
    bool plain;            /* only the plain schedule, for tests */
    int unit_count;        /* how many compilation units to split the kernels into, at least 1; CUDA target: at most */
    int64_t batch;         /* as in the PassContext */
    int chunks;
    bool bands;            /* C target: kernels can compute bands of rows, for fewer images than threads (abi.h) */
    bool standalone;       /* C target, one unit: kernels are static, no nd_plan and nd_kernels (runtime/standalone.c) */
    bool rooms;            /* CUDA target: nd_plan and nd_weights are only room, filled in after compiling (cubin.h) */
    size_t weights_size;   /* with rooms: bytes of nd_weights; 0: none */
    const CgTiles *tiles;  /* C target: the table of tiles; NULL: the one that is compiled in */
} CgOptions;

typedef struct CgOutput {
    int unit_count;
    const char **units;    /* source texts; unit 0 holds nd_plan and nd_kernels */
    const char *plan;      /* JSON */
    int loop_count;        /* C target: loops with a tile, each key once */
    const CgLoop *loops;
} CgOutput;

/* K: into how many chunks a batch is cut for sums over images; many, where many blocks run at once. */
int cg_chunk_count(CgTarget target, int64_t batch);
/* Generates one module from the step graphs of ir (one kernel text serves all places that need it). */
CgOutput *cg_generate(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count, const CgOptions *options);
/* Source text of an array of bytes as string literals, with octal escapes. */
void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size);
/* The stages of the graphs, printed (--emit=stages). */
const char *cg_print_stages(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count, const CgOptions *options);

#endif
