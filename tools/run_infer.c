/* run_infer.c: `ndarts-run infer`: logits of images in a .npy file, or the best classes of pictures, by a text or a
 * module file. */
#include "tools/ndarts_run.h"

#include "base/json.h"
#include "base/tensor_file.h"
#include "runtime/data/predict_pictures.h"
#include "runtime/driver/predict.h"
#include "runtime/driver/weights.h"

/* ---- the command line ---- */

static bool check(const Options *o, Error *error) {
    const char *net = options_input(o);
    bool pictures = o->inputs.count > 1;
    if (!net || (!o->array && !pictures))
        return error_set(error, ERROR_INPUT,
                         "infer needs a network (a text, a .so or a .cubin) and images: --input x.npy --output y.npy, "
                         "or files of pictures");
    if (o->array && pictures)
        return error_set(error, ERROR_INPUT, "infer takes --input or pictures, not both: found '%s' and '%s'", o->array,
                         o->inputs.items[1]);
    if (o->array && !o->output)
        return error_set(error, ERROR_INPUT, "infer --input %s needs --output y.npy", o->array);
    if (o->array && (o->class_names || o->data || o->json))
        return error_set(error, ERROR_INPUT, "--classes, --data and --json are for pictures, not for --input");
    return !o->recipe || !rt_is_module_file(net) ||
           error_set(error, ERROR_INPUT, "--recipe is for texts, not for a module");
}

/* ---- an array ---- */

static bool read_images(const Options *o, Tensor *images, Error *error) {
    if (!o->array)
        return true;
    if (!npy_read(o->arena, o->array, images, error))
        return false;
    images->name = o->array;
    if (images->type != TENSOR_f32)
        return error_set(error, ERROR_INPUT, "%s: expected float32, found %s", o->array,
                         tensor_type_name(images->type));
    if (images->rank != 4)
        return error_set(error, ERROR_INPUT, "%s: expected 4 axes (N x C x H x W), found %d", o->array, images->rank);
    return images->shape[0] > 0 || error_set(error, ERROR_INPUT, "%s: there are no images in it (N is 0)", o->array);
}

static bool infer_array(const Options *o, RtProgram *program, const Tensor *images, Tensor *logits, Error *error) {
    const RtTensorInfo *info = rt_output_info(program, GRAPH_infer, "logits");
    *logits = (Tensor){.name = "logits", .type = TENSOR_f32, .rank = info->rank};
    for (int i = 0; i < info->rank; i++)
        logits->shape[i] = info->shape[i] == -1 ? images->shape[0] : info->shape[i];
    logits->data = arena_alloc(o->arena, sizeof(float) * (size_t)tensor_count(logits));
    return predict_logits(program, images, logits->data, error);
}

/* ---- pictures ---- */

static void print_text(void *unused, const char *path, const ClassGuess *best, int count) {
    (void)unused;
    printf("%s\n", path);
    for (int i = 0; i < count; i++) {
        if (best[i].name)
            printf("  %6.2f %%  %s\n", 100 * best[i].probability, best[i].name);
        else
            printf("  %6.2f %%  class %d\n", 100 * best[i].probability, best[i].number);
    }
}

static void print_json(void *unused, const char *path, const ClassGuess *best, int count) {
    (void)unused;
    json_t *classes = json_array();
    for (int i = 0; i < count; i++) {
        json_t *one = json_pack("{s:i}", "class", best[i].number);
        if (best[i].name)
            json_add(one, "name", json_text(best[i].name));
        json_add(one, "probability", json_number(best[i].probability));
        json_append(classes, one);
    }
    json_t *line = json_pack("{s:o, s:o}", "image", json_text(path), "best", classes);
    Arena *arena = arena_create();
    puts(json_print(arena, line, JSON_COMPACT));
    arena_destroy(arena);
    json_decref(line);
}

static bool infer_pictures(const Options *o, RtProgram *program, Tensor *logits, Error *error) {
    PicturesOptions pictures = {.net = options_input(o),
                                .data = o->data,
                                .class_names = o->class_names,
                                .paths = o->inputs.items + 1,
                                .count = o->inputs.count - 1,
                                .show = o->json ? print_json : print_text};
    return predict_pictures(o->arena, program, &pictures, logits, error);
}

/* ---- together ---- */

/* For pictures the text's training says how they are normalised, as for eval. */
static RtProgram *open_program(const Options *o, Error *error) {
    RtProgramOptions options = options_program(o);
    options.batch = o->batch;
    options.prefer = o->array ? NULL : "train";
    return options_recipe(o, &options.recipe, error) ? predict_open(&options, error) : NULL;
}

static bool infer(const Options *o, RtProgram *program, const Tensor *images, Error *error) {
    const char *net = options_input(o);
    Tensor logits;
    if (!weights_load(program, net, o->weights, error) || !predict_check(program, net, error))
        return false;
    if (o->profile)
        rt_profile_begin(program);
    return (o->array ? infer_array(o, program, images, &logits, error) : infer_pictures(o, program, &logits, error)) &&
           (!o->output || npy_write(o->output, &logits, error)) &&
           (!o->profile || rt_profile_end(program, stderr, *o->profile ? o->profile : NULL, error));
}

bool run_infer(const Options *o, Error *error) {
    Tensor images = {0};
    if (!check(o, error) || !read_images(o, &images, error))
        return false;
    RtProgram *program = open_program(o, error);
    bool ok = program && infer(o, program, &images, error);
    rt_program_close(program);
    return ok;
}
