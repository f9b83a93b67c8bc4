/* ndarts.c: the C library. Every call that can fail runs inside `guard`, which keeps what the layers below would print,
 * gives them the C locale, and catches what would end the program: running out of memory. A net that ran out of memory
 * in the middle of something is not used again. A mutex makes calls for one net wait for each other. */
#include "lib/ndarts.h"

#include "base/locale.h"
#include "base/memory.h"
#include "runtime/driver/predict.h"
#include "runtime/driver/weights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct NdartsNet {
    pthread_mutex_t mutex;
    RtProgram *program;
    bool has_weights, broken;
};

static char no_memory[] = "out of memory";

const char *ndarts_version(void) {
    return NDARTS_VERSION;
}

void ndarts_free(char *message) {
    if (message != no_memory)
        free(message);
}

/* ---- errors ---- */

typedef bool Body(void *call, Error *error);

typedef struct Guard {
    jmp_buf escape;
    jmp_buf *outer_escape;
    FILE *outer_stream, *stream;
    char *said; /* what was printed on the stream */
    size_t size;
    locale_t outer_locale;
    Error error;
} Guard;

/* False when memory ran out on the way. Its own function: nothing that changes between setjmp and longjmp is on its
 * stack. */
static bool run_body(Guard *g, Body *body, void *call) {
    if (setjmp(g->escape))
        return false;
    arena_escape = &g->escape;
    body(call, &g->error);
    return true;
}

static void set_message(const Guard *g, char **message) {
    if (!message)
        return;
    size_t size = g->size + strlen(g->error.message) + 1;
    char *text = malloc(size);
    *message = text ? text : no_memory;
    if (text)
        snprintf(text, size, "%s%s", g->said ? g->said : "", g->error.message);
}

/* Runs body(call). *lost: memory ran out in the middle of it. */
static NdartsStatus guard(Body *body, void *call, bool *lost, char **message) {
    Guard g = {.outer_escape = arena_escape, .outer_stream = diag_redirected};
    g.stream = open_memstream(&g.said, &g.size);
    g.outer_locale = locale_enter();
    *lost = false;
    if (!g.stream || !g.outer_locale) {
        error_set(&g.error, ERROR_MACHINE, "%s", no_memory);
    } else {
        diag_redirected = g.stream;
        *lost = !run_body(&g, body, call);
        diag_redirected = g.outer_stream;
        arena_escape = g.outer_escape;
    }
    if (g.outer_locale)
        locale_leave(g.outer_locale);
    if (g.stream)
        fclose(g.stream);
    if (*lost)
        g.error = (Error){ERROR_MACHINE, "out of memory"};
    if (g.error.kind != ERROR_NONE)
        set_message(&g, message);
    free(g.said);
    return g.error.kind == ERROR_NONE    ? NDARTS_OK
           : g.error.kind == ERROR_INPUT ? NDARTS_ERROR_INPUT
                                         : NDARTS_ERROR_MACHINE;
}

/* The same for a net, one call at a time. */
static NdartsStatus guard_net(NdartsNet *net, Body *body, void *call, char **message) {
    pthread_mutex_lock(&net->mutex);
    bool lost;
    NdartsStatus status = guard(body, call, &lost, message);
    net->broken |= lost;
    pthread_mutex_unlock(&net->mutex);
    return status;
}

static bool check_usable(const NdartsNet *net, Error *error) {
    return !net->broken ||
           error_set(error, ERROR_MACHINE, "the net ran out of memory before and cannot be used any more; close it");
}

/* ---- opening ---- */

typedef struct OpenCall {
    const char *path;
    const NdartsOptions *options;
    NdartsNet *net;
} OpenCall;

static bool check_options(const OpenCall *c, Error *error) {
    const NdartsOptions *o = c->options;
    if (!c->path)
        return error_set(error, ERROR_INPUT, "the path is NULL");
    if (o && o->size != sizeof *o)
        return error_set(error, ERROR_INPUT, "options.size is %zu; it should be sizeof(NdartsOptions), which is %zu",
                         o->size, sizeof *o);
    if (o && (o->threads < 0 || o->threads > 1024 || o->set_count < 0 || o->batch < 0))
        return error_set(error, ERROR_INPUT, "options: threads should be 0 to 1024, batch and set_count not negative");
    return true;
}

static bool open_net(void *call, Error *error) {
    OpenCall *c = call;
    static const NdartsOptions none = {.size = sizeof none};
    if (!check_options(c, error))
        return false;
    const NdartsOptions *o = c->options ? c->options : &none;
    RtProgramOptions options = {.path = c->path,
                                .device = o->device,
                                .threads = o->threads,
                                .batch = o->batch,
                                .precision = o->double_precision ? PRECISION_f64 : PRECISION_f32,
                                .sets = o->sets,
                                .set_count = o->set_count,
                                .vector_bytes = RT_VECTOR_HOST};
    c->net->program = predict_open(&options, error);
    if (!c->net->program)
        return false;
    c->net->has_weights = rt_program_has_weights(c->net->program);
    return true;
}

