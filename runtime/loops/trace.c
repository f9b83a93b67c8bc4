/* trace.c: runs a text on given inputs, weights and draws, and writes down what it computes
 * (docs/cli.md lists the tensors). A search: evaluation, one stand-alone pass for all gradients, then, from the initial
 * state, search steps. Anything else: evaluation, and when there are labels (or a fed gradient of the logits) one training
 * step. */
#include "runtime/loops/trace.h"

#include "base/hash.h"
#include "base/str.h"
#include "runtime/data/class_balance.h"
#include "runtime/driver/step.h"
#include "runtime/loops/agree.h"
#include "runtime/loops/hessian.h"

#include <math.h>
#include <string.h>

typedef struct Trace {
    Arena *arena;
    const TraceOptions *options;
    const IrModule *text;
    Settings settings;      /* of the text */
    bool is_search, trains; /* trains: not a search, and there is something to differentiate */
    TensorFile feed_file, results;
    const char **streams; /* fed draws, without the step */
    int stream_count, stream_capacity;
    RtProgram *program;
    TensorFile initial;
    int64_t images;
    uint64_t seed;
} Trace;

/* ---- setting up ---- */

static bool read_text(Trace *t, Error *error) {
    t->text = rt_text_load_options(t->arena, &t->options->program, error);
    if (!t->text)
        return false;
    t->settings = settings_read(t->text);
    t->is_search = settings_are_of(&t->settings, "search");
    return true;
}

/* "noise.P", "gumbel.alphas_normal": inputs, labels and alphas have no dot in their names. */
static bool is_stream(const char *name) {
    return strchr(name, '.') != NULL;
}

/* "noise.P.step3" -> "noise.P" */
static const char *stream_name(Arena *arena, const char *name) {
    const char *step = NULL;
    for (const char *p = name; (p = strstr(p, ".step")); p++)
        step = p;
    if (!step || strspn(step + 5, "0123456789") != strlen(step + 5) || step[5] == '\0')
        return name;
    return arena_strndup(arena, name, (size_t)(step - name));
}

static bool read_feed(Trace *t, Error *error) {
    if (!safetensors_read(t->arena, t->options->feed, &t->feed_file, error) ||
        !agree_on_tensors(t->options->program.ranks, "another feed", &t->feed_file, error))
        return false;
    StrMap seen = str_map_create(t->arena);
    for (size_t i = 0; i < t->feed_file.count; i++) {
        const char *name = t->feed_file.tensors[i].name;
        if (!is_stream(name))
            continue;
        name = stream_name(t->arena, name);
        if (!str_map_get(&seen, name))
            ARENA_PUSH(t->arena, t->streams, t->stream_count, t->stream_capacity, name);
        str_map_set(&seen, name, t);
    }
    return true;
}

static const Tensor *need(const Trace *t, const char *name, Error *error) {
    const Tensor *tensor = tensor_find(&t->feed_file, name);
    if (!tensor)
        error_set(error, ERROR_INPUT, "%s: missing: %s", t->options->feed, name);
    return tensor;
}

/* All inputs hold the same number of images. */
static bool check_images(Trace *t, const char *name, Error *error) {
    const Tensor *tensor = need(t, name, error);
    if (!tensor)
        return false;
    int64_t count = tensor->rank > 0 ? tensor->shape[0] : 0;
    t->images = t->images ? t->images : count;
    return (count > 0 && count == t->images) ||
           error_set(error, ERROR_INPUT, "%s: %s holds %lld images, expected %lld", t->options->feed, name,
                     (long long)count, (long long)(t->images ? t->images : 1));
}

