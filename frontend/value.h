/* value.h: what an expression of a text stands for while it is lowered. Private to frontend/. */
#ifndef NDARTS_FRONTEND_VALUE_H
#define NDARTS_FRONTEND_VALUE_H

#include "frontend/ast.h"
#include "ir/ir.h"

typedef enum ValueKind {
    VALUE_error, /* something was wrong, and said; silently makes errors of all it touches */
    VALUE_int,
    VALUE_float,
    VALUE_bool,
    VALUE_string,
    VALUE_list,
    VALUE_tensor,   /* computed by the graph */
    VALUE_stage,    /* something to apply to tensors */
    VALUE_genotype, /* definition, with a field for each cell */
    VALUE_space,    /* likewise; its cells are made of mixed operations */
    VALUE_network
} ValueKind;

typedef struct Stage Stage;
typedef struct Builtin Builtin;

typedef struct Value Value;
struct Value {
    ValueKind kind;
    int64_t i;     /* int, bool */
    double f;      /* float */
    const char *s; /* string */
    int count;     /* list */
    Value *items;
    IrNode *tensor;
    const Stage *stage;
    const Ast *definition; /* genotype, space, network */
};

typedef struct Binding {
    const char *name;
    Value value;
    Span span;
} Binding;

typedef struct Bindings {
    int count, capacity;
    Binding *items;
} Bindings;

typedef enum StageKind {
    STAGE_builtin, /* a primitive with some of its arguments */
    STAGE_op,      /* an operation of the text with some of its arguments */
    STAGE_fn,      /* an elementwise function of the text, likewise */
    STAGE_pipe,    /* stages one after the other, named 0, 1, ... */
    STAGE_label,   /* a stage under a name; label "": no name of its own, as braces alone make */
    STAGE_cell,    /* cell of a genotype */
    STAGE_super    /* cell of a space */
} StageKind;

struct Stage {
    StageKind kind;
    Span span;
    const char *name; /* as the text calls it: sep_conv_3x3 */
    const Builtin *builtin;
    const Ast *definition; /* op, fn, cell (AST_cell), super (AST_space) */
    Bindings args;
    int fixed; /* op: arguments that the name stands for already (sep_conv_3x3 = sep_conv(3, 1)) */
    int lists; /* op: parameter lists that were given */
    int count; /* pipe: stages; label: 1 */
    const Stage **stages;
    const char *label;
};

Value value_int(int64_t i);
Value value_float(double f);
Value value_bool(bool b);
Value value_string(const char *s);
Value value_tensor(IrNode *tensor); /* NULL makes an error */
Value value_stage(const Stage *stage);
Value value_definition(ValueKind kind, const Ast *definition);
Value value_list(int count, Value *items);

bool value_equal(const Value *a, const Value *b);
/* "a tensor", "an operation": for messages. */
const char *value_kind_name(const Value *value);
/* As a part of a message: "3", "0.5", "a string", "[3, 1]". */
void value_print(const Value *value, Str *out);
/* int and float as double; false for others. */
bool value_number(const Value *value, double *number);

const Binding *bindings_find(const Bindings *bindings, const char *name); /* NULL when absent */

#endif