NdartsStatus ndarts_open(const char *path, const NdartsOptions *options, NdartsNet **net, char **message) {
    memory_guard_json(true);
    *net = calloc(1, sizeof **net);
    if (!*net || pthread_mutex_init(&(*net)->mutex, NULL) != 0) {
        free(*net);
        *net = NULL;
        if (message)
            *message = no_memory;
        return NDARTS_ERROR_MACHINE;
    }
    OpenCall call = {path, options, *net};
    bool lost;
    NdartsStatus status = guard(open_net, &call, &lost, message);
    if (status) {
        ndarts_close(*net);
        *net = NULL;
    }
    return status;
}

void ndarts_close(NdartsNet *net) {
    if (!net)
        return;
    rt_program_close(net->program);
    pthread_mutex_destroy(&net->mutex);
    free(net);
}

/* ---- weights ---- */

typedef struct WeightsCall {
    NdartsNet *net;
    const char *path;
} WeightsCall;

static bool set_weights(void *call, Error *error) {
    WeightsCall *c = call;
    if (!c->path)
        return error_set(error, ERROR_INPUT, "the path is NULL");
    if (!check_usable(c->net, error) || !weights_load(c->net->program, "the net", c->path, error))
        return false;
    c->net->has_weights = true;
    return true;
}

NdartsStatus ndarts_set_weights(NdartsNet *net, const char *path, char **message) {
    WeightsCall call = {net, path};
    return guard_net(net, set_weights, &call, message);
}

int ndarts_has_weights(NdartsNet *net) {
    pthread_mutex_lock(&net->mutex);
    int has = net->has_weights;
    pthread_mutex_unlock(&net->mutex);
    return has;
}

/* ---- what it takes and gives: fixed when it was opened ---- */

int64_t ndarts_batch(const NdartsNet *net) {
    return rt_program_batch(net->program);
}

int ndarts_input_count(const NdartsNet *net) {
    return rt_input_count(net->program, GRAPH_infer);
}

int ndarts_output_count(const NdartsNet *net) {
    return rt_output_count(net->program, GRAPH_infer);
}

static bool has_images(const RtTensorInfo *info) {
    return info->rank > 0 && info->shape[0] == -1;
}

static void describe(const RtTensorInfo *info, NdartsTensor *tensor) {
    *tensor = (NdartsTensor){.name = info->name, .rank = info->rank, .size = 1};
    for (int i = 0; i < info->rank; i++) {
        tensor->shape[i] = info->shape[i];
        tensor->size *= info->shape[i] == -1 ? 1 : info->shape[i];
    }
}

NdartsStatus ndarts_input(const NdartsNet *net, int index, NdartsTensor *tensor) {
    if (index < 0 || index >= ndarts_input_count(net))
        return NDARTS_ERROR_INPUT;
    describe(rt_input_info_at(net->program, GRAPH_infer, index), tensor);
    return NDARTS_OK;
}

NdartsStatus ndarts_output(const NdartsNet *net, int index, NdartsTensor *tensor) {
    if (index < 0 || index >= ndarts_output_count(net))
        return NDARTS_ERROR_INPUT;
    describe(rt_output_info_at(net->program, GRAPH_infer, index), tensor);
    return NDARTS_OK;
}

/* ---- running ---- */

typedef struct RunCall {
    NdartsNet *net;
    int64_t images;
    const float *const *inputs;
    float *const *outputs;
} RunCall;

static bool check_run(const RunCall *c, Error *error) {
    if (!check_usable(c->net, error))
        return false;
    if (!c->net->has_weights)
        return error_set(error, ERROR_INPUT, "the net has no weights yet; ndarts_set_weights gives it some");
    if (c->images < 1)
        return error_set(error, ERROR_INPUT, "%lld images; at least 1 is needed", (long long)c->images);
    for (int i = 0; i < ndarts_input_count(c->net); i++) {
        const RtTensorInfo *info = rt_input_info_at(c->net->program, GRAPH_infer, i);
        if (!c->inputs || !c->inputs[i])
            return error_set(error, ERROR_INPUT, "the input '%s' is NULL", info->name);
        if (!has_images(info))
            return error_set(error, ERROR_INPUT, "the input '%s' does not tell images apart", info->name);
    }
    return c->outputs || error_set(error, ERROR_INPUT, "the outputs are NULL");
}

static bool run_net(void *call, Error *error) {
    RunCall *c = call;
    if (!check_run(c, error))
        return false;
    int count = ndarts_input_count(c->net);
    Arena *arena = arena_create();
    Tensor *inputs = ARENA_ARRAY(arena, Tensor, count);
    for (int i = 0; i < count; i++) {
        const RtTensorInfo *info = rt_input_info_at(c->net->program, GRAPH_infer, i);
        inputs[i] = (Tensor){.name = info->name, .type = TENSOR_f32, .rank = info->rank, .data = (void *)c->inputs[i]};
        memcpy(inputs[i].shape, info->shape, sizeof info->shape);
        inputs[i].shape[0] = c->images;
    }
    bool ok = predict_run(c->net->program, inputs, c->outputs, error);
    arena_destroy(arena);
    return ok;
}

NdartsStatus ndarts_run(NdartsNet *net, int64_t images, const float *const *inputs, float *const *outputs,
                        char **message) {
    RunCall call = {net, images, inputs, outputs};
    return guard_net(net, run_net, &call, message);
}
