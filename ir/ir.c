/* ir.c: types, graphs, the order of their nodes, and clones. */
#include "base/saturate.h"
#include "ir/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- types ---- */

IrType ir_type(IrDtype dtype, int rank, const int64_t *dims) {
    if (rank < 0 || rank > IR_MAX_RANK)
        bug("a type of rank %d; at most %d", rank, IR_MAX_RANK);
    IrType type = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        type.dim[i] = dims[i];
    return type;
}

IrType ir_type_scalar(void) {
    return ir_type(DTYPE_f32, 0, NULL);
}

bool ir_type_equal(const IrType *a, const IrType *b) {
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

bool ir_type_has_dim(const IrType *type, int64_t symbolic) {
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] == symbolic)
            return true;
    return false;
}

/* Saturates, so that absurd extents fail later comparisons instead of wrapping round. */
int64_t ir_type_count(const IrType *type, int64_t n, int64_t k) {
    int64_t count = 1;
    for (int i = 0; i < type->rank; i++) {
        int64_t dim = type->dim[i] == IR_DIM_N ? n : type->dim[i] == IR_DIM_K ? k : type->dim[i];
        count = saturating_multiply(count, dim);
    }
    return count;
}

bool ir_type_fits(const IrType *type) {
    enum { WIDEST = 8 }; /* an f32 in double precision */
    for (int i = 0; i < type->rank; i++)
        if (type->dim[i] > IR_MAX_EXTENT)
            return false;
    return saturating_multiply(ir_type_count(type, 1, 1), WIDEST) <= IR_MAX_BYTES;
}

const char *ir_dtype_name(IrDtype dtype) {
    static const char *const names[] = {"f32", "i32", "u8", "bf16"};
    return names[dtype];
}

const char *ir_type_format(const IrType *type, char text[IR_TYPE_TEXT]) {
    int length = snprintf(text, IR_TYPE_TEXT, "%s[", ir_dtype_name(type->dtype));
    for (int i = 0; i < type->rank; i++) {
        const char *comma = i ? "," : "";
        if (type->dim[i] == IR_DIM_N || type->dim[i] == IR_DIM_K)
            length += snprintf(text + length, IR_TYPE_TEXT - (size_t)length, "%s%c", comma,
                               type->dim[i] == IR_DIM_N ? 'N' : 'K');
        else
            length += snprintf(text + length, IR_TYPE_TEXT - (size_t)length, "%s%lld", comma, (long long)type->dim[i]);
    }
    snprintf(text + length, IR_TYPE_TEXT - (size_t)length, "]");
    return text;
}

const char *ir_type_string(Arena *arena, const IrType *type) {
    char text[IR_TYPE_TEXT];
    return arena_strdup(arena, ir_type_format(type, text));
}

/* ---- graphs ---- */

IrGraph *ir_graph_create(IrModule *module, const char *name) {
    if (ir_graph_find(module, name))
        bug("there is a graph @%s already", name);
    IrGraph *graph = ARENA_NEW(module->arena, IrGraph);
    graph->module = module;
    graph->name = arena_strdup(module->arena, name);
    ARENA_PUSH(module->arena, module->graphs, module->graph_count, module->graph_capacity, graph);
    str_map_set(&module->graph_index, graph->name, graph);
    return graph;
}

void ir_graph_remove(IrGraph *graph) {
    IrModule *module = graph->module;
    int kept = 0;
    for (int i = 0; i < module->graph_count; i++)
        if (module->graphs[i] != graph)
            module->graphs[kept++] = module->graphs[i];
    module->graph_count = kept;
    str_map_set(&module->graph_index, graph->name, NULL);
}

IrGraph *ir_graph_find(const IrModule *module, const char *name) {
    return str_map_get(&module->graph_index, name);
}

/* Adds what a node calls: all candidates, when it has several. */
static void measure_called(IrGraph *graph, const IrNode *node) {
    for (int i = 0; i < node->attr_count; i++)
        for (int k = 0; node->attrs[i].kind == ATTR_symbols && k < node->attrs[i].count; k++) {
            const IrGraph *callee = ir_graph_find(graph->module, node->attrs[i].symbols[k]);
            if (!callee)
                continue;
            graph->expanded = saturating_add(graph->expanded, callee->expanded);
            graph->depth = callee->depth >= graph->depth ? callee->depth + 1 : graph->depth;
        }
}

