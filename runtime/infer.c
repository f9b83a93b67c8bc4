/* infer.c: `ndarts-run infer`: logits of images, by a text or a module file. Images go through in batches of the
 * program's largest size, so any number of them takes the same memory for values. */
#include "base/str.h"
#include "runtime/args.h"
#include "runtime/runtime.h"

#include <string.h>

typedef struct Infer {
    Arena *arena;
    const char *net, *weights, *input, *output, *profile; /* profile: NULL, "" for tables only, or the trace's file */
    int64_t batch;
    ProgramArgs program_args;
    RtProgram *program;
    Tensor images, logits;
} Infer;

static bool parse_command(Infer *f, int argc, char **argv, Error *error) {
    Arg args[PROGRAM_ARG_COUNT + 6];
    args_add_program(args, &f->program_args);
    Arg *own = args + PROGRAM_ARG_COUNT;
    own[0] = (Arg){NULL, ARG_text, &f->net, 0, 0};
    own[1] = (Arg){"--weights", ARG_text, &f->weights, 0, 0};
    own[2] = (Arg){"--input", ARG_text, &f->input, 0, 0};
    own[3] = (Arg){"--output", ARG_text, &f->output, 0, 0};
    own[4] = (Arg){"--batch", ARG_int, &f->batch, 1, 1 << 20};
    own[5] = (Arg){"--profile", ARG_optional, &f->profile, 0, 0};
    if (!args_parse(f->arena, argc, argv, args, PROGRAM_ARG_COUNT + 6, error))
        return false;
    if (!f->net || !f->input || !f->output)
        return error_set(error, ERROR_INPUT,
                         "infer needs a network (a text, a .so or a .cubin), --input x.npy and --output y.npy");
    return true;
}

static bool open_program(Infer *f, Error *error) {
    static const GraphKind kinds[] = {GRAPH_infer};
    if (str_ends_with(f->net, ".so") || str_ends_with(f->net, ".cubin")) {
        f->program = rt_program_load_on(f->program_args.device, f->net, (int)f->program_args.threads,
                                        (uint64_t)f->program_args.seed, error);
        return f->program && (rt_has_graph(f->program, GRAPH_infer) ||
                              error_set(error, ERROR_INPUT, "%s has no graph 'infer'", f->net));
    }
    RtProgramOptions o = args_program_options(&f->program_args, f->net);
    o.batch = f->batch;
    o.kinds = kinds;
    o.kind_count = 1;
    f->program = rt_program_open(&o, error);
    return f->program != NULL;
}

static bool set_weights(Infer *f, Error *error) {
    TensorFile file = {0};
    Error inner = {ERROR_NONE, ""};
    if (!f->weights)
        return rt_program_has_weights(f->program) ||
               error_set(error, ERROR_INPUT, "infer needs --weights W.safetensors: %s holds none", f->net);
    if (!safetensors_read(f->arena, f->weights, &file, error))
        return false;
    return rt_state_set(f->program, &file, RT_STATE_weights, &inner) ||
           error_set(error, inner.kind, "%s: %s", f->weights, inner.message);
}

static bool read_images(Infer *f, Error *error) {
    if (!npy_read(f->arena, f->input, &f->images, error))
        return false;
    f->images.name = f->input;
    if (f->images.type != TENSOR_f32)
        return error_set(error, ERROR_INPUT, "%s: expected float32, found %s", f->input,
                         tensor_type_name(f->images.type));
    return f->images.rank == 4 ||
           error_set(error, ERROR_INPUT, "%s: expected 4 axes (N x C x H x W), found %d", f->input, f->images.rank);
}

static void prepare_logits(Infer *f) {
    const RtTensorInfo *info = rt_output_info(f->program, GRAPH_infer, "logits");
    f->logits = (Tensor){.name = "logits", .type = TENSOR_f32, .rank = info->rank};
    for (int i = 0; i < info->rank; i++)
        f->logits.shape[i] = info->shape[i] == -1 ? f->images.shape[0] : info->shape[i];
    f->logits.data = arena_alloc(f->arena, sizeof(float) * (size_t)tensor_count(&f->logits));
}

static bool run_batch(Infer *f, int64_t first, int64_t count, Error *error) {
    Arena *arena = arena_create();
    RtInput input = {"input", rt_input_pack(f->program, GRAPH_infer, "input", &f->images, first, count, arena, error)};
    RtRun run = {.kind = GRAPH_infer,
                 .batch = count,
                 .image_base = (uint64_t)first,
                 .drop_keep = 1,
                 .noise_decay = 1,
                 .input_count = 1,
                 .inputs = &input};
    bool ok = input.data && rt_run(f->program, &run, error);
    if (ok) {
        Tensor part = rt_output_get(f->program, GRAPH_infer, "logits", arena);
        int64_t elements = tensor_count(&part);
        float *to = (float *)f->logits.data + first * (elements / count);
        for (int64_t i = 0; i < elements; i++)
            to[i] = (float)tensor_get(&part, i);
    }
    arena_destroy(arena);
    return ok;
}

static bool infer(Infer *f, int argc, char **argv, Error *error) {
    if (!parse_command(f, argc, argv, error) || !read_images(f, error) || !open_program(f, error) ||
        !set_weights(f, error))
        return false;
    prepare_logits(f);
    if (f->profile)
        rt_profile_begin(f->program);
    int64_t images = f->images.shape[0], batch = rt_program_batch(f->program);
    for (int64_t first = 0; first < images; first += batch) {
        if (!run_batch(f, first, images - first < batch ? images - first : batch, error))
            return false;
    }
    return npy_write(f->output, &f->logits, error) &&
           (!f->profile || rt_profile_end(f->program, stderr, *f->profile ? f->profile : NULL, error));
}

int rt_infer_main(int argc, char **argv) {
    Infer f = {.arena = arena_create()};
    Error error = {ERROR_NONE, ""};
    bool ok = infer(&f, argc, argv, &error);
    rt_program_close(f.program);
    arena_destroy(f.arena);
    return ok ? 0 : error_report(&error);
}
