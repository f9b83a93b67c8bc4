/* evaluate_network.c: opens a network, its weights and its images, and evaluates. */
#include "runtime/loops/evaluate_network.h"

#include "runtime/data/net_data.h"
#include "runtime/driver/weights.h"

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
    fprintf(stderr, "data: %s; part %s\n", data_summary(arena, &e->data_options, &e->images),
            e->options->train_part ? "train" : "test");
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

bool evaluate_network(Arena *arena, const EvaluateOptions *options, NetworkEvaluation *evaluation, Error *error) {
    Open e = {.options = options};
    const char *net = options->program.path;
    bool ok = open_program(&e, error) && weights_load(e.program, net, options->weights, error) &&
              net_data_options(arena, e.program, e.kind, net, options->data, NULL, &e.data_options, error) &&
              data_open(&e.data_options, options->train_part ? DATA_train : DATA_test, &e.images, error) &&
              evaluate(&e, arena, evaluation, error);
    rt_program_close(e.program);
    data_close(&e.images);
    return ok;
}
