/* run_eval.c: `ndarts-run eval`: loss, top-1 and top-5 accuracy of given weights on a data set, in all and by class,
 * and how fast. */
#include "tools/ndarts_run.h"

#include "base/json.h"
#include "base/str.h"
#include "runtime/loops/evaluate_network.h"

static const char *part_of(const Options *o) {
    return o->part ? o->part : "test";
}

static double images_per_second(const Evaluation *r) {
    return r->seconds > 0 ? (double)r->images / r->seconds : 0;
}

static void print_json(const Options *o, const NetworkEvaluation *e) {
    const Evaluation *r = &e->result;
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "data", e->source, "part", part_of(o),
                             "images", (json_int_t)r->images, "skipped", (json_int_t)(e->given - r->images), "accuracy",
                             json_number(r->accuracy), "accuracy5", json_number(r->accuracy5), "loss",
                             json_number(r->loss), "images_per_second", json_number(images_per_second(r)));
    classwise_to_json(e->classes, json);
    puts(json_print(o->arena, json, 0));
    json_decref(json);
}

static void print_text(const Options *o, const NetworkEvaluation *e) {
    const Evaluation *r = &e->result;
    long long skipped = (long long)(e->given - r->images);
    printf("%s, %s: %lld images", e->source, part_of(o), (long long)r->images);
    if (skipped)
        printf(" (%lld were broken and skipped)", skipped);
    printf("\ntop-1     %.2f %%%s\nbalanced  %.2f %%\nloss      %.4f\nimages/s  %.0f\n\n", 100 * r->accuracy,
           evaluate_top5_words(o->arena, "\ntop-5     ", r->accuracy5), 100 * classwise_balanced(e->classes), r->loss,
           images_per_second(r));
    classwise_print(stdout, e->classes);
}

static bool check(const Options *o, Error *error) {
    const char *net = options_input(o);
    if (!net)
        return error_set(error, ERROR_INPUT,
                         "eval needs a network (a text, a .ir, a .so or a .cubin) and --weights W.safetensors");
    if (!str_equal(part_of(o), "test") && !str_equal(part_of(o), "train"))
        return error_set(error, ERROR_INPUT, "--part takes test or train, found '%s'", o->part);
    return !o->recipe || !rt_is_module_file(net) ||
           error_set(error, ERROR_INPUT, "--recipe is for texts, not for a module");
}

bool run_eval(const Options *o, Error *error) {
    EvaluateOptions options = {.program = options_program(o),
                               .weights = o->weights,
                               .data = o->data,
                               .train_part = str_equal(part_of(o), "train")};
    NetworkEvaluation evaluation;
    options.program.batch = o->batch;
    if (!check(o, error) || !options_recipe(o, &options.program.recipe, error) ||
        !evaluate_network(o->arena, &options, &evaluation, error))
        return false;
    (o->json ? print_json : print_text)(o, &evaluation);
    return true;
}
