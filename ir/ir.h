/* ir.h: the graph. SSA values of tensor type, one graph per thing to run, all graphs of a text in one module.
 *
 *     graph @edge(%x: f32[N,32,32,16], %w: f32[7]) -> f32[N,32,32,16] {
 *       %1 = mixed %x, %w {candidates=[@max_pool_3x3_16_1, @dil_conv_5x5_16_1], name="cells.0._ops.0"}
 *       return %1
 *     }
 *
 * A node is an operation and at the same time the one value it computes. The order of a graph's nodes is the order of
 * execution; a node comes after its inputs. docs/ir.md has the grammar of the printed form.
 */
#ifndef NDARTS_IR_IR_H
#define NDARTS_IR_IR_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { IR_MAX_RANK = 6, IR_MAX_ATTRS = 10, IR_MAX_CASES = 64 /* of a choice */ };

/* f32 is "the precision of the module": float, or double under --precision=f64. */
typedef enum IrDtype { DTYPE_f32, DTYPE_i32, DTYPE_u8, DTYPE_bf16 /* of memory alone: no value has it */ } IrDtype;

/* More elements along an axis, and more bytes of a value (of one image, in double precision) or of all values of a
 * graph (of a batch), there are not: whatever is made of them can be counted in an int64_t. */
#define IR_MAX_EXTENT INT32_MAX
#define IR_MAX_BYTES (INT64_C(1) << 48)

/* A text's graph has no more nodes when its calls are written out, and calls go no deeper: of a published network it
 * has 10,000 at most. */
enum { IR_MAX_EXPANDED = 1 << 18, IR_MAX_CALL_DEPTH = 1000 };

/* Symbolic extents. */
enum { IR_DIM_N = -1, /* images of the batch */ IR_DIM_K = -2 /* chunks of the batch */ };

typedef struct IrType {
    IrDtype dtype;
    int rank;
    int64_t dim[IR_MAX_RANK];
} IrType;

typedef enum IrOp {
#define AT_LEAST(n) (-1 - (n))
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes) OP_##id,
#include "ir/ops.def"
#undef OP
    OP_COUNT
} IrOp;

/* Flags of a row. */
enum {
    OP_PURE = 1,
    OP_ELEMENTWISE = 2,
    OP_EXACT = 4,
    OP_FUNCTION = 8,
    OP_WHOLE = 16,
    OP_VIEW = 32,
    OP_ONCE = 64,
    OP_REDUCTION = 128,
    OP_SUM = 256,
    OP_WINDOW = 512,
    OP_PRODUCT = 1024,
    OP_HIGH = 2048,
    OP_SOURCE = 4096,
    OP_GIVEN = 8192,
    OP_NUMBER = 16384,
    OP_EFFECT = 32768,
    OP_LAZY = 65536,
    OP_RANKS = 131072
};

typedef struct IrOpInfo {
    const char *name;
    int inputs; /* exact count, or -1 - least */
    unsigned flags;
    const char *scalar;     /* the text of the form, of elementwise ops */
    const char *attributes; /* the schema as in ops.def */
} IrOpInfo;
extern const IrOpInfo ir_op_info[OP_COUNT];

typedef enum IrAttrKind { ATTR_int, ATTR_float, ATTR_bool, ATTR_string, ATTR_ints, ATTR_symbols } IrAttrKind;
typedef struct IrAttr {
    const char *name;
    IrAttrKind kind;
    int64_t i;     /* int, bool */
    double f;      /* float */
    const char *s; /* string */
    int count;     /* ints, symbols */
    int64_t *ints;
    const char **symbols; /* names of graphs, without the '@' */
} IrAttr;

typedef struct IrNode IrNode;
typedef struct IrGraph IrGraph;
typedef struct IrModule IrModule;

struct IrNode {
    IrOp op;
    IrType type;
    int input_count;
    IrNode **inputs;
    int attr_count;
    IrAttr *attrs;
    Span span;           /* where in the text it came from */
    const char *tag;     /* what it belongs to, "cells.0._ops.3"; gradients inherit it; NULL: nothing */
    int id;              /* %id in print; unique in the graph; set by ir_graph_number */
    IrNode *prev, *next; /* order of execution */
    IrGraph *graph;

    /* Annotations of the passes; printed after the type: !{inline, stage=3, place="work", offset=4096,
     * tag="cells.0._ops.3"}. */
    bool half;      /* plan-memory: its memory holds bf16, two bytes an element */
    bool inlined;   /* fuse: has no memory; its users compute it where they need it */
    int stage;      /* fuse: number of the stage that computes it; -1: none yet */
    int place;      /* plan-memory: an IrPlace */
    int64_t offset; /* plan-memory: bytes from the beginning of its place */
    void *scratch;  /* for the pass that is running */
    int mark;       /* likewise */
};

