/* job.c: one network or experiment of a program, lowered to a module. */
#include "frontend/lower.h"
#include "frontend/sema.h"

static bool is_instance(const Lower *l, const IrGraph *graph) {
    for (int i = 0; i < l->instance_count; i++)
        if (l->instances[i]->graph == graph)
            return true;
    return false;
}

/* Functions before their users: operations, what methods make of them, @forward. */
static void order_graphs(Lower *l) {
    IrModule *module = l->module;
    IrGraph *forward = ir_graph_find(module, "forward"),
            **graphs = ARENA_ARRAY(l->arena, IrGraph *, module->graph_count);
    int count = 0;
    for (int i = 0; i < l->instance_count; i++)
        graphs[count++] = l->instances[i]->graph;
    for (int i = 0; i < module->graph_count; i++)
        if (module->graphs[i] != forward && !is_instance(l, module->graphs[i]))
            graphs[count++] = module->graphs[i];
    graphs[count++] = forward;
    for (int i = 0; i < count; i++)
        module->graphs[i] = graphs[i];
    module->graph_count = count;
}

/* The data of a text's training, or search. */
static const Ast *own_data(const Ast *text) {
    static const char *const kinds[] = {"train", "search"};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < text->count; i++) {
            const Ast *experiment = text->kids[i];
            bool fits = experiment->kind == AST_experiment && str_equal(experiment->name, kinds[k]);
            const Ast *setting = fits ? experiment_setting(experiment, "data") : NULL;
            if (setting && setting->kind == AST_setting)
                return setting->kids[0];
        }
    return NULL;
}

Lowered lower_job(const Job *job, const Sets *sets, Diag *diag) {
    Arena *arena = job->arena;
    const Program *program = job->program;
    const Ast *entry = job->entry;
    Lower *l = ARENA_NEW(arena, Lower);
    *l = (Lower){.arena = arena,
                 .diag = diag,
                 .globals = &program->globals,
                 .constants = str_map_create(arena),
                 .alphas = str_map_create(arena),
                 .instance_index = str_map_create(arena),
                 .sets = sets,
                 .program = program,
                 .library = program->library,
                 .text = program->texts[0]->span.file,
                 .own_data = program->recipe ? own_data(program->texts[0]) : NULL,
                 .is_recipe = program->recipe != NULL,
                 .look_at = program->look_at};
    bool clean = diag_count_errors(diag) == 0, experiment = entry->kind == AST_experiment, made = true;
    l->module = ir_module_create(arena, experiment ? str_file_stem(arena, entry->span.file->path) : entry->name);
    if (experiment) {
        made = lower_experiment(l, entry, job->network, clean);
    } else if (clean) {
        ir_module_set(l->module, "kind", ir_attr_string("", "network"), entry->name_span);
        made = lower_entry(l, lower_frame(l, NULL, NULL, (Span){0}), job->network);
    }
    Lowered done = {.misfit = !made && !l->gave_up, .steps = l->steps};
    if (l->input)
        done.height = l->input->type.dim[1], done.width = l->input->type.dim[2];
    if (diag_count_errors(diag))
        return done;
    order_graphs(l);
    const char *wrong = ir_verify_module(l->module, arena);
    if (wrong)
        bug("lowering made a wrong module: %s", wrong);
    done.module = l->module;
    return done;
}
