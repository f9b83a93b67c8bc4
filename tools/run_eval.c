/* run_eval.c: `ndarts-run eval`: loss, top-1 and top-5 accuracy of given weights on a data set, in all and by class, and
 * how fast. */
#include "base/json.h"
#include "base/str.h"
#include "runtime/data/net_data.h"
#include "runtime/driver/recipe.h"
#include "runtime/driver/weights.h"
#include "runtime/loops/args.h"
#include "runtime/loops/evaluate.h"

#include <stdlib.h>
#include <string.h>

typedef struct Eval {
    Arena *arena;
    const char *net, *weights, *data, *recipe, *part;
    int64_t batch;
    bool json;
    ProgramArgs program_args;
    RtProgram *program;
    GraphKind kind;
    DataOptions data_options;
    Dataset images;
} Eval;

static bool parse_command(Eval *e, int argc, char **argv, Error *error) {
    Arg args[PROGRAM_ARG_COUNT + 7];
    args_add_program(args, &e->program_args);
    Arg *own = args + PROGRAM_ARG_COUNT;
    own[0] = (Arg){NULL, ARG_text, &e->net, 0, 0};
    own[1] = (Arg){"--weights", ARG_text, &e->weights, 0, 0};
    own[2] = (Arg){"--data", ARG_text, &e->data, 0, 0};
    own[3] = (Arg){"--part", ARG_text, &e->part, 0, 0};
    own[4] = (Arg){"--recipe", ARG_text, &e->recipe, 0, 0};
    own[5] = (Arg){"--batch", ARG_int, &e->batch, 1, 1 << 20};
    own[6] = (Arg){"--json", ARG_flag, &e->json, 0, 0};
    if (!args_parse(e->arena, argc, argv, args, PROGRAM_ARG_COUNT + 7, error))
        return false;
    if (!e->net)
        return error_set(error, ERROR_INPUT,
                         "eval needs a network (a text, a .ir, a .so or a .cubin) and --weights W.safetensors");
    if (e->part && !str_equal(e->part, "test") && !str_equal(e->part, "train"))
        return error_set(error, ERROR_INPUT, "--part takes test or train, found '%s'", e->part);
    if (e->recipe && rt_is_module_file(e->net))
        return error_set(error, ERROR_INPUT, "--recipe is for texts, not for a module");
    return !e->recipe || (e->recipe = recipe_find(e->arena, e->recipe, error)) != NULL;
}

static bool open_program(Eval *e, Error *error) {
    static const GraphKind kinds[] = {GRAPH_eval};
    RtProgramOptions o = args_program_options(&e->program_args, e->net);
    o.prefer = "train"; /* its data; the network of a genotype file is the same */
    o.recipe = e->recipe;
    o.batch = e->batch ? e->batch : 64;
    o.kinds = kinds;
    o.kind_count = 1;
    e->program = rt_program_open(&o, error);
    if (!e->program)
        return false;
    e->kind = evaluate_kind(e->program);
    return rt_has_graph(e->program, e->kind) ||
           error_set(error, ERROR_INPUT, "%s has neither a graph 'eval' nor 'infer'; ndartsc --graph=eval makes one",
                     e->net);
}

static const char *part_of(const Eval *e) {
    return e->part ? e->part : "test";
}

static double images_per_second(const Evaluation *r) {
    return r->seconds > 0 ? (double)r->images / r->seconds : 0;
}

static void print_json(const Eval *e, const Evaluation *r, const Classwise *classes) {
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "data", e->data_options.source, "part", part_of(e),
                  "images", (json_int_t)r->images, "skipped", (json_int_t)(e->images.count - r->images), "accuracy",
                  json_number(r->accuracy), "accuracy5", json_number(r->accuracy5), "loss", json_number(r->loss),
                  "images_per_second", json_number(images_per_second(r)));
    classwise_to_json(classes, json);
    puts(json_print(e->arena, json, 0));
    json_decref(json);
}

static void print_text(const Eval *e, const Evaluation *r, const Classwise *classes) {
    long long skipped = (long long)(e->images.count - r->images);
    printf("%s, %s: %lld images", e->data_options.source, part_of(e), (long long)r->images);
    if (skipped)
        printf(" (%lld were broken and skipped)", skipped);
    printf("\ntop-1     %.2f %%%s\nbalanced  %.2f %%\nloss      %.4f\nimages/s  %.0f\n\n", 100 * r->accuracy,
           evaluate_top5_words(e->arena, "\ntop-5     ", r->accuracy5), 100 * classwise_balanced(classes), r->loss,
           images_per_second(r));
    classwise_print(stdout, classes);
}

static bool evaluate(Eval *e, Error *error) {
    fprintf(stderr, "data: %s; part %s\n", data_summary(e->arena, &e->data_options, &e->images), part_of(e));
    Augment augment;
    augment_prepare(&e->data_options, false, &augment);
    LoaderOptions o = {.data = &e->images,
                       .count = e->images.count,
                       .batch = rt_program_batch(e->program),
                       .augment = &augment,
                       .f64 = rt_program_precision(e->program) == PRECISION_f64,
                       .threads =
                           loader_threads(&e->images, (int)e->program_args.threads, rt_program_threads(e->program))};
    Loader *loader = loader_create(&o, error);
    Classwise *classes = classwise_create(e->arena, e->images.classes, e->images.class_names);
    Evaluation result;
    bool ok = loader && evaluate_images(e->program, loader, NULL, classes, &result, error);
    loader_destroy(loader);
    if (ok)
        (e->json ? print_json : print_text)(e, &result, classes);
    return ok;
}

static bool eval(Eval *e, int argc, char **argv, Error *error) {
    return parse_command(e, argc, argv, error) && open_program(e, error) &&
           weights_load(e->program, e->net, e->weights, error) &&
           net_data_options(e->arena, e->program, e->kind, e->net, e->data, NULL, &e->data_options, error) &&
           data_open(&e->data_options, str_equal(part_of(e), "test") ? DATA_test : DATA_train, &e->images, error) &&
           evaluate(e, error);
}

int rt_eval_main(int argc, char **argv) {
    Eval e = {.arena = arena_create()};
    Error error = {ERROR_NONE, ""};
    bool ok = eval(&e, argc, argv, &error);
    rt_program_close(e.program);
    data_close(&e.images);
    arena_destroy(e.arena);
    return ok ? 0 : error_report(&error);
}