static bool check_labels(Trace *t, const char *name, Error *error) {
    int64_t classes = t->settings.given[SETTING_network_classes] ? t->settings.network.classes : 0;
    if (!check_images(t, name, error))
        return false;
    const Tensor *labels = tensor_find(&t->feed_file, name);
    for (int64_t i = 0; i < tensor_count(labels); i++) {
        double label = tensor_get(labels, i);
        if (classes > 0 && !(label >= 0 && label < (double)classes))
            return error_set(error, ERROR_INPUT, "%s: %s[%lld] is %g, expected 0 to %lld", t->options->feed, name,
                             (long long)i, label, (long long)classes - 1);
    }
    return true;
}

static bool has(const Trace *t, const char *name) {
    return tensor_find(&t->feed_file, name) != NULL;
}

static bool check_feed(Trace *t, Error *error) {
    if (t->is_search)
        return check_images(t, "input_valid", error) && check_labels(t, "labels_valid", error) &&
               (t->options->steps == 0 || (check_images(t, "input", error) && check_labels(t, "labels", error)));
    t->trains = has(t, "labels") || has(t, "targets") || has(t, "grad_output");
    return check_images(t, "input", error) && (!has(t, "labels") || check_labels(t, "labels", error)) &&
           (!has(t, "targets") || check_images(t, "targets", error));
}

/* "noise.P.pass2" -> "noise.P" and 1: so many passes after the first of its run it is drawn (second-order). */
static const char *stream_of_input(Arena *arena, const char *name, int *later) {
    const char *pass = strrchr(name, '.');
    *later = 0;
    if (!pass || sscanf(pass, ".pass%d", later) != 1)
        return name;
    *later -= 1;
    return arena_strndup(arena, name, (size_t)(pass - name));
}

/* A draw that is fed but that no graph takes is a mistake in its name. */
static bool check_streams(const Trace *t, Error *error) {
    for (int i = 0; i < t->stream_count; i++) {
        bool found = !t->is_search && !t->trains;
        for (int kind = 0; kind < GRAPH_KIND_COUNT && !found; kind++)
            found = rt_input_info(t->program, (GraphKind)kind, t->streams[i]) != NULL;
        if (!found)
            return error_set(error, ERROR_INPUT, "%s: the text draws nothing called '%s'", t->options->feed,
                             t->streams[i]);
    }
    return true;
}

static bool open_program(Trace *t, Error *error) {
    const GraphKind search[] = {GRAPH_gradients, GRAPH_eval, settings_alphas_graph(&t->settings), GRAPH_search_weights};
    static const GraphKind network[] = {GRAPH_infer, GRAPH_gradients, GRAPH_train};
    bool product = !t->is_search && !has(t, "labels") && !has(t, "targets") && has(t, "grad_output");
    RtProgramOptions o = t->options->program;
    o.batch = t->images;
    o.fed_streams = t->streams;
    o.fed_stream_count = t->stream_count;
    o.grad_output_loss = o.input_gradient = product;
    o.kinds = t->is_search ? search : network;
    o.kind_count = t->is_search ? (t->options->steps > 0 ? 4 : 2) : !t->trains ? 1 : product ? 2 : 3;
    t->program = rt_program_open(&o, error);
    return t->program && check_streams(t, error);
}

/* ---- the state to begin with ---- */

static bool set_alphas(Trace *t, const TensorFile *weights, Error *error) {
    for (int i = 0; i < rt_param_count(t->program); i++) {
        const RtTensorInfo *info = rt_param_info(t->program, i);
        if (info->kind != PARAM_alpha)
            continue;
        const Tensor *fed = tensor_find(&t->feed_file, info->name);
        if (fed && !rt_param_set(t->program, fed, error))
            return false;
        if (!fed && !tensor_find(weights, info->name))
            return error_set(error, ERROR_INPUT, "%s: missing: %s (it may be among the weights too)", t->options->feed,
                             info->name);
    }
    return true;
}

/* There are no images to balance them over, but a checkpoint has what was found then. */
static bool set_class_weights(Trace *t, const TensorFile *weights, Error *error) {
    if (!class_weights_balanced(&t->settings))
        return class_weights_set(t->program, &t->settings, NULL, 0, error);
    return tensor_find(weights, CLASS_WEIGHTS) ||
           error_set(error, ERROR_INPUT, "%s: class_weights balanced needs a checkpoint as --weights, or a list: %s",
                     t->options->program.path, "--set 'class_weights=[...]'");
}

