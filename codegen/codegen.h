/* codegen.h: from step graphs (after all passes) to source text and a plan. */
#ifndef NDARTS_CODEGEN_CODEGEN_H
#define NDARTS_CODEGEN_CODEGEN_H

#include "base/diag.h"
#include "codegen/abi.h"
#include "ir/ir.h"

typedef enum CgTarget { TARGET_c, TARGET_cuda } CgTarget;
/* tf32: f32, but products of tensors round their operands to 11 bits; bf16: the same with 8 bits, and images are stored
 * so. Both are for CUDA: they use the tensor cores of sm_80 and later, and add up in f32. */
typedef enum CgPrecision { PRECISION_f32, PRECISION_f64, PRECISION_tf32, PRECISION_bf16, PRECISION_COUNT } CgPrecision;
const char *cg_precision_name(CgPrecision precision);
/* Reads "f32", ...; false, and ERROR_INPUT with what there is, when text is none of them. */
bool cg_precision_parse(const char *option, const char *text, CgPrecision *precision, Error *error);
/* ERROR_INPUT when the target, or the architecture ("sm_75"; NULL: not known yet), cannot do it. */
bool cg_precision_check(CgPrecision precision, CgTarget target, const char *arch, Error *error);

/* The numbers of a dense convolution, in the plan: rows, columns and channels of input and output, rows and columns of
 * window, padding (the same on both sides), stride and dilation. */
enum {
    CONV_INPUT = 0,
    CONV_INPUTS = 2,
    CONV_OUTPUT = 3,
    CONV_OUTPUTS = 5,
    CONV_KERNEL = 6,
    CONV_PAD = 8,
    CONV_STRIDE = 10,
    CONV_DILATION = 12,
    CONV_NUMBERS = 14
};

/* A kernel of CUDA that is a dense convolution or one of its gradients and nothing else, so that a library may compute
 * it: the numbers of input, output and weights (or of their gradients) among its calls' buffers, where 0 is the one that
 * is computed. */
typedef struct CgConv {
    int input, output, weight;
    int64_t shape[CONV_NUMBERS];
} CgConv;
typedef enum CgConvKind { CONV_none, CONV_forward, CONV_grad_input, CONV_grad_weight } CgConvKind;
/* CONV_none: the three numbers are not 0, 1 and 2. */
CgConvKind cg_conv_kind(const CgConv *conv);
/* Kernels for who uses a library; no step of a plan calls them (docs/modules.md). */
#define CG_CONV_COPY "nd_conv_copy"
#define CG_CONV_CLEAR "nd_conv_clear"

typedef struct CgTiles CgTiles; /* tune.h, as is the next */
typedef struct CgLoop CgLoop;

typedef struct CgOptions {
    CgTarget target;
    CgPrecision precision;
    int vector_bytes; /* 64, 32, 16; 0: scalar code (plain schedule only). C target */
    bool plain;       /* only the plain schedule, for tests */
    int unit_count;   /* how many compilation units to split the kernels into, at least 1; CUDA target: at most */
    int64_t batch;    /* as in the PassContext */
    int chunks;
    bool bands; /* C target: kernels can compute bands of rows, for fewer images than threads (abi.h) */
    bool
        standalone; /* C target, one unit: kernels are static, no nd_plan and nd_kernels (runtime/exchange/standalone.c) */
    bool rooms;     /* CUDA target: nd_plan and nd_weights are only room, filled in after compiling (cubin.h) */
    size_t weights_size;  /* with rooms: bytes of nd_weights; 0: none */
    const CgTiles *tiles; /* C target: the table of tiles; NULL: the one that is compiled in */
} CgOptions;

typedef struct CgOutput {
    int unit_count;
    const char **units; /* source texts; unit 0 holds nd_plan and nd_kernels */
    const char *plan;   /* JSON */
    CgPrecision precision;
    int loop_count; /* C target: loops with a tile, each key once */
    const CgLoop *loops;
} CgOutput;

/* Of the plan (docs/modules.md); a reader knows only its own. */
enum { CG_PLAN_VERSION = 2 };
/* How the steps of a plan write a place: s state, i input, w work, p private, r prepared. */
char cg_place_letter(IrPlace place);
/* K: into how many chunks a batch is cut for sums over images; many, where many blocks run at once. */
int cg_chunk_count(CgTarget target, int64_t batch);
/* Generates one module from the step graphs of ir (one kernel text serves all places that need it). */
CgOutput *cg_generate(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count,
                      const CgOptions *options);
/* Source text of an array of bytes as string literals, with octal escapes. */
void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size);
/* The stages of the graphs, printed (--emit=stages). */
const char *cg_print_stages(Arena *arena, IrModule *module, IrGraph *const *graphs, int graph_count,
                            const CgOptions *options);

#endif
