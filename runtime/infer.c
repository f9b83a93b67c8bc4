/* infer.c: `ndarts-run infer`: logits of images, by a text or a module file. */
#include "runtime/args.h"
#include "runtime/predict.h"
#include "runtime/weights.h"

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
    RtProgramOptions o = args_program_options(&f->program_args, f->net);
    o.batch = f->batch;
    f->program = predict_open(&o, error);
    return f->program != NULL;
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

/* The network's only input, and its output `logits` among whatever else it gives. */
static bool run(Infer *f, Error *error) {
    const RtTensorInfo *info = rt_output_info(f->program, GRAPH_infer, "logits");
    if (!info || rt_input_count(f->program, GRAPH_infer) != 1)
        return error_set(error, ERROR_INPUT, "%s is not a network with one input and the output 'logits'", f->net);
    f->logits = (Tensor){.name = "logits", .type = TENSOR_f32, .rank = info->rank};
    for (int i = 0; i < info->rank; i++)
        f->logits.shape[i] = info->shape[i] == -1 ? f->images.shape[0] : info->shape[i];
    f->logits.data = arena_alloc(f->arena, sizeof(float) * (size_t)tensor_count(&f->logits));
    float **outputs = ARENA_ARRAY(f->arena, float *, rt_output_count(f->program, GRAPH_infer));
    outputs[info - rt_output_info_at(f->program, GRAPH_infer, 0)] = f->logits.data;
    return predict_run(f->program, &f->images, outputs, error);
}

static bool infer(Infer *f, int argc, char **argv, Error *error) {
    if (!parse_command(f, argc, argv, error) || !read_images(f, error) || !open_program(f, error) ||
        !weights_load(f->program, f->net, f->weights, error))
        return false;
    if (f->profile)
        rt_profile_begin(f->program);
    return run(f, error) && npy_write(f->output, &f->logits, error) &&
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