static bool set_state(Trace *t, Error *error) {
    TensorFile weights = {0};
    Error inner = {ERROR_NONE, ""};
    if (t->options->weights && !safetensors_read(t->arena, t->options->weights, &weights, error))
        return false;
    if (t->options->weights && !rt_state_set(t->program, &weights, RT_STATE_weights, &inner))
        return error_set(error, inner.kind, "%s: %s", t->options->weights, inner.message);
    if (!set_class_weights(t, &weights, error) || !set_alphas(t, &weights, error))
        return false;
    rt_state_get(t->program, t->arena, &t->initial);
    return agree_on_tensors(t->options->program.ranks, "other weights", &t->initial, error);
}

/* ---- running ---- */

/* The distribution that the text's functions draw the stream from: "noise.cells.0._ops.3" from what they call "noise". */
static const char *distribution(const Trace *t, const char *stream) {
    const char *stem = arena_strndup(t->arena, stream, strcspn(stream, "."));
    for (int i = 0; i < t->text->graph_count; i++)
        for (const IrNode *n = t->text->graphs[i]->first; n; n = n->next) {
            const char *name = n->op == OP_draw || n->op == OP_gumbel ? ir_attr_get_string(n, "stream", "") : "";
            if (str_equal(name, stem) || str_equal(name, stream))
                return n->op == OP_gumbel ? "gumbel" : ir_attr_get_string(n, "distribution", "");
        }
    return "bernoulli"; /* a mask of drop path */
}

static double draw(const Trace *t, const char *stream, const RtRun *run, int64_t image, int64_t element) {
    uint32_t hash = draw_stream_hash(stream), s = (uint32_t)run->step, i = (uint32_t)image, e = (uint32_t)element;
    const char *from = distribution(t, stream);
    if (str_equal(from, "normal"))
        return draw_normal(t->seed, hash, s, i, e);
    if (str_equal(from, "uniform"))
        return draw_uniform(t->seed, hash, s, i, e);
    if (str_equal(from, "gumbel"))
        return -log(-log(draw_uniform(t->seed, hash, s, i, e) + ldexp(1, -25)));
    double keep = run->scalars[RUN_drop_keep];
    keep = t->options->program.precision == PRECISION_f64 ? keep : (double)(float)keep;
    return draw_uniform(t->seed, hash, s, i, e) < keep;
}

/* A stream that is fed in other passes is an input of the graphs; in this one it gets what they would draw themselves.
 * Elements are counted in the order inside, NHWC. */
static const Tensor *drawn_tensor(Trace *t, const RtTensorInfo *info, const RtRun *run) {
    Tensor *tensor = ARENA_NEW(t->arena, Tensor);
    *tensor = (Tensor){.name = info->name, .type = TENSOR_f64, .rank = info->rank};
    memcpy(tensor->shape, info->shape, sizeof tensor->shape);
    tensor->shape[0] = t->images;
    int64_t count = tensor_count(tensor), size = count / t->images;
    int64_t channels = info->rank == 4 ? info->shape[1] : 1, pixels = size / channels;
    double *values = ARENA_ARRAY(t->arena, double, count);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = i % size;
        values[i] = draw(t, info->name, run, i / size, at % pixels * channels + at / pixels);
    }
    tensor->data = values;
    return tensor;
}

/* The fed tensor for an input of a graph in this pass. */
static const Tensor *fed_tensor(Trace *t, const RtTensorInfo *info, bool valid, const RtRun *run, Error *error) {
    if (!is_stream(info->name))
        return need(t, valid ? arena_printf(t->arena, "%s_valid", info->name) : info->name, error);
    int later;
    const char *stream = stream_of_input(t->arena, info->name, &later);
    const Tensor *tensor =
        tensor_find(&t->feed_file, arena_printf(t->arena, "%s.step%lld", stream, (long long)run->step + later));
    tensor = tensor ? tensor : tensor_find(&t->feed_file, stream);
    return tensor ? tensor : drawn_tensor(t, info, run);
}

