/* network.c: networks. A network's body runs once; what it computes from its input are the nodes of @forward. */
#include "frontend/lower.h"

static bool override_params(Lower *l, const Ast *params, Bindings *given) {
    for (int i = 0; i < params->count; i++) {
        const char *name = params->kids[i]->name;
        Binding binding = {.name = name, .span = params->kids[i]->span};
        if (!lower_override(l, "network", name, &binding.value))
            continue;
        if (binding.value.kind == VALUE_error)
            return false;
        Binding *present = (Binding *)bindings_find(given, name);
        if (present)
            *present = binding;
        else
            ARENA_PUSH(l->arena, given->items, given->count, given->capacity, binding);
    }
    return true;
}

static int64_t input_extent(Lower *l, Frame *f, const char *name) {
    Value value;
    if (!lower_lookup(f, l->arena, name, &value)) {
        lower_error(l, f->caller, f->call,
                    "the network's input needs '%s'; make it a parameter, as in  network %s(..., %s = %d)", name,
                    f->definition->name, name, name[0] == 'c' ? 3 : 32);
        return 0;
    }
    if (value.kind == VALUE_int && value.i >= 1)
        return value.i;
    if (value.kind == VALUE_int)
        lower_error(l, f->caller, f->call, "'%s' of the network's input is %lld; expected at least 1", name,
                    (long long)value.i);
    else
        lower_error(l, f->caller, f->call, "'%s' of the network's input is an integer, not %s", name,
                    value_kind_name(&value));
    return 0;
}

/* [N,H,W,channels], from the parameters of these names. */
static IrNode *make_input(Lower *l, Frame *f) {
    if (l->input)
        return l->input;
    int64_t height = input_extent(l, f, "H"), width = input_extent(l, f, "W"),
            channels = input_extent(l, f, "channels");
    int64_t dims[] = {IR_DIM_N, height, width, channels};
    IrType type = ir_type(DTYPE_f32, 4, dims);
    if (dims[1] && dims[2] && dims[3] && !ir_type_fits(&type))
        lower_error(l, f->caller, f->call,
                    "images of %lld x %lld x %lld are too large: a value has at most 2^48 bytes, an axis 2^31 - 1",
                    (long long)dims[1], (long long)dims[2], (long long)dims[3]);
    else if (dims[1] && dims[2] && dims[3])
        l->input = ir_graph_add_arg(l->target->builder.graph, "input", type, f->call);
    return l->input;
}

static Value run_body(Lower *l, Frame *f, const Ast *network) {
    const Ast *inputs = network->kids[1], *body = network->kids[2];
    Value input = {.kind = VALUE_error};
    if (inputs && inputs->count > 1)
        return lower_error(l, f, inputs->kids[1]->span, "a network has one input, the images");
    if (inputs) {
        input = value_tensor(make_input(l, f));
        if (input.kind == VALUE_error)
            return input;
        lower_set_variable(l, f, inputs->kids[0]->name, input);
    }
    if (body->kind == AST_block) {
        lower_run_block(l, f, body);
        if (f->returned && f->result.kind == VALUE_list && f->result.count > 1)
            return lower_error(l, f, body->span, "a network returns one tensor, not %d values", f->result.count);
        if (f->returned && f->result.kind == VALUE_list && f->result.count > 0)
            return f->result.items[0];
        return f->returned ? f->result : (Value){.kind = VALUE_error};
    }
    Value value = lower_eval(l, f, body);
    if (value.kind != VALUE_stage)
        return value;
    input = value_tensor(make_input(l, f));
    return input.kind == VALUE_error ? input : lower_apply(l, f, value.stage, 1, &input, body->span);
}

Value lower_call_network(Lower *l, Frame *f, const Ast *network, const Arguments *arguments, bool entry) {
    if (!l->target)
        return lower_error(l, f, arguments->span,
                           "'%s' computes tensors, which are there in the body of a network only", network->name);
    Frame *frame = lower_frame(l, f, network, arguments->span);
    const Ast *params = network->kids[0] ? network->kids[0] : ast_create(l->arena, AST_params, network->span);
    Bindings given = {0};
    if (!lower_match(l, f, network->name, params, 0, arguments, &given))
        return (Value){.kind = VALUE_error};
    if (entry && !override_params(l, params, &given))
        return (Value){.kind = VALUE_error};
    if (!lower_bind(l, frame, params, &given, NULL))
        return (Value){.kind = VALUE_error};
    if (++l->depth > MAX_INSIDE)
        return lower_give_up_circle(l, frame, arguments->span, "networks", MAX_INSIDE);
    Value result = run_body(l, frame, network);
    l->depth--;
    return result;
}

