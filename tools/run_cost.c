/* run_cost.c: `ndarts-run cost`: what every operation of a network, or every candidate of a search, costs on this machine. */
#include "tools/ndarts_run.h"

#include "base/str.h"
#include "runtime/driver/cost.h"

#include <string.h>

static const double milli = 1e3, mega = 1e-6;

/* "32 x 32 x 16" of an image. */
static const char *size_of(Arena *arena, const IrType *type) {
    Str text = str_create(arena);
    str_add(&text, "");
    for (int i = 1; i < type->rank; i++)
        str_addf(&text, "%s%lld", i > 1 ? " x " : "", (long long)type->dim[i]);
    return text.data;
}

static const IrType *input_of(const CostItem *item) {
    return &item->user->inputs[0]->type;
}

static void print_text(const Options *o, const CostTable *t) {
    int width = 9;
    for (int i = 0; i < t->count; i++)
        width = (int)strlen(t->items[i].name) > width ? (int)strlen(t->items[i].name) : width;
    printf("%s: ms of inference, batch %lld, %s, %s\n%-*s  %-14s %-14s %6s %6s %9s %9s %10s\n", t->options.path,
           (long long)t->options.batch, cost_device(o->arena, t), cg_precision_name(t->options.precision), width,
           "operation", "of", "gives", "edges", "calls", "ms", "MB", "M mult-adds");
    for (int i = 0; i < t->count; i++) {
        const CostItem *item = &t->items[i];
        printf("%-*s  %-14s %-14s %6d %6d %9.4f %9.3f %10.3f\n", width, item->name, size_of(o->arena, input_of(item)),
               size_of(o->arena, &item->user->type), item->candidate_of, item->called, item->seconds * milli,
               (double)item->memory * mega, (double)item->macs * mega);
    }
    printf("%-*s  %50s %9.4f\n%-*s  %50s %9.4f\n", width, "the rest", "", t->rest * milli, width,
           t->whole > 0 ? "the sum" : "the sum, all candidates of each edge", "", t->sum * milli);
    if (t->whole > 0)
        printf("%-*s  %50s %9.4f\n", width, t->card ? "the whole" : "the whole, measured", "", t->whole * milli);
}

bool run_cost(const Options *o, Error *error) {
    BenchOptions bench = {(int)o->warm_up, (int)o->repeats, 0.1, o->cpu_time};
    RtProgramOptions program = options_program(o);
    CostTable table;
    const Card *card = o->card ? card_find(o->card, error) : NULL;
    if (o->card && !card)
        return false;
    program.batch = o->batch ? o->batch : 1;
    if (!program.path)
        return error_set(error, ERROR_INPUT, "cost needs a text, for example  ndarts-run cost specs/noisy_darts_a.nd");
    if (rt_is_module_file(program.path))
        return error_set(error, ERROR_INPUT, "%s is compiled in one piece; cost takes its operations from a text",
                         program.path);
    if (!options_recipe(o, &program.recipe, error) || !cost_measure(o->arena, &program, &bench, card, &table, error))
        return false;
    if (o->json)
        puts(cost_table_text(o->arena, &table));
    else
        print_text(o, &table);
    return true;
}