/* A pass of a run that is at the begin of the epoch that was asked for and has taken so many steps; STAND_ALONE: one of
 * its own, whose draws have number 0. */
enum { STAND_ALONE = -1 };
static bool run_graph(Trace *t, GraphKind kind, int64_t taken, bool valid, Error *error) {
    bool alone = taken == STAND_ALONE;
    taken = alone ? 0 : taken;
    /* What comes after the last step is in its epoch. */
    int64_t last = t->options->steps > 0 ? t->options->steps - 1 : 0;
    int64_t later = !t->options->epoch_per_step ? 0 : taken < last ? taken : last;
    const RtPosition at = {.epoch = t->options->epoch + later,
                           .epochs = settings_epochs(&t->settings),
                           .steps = 1,
                           .global_step = taken,
                           .alphas_updates = taken};
    RtRun run = rt_step(kind, &t->settings, t->seed, &at);
    run.step = alone ? 0 : run.step;
    int count = rt_input_count(t->program, kind);
    RtInput *inputs = ARENA_ARRAY(t->arena, RtInput, count);
    for (int i = 0; i < count; i++) {
        const RtTensorInfo *info = rt_input_info_at(t->program, kind, i);
        const Tensor *from = fed_tensor(t, info, valid, &run, error);
        if (!from)
            return false;
        inputs[i].name = info->name;
        inputs[i].data = rt_input_pack(t->program, kind, info->name, from, 0, t->images, t->arena, error);
        if (!inputs[i].data)
            return false;
    }
    run.batch = t->images;
    run.input_count = count;
    run.inputs = inputs;
    return rt_run(t->program, &run, error);
}

static void add_result(Trace *t, const char *name, Tensor tensor) {
    tensor.name = name;
    if (tensor.rank == 0) { /* a number is written as one element */
        tensor.rank = 1;
        tensor.shape[0] = 1;
    }
    tensor_file_add(t->arena, &t->results, tensor);
}

/* Output `output` of the latest run, if the graph has it, as `name`. */
static void add_output(Trace *t, GraphKind kind, const char *output, const char *name) {
    if (rt_output_info(t->program, kind, output))
        add_result(t, name, rt_output_get(t->program, kind, output, t->arena));
}

static void add_all_gradients(Trace *t, const char *prefix) {
    for (int i = 0; i < rt_output_count(t->program, GRAPH_gradients); i++) {
        const char *name = rt_output_info_at(t->program, GRAPH_gradients, i)->name;
        if (str_starts_with(name, "grad/"))
            add_output(t, GRAPH_gradients, name, arena_printf(t->arena, "%s%s", prefix, name));
    }
}

static void add_params(Trace *t, IrParamKind kind, const char *prefix) {
    for (int i = 0; i < rt_param_count(t->program); i++) {
        const RtTensorInfo *info = rt_param_info(t->program, i);
        if (info->kind == kind)
            add_result(t, arena_printf(t->arena, "%s%s", prefix, info->name),
                       rt_param_get(t->program, info->name, t->arena));
    }
}

static void subtract(Tensor *from, const Tensor *what) {
    for (int64_t i = 0; i < tensor_count(from); i++) {
        if (from->type == TENSOR_f64)
            ((double *)from->data)[i] -= ((const double *)what->data)[i];
        else
            ((float *)from->data)[i] -= ((const float *)what->data)[i];
    }
}