/* The network that a name or a call names; NULL when it is none. */
static const Ast *named_network(const StrMap *globals, const Ast *expression) {
    const Ast *name = expression->kind == AST_call ? expression->kids[0] : expression;
    const Ast *network = name->kind == AST_name ? str_map_get(globals, name->name) : NULL;
    return network && network->kind == AST_network ? network : NULL;
}

/* network main = cifar(...): what a name of this network stands for; NULL when it stands for itself. */
static const Ast *other_name(const Ast *network, const Ast *expression) {
    bool other = expression->kind == AST_name && !network->kids[0] && network->kids[2]->kind != AST_block;
    return other ? network->kids[2] : NULL;
}

const Ast *network_template(const StrMap *globals, const Ast *expression) {
    const Ast *found = NULL;
    /* Names that go in a circle are reported where they are evaluated. */
    for (size_t names = 0; expression && names <= globals->count; names++) {
        const Ast *network = named_network(globals, expression);
        found = network ? network : found;
        expression = network ? other_name(network, expression) : NULL;
    }
    return found;
}

/* A call whose arguments --set may replace. */
static Value eval_entry(Lower *l, Frame *f, const Ast *expression) {
    const Ast *network = named_network(l->globals, expression);
    if (!network)
        return lower_eval(l, f, expression);
    const Ast *other = other_name(network, expression);
    Arguments arguments = {.span = expression->span};
    Value result = {.kind = VALUE_error};
    Pending pending;
    if (expression->kind == AST_call && !lower_arguments(l, f, expression, &arguments))
        return result;
    if (!other)
        return lower_call_network(l, f, network, &arguments, true);
    if (lower_enter(l, &pending, network)) {
        result = eval_entry(l, f, other);
        lower_leave(l);
    }
    return result;
}

/* An auxiliary head sees the same labels as the network's own. */
static void add_output(Lower *l, IrGraph *graph, const IrOutput *output, const IrType *logits) {
    if (output->value->op == OP_auxiliary && !ir_type_equal(&output->value->type, logits))
        diag_error(l->diag, output->value->span, "the auxiliary head gives %s, the network %s",
                   ir_type_string(l->arena, &output->value->type), ir_type_string(l->arena, logits));
    ir_graph_add_output(graph, output->name, output->value);
}

bool lower_entry(Lower *l, Frame *f, const Ast *expression) {
    int before = diag_count_errors(l->diag);
    IrGraph *graph = ir_graph_create(l->module, "forward");
    graph->span = expression->span;
    Target target = {.builder = {.graph = graph, .diag = l->diag, .span = expression->span},
                     .prefix = "",
                     .names = str_map_create(l->arena)};
    l->target = &target;
    Value result = eval_entry(l, f, expression);
    if (result.kind == VALUE_tensor)
        lower_penalties(l);
    l->target = NULL;
    if (!lower_measure(l, f, expression->span, graph))
        result.kind = VALUE_error;
    if (result.kind != VALUE_tensor) {
        if (diag_count_errors(l->diag) == before)
            diag_error(l->diag, expression->span, "the network gives %s; expected a tensor",
                       result.kind == VALUE_error ? "nothing" : value_kind_name(&result));
        return false;
    }
    IrOutput *outputs = graph->outputs;
    int count = graph->output_count;
    graph->outputs = NULL;
    graph->output_count = graph->output_capacity = 0;
    ir_graph_add_output(graph, "logits", result.tensor);
    const IrType *type = &result.tensor->type;
    for (int i = 0; i < count; i++)
        add_output(l, graph, &outputs[i], type);
    static const char *const names[] = {"input.height", "input.width", "input.channels"};
    for (int i = 0; i < 3 && l->input; i++)
        ir_module_set(l->module, names[i], ir_attr_int("", l->input->type.dim[i + 1]), expression->span);
    if (type->rank == 2)
        ir_module_set(l->module, "classes", ir_attr_int("", type->dim[1]), expression->span);
    return diag_count_errors(l->diag) == before;
}
