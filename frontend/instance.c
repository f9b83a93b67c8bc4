/* instance.c: the functions made of operations. One function for each combination of
 *   - the operation's parameters, given or taken from the surroundings,
 *   - the shapes of its inputs,
 *   - what the operations inside it took from the surroundings (affine, for one).
 * It is called NAME_C_STRIDE: the operation's name and the parameters that its name does not stand for. */
#include "frontend/lower.h"

enum { MAX_INPUTS = 8 };

const char *lower_join(Arena *arena, const char *prefix, const char *label) {
    if (label[0] == '^' || !prefix[0])
        return label;
    if (!label[0])
        return prefix;
    return arena_printf(arena, "%s.%s", prefix, label);
}

bool lower_claim_name(Lower *l, Frame *f, const char *name, Span span) {
    if (str_map_get(&l->target->names, name)) {
        lower_error(l, f, span, "two parameters would be called '%s'; give the stages names of their own", name);
        return false;
    }
    str_map_set(&l->target->names, name, (void *)name);
    return true;
}

/* ---- finding ---- */
static bool args_equal(const Bindings *a, const Bindings *b) {
    for (int i = 0; i < a->count; i++)
        if (!value_equal(&a->items[i].value, &b->items[i].value))
            return false;
    return a->count == b->count;
}

static bool reads_agree(Lower *l, Frame *f, const Instance *instance) {
    for (int i = 0; i < instance->read_count; i++) {
        const Read *read = &instance->reads[i];
        Value now;
        bool found = lower_lookup(f, l->arena, read->name, &now);
        if (found != read->found || (found && !value_equal(&now, &read->value)))
            return false;
    }
    return true;
}

static Instance *find_instance(Lower *l, Frame *f, const Stage *op, const Bindings *args, int count,
                               const IrType *inputs) {
    Instance *instance = str_map_get(&l->instance_index, op->definition->name);
    for (; instance; instance = instance->next) {
        if (!lower_spend(l, f, op->span, 1))
            return NULL;
        if (instance->input_count != count || !args_equal(&instance->args, args))
            continue;
        bool same = true;
        for (int k = 0; k < count; k++)
            same = same && ir_type_equal(&instance->inputs[k], &inputs[k]);
        if (same && reads_agree(l, f, instance))
            return instance;
    }
    return NULL;
}

/* ---- naming ---- */
static void add_value(Str *name, const Value *value) {
    if (value->kind == VALUE_int)
        str_addf(name, "_%lld", (long long)value->i);
    else if (value->kind == VALUE_bool && value->i)
        str_add(name, "_true");
    else if (value->kind == VALUE_bool)
        str_add(name, "_false");
    else if (value->kind == VALUE_stage)
        str_addf(name, "_%s", value->stage->name);
    else if (value->kind == VALUE_list)
        for (int i = 0; i < value->count; i++)
            add_value(name, &value->items[i]);
}

static bool has_default(const Ast *op, const char *param) {
    for (int i = 0; i + 2 < op->count; i++)
        for (int k = 0; k < op->kids[i]->count; k++)
            if (str_equal(op->kids[i]->kids[k]->name, param))
                return op->kids[i]->kids[k]->kids[0] != NULL;
    return false;
}

static const char *instance_name(Lower *l, const Stage *op, const Bindings *args, const IrType *input) {
    Str name = str_create(l->arena);
    str_add(&name, op->name);
    for (int i = 0; i < args->count; i++) {
        const char *param = args->items[i].name;
        const Binding *given = bindings_find(&op->args, param);
        bool in_name = given && given - op->args.items < op->fixed;
        if (!in_name && (given || !has_default(op->definition, param)))
            add_value(&name, &args->items[i].value);
    }
    if (!ir_graph_find(l->module, name.data))
        return name.data;
    if (input->rank == 4)
        str_addf(&name, "_%lldx%lld", (long long)input->dim[1], (long long)input->dim[2]);
    const char *best = name.data;
    for (int i = 2; ir_graph_find(l->module, best); i++)
        best = arena_printf(l->arena, "%s_%d", name.data, i);
    return best;
}