/* Where a value lives. */
typedef enum IrPlace {
    PLACE_none,    /* inlined or no value */
    PLACE_state,   /* parameters: live across runs */
    PLACE_input,   /* given by the caller for each run */
    PLACE_work,    /* shared arena of the graph: whole batch */
    PLACE_private, /* one image, per thread: made and used within one stage */
    PLACE_prepared /* computed from parameters once, when they change */
} IrPlace;

typedef struct IrOutput {
    const char *name; /* "logits", "loss", "grad/cells.0..." */
    IrNode *value;
} IrOutput;

/* A graph: blocks parameters are its first nodes (OP_input in a step graph, OP_input named after the argument in a
 * function). */
struct IrGraph {
    IrModule *module;
    const char *name;
    IrNode *first, *last;
    int arg_count, arg_capacity;
    IrNode **args; /* OP_input nodes, in order */
    int output_count, output_capacity;
    IrOutput *outputs; /* functions: one, called "" */
    int next_id;
    int64_t expanded; /* nodes when its calls are written out; see ir_graph_measure */
    int depth;        /* of its calls: 0 when it has none */
    Span span;
};

/* How a parameter begins, and which part it plays. */
typedef enum IrParamKind { PARAM_weight, PARAM_alpha, PARAM_statistic, PARAM_optimizer } IrParamKind;
typedef enum IrInit {
    INIT_zeros,
    INIT_ones,
    INIT_uniform_fan_in /* +-1/sqrt(fan_in) = init_scale */,
    INIT_normal /* init_scale times N(0,1) */
} IrInit;
typedef struct IrParam {
    const char
        *name; /* the PyTorch state_dict's; alphas_normal; momentum: "momentum/NAME", "adam_m/NAME", "adam_v/NAME" */
    IrType type;
    IrParamKind kind;
    IrInit init;
    double init_scale;
    bool auxiliary; /* belongs to the auxiliary head */
    Span span;
} IrParam;

/* Settings that came with the text: a tree printed as  set search.epochs = 50  lines. Keys are dotted paths. */
typedef struct IrSetting {
    const char *key;
    IrAttr value; /* name unused */
    Span span;
} IrSetting;

struct IrModule {
    Arena *arena;
    const char *name;
    IrGraph **graphs;
    int graph_count, graph_capacity;
    IrParam *params; /* filled by expand for step graphs; functions mention parameters by relative names */
    int param_count, param_capacity;
    IrSetting *settings;
    int setting_count, setting_capacity;
    StrMap param_index; /* cache of ir_module_find_param */
    StrMap graph_index; /* IrGraph * by name; NULL: removed */
};

/* ---- building (ir.c) ---- */
IrModule *ir_module_create(Arena *arena, const char *name);
IrGraph *ir_graph_create(IrModule *module, const char *name);     /* bug() when the name is taken */
void ir_graph_remove(IrGraph *graph);                             /* out of its module; no other graph may call it */
IrGraph *ir_graph_find(const IrModule *module, const char *name); /* NULL when absent */
/* The module with these graphs alone: this one, behind all that it calls. To be printed: it shares everything with its module. */
IrModule ir_module_part(IrGraph *graph);
/* A module in an arena of its own with copies of the graph, of all that it calls, and of the table and the settings; it shares nothing that
 * changes, so that a thread can work with it. Nodes of the originals have ->scratch set to their copies. */
IrModule *ir_module_split(Arena *arena, IrGraph *graph);
/* Takes over the graphs, parameters and settings that part, which was split off, has got since; it is empty then. Its arena must
 * live as long as the module's. */
void ir_module_join(IrModule *module, IrModule *part);
/* A deep copy under a new name, outputs and annotations included. Nodes of the original have ->scratch set to their
 * copies. */
IrGraph *ir_graph_clone(IrGraph *graph, const char *name);
/* Sets expanded and depth of a graph whose callees were measured before. */
void ir_graph_measure(IrGraph *graph);
/* Puts the nodes into memory in their order, where a walk over a large graph takes a fraction of the time. Whoever knows a node knows it no
 * longer. */
