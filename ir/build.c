/* build.c: making nodes whose types the shape rules infer. */
#include "ir/internal.h"

/* "f32[N,16], f32[7]": what an op was given, for messages about our own mistakes. */
static const char *describe_inputs(Arena *arena, int input_count, IrNode *const *inputs) {
    Str text = str_create(arena);
    for (int i = 0; i < input_count; i++)
        str_addf(&text, "%s%s", i ? ", " : "", ir_type_string(arena, &inputs[i]->type));
    return text.data;
}

/* Says why not when an operand was made in another graph. */
static bool check_operands(const IrBuilder *b, int input_count, IrNode *const *inputs, char error[IR_ERROR_TEXT]) {
    for (int i = 0; i < input_count; i++)
        if (inputs[i]->graph != b->graph)
            return ir_fail(error, "operand %d is not computed in this operation, which sees its inputs only: on (x, y)",
                           i);
    return true;
}

IrNode *ir_build(IrBuilder *b, IrOp op, const IrType *given, int input_count, IrNode *const *inputs, int attr_count,
                 const IrAttr *attrs) {
    IrType type;
    char error[IR_ERROR_TEXT];
    if (check_operands(b, input_count, inputs, error) &&
        ir_infer_type(b->graph->module, op, given, input_count, inputs, attr_count, attrs, &type, error))
        return ir_node_create(b, op, &type, input_count, inputs, attr_count, attrs);
    if (!b->diag)
        bug("graph @%s: %s: %s (inputs: %s)", b->graph->name, ir_op_info[op].name, error,
            describe_inputs(b->graph->module->arena, input_count, inputs));
    diag_error(b->diag, b->span, "%s: %s", ir_op_info[op].name, error);
    return NULL;
}

IrNode *ir_build0(IrBuilder *b, IrOp op, IrType given, int attr_count, const IrAttr *attrs) {
    return ir_build(b, op, &given, 0, NULL, attr_count, attrs);
}

IrNode *ir_build1(IrBuilder *b, IrOp op, IrNode *x, int attr_count, const IrAttr *attrs) {
    return ir_build(b, op, NULL, 1, &x, attr_count, attrs);
}

IrNode *ir_build2(IrBuilder *b, IrOp op, IrNode *x, IrNode *y, int attr_count, const IrAttr *attrs) {
    return ir_build(b, op, NULL, 2, (IrNode *[]){x, y}, attr_count, attrs);
}

IrNode *ir_build3(IrBuilder *b, IrOp op, IrNode *x, IrNode *y, IrNode *z, int attr_count, const IrAttr *attrs) {
    return ir_build(b, op, NULL, 3, (IrNode *[]){x, y, z}, attr_count, attrs);
}

IrNode *ir_constant(IrBuilder *b, double value) {
    IrAttr attr = ir_attr_float("value", value);
    return ir_build0(b, OP_constant, ir_type_scalar(), 1, &attr);
}

IrNode *ir_scalar(IrBuilder *b, const char *name) {
    IrAttr attr = ir_attr_string("name", name);
    return ir_build0(b, OP_scalar, ir_type_scalar(), 1, &attr);
}

IrNode *ir_param_node(IrBuilder *b, const char *name, IrType type) {
    IrAttr attr = ir_attr_string("name", name);
    return ir_build0(b, OP_param, type, 1, &attr);
}

IrNode *ir_graph_add_arg(IrGraph *graph, const char *name, IrType type, Span span) {
    IrBuilder b = {.graph = graph, .span = span};
    IrAttr attr = ir_attr_string("name", name);
    return ir_build0(&b, OP_input, type, 1, &attr);
}