void ir_graph_measure(IrGraph *graph) {
    graph->expanded = graph->depth = 0;
    for (const IrNode *node = graph->first; node; node = node->next) {
        graph->expanded = saturating_add(graph->expanded, 1);
        measure_called(graph, node);
    }
}

void ir_graph_number(IrGraph *graph) {
    int id = 0;
    for (IrNode *node = graph->first; node; node = node->next)
        node->id = id++;
    graph->next_id = id;
}

void ir_graph_add_output(IrGraph *graph, const char *name, IrNode *value) {
    IrOutput output = {.name = arena_strdup(graph->module->arena, name), .value = value};
    ARENA_PUSH(graph->module->arena, graph->outputs, graph->output_count, graph->output_capacity, output);
}

IrNode *ir_graph_find_output(const IrGraph *graph, const char *name) {
    for (int i = 0; i < graph->output_count; i++)
        if (str_equal(graph->outputs[i].name, name))
            return graph->outputs[i].value;
    return NULL;
}

IrNode *ir_graph_find_arg(const IrGraph *graph, const char *name) {
    for (int i = 0; i < graph->arg_count; i++)
        if (str_equal(ir_attr_get_string(graph->args[i], "name", ""), name))
            return graph->args[i];
    return NULL;
}

/* ---- the order of nodes ---- */

static void node_unlink(IrNode *node) {
    IrGraph *graph = node->graph;
    if (node->prev)
        node->prev->next = node->next;
    else
        graph->first = node->next;
    if (node->next)
        node->next->prev = node->prev;
    else
        graph->last = node->prev;
    node->prev = node->next = NULL;
}

static void node_link_before(IrNode *node, IrNode *before) {
    IrGraph *graph = node->graph;
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    if (node->prev)
        node->prev->next = node;
    else
        graph->first = node;
    if (before)
        before->prev = node;
    else
        graph->last = node;
}

static void graph_add_arg_node(IrGraph *graph, IrNode *node) {
    IrNode *last = graph->arg_count ? graph->args[graph->arg_count - 1] : NULL;
    node_link_before(node, last ? last->next : graph->first);
    ARENA_PUSH(graph->module->arena, graph->args, graph->arg_count, graph->arg_capacity, node);
}

static void graph_drop_arg(IrGraph *graph, const IrNode *node) {
    int kept = 0;
    for (int i = 0; i < graph->arg_count; i++)
        if (graph->args[i] != node)
            graph->args[kept++] = graph->args[i];
    graph->arg_count = kept;
}

void ir_node_remove(IrNode *node) {
    if (node->op == OP_input)
        graph_drop_arg(node->graph, node);
    node_unlink(node);
}

void ir_node_move_before(IrNode *node, IrNode *before) {
    if (node == before)
        return;
    node_unlink(node);
    node_link_before(node, before);
}

static void node_copy_operands(Arena *arena, IrNode *node, int input_count, IrNode *const *inputs, int attr_count,
                               const IrAttr *attrs) {
    node->input_count = input_count;
    if (input_count) {
        node->inputs = ARENA_ARRAY(arena, IrNode *, input_count);
        memcpy(node->inputs, inputs, sizeof *inputs * (size_t)input_count);
    }
    node->attr_count = attr_count;
    if (attr_count)
        node->attrs = ARENA_ARRAY(arena, IrAttr, attr_count);
    for (int i = 0; i < attr_count; i++)
        node->attrs[i] = ir_attr_copy(arena, &attrs[i]);
}

IrNode *ir_node_create(IrBuilder *b, IrOp op, const IrType *type, int input_count, IrNode *const *inputs,
                       int attr_count, const IrAttr *attrs) {
    IrGraph *graph = b->graph;
    IrNode *node = ARENA_NEW(graph->module->arena, IrNode);
    node->op = op;
    node->type = *type;
    node->span = b->span;
    node->tag = b->tag;
    node->graph = graph;
    node->stage = -1;
    node->id = graph->next_id++;
    node_copy_operands(graph->module->arena, node, input_count, inputs, attr_count, attrs);
    if (op == OP_input)
        graph_add_arg_node(graph, node);
    else
        node_link_before(node, b->before);
    return node;
}

/* ---- replacing ---- */

void ir_replace_uses(IrGraph *graph, IrNode *old, IrNode *replacement) {
    for (IrNode *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] == old)
                node->inputs[i] = replacement;
    for (int i = 0; i < graph->output_count; i++)
        if (graph->outputs[i].value == old)
            graph->outputs[i].value = replacement;
}