void ir_graph_compact(IrGraph *graph);
void ir_graph_number(IrGraph *graph); /* ids 0, 1, ... in order */
void ir_graph_add_output(IrGraph *graph, const char *name, IrNode *value);
IrNode *ir_graph_find_output(const IrGraph *graph, const char *name); /* NULL when absent */
/* Every OP_input node is an argument and stands before all other nodes: building one (by ir_build too) appends it to
 * args and puts it after the last one whatever the builder's place; removing one takes it out of args. */
IrNode *ir_graph_add_arg(IrGraph *graph, const char *name, IrType type, Span span);
IrNode *ir_graph_find_arg(const IrGraph *graph, const char *name); /* NULL when absent */

IrType ir_type(IrDtype dtype, int rank, const int64_t *dims);
IrType ir_type_scalar(void); /* f32[] */
bool ir_type_equal(const IrType *a, const IrType *b);
/* Neither an extent nor the whole is too large; N and K count as 1. */
bool ir_type_fits(const IrType *type);
bool ir_type_has_dim(const IrType *type, int64_t symbolic); /* N or K among the dims */
/* Number of elements, N and K standing for the given values. */
int64_t ir_type_count(const IrType *type, int64_t n, int64_t k);
const char *ir_type_string(Arena *arena, const IrType *type); /* "f32[N,32,32,16]" */

/* Appends to the end of the graph, or before `before`. attrs are copied. The result's type is inferred by the op's
 * shape rule; sources take `given`. A wrong shape is reported to diag at span (NULL: bug()), and NULL returned. */
typedef struct IrBuilder {
    IrGraph *graph;
    IrNode *before; /* NULL: at the end */
    Diag *diag;     /* NULL: mistakes are ours */
    Span span;
    const char *tag;
} IrBuilder;
IrNode *ir_build(IrBuilder *b, IrOp op, const IrType *given, int input_count, IrNode *const *inputs, int attr_count,
                 const IrAttr *attrs);
IrNode *ir_build0(IrBuilder *b, IrOp op, IrType given, int attr_count, const IrAttr *attrs);
IrNode *ir_build1(IrBuilder *b, IrOp op, IrNode *x, int attr_count, const IrAttr *attrs);
IrNode *ir_build2(IrBuilder *b, IrOp op, IrNode *x, IrNode *y, int attr_count, const IrAttr *attrs);
IrNode *ir_build3(IrBuilder *b, IrOp op, IrNode *x, IrNode *y, IrNode *z, int attr_count, const IrAttr *attrs);
IrNode *ir_constant(IrBuilder *b, double value);   /* f32[] */
IrNode *ir_scalar(IrBuilder *b, const char *name); /* f32[], of the run-time block: a row of run_scalars.def */
IrNode *ir_param_node(IrBuilder *b, const char *name, IrType type);

IrAttr ir_attr_int(const char *name, int64_t value);
IrAttr ir_attr_float(const char *name, double value);
IrAttr ir_attr_bool(const char *name, bool value);
IrAttr ir_attr_string(const char *name, const char *value);
IrAttr ir_attr_ints(const char *name, int count, const int64_t *values);
IrAttr ir_attr_symbols(const char *name, int count, const char *const *values);
const IrAttr *ir_attr(const IrNode *node, const char *name);                      /* NULL when absent */
int64_t ir_attr_get_int(const IrNode *node, const char *name, int64_t otherwise); /* ints and bools */
double ir_attr_get_float(const IrNode *node, const char *name, double otherwise);
const char *ir_attr_get_string(const IrNode *node, const char *name, const char *otherwise);
const int64_t *ir_attr_get_ints(const IrNode *node, const char *name); /* bug() when absent */
/* Has the node's op one of the flags? */
static inline bool ir_is(const IrNode *node, unsigned flags) {
    return ir_op_info[node->op].flags & flags;
}
/* Elementwise or a view: an expression may compute it where it is read. */
static inline bool ir_is_light(const IrNode *node) {
    return ir_is(node, OP_ELEMENTWISE | OP_VIEW);
}
/* The parameter that the node reads, or the one that it assigns; NULL: none. */
const char *ir_param_read(const IrNode *node);
const char *ir_param_written(const IrNode *node);
const char *ir_param_name(const IrNode *node); /* either */
/* A constant, each of whose elements is the value? */
bool ir_is_constant(const IrNode *node, double value);
/* Does it add up the images of each chunk apart? */
bool ir_is_partial(const IrNode *node);
/* A convolution of images with a weight, or the gradient of its weight (operands dy and x)? */
bool ir_is_convolution(const IrNode *node);
bool ir_is_weight_gradient(const IrNode *node);
/* Of a conv2d or conv2d_grad_weight: the weights' [O, I / groups, rows, columns]. */
const int64_t *ir_conv_weight(const IrNode *node);
/* Is the node one of them, with a group and an output for each of several channels? */
bool ir_conv_is_depthwise(const IrNode *node);
void ir_attr_set(IrNode *node, IrAttr attr); /* adds or replaces */

