/* run_infer.c: `ndarts-run infer`: logits of images in a .npy file, or the best classes of pictures, by a text or a module
 * file. */
#include "runtime/data/predict_pictures.h"
#include "runtime/driver/predict.h"
#include "runtime/driver/recipe.h"
#include "runtime/driver/weights.h"

static bool check_command(const Infer *f, Error *error) {
    if (!f->net || (!f->input && !f->pictures.count))
        return error_set(error, ERROR_INPUT,
                         "infer needs a network (a text, a .so or a .cubin) and images: --input x.npy --output y.npy, "
                         "or files of pictures");
    if (f->input && f->pictures.count)
        return error_set(error, ERROR_INPUT, "infer takes --input or pictures, not both: found '%s' and '%s'", f->input,
                         f->pictures.items[0]);
    if (f->input && !f->output)
        return error_set(error, ERROR_INPUT, "infer --input %s needs --output y.npy", f->input);
    if (f->input && (f->classes || f->data || f->json))
        return error_set(error, ERROR_INPUT, "--classes, --data and --json are for pictures, not for --input");
    return !f->recipe || !rt_is_module_file(f->net) ||
           error_set(error, ERROR_INPUT, "--recipe is for texts, not for a module");
}

static bool parse_command(Infer *f, int argc, char **argv, Error *error) {
    enum { OWN = 11 };
    Arg args[PROGRAM_ARG_COUNT + OWN];
    args_add_program(args, &f->program_args);
    Arg *own = args + PROGRAM_ARG_COUNT;
    own[0] = (Arg){NULL, ARG_text, &f->net, 0, 0};
    own[1] = (Arg){NULL, ARG_list, &f->pictures, 0, 0};
    own[2] = (Arg){"--weights", ARG_text, &f->weights, 0, 0};
    own[3] = (Arg){"--input", ARG_text, &f->input, 0, 0};
    own[4] = (Arg){"--output", ARG_text, &f->output, 0, 0};
    own[5] = (Arg){"--batch", ARG_int, &f->batch, 1, 1 << 20};
    own[6] = (Arg){"--profile", ARG_optional, &f->profile, 0, 0};
    own[7] = (Arg){"--classes", ARG_text, &f->classes, 0, 0};
    own[8] = (Arg){"--data", ARG_text, &f->data, 0, 0};
    own[9] = (Arg){"--recipe", ARG_text, &f->recipe, 0, 0};
    own[10] = (Arg){"--json", ARG_flag, &f->json, 0, 0};
    return args_parse(f->arena, argc, argv, args, PROGRAM_ARG_COUNT + OWN, error) && check_command(f, error) &&
           (!f->recipe || (f->recipe = recipe_find(f->arena, f->recipe, error)) != NULL);
}

/* For pictures the text's training says how they are normalised, as for eval. */
static bool open_program(Infer *f, Error *error) {
    RtProgramOptions o = args_program_options(&f->program_args, f->net);
    o.batch = f->batch;
    o.prefer = f->input ? NULL : "train";
    o.recipe = f->recipe;
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
    if (f->images.rank != 4)
        return error_set(error, ERROR_INPUT, "%s: expected 4 axes (N x C x H x W), found %d", f->input, f->images.rank);
    return f->images.shape[0] > 0 || error_set(error, ERROR_INPUT, "%s: there are no images in it (N is 0)", f->input);
}

bool infer_run(const Infer *f, const Tensor *images, const Tensor *logits, Error *error) {
    Arena *arena = arena_create();
    const RtTensorInfo *info = rt_output_info(f->program, GRAPH_infer, "logits");
    float **outputs = ARENA_ARRAY(arena, float *, rt_output_count(f->program, GRAPH_infer));
    outputs[info - rt_output_info_at(f->program, GRAPH_infer, 0)] = logits->data;
    bool ok = predict_run(f->program, images, outputs, error);
    arena_destroy(arena);
    return ok;
}

/* The network has one input, and the output `logits` among whatever else it gives. */
static bool check_network(const Infer *f, Error *error) {
    return (rt_output_info(f->program, GRAPH_infer, "logits") && rt_input_count(f->program, GRAPH_infer) == 1) ||
           error_set(error, ERROR_INPUT, "%s is not a network with one input and the output 'logits'", f->net);
}

static bool run_array(Infer *f, Error *error) {
    const RtTensorInfo *info = rt_output_info(f->program, GRAPH_infer, "logits");
    Tensor logits = {.name = "logits", .type = TENSOR_f32, .rank = info->rank};
    for (int i = 0; i < info->rank; i++)
        logits.shape[i] = info->shape[i] == -1 ? f->images.shape[0] : info->shape[i];
    logits.data = arena_alloc(f->arena, sizeof(float) * (size_t)tensor_count(&logits));
    return infer_run(f, &f->images, &logits, error) && npy_write(f->output, &logits, error);
}

static bool infer(Infer *f, int argc, char **argv, Error *error) {
    if (!parse_command(f, argc, argv, error) || (f->input && !read_images(f, error)) || !open_program(f, error) ||
        !weights_load(f->program, f->net, f->weights, error) || !check_network(f, error))
        return false;
    if (f->profile)
        rt_profile_begin(f->program);
    return (f->input ? run_array(f, error) : infer_pictures(f, error)) &&
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