/* Every weight, new minus old. */
static void add_updates(Trace *t, const char *prefix) {
    for (int i = 0; i < rt_param_count(t->program); i++) {
        const RtTensorInfo *info = rt_param_info(t->program, i);
        if (info->kind != PARAM_weight)
            continue;
        Tensor value = rt_param_get(t->program, info->name, t->arena);
        subtract(&value, tensor_find(&t->initial, info->name));
        add_result(t, arena_printf(t->arena, "%s%s", prefix, info->name), value);
    }
}

/* What a graph of second order says besides: its losses, and of the alphas what their gradient is made of. */
static void add_parts(Trace *t, GraphKind kind, int64_t s, const char *prefix) {
    for (int i = 0; i < rt_output_count(t->program, kind); i++) {
        const char *name = rt_output_info_at(t->program, kind, i)->name;
        bool known = str_equal(name, "loss") || str_equal(name, "logits");
        bool unrolled = str_starts_with(name, "unrolled/");
        if (!known)
            add_output(t, kind, name, arena_printf(t->arena, "%s%s", prefix, unrolled ? strchr(name, '/') + 1 : name));
        if (unrolled && s == 0)
            add_output(t, kind, name, name);
    }
}

/* Numbers of the graph of the weights called OUTPUT/0, OUTPUT/1, ... as one tensor. */
static void add_numbers(Trace *t, const char *output, const char *name) {
    enum { MOST = 128 };
    Tensor all = {.type = TENSOR_f64, .rank = 1, .data = ARENA_ARRAY(t->arena, double, MOST)};
    for (; all.shape[0] < MOST; all.shape[0]++) {
        const char *one = arena_printf(t->arena, "%s/%lld", output, (long long)all.shape[0]);
        if (!rt_output_info(t->program, GRAPH_search_weights, one))
            break;
        ((double *)all.data)[all.shape[0]] = rt_output_scalar(t->program, GRAPH_search_weights, one);
    }
    if (all.shape[0] > 0)
        add_result(t, name, all);
}

/* Of a search whose candidates have other weights where the network's move: these, as weights_KIND, and how they were
 * found. */
static void add_perturbed(Trace *t, const char *prefix) {
    static const char mark[] = "perturbed/alphas_";
    for (int i = 0; i < rt_output_count(t->program, GRAPH_search_weights); i++) {
        const char *name = rt_output_info_at(t->program, GRAPH_search_weights, i)->name;
        if (str_starts_with(name, mark))
            add_output(t, GRAPH_search_weights, name,
                       arena_printf(t->arena, "%sweights_%s", prefix, name + strlen(mark)));
    }
    add_numbers(t, "ascent_loss", arena_printf(t->arena, "%spgd_losses", prefix));
    add_output(t, GRAPH_search_weights, "restored", arena_printf(t->arena, "%srestored", prefix));
}

static bool run_alphas(Trace *t, int64_t s, const char *prefix, Error *error) {
    GraphKind alphas = settings_alphas_graph(&t->settings);
    if (!run_graph(t, alphas, s, alphas == GRAPH_search_alphas, error))
        return false;
    add_output(t, alphas, "loss", arena_printf(t->arena, "%svalid_loss", prefix));
    add_parts(t, alphas, s, prefix);
    return true;
}

static bool run_weights(Trace *t, int64_t s, const char *prefix, Error *error) {
    if (!run_graph(t, GRAPH_search_weights, s, false, error))
        return false;
    add_output(t, GRAPH_search_weights, "loss", arena_printf(t->arena, "%strain_loss", prefix));
    add_output(t, GRAPH_search_weights, "grad_norm", arena_printf(t->arena, "%sgrad_norm", prefix));
    add_perturbed(t, prefix);
    return true;
}

static bool run_search_step(Trace *t, int64_t s, Error *error) {
    const char *prefix = arena_printf(t->arena, "search%lld/", (long long)s);
    bool weights_first = rt_step_weights_first(&t->settings);
    if ((weights_first && !run_weights(t, s, prefix, error)) || !run_alphas(t, s, prefix, error) ||
        (!weights_first && !run_weights(t, s, prefix, error)))
        return false;
    add_params(t, PARAM_alpha, prefix);
    return true;
}