/* ---- changing ---- */
void ir_node_remove(IrNode *node);                      /* out of the order; nothing may use it any more */
void ir_node_move_before(IrNode *node, IrNode *before); /* before == NULL: to the end */
void ir_replace_uses(IrGraph *graph, IrNode *old, IrNode *replacement); /* inputs and outputs */
/* The same for many at once: every use of a node whose ->scratch is not NULL becomes a use of that node (followed to
 * its end). */
void ir_replace_uses_by_scratch(IrGraph *graph);
/* The same, and removes those that have been replaced; scratch is clear then. */
void ir_replace_by_scratch(IrGraph *graph);
void ir_clear_scratch(IrGraph *graph); /* ->scratch = NULL, ->mark = 0 */
/* Use lists are computed on demand: fills count of users per node id (ids must be fresh from ir_graph_number). */
int *ir_count_uses(IrGraph *graph, Arena *arena);

IrParam *ir_module_find_param(const IrModule *module,
                              const char *name);               /* NULL when absent; valid until the next is added */
IrParam *ir_module_add_param(IrModule *module, IrParam param); /* the same name twice must agree in type */
const char *ir_param_kind_name(IrParamKind kind);              /* "weight", "alpha", "statistic", "optimizer" */
const char *ir_init_name(IrInit init);                         /* "zeros", "ones", "uniform", "normal" */
bool ir_param_kind_parse(const char *name, IrParamKind *kind);
bool ir_init_parse(const char *name, IrInit *init);
const char *ir_place_name(int place); /* "none", "state", "input", "work", "private", "prepared" */
void ir_module_set(IrModule *module, const char *key, IrAttr value, Span span);
const IrAttr *ir_module_get(const IrModule *module, const char *key); /* NULL when absent */
Span ir_module_get_span(const IrModule *module, const char *key);     /* where it was set; none when absent */
int64_t ir_module_get_int(const IrModule *module, const char *key, int64_t otherwise);
double ir_module_get_float(const IrModule *module, const char *key, double otherwise);
const char *ir_module_get_string(const IrModule *module, const char *key, const char *otherwise);

/* ---- operations and their attribute schema ---- */
bool ir_op_find(const char *name, IrOp *op);
/* '+' of an op whose scalar form is x + y; 0 of others. */
char ir_op_infix(IrOp op);
bool ir_op_find_infix(char infix, IrOp *op);
/* The kind the op's schema gives an attribute; false when it has no attribute of that name. */
bool ir_op_attribute(IrOp op, const char *name, IrAttrKind *kind, bool *optional);
/* Known names, right kinds, allowed words, none missing; a message in error otherwise. */
bool ir_op_check_attrs(IrOp op, int attr_count, const IrAttr *attrs, char error[256]);

/* ---- shape rules (shape.c) ---- */
/* The type of the result; false with a message in error (no full stop) when the inputs do not fit. */
bool ir_infer_type(const IrModule *module, IrOp op, const IrType *given, int input_count, IrNode *const *inputs,
                   int attr_count, const IrAttr *attrs, IrType *result, char error[256]);

/* ---- checking (verify.c) ---- */
/* Operands before users, counts, attribute schema, types as inferred, callees present, outputs in the graph.
 * Returns NULL when all is well, else a message naming graph and node. */
const char *ir_verify_graph(const IrGraph *graph, Arena *arena);
const char *ir_verify_module(const IrModule *module, Arena *arena);

/* ---- text (print.c, parse.c) ---- */
/* Printing and verifying number the graph afresh. */
void ir_print_module(const IrModule *module, Str *out);
void ir_print_graph(const IrGraph *graph, Str *out);
/* print(parse(print(m))) == print(m). Mistakes go to diag; NULL when there were any. */
IrModule *ir_parse_module(Arena *arena, const SourceFile *source, Diag *diag);
enum { IR_MOST_BYTES = 64 << 20 }; /* of a module's text */
/* Of a file ("-": standard input), of at most 64 MB. */
IrModule *ir_read_module(Arena *arena, const char *path, Diag *diag, Error *error);
/* Graphviz. */
void ir_print_dot(const IrGraph *graph, Str *out);

#endif
