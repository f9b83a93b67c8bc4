/* builtin.h: how a primitive of the language is described. Private to builtin*.c. */
#ifndef NDARTS_FRONTEND_BUILTIN_H
#define NDARTS_FRONTEND_BUILTIN_H

#include "frontend/lower.h"

enum { BUILTIN_MAX_PARAMS = 8 };

typedef enum BuiltinType {
    TYPE_int,    /* an integer */
    TYPE_pair,   /* an integer, or [height, width] */
    TYPE_sides,  /* an integer, [height, width], or [top, left, bottom, right] */
    TYPE_number, /* an integer or a number */
    TYPE_bool,
    TYPE_stage, /* an operation */
    TYPE_list,
    TYPE_value /* a number or a tensor */
} BuiltinType;

/* Defaults: none (the argument is required), a number, or a boolean that the surroundings may know better. */
typedef enum BuiltinDefault { DEFAULT_none, DEFAULT_given, DEFAULT_implicit } BuiltinDefault;

typedef struct BuiltinParam {
    const char *name;
    BuiltinType type;
    BuiltinDefault has;
    double otherwise;
} BuiltinParam;

/* A complete call. */
typedef struct BuiltinUse {
    Lower *l;
    Frame *f;
    IrBuilder *b; /* NULL outside of all graphs */
    const Builtin *builtin;
    Span span;
    int count; /* tensors */
    IrNode **x;
    Value args[BUILTIN_MAX_PARAMS];
} BuiltinUse;

typedef enum BuiltinKind {
    BUILTIN_tensors, /* any number of tensors, or one list of them */
    BUILTIN_tensor,  /* one tensor */
    BUILTIN_math     /* elementwise: the first parameter is one of params; computes on numbers too */
} BuiltinKind;

struct Builtin {
    const char *name;
    BuiltinKind kind;
    Value (*run)(BuiltinUse *use);
    IrOp op;
    BuiltinParam params[BUILTIN_MAX_PARAMS];
    const char *summary; /* for the reference and for mistakes: "conv(C, k, stride = 1, ...)" */
};

extern const Builtin builtin_primitives[]; /* ended by a row without a name */
extern const Builtin builtin_functions[];  /* likewise; and those that ops are: */
const Builtin *builtin_of_op(IrOp op);     /* NULL when it is no function of the language */
extern const Builtin builtin_methods[];

/* ---- helpers of the rows ---- */
IrNode *builtin_node(BuiltinUse *use, IrOp op, int input_count, IrNode *const *inputs, int attr_count,
                     const IrAttr *attrs);
/* Reports at the call; returns the error value. */
Value builtin_fail(BuiltinUse *use, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool builtin_need_images(BuiltinUse *use); /* the tensor is [N,H,W,C] */

#endif
