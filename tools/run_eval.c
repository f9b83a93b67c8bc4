/* run_eval.c: `ndarts-run eval`: loss, top-1 and top-5 accuracy of given weights on a data set, in all and by class,
 * and how fast. */
#include "tools/ndarts_run.h"

#include "runtime/loops/evaluate_network.h"

static void print_text(const Options *o, const EvaluateOptions *options, const NetworkEvaluation *e) {
    const Evaluation *r = &e->result;
    long long skipped = (long long)(e->given - r->images);
    printf("%s, %s: %lld images", e->source, evaluate_part(options), (long long)r->images);
    if (skipped)
        printf(" (%lld were broken and skipped)", skipped);
    printf("\ntop-1     %.2f %%%s\nbalanced  %.2f %%\nloss      %.4f\nimages/s  %.0f\n\n", 100 * r->accuracy,
           evaluate_top5_words(o->arena, "\ntop-5     ", r->accuracy5), 100 * classwise_balanced(e->classes), r->loss,
           evaluate_images_per_second(e));
    classwise_print(stdout, e->classes);
}

bool run_eval(const Options *o, Error *error) {
    EvaluateOptions options = {.program = options_program(o), .weights = o->weights, .data = o->data, .part = o->part};
    NetworkEvaluation evaluation;
    options.program.batch = o->batch;
    if (!options_input(o))
        return error_set(error, ERROR_INPUT,
                         "eval needs a network (a text, a .ir, a .so or a .cubin) and --weights W.safetensors");
    if (!options_recipe(o, &options.program.recipe, error) || !evaluate_network(o->arena, &options, &evaluation, error))
        return false;
    if (o->json)
        puts(evaluate_network_json(o->arena, &options, &evaluation));
    else
        print_text(o, &options, &evaluation);
    return true;
}
