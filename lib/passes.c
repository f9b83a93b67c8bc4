/* passes.c: single passes in training mode: for programs that have an optimiser of their own, and give the gradient of
 * the logits. */
#include "lib/net.h"

#include "base/str.h"
#include "runtime/driver/step.h"

#include <string.h>

typedef struct PassCall {
    NdartsNet *net;
    const NdartsPass *pass;
    GraphKind kind;
    int64_t images;
} PassCall;

static bool find_graph(PassCall *c, Error *error) {
    const NdartsPass *p = c->pass;
    if (!p)
        return error_set(error, ERROR_INPUT, "the pass is NULL");
    if (p->size != sizeof *p)
        return error_set(error, ERROR_INPUT, "the size is %zu; it should be sizeof(NdartsPass), which is %zu", p->size,
                         sizeof *p);
    bool is_one = p->graph && (str_equal(p->graph, "train-forward") || str_equal(p->graph, "gradients"));
    if (!is_one || !graph_kind_parse(p->graph, &c->kind))
        return error_set(error, ERROR_INPUT, "the graph is '%s'; it should be train-forward or gradients",
                         p->graph ? p->graph : "");
    if (!rt_has_graph(c->net->program, c->kind))
        return error_set(error, ERROR_INPUT, "the net only infers; it should be opened with the kind train");
    return c->net->has_weights || error_set(error, ERROR_INPUT, "the net has no weights yet");
}

/* What is given is known, and it can be what it says. */
static bool check_inputs(const PassCall *c, Error *error) {
    const NdartsPass *p = c->pass;
    if (p->epoch < 0 || p->epochs < 0)
        return error_set(error, ERROR_INPUT, "epoch %lld of %lld; they count from 0", (long long)p->epoch,
                         (long long)p->epochs);
    if (!call_check_count("inputs", p->inputs, p->input_count, error) ||
        !call_check_count("outputs", p->outputs, p->output_count, error))
        return false;
    for (int i = 0; i < p->input_count; i++) {
        const char *name = p->inputs[i].name;
        if (!name || !rt_input_info(c->net->program, c->kind, name))
            return error_set(error, ERROR_INPUT, "the graph %s has no input '%s'", p->graph, name ? name : "");
        if (!call_check_array(name, &p->inputs[i], error))
            return false;
    }
    return true;
}

/* The array of that name. */
static const NdartsArray *find_input(const PassCall *c, const char *name) {
    for (int i = 0; i < c->pass->input_count; i++)
        if (str_equal(c->pass->inputs[i].name, name))
            return &c->pass->inputs[i];
    return NULL;
}

static bool pack_input(PassCall *c, const RtTensorInfo *info, Arena *arena, RtInput *input, Error *error) {
    const NdartsArray *array = find_input(c, info->name);
    if (!array || !array->data || array->rank < 1)
        return error_set(error, ERROR_INPUT, "the graph %s needs the input '%s'", c->pass->graph, info->name);
    int64_t images = array->shape[0];
    c->images = c->images ? c->images : images;
    if (images < 1 || images != c->images || images > rt_program_batch(c->net->program))
        return error_set(error, ERROR_INPUT, "'%s' has %lld images; a pass has 1 to %lld, every input as many",
                         info->name, (long long)images, (long long)rt_program_batch(c->net->program));
    Tensor tensor = net_tensor(info, array);
    *input =
        (RtInput){info->name, rt_input_pack(c->net->program, c->kind, info->name, &tensor, 0, images, arena, error)};
    return input->data != NULL;
}

static bool check_output(const PassCall *c, const NdartsArray *output, Error *error) {
    const RtTensorInfo *info = output->name ? rt_output_info(c->net->program, c->kind, output->name) : NULL;
    if (!info)
        return error_set(error, ERROR_INPUT, "the graph %s has no output '%s'", c->pass->graph,
                         output->name ? output->name : "");
    if (!call_check_array(info->name, output, error))
        return false;
    int64_t room = 1, numbers = 1;
    for (int i = 0; i < output->rank; i++)
        room *= output->shape[i];
    for (int i = 0; i < info->rank; i++)
        numbers *= info->shape[i] == -1 ? c->images : info->shape[i];
    return net_check_output(info, output, error) &&
           (room == numbers ||
            error_set(error, ERROR_INPUT, "the output '%s' has %lld numbers, and there is room for %lld", info->name,
                      (long long)numbers, (long long)room));
}

static void take_output(const PassCall *c, const NdartsArray *output, Arena *arena) {
    Tensor found = rt_output_get(c->net->program, c->kind, output->name, arena);
    for (int64_t i = 0; i < tensor_count(&found); i++) {
        if (output->type == NDARTS_f64)
            ((double *)output->data)[i] = tensor_get(&found, i);
        else
            ((float *)output->data)[i] = (float)tensor_get(&found, i);
    }
}

static bool run_pass(PassCall *c, Arena *arena, Error *error) {
    const NdartsPass *p = c->pass;
    RtProgram *program = c->net->program;
    int count = rt_input_count(program, c->kind);
    RtInput *inputs = ARENA_ARRAY(arena, RtInput, count);
    for (int i = 0; i < count; i++)
        if (!pack_input(c, rt_input_info_at(program, c->kind, i), arena, &inputs[i], error))
            return false;
    for (int i = 0; i < p->output_count; i++)
        if (!check_output(c, &p->outputs[i], error))
            return false;
    RtPosition at = {.epoch = p->epoch, .epochs = p->epochs > 0 ? p->epochs : 1, .steps = 1};
    RtRun run = rt_step(c->kind, rt_program_settings(program), p->seed, &at);
    run.step = p->step;
    run.batch = c->images;
    run.input_count = count;
    run.inputs = inputs;
    if (!rt_run(program, &run, error))
        return false;
    for (int i = 0; i < p->output_count; i++)
        take_output(c, &p->outputs[i], arena);
    return true;
}

static bool do_pass(void *call, Error *error) {
    PassCall *c = call;
    if (!net_is_usable(c->net, error) || !find_graph(c, error) || !check_inputs(c, error))
        return false;
    Arena *arena = arena_create();
    bool ok = run_pass(c, arena, error);
    arena_destroy(arena);
    return ok;
}

NdartsStatus ndarts_pass(NdartsNet *net, const NdartsPass *pass, char **message) {
    PassCall call = {.net = net, .pass = pass};
    return net_call(net, do_pass, &call, message);
}