/* ---- making ---- */
static Value eval_body(Lower *l, Frame *frame, const Ast *op, int count, const Value *inputs) {
    const Ast *names = op->kids[op->count - 2], *body = op->kids[op->count - 1];
    if (names) {
        if (names->count != count)
            return lower_error(l, frame->caller, frame->call, "'%s' takes %d tensor%s, not %d", op->name, names->count,
                               names->count == 1 ? "" : "s", count);
        for (int i = 0; i < count; i++)
            lower_set_variable(l, frame, names->kids[i]->name, inputs[i]);
        lower_run_block(l, frame, body);
        if (!frame->returned)
            return (Value){.kind = VALUE_error};
        return frame->result;
    }
    Value stage = lower_eval(l, frame, body);
    if (stage.kind == VALUE_error)
        return stage;
    if (stage.kind != VALUE_stage)
        return lower_error(l, frame, body->span, "the body of operation '%s' is %s; expected an operation", op->name,
                           value_kind_name(&stage));
    /* The modules of PyTorch's DARTS call their sequence "op". */
    if (stage.stage->kind == STAGE_pipe)
        l->target->prefix = "op";
    return lower_apply(l, frame, stage.stage, count, inputs, body->span);
}

/* What a function returns is its own: an input, or something that it computed. */
static bool check_result(Lower *l, Frame *frame, const Stage *op, const IrNode *result) {
    if (result->graph == frame->instance->graph)
        return true;
    lower_error(l, frame, frame->call, "'%s' gives a tensor that it neither takes nor computes", op->name);
    return false;
}

void lower_begin_target(Lower *l, Target *target, IrGraph *graph, Span span) {
    *target = (Target){
        .builder = {.graph = graph, .diag = l->diag, .span = span}, .prefix = "", .names = str_map_create(l->arena)};
    l->target = target;
}

/* key: what instances of one operation, or of one rule and candidate, have in common. */
static Instance *add_instance(Lower *l, const char *key, Instance *instance) {
    ARENA_PUSH(l->arena, l->instances, l->instance_count, l->instance_capacity, instance);
    Instance *first = str_map_get(&l->instance_index, key);
    if (first)
        first->last->next = instance;
    else
        str_map_set(&l->instance_index, key, first = instance);
    first->last = instance;
    return instance;
}

static Instance *make_instance(Lower *l, Frame *frame, const Stage *op, const Bindings *args, int count,
                               const IrType *inputs) {
    Instance *instance = ARENA_NEW(l->arena, Instance);
    *instance = (Instance){.definition = op->definition, .args = *args, .input_count = count};
    instance->inputs = ARENA_ARRAY(l->arena, IrType, count);
    frame->instance = instance;
    IrGraph *graph = ir_graph_create(l->module, instance_name(l, op, args, &inputs[0]));
    graph->span = op->definition->span;
    instance->graph = graph;
    Target *outer = l->target, target;
    lower_begin_target(l, &target, graph, op->definition->span);
    Value values[MAX_INPUTS];
    for (int i = 0; i < count; i++) {
        instance->inputs[i] = inputs[i];
        const char *name = count == 1 ? "x" : arena_printf(l->arena, "x%d", i);
        values[i] = value_tensor(ir_graph_add_arg(graph, name, inputs[i], op->definition->span));
    }
    Value result = eval_body(l, frame, op->definition, count, values);
    instance->names = target.names;
    l->target = outer;
    if (result.kind != VALUE_tensor) {
        if (result.kind != VALUE_error)
            lower_error(l, frame, frame->call, "'%s' gives %s, not a tensor", op->name, value_kind_name(&result));
        return NULL;
    }
    if (!check_result(l, frame, op, result.tensor))
        return NULL;
    ir_graph_add_output(graph, "", result.tensor);
    return lower_measure(l, frame->caller, frame->call, graph) ? add_instance(l, op->definition->name, instance) : NULL;
}

