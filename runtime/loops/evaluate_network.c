/* evaluate_network.c: opens a network, its weights and its images, and evaluates. */
#include "runtime/loops/evaluate_network.h"

#include "base/json.h"
#include "base/str.h"
#include "runtime/data/net_data.h"
#include "runtime/driver/weights.h"
#include "runtime/loops/agree.h"

/* What is open while it is evaluated. */
typedef struct Open {
    const EvaluateOptions *options;
    RtProgram *program;
    GraphKind kind;
    DataOptions data_options;
    Dataset images;
} Open;

static bool open_program(Open *e, Error *error) {
    static const GraphKind kinds[] = {GRAPH_eval};
    RtProgramOptions o = e->options->program;
    o.prefer = "train"; /* its data; the network of a genotype file is the same */
    o.batch = o.batch ? o.batch : 64;
    o.kinds = kinds;
    o.kind_count = 1;
    e->program = rt_program_open(&o, error);
    if (!e->program)
        return false;
    e->kind = evaluate_kind(e->program);
    return rt_has_graph(e->program, e->kind) ||
           error_set(error, ERROR_INPUT, "%s has neither a graph 'eval' nor 'infer'; ndartsc --graph=eval makes one",
                     o.path);
}

static bool set_weights(const Open *e, Error *error) {
    const EvaluateOptions *o = e->options;
    return o->tensors ? rt_state_set(e->program, o->tensors, RT_STATE_weights, error)
                      : weights_load(e->program, o->program.path, o->weights, error);
}

/* What they are is told by the names and sizes of all files: only where others have to have the same. */
static bool open_images(Open *e, Error *error) {
    const Ranks *ranks = e->options->program.ranks;
    bool of_training = str_equal(evaluate_part(e->options), "train");
    DataMark mark;
    return data_open(&e->data_options, of_training ? DATA_train : DATA_test, &e->images, error) &&
           (!ranks || (data_mark(&e->images, &mark, error) && agree_on_images(ranks, "other images", &mark, error)));
}

static Loader *open_loader(const Open *e, const Augment *augment, Error *error) {
    const RtProgram *p = e->program;
    LoaderOptions o = {.data = &e->images,
                       .count = e->images.count,
                       .batch = rt_program_batch(p),
                       .augment = augment,
                       .f64 = rt_program_precision(p) == PRECISION_f64,
                       .threads = loader_threads(&e->images, rt_program_threads(p))};
    return loader_create(&o, error);
}

/* The names of the classes go with the images. */
static const char *const *keep_names(Arena *arena, const Dataset *images) {
    if (!images->class_names)
        return NULL;
    const char **names = ARENA_ARRAY(arena, const char *, images->classes);
    for (int i = 0; i < images->classes; i++)
        names[i] = arena_strdup(arena, images->class_names[i]);
    return names;
}

static bool evaluate(Open *e, Arena *arena, NetworkEvaluation *evaluation, Error *error) {
    fprintf(diag_notes(), "data: %s; part %s\n", data_summary(arena, &e->data_options, &e->images),
            evaluate_part(e->options));
    Augment augment;
    augment_prepare(&e->data_options, false, &augment);
    *evaluation =
        (NetworkEvaluation){.source = e->data_options.source,
                            .given = e->images.count,
                            .classes = classwise_create(arena, e->images.classes, keep_names(arena, &e->images))};
    Loader *loader = open_loader(e, &augment, error);
    bool ok = loader && evaluate_images(e->program, loader, evaluate_alone(e->program), NULL, evaluation->classes,
                                        &evaluation->result, error);
    loader_destroy(loader);
    return ok;
}

const char *evaluate_part(const EvaluateOptions *options) {
    return options->part ? options->part : "test";
}

static bool check(const EvaluateOptions *o, Error *error) {
    if (!str_equal(evaluate_part(o), "test") && !str_equal(evaluate_part(o), "train"))
        return error_set(error, ERROR_INPUT, "--part takes test or train, found '%s'", o->part);
    return !o->program.recipe || o->program.text || !rt_is_module_file(o->program.path) ||
           error_set(error, ERROR_INPUT, "--recipe is for texts, not for a module");
}

bool evaluate_network(Arena *arena, const EvaluateOptions *options, NetworkEvaluation *evaluation, Error *error) {
    Open e = {.options = options};
    const char *net = options->program.path;
    bool ok = check(options, error) && open_program(&e, error) && set_weights(&e, error) &&
              agree_on_state(options->program.ranks, "other weights", e.program, error) &&
              net_data_options(arena, e.program, e.kind, net, options->data, NULL, &e.data_options, error) &&
              open_images(&e, error) && evaluate(&e, arena, evaluation, error);
    rt_program_close(e.program);
    data_close(&e.images);
    return ok;
}

double evaluate_images_per_second(const NetworkEvaluation *e) {
    return e->result.seconds > 0 ? (double)e->result.images / e->result.seconds : 0;
}

const char *evaluate_network_json(Arena *arena, const EvaluateOptions *options, const NetworkEvaluation *e) {
    const Evaluation *r = &e->result;
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "data", e->source, "part", evaluate_part(options),
                  "images", (json_int_t)r->images, "skipped", (json_int_t)(e->given - r->images), "accuracy",
                  json_number(r->accuracy), "accuracy5", json_number(r->accuracy5), "loss", json_number(r->loss),
                  "images_per_second", json_number(evaluate_images_per_second(e)));
    classwise_to_json(e->classes, json);
    const char *text = json_print(arena, json, 0);
    json_decref(json);
    return text;
}