static bool run_gradients(void *trace, Error *error) {
    return run_graph(trace, GRAPH_gradients, 0, true, error);
}

/* Of the loss of the stand-alone pass with respect to the alphas. */
static bool trace_hessian(Trace *t, Error *error) {
    Hessian h = {.arena = t->arena, .program = t->program, .pass = run_gradients, .context = t};
    return hessian_results(&h, tensor_find(&t->feed_file, "hessian_vector"), t->options->spectrum, &t->results, error);
}

static bool trace_search(Trace *t, Error *error) {
    if (!run_graph(t, GRAPH_eval, STAND_ALONE, true, error))
        return false;
    add_output(t, GRAPH_eval, "logits", "eval_logits");
    if (!run_graph(t, GRAPH_gradients, STAND_ALONE, true, error))
        return false;
    add_output(t, GRAPH_gradients, "logits", "logits");
    add_output(t, GRAPH_gradients, "loss", "loss");
    add_all_gradients(t, "");
    add_params(t, PARAM_statistic, "after/");
    if (t->options->hessian && !trace_hessian(t, error))
        return false;
    if (t->options->steps == 0)
        return true;
    if (!rt_state_set(t->program, &t->initial, RT_STATE_all, error))
        return false;
    for (int64_t s = 0; s < t->options->steps; s++) {
        if (!run_search_step(t, s, error))
            return false;
    }
    add_updates(t, "search_update/");
    add_params(t, PARAM_statistic, "search_end/");
    if (!run_graph(t, GRAPH_eval, t->options->steps, true, error))
        return false;
    add_output(t, GRAPH_eval, "logits", "search_end/eval_logits");
    return true;
}

static bool trace_training_pass(Trace *t, Error *error) {
    if (!run_graph(t, GRAPH_gradients, 0, false, error))
        return false;
    add_output(t, GRAPH_gradients, "logits", "train/logits");
    add_output(t, GRAPH_gradients, "logits_aux", "train/logits_aux");
    add_output(t, GRAPH_gradients, "loss", "train/loss");
    add_all_gradients(t, "train/");
    add_params(t, PARAM_statistic, "train/after/");
    return true;
}

/* One step of SGD from the initial state; then the training-mode logits once more. */
static bool trace_training_step(Trace *t, Error *error) {
    if (!rt_state_set(t->program, &t->initial, RT_STATE_all, error) || !run_graph(t, GRAPH_train, 0, false, error))
        return false;
    add_output(t, GRAPH_train, "grad_norm", "train/grad_norm");
    add_updates(t, "train/update/");
    if (!run_graph(t, GRAPH_gradients, 0, false, error))
        return false;
    add_output(t, GRAPH_gradients, "logits", "train/logits_after_step");
    return true;
}

static bool trace_network(Trace *t, Error *error) {
    if (!run_graph(t, GRAPH_infer, 0, false, error))
        return false;
    add_output(t, GRAPH_infer, "logits", "eval/logits");
    if (t->trains && !trace_training_pass(t, error))
        return false;
    return !rt_has_graph(t->program, GRAPH_train) || trace_training_step(t, error);
}

static bool trace(Trace *t, Error *error) {
    if (!read_text(t, error) || !read_feed(t, error) || !check_feed(t, error) || !open_program(t, error) ||
        !set_state(t, error))
        return false;
    return (t->is_search ? trace_search(t, error) : trace_network(t, error)) &&
           (!ranks_is_first(t->options->program.ranks) || safetensors_write(t->options->out, &t->results, error));
}

bool trace_run(const TraceOptions *options, Error *error) {
    Trace t = {.arena = arena_create(), .options = options, .seed = options->program.seed};
    bool ok = trace(&t, error);
    rt_program_close(t.program);
    arena_destroy(t.arena);
    return ok;
}