Instance *lower_instance(Lower *l, Frame *f, const Stage *op, int count, const IrType *inputs, Span span) {
    if (count > MAX_INPUTS) {
        lower_error(l, f, span, "'%s' is applied to %d tensors; at most %d are possible", op->name, count, MAX_INPUTS);
        return NULL;
    }
    Frame *frame = lower_frame(l, f, op->definition, span);
    frame->name = op->name;
    Bindings args = {0};
    for (int i = 0; i + 2 < op->definition->count; i++)
        if (!lower_bind(l, frame, op->definition->kids[i], &op->args, &args))
            return NULL;
    Instance *instance = find_instance(l, f, op, &args, count, inputs);
    if (instance)
        return instance;
    if (l->depth > MAX_INSIDE) {
        lower_give_up_circle(l, frame, span, "operations", MAX_INSIDE);
        return NULL;
    }
    l->depth++;
    instance = make_instance(l, frame, op, &args, count, inputs);
    l->depth--;
    return instance;
}

static bool claim_names(Lower *l, Frame *f, const Instance *instance, Span span);

static bool build_after(Lower *l, Frame *frame, const Instance *inner, const Stage *after, IrGraph *graph) {
    IrNode *x = ir_graph_add_arg(graph, "x", inner->inputs[0], after->span);
    IrAttr attrs[] = {ir_attr_symbols("callee", 1, &inner->graph->name), ir_attr_string("name", "")};
    Value value = value_tensor(ir_build1(&l->target->builder, OP_call, x, 2, attrs));
    if (!claim_names(l, frame, inner, after->span))
        return false;
    value = lower_apply(l, frame, after, 1, &value, after->span);
    if (value.kind != VALUE_tensor || !check_result(l, frame, after, value.tensor))
        return false;
    ir_graph_add_output(graph, "", value.tensor);
    return true;
}

Instance *lower_instance_after(Lower *l, Frame *f, const Instance *inner, const Ast *rule, const Stage *after) {
    const char *key = arena_printf(l->arena, "after %s", inner->graph->name);
    Instance *instance = str_map_get(&l->instance_index, key);
    for (; instance; instance = instance->next)
        if (instance->definition == rule && reads_agree(l, f, instance))
            return instance;
    instance = ARENA_NEW(l->arena, Instance);
    *instance = (Instance){.definition = rule, .inner = inner, .input_count = 1, .inputs = inner->inputs};
    Frame *frame = lower_frame(l, f, NULL, after->span);
    frame->instance = instance;
    const char *name = arena_printf(l->arena, "%s_after", inner->graph->name);
    for (int i = 2; ir_graph_find(l->module, name); i++)
        name = arena_printf(l->arena, "%s_after_%d", inner->graph->name, i);
    instance->graph = ir_graph_create(l->module, name);
    instance->graph->span = rule->span;
    Target *outer = l->target, target;
    lower_begin_target(l, &target, instance->graph, rule->span);
    bool built = build_after(l, frame, inner, after, instance->graph);
    instance->names = target.names;
    l->target = outer;
    return built && lower_measure(l, f, after->span, instance->graph) ? add_instance(l, key, instance) : NULL;
}

static bool claim_names(Lower *l, Frame *f, const Instance *instance, Span span) {
    if (!lower_spend(l, f, span, (int64_t)instance->names.count))
        return false;
    for (size_t i = 0; i < instance->names.count; i++)
        if (!lower_claim_name(l, f, lower_join(l->arena, l->target->prefix, instance->names.entries[i].key), span))
            return false;
    return true;
}

Value lower_apply_op(Lower *l, Frame *f, const Stage *op, int count, const Value *inputs, const char *edge, Span span) {
    IrType types[MAX_INPUTS];
    IrNode *nodes[MAX_INPUTS];
    for (int i = 0; i < count && i < MAX_INPUTS; i++) {
        types[i] = inputs[i].tensor->type;
        nodes[i] = inputs[i].tensor;
    }
    Instance *instance = lower_instance(l, f, op, count, types, span);
    if (!instance || !claim_names(l, f, instance, span))
        return (Value){.kind = VALUE_error};
    const char *params = l->target->prefix;
    IrAttr attrs[] = {ir_attr_symbols("callee", 1, &instance->graph->name),
                      ir_attr_string("name", edge ? edge : params), ir_attr_bool("edge", true),
                      ir_attr_string("params", params)};
    int attr_count = !edge ? 2 : str_equal(edge, params) ? 3 : 4;
    l->target->builder.span = span;
    return value_tensor(ir_build(&l->target->builder, OP_call, NULL, count, nodes, attr_count, attrs));
}
