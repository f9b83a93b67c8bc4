/* options.h: what code is generated for: the target, its numbers, and how a module is cut. */
#ifndef NDARTS_CODEGEN_PLAN_OPTIONS_H
#define NDARTS_CODEGEN_PLAN_OPTIONS_H

#include "base/diag.h"

#define TARGET(name, starts_threads) TARGET_##name,
typedef enum CgTargetId {
#include "codegen/plan/targets.def"
    TARGET_COUNT
} CgTargetId;
#undef TARGET
typedef struct CgTarget CgTarget; /* target.h */
/* tf32: f32, but products of tensors round their operands to 11 bits; bf16: the same with 8 bits, and images are stored
 * so. Both add up in f32. tf32 is for CUDA alone, where both use the tensor cores of sm_80 and later. */
typedef enum CgPrecision { PRECISION_f32, PRECISION_f64, PRECISION_tf32, PRECISION_bf16, PRECISION_COUNT } CgPrecision;
const char *cg_precision_name(CgPrecision precision);
/* Reads "f32", ...; false, and ERROR_INPUT with what there is, when text is none of them. */
bool cg_precision_parse(const char *option, const char *text, CgPrecision *precision, Error *error);

typedef struct CgTiles CgTiles; /* codegen/c/loop_tiles.h */

typedef struct CgOptions {
    const CgTarget *target;
    CgPrecision precision;
    int vector_bytes; /* 64, 32, 16; 0: scalar code (plain schedule only). C target */
    bool plain;       /* only the plain schedule, for tests */
    int unit_count; /* how many compilation units to split the kernels into; CUDA target: at most; 0: none, but its definitions, of a target that lists them */
    int64_t batch;  /* as in the PassContext */
    int chunks;
    int ranks;       /* each has that batch and those chunks of a larger one, or, CUDA target, a part of them; 0: 1 */
    bool bands;      /* C target: kernels can compute bands of rows, for fewer images than threads (abi.h) */
    bool standalone; /* C target, one unit: kernels are static, no nd_plan and nd_kernels (standalone.c) */
    bool rooms;      /* CUDA target: nd_plan and nd_weights are only room, filled in after compiling (cubin.h) */
    size_t weights_size;  /* with rooms: bytes of nd_weights; 0: none */
    const CgTiles *tiles; /* C target: the table of tiles; NULL: the one that is compiled in */
} CgOptions;

#endif