static IrNode *follow_scratch(IrNode *node) {
    while (node->scratch)
        node = node->scratch;
    return node;
}

void ir_replace_uses_by_scratch(IrGraph *graph) {
    for (IrNode *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->input_count; i++)
            node->inputs[i] = follow_scratch(node->inputs[i]);
    for (int i = 0; i < graph->output_count; i++)
        graph->outputs[i].value = follow_scratch(graph->outputs[i].value);
}

void ir_clear_scratch(IrGraph *graph) {
    for (IrNode *node = graph->first; node; node = node->next) {
        node->scratch = NULL;
        node->mark = 0;
    }
}

void ir_replace_by_scratch(IrGraph *graph) {
    ir_replace_uses_by_scratch(graph);
    for (IrNode *node = graph->last, *before; node; node = before) {
        before = node->prev;
        if (node->scratch)
            ir_node_remove(node);
    }
    ir_clear_scratch(graph);
}

int *ir_count_uses(IrGraph *graph, Arena *arena) {
    int *uses = ARENA_ARRAY(arena, int, graph->next_id + 1);
    for (IrNode *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->input_count; i++)
            uses[node->inputs[i]->id]++;
    for (int i = 0; i < graph->output_count; i++)
        uses[graph->outputs[i].value->id]++;
    return uses;
}

/* ---- order in memory ---- */

/* Copies; scratch of the old ones says where to. */
static void move_nodes(const IrGraph *graph, IrNode *to, IrNode **inputs, IrAttr *attrs) {
    for (IrNode *node = graph->first; node; node = node->next) {
        *to = *node;
        to->inputs = inputs;
        for (int i = 0; i < node->input_count; i++)
            *inputs++ = node->inputs[i];
        to->attrs = attrs;
        for (int i = 0; i < node->attr_count; i++)
            *attrs++ = node->attrs[i];
        node->scratch = to++;
    }
}

void ir_graph_compact(IrGraph *graph) {
    int count = 0, input_count = 0, attr_count = 0;
    for (const IrNode *node = graph->first; node; node = node->next) {
        count++;
        input_count += node->input_count;
        attr_count += node->attr_count;
    }
    if (!count)
        return;
    Arena *arena = graph->module->arena;
    IrNode *nodes = ARENA_ARRAY(arena, IrNode, count);
    move_nodes(graph, nodes, ARENA_ARRAY(arena, IrNode *, input_count), ARENA_ARRAY(arena, IrAttr, attr_count));
    for (int i = 0; i < count; i++) {
        nodes[i].prev = i ? &nodes[i - 1] : NULL;
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
        nodes[i].scratch = NULL;
        for (int k = 0; k < nodes[i].input_count; k++)
            nodes[i].inputs[k] = nodes[i].inputs[k]->scratch;
    }
    for (int i = 0; i < graph->output_count; i++)
        graph->outputs[i].value = graph->outputs[i].value->scratch;
    for (int i = 0; i < graph->arg_count; i++)
        graph->args[i] = graph->args[i]->scratch;
    graph->first = &nodes[0];
    graph->last = &nodes[count - 1];
}

/* ---- clones ---- */

static IrNode *node_clone(IrBuilder *b, IrNode *node) {
    b->span = node->span;
    b->tag = node->tag;
    IrNode *copy =
        ir_node_create(b, node->op, &node->type, node->input_count, node->inputs, node->attr_count, node->attrs);
    for (int i = 0; i < copy->input_count; i++)
        copy->inputs[i] = node->inputs[i]->scratch;
    copy->half = node->half;
    copy->inlined = node->inlined;
    copy->stage = node->stage;
    copy->place = node->place;
    copy->offset = node->offset;
    node->scratch = copy;
    return copy;
}

IrGraph *ir_graph_clone_into(IrModule *module, IrGraph *graph, const char *name) {
    IrGraph *clone = ir_graph_create(module, name);
    clone->span = graph->span;
    IrBuilder b = {.graph = clone};
    for (IrNode *node = graph->first; node; node = node->next)
        node_clone(&b, node);
    for (int i = 0; i < graph->output_count; i++)
        ir_graph_add_output(clone, graph->outputs[i].name, graph->outputs[i].value->scratch);
    return clone;
}

IrGraph *ir_graph_clone(IrGraph *graph, const char *name) {
    return ir_graph_clone_into(graph->module, graph, name);
}
