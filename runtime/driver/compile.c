/* compile.c: from a text to a module: through compilation.h to source, and through the cache.
 *
 * Generating and compiling take several times the memory that a search does, so on a CPU they are done in a process of
 * their own: it leaves the module in the cache and its memory goes back to the system. */
#include "runtime/driver/compile.h"

#include "base/parallel.h"
#include "base/str.h"
#include "ir/settings.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_prune.h"
#include "runtime/device/machine.h"
#include "runtime/driver/child.h"
#include "runtime/driver/compilation.h"

/* ---- texts ---- */

static bool load(Compilation *c, Error *error) {
    return compilation_load(c, error) || diag_fail(c->diag, c->options->path, error);
}

IrModule *rt_text_load_options(Arena *arena, const RtProgramOptions *o, Error *error) {
    Compilation c = {.arena = arena, .options = o};
    return load(&c, error) ? c.module : NULL;
}

IrModule *rt_text_load(Arena *arena, const char *path, const char *const *sets, int set_count, Error *error) {
    RtProgramOptions options = {.path = path, .sets = sets, .set_count = set_count};
    return rt_text_load_options(arena, &options, error);
}

/* So many that compilers side by side have enough to do, so few that small programs do not pay for it. Does not depend
 * on the machine: the number is part of the source and so of the program's identity. */
static int choose_unit_count(IrGraph *const *graphs, int count) {
    enum { STEPS_PER_UNIT = 60, MOST = 8 };
    int steps = 0;
    for (int i = 0; i < count; i++) {
        for (const IrNode *n = graphs[i]->first; n; n = n->next)
            steps += !n->inlined && !ir_is(n, OP_SOURCE);
    }
    int units = 1 + steps / STEPS_PER_UNIT;
    return units < MOST ? units : MOST;
}

static void keep_settings(RtProgram *p, const IrModule *ir) {
    IrModule *copy = ir_module_create(p->arena, ir->name); /* ir is gone when the program runs */
    for (int i = 0; i < ir->setting_count; i++)
        ir_module_set(copy, ir->settings[i].key, ir->settings[i].value, (Span){0});
    Settings *settings = ARENA_NEW(p->arena, Settings);
    *settings = settings_read(copy);
    p->settings = settings;
}

/* ---- what a text's module depends on ---- */

/* NULL with an error when there is no compiler. */
static const char *text_key(const RtProgram *p, const Compilation *c, Error *error) {
    Str s = str_create(c->arena);
    const char *toolchain = p->backend->toolchain(p->device, c->cg.vector_bytes, c->arena, error);
    if (!toolchain)
        return NULL;
    str_addf(&s, "%s\n", toolchain);
    rt_cache_add_own_hash(&s);
    compilation_add_choices(c, &s);
    ir_print_module(c->module, &s);
    return str_hash(&s);
}

/* Modules of so few images, that only infer, are made to share an image among threads. */
enum { MOST_BANDED = 4 };

static bool choose(Compilation *c, const CgTarget *target, Error *error) {
    CgOptions *cg = &c->cg;
    if (!compilation_choose(c, target, error))
        return false;
    cg->bands = target->vectors && cg->batch <= MOST_BANDED && c->kind_count == 1 && c->kinds[0] == GRAPH_infer;
    cg->rooms = target->rooms;
    cg->vector_bytes = target->vectors ? cg->vector_bytes : 0;
    return true;
}

static CgOutput *generate(Compilation *c, Error *error) {
    if (!compilation_build(c, error))
        return NULL;
    c->cg.unit_count = c->cg.target->list_definitions ? 0 : choose_unit_count(c->graphs, c->kind_count);
    return compilation_generate(c);
}

const CgOutput *rt_text_generate(Arena *arena, const RtProgramOptions *o, const CgTarget *target, CgOptions *cg,
                                 Error *error) {
    Compilation c = {.arena = arena, .options = o};
    const CgOutput *output = load(&c, error) && choose(&c, target, error) ? generate(&c, error) : NULL;
    *cg = c.cg;
    return output;
}

/* ---- modules ---- */

typedef struct Making {
    RtProgram *program;
    Compilation text; /* in an arena of its own: compiling takes many times what the program keeps */
    const char *key;
} Making;

static RtModule *find_module(const Making *m) {
    RtProgram *p = m->program;
    return p->backend->find(p->device, m->key, m->text.cg.vector_bytes, p->arena, &p->identity);
}

static RtModule *build_module(Making *m, Error *error) {
    RtProgram *p = m->program;
    CgOutput *output = generate(&m->text, error);
    return output ? p->backend->build(p->device, output, m->key, m->text.cg.vector_bytes, p->arena, &p->identity, error)
                  : NULL;
}

/* In a process of its own. */
static bool fill_cache(void *data, Error *error) {
    Making *m = data;
    RtProgram *p = m->program;
    if (p->module && child_can_hand_over()) { /* a draft of an earlier run is there, and the program starts */
        child_hand_over();
        parallel_leave_cores();
        diag_notes_redirected = fopen("/dev/null", "w"); /* the program has the terminal */
    }
    CgOutput *output = generate(&m->text, error);
    return output && p->backend->fill_cache(p->device, output, m->key, m->text.cg.vector_bytes,
                                            child_can_hand_over() ? child_hand_over : NULL, error);
}

/* Where the program may begin at once, the module is a draft if need be, and a process goes on for the better one. */
static bool make_in_child(Making *m, Error *error) {
    RtProgram *p = m->program;
    bool at_once = m->text.options->at_once;
    p->module = at_once ? p->backend->find_draft(p->device, m->key, p->arena) : NULL;
    if (!child_run(fill_cache, m, at_once ? &p->later : NULL, error)) {
        rt_cache_prune(0); /* what it had begun, if it was killed */
        return false;
    }
    p->key = arena_strdup(p->arena, m->key);
    if (!p->module) /* sets the identity, which is that of the better module, also when that is not there yet */
        p->module = find_module(m);
    if (!p->module && p->later)
        p->module = p->backend->find_draft(p->device, m->key, p->arena);
    return true;
}

static bool read_text(Making *m, Error *error) {
    const RtProgram *p = m->program;
    if (!load(&m->text, error) || !choose(&m->text, p->backend->target, error))
        return false;
    m->key = text_key(p, &m->text, error);
    return m->key != NULL;
}

static bool make_module(Making *m, Error *error) {
    RtProgram *p = m->program;
    keep_settings(p, m->text.module);
    p->batch = compilation_batch(&m->text);
    p->module = find_module(m);
    if (p->module)
        return true;
    /* A caller that collects messages would not see those of another process. */
    if (p->backend->fill_cache && diag_stream() == stderr && !make_in_child(m, error))
        return false;
    if (!p->module) /* or the cache lost it at once */
        p->module = build_module(m, error);
    return p->module != NULL;
}

void program_take_better(RtProgram *p) {
    if (!p->later || child_look(p->later) == CHILD_WORKS)
        return;
    const char *same;
    p->better = p->backend->find(p->device, p->key, p->plan->vector_bytes, p->arena, &same);
    for (int i = 0; p->better && i < GRAPH_KIND_COUNT; i++)
        if (p->graphs[i].bound)
            p->backend->renew(p->device, p->graphs[i].bound, p->better);
    child_end(p->later);
    p->later = NULL;
}

static bool remember(void *data, Error *error) {
    Making *m = data;
    const RtProgram *p = m->program;
    CgOutput *output = generate(&m->text, error);
    return output && p->backend->remember(p->device, output, m->key, m->text.cg.vector_bytes, error);
}

static bool recall_identity(const Making *m) {
    RtProgram *p = m->program;
    p->identity = p->backend->identify(p->device, m->key, m->text.cg.vector_bytes, p->arena);
    return p->identity != NULL;
}

/* Whether there is a program of other options that has the same bits: of one process, unless each rank has its own statistics;
 * and without a budget. */
static bool is_same_as_another(const RtProgram *p, const RtProgramOptions *o) {
    if (ranks_size(o->ranks) > 1)
        return !settings_batch_norm_is_local(p->settings);
    return o->memory_budget > 0 && compilation_budget_keeps_bits(o, p->backend->target);
}

/* The identity is that of the other program then. Its source is made for that, but not compiled. */
static bool take_identity(RtProgram *p, const RtProgramOptions *o, Error *error) {
    RtProgramOptions one = *o;
    one.ranks = NULL;
    one.memory_budget = 0;
    Making m = {.program = p, .text = {.arena = arena_create(), .options = &one}};
    bool ok = read_text(&m, error);
    if (ok && !recall_identity(&m))
        ok = child_run(remember, &m, NULL, error) &&
             (recall_identity(&m) ||
              error_set(error, ERROR_MACHINE, "the cache of modules forgets at once what is put into it"));
    arena_destroy(m.text.arena);
    return ok;
}

static bool make_and_name(Making *m, Error *error) {
    const RtProgramOptions *o = m->text.options;
    return make_module(m, error) && (!is_same_as_another(m->program, o) || take_identity(m->program, o, error));
}

/* All must make the same; rank 0 does it first, and who has the same cache finds it there. */
static bool make_in_turn(Making *m, Error *error) {
    const RtProgramOptions *o = m->text.options;
    bool first = ranks_is_first(o->ranks);
    if (!ranks_agree(o->ranks, "another text, other options, another build of ndarts or another compiler or processor",
                     m->key, error))
        return false;
    if (!first)
        ranks_all(o->ranks, true);
    bool made = make_and_name(m, error);
    if (first && made)
        ranks_all(o->ranks, true);
    return made;
}

static bool compile(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Making m = {.program = p, .text = {.arena = arena_create(), .options = o}};
    bool made =
        read_text(&m, error) && (ranks_size(o->ranks) == 1 ? make_and_name(&m, error) : make_in_turn(&m, error));
    arena_destroy(m.text.arena);
    return made;
}

static bool compile_anew(RtProgram *p, const RtProgramOptions *o, Error *error) {
    if (child_end(p->later))
        rt_cache_prune(0); /* what it had begun */
    p->later = NULL;
    p->backend->unload(p->device, p->module);
    p->module = NULL;
    return compile(p, o, error);
}

/* Graphs that learn keep values to be fast; the others keep none. */
static bool keeps_values(const Plan *plan) {
    for (int i = 0; i < plan->graph_count; i++)
        if (plan->graphs[i].changes_state)
            return true;
    return false;
}

/* What is kept fits half of the memory, unless the user says how much it may take: the rest is for data, and for others.
 * A program that takes more is made to fit, with the same bits; only what cannot fit at all is refused. */
static bool fit_machine(RtProgram *p, const RtProgramOptions *o, Error *error) {
    const Plan *plan = p->module->plan;
    RtMemory needed = rt_plan_memory(plan, p->backend->thread_count(p->device));
    int64_t memory = (int64_t)machine_memory_limit();
    bool open = o->memory_budget == 0 && ranks_size(o->ranks) == 1 && keeps_values(plan) &&
                compilation_budget_keeps_bits(o, p->backend->target);
    if (!open || memory == 0 || rt_memory_total(&needed) <= memory / 2)
        return true;
    RtProgramOptions fitting = *o;
    fitting.memory_budget = memory / 2;
    fitting.memory_limit = memory;
    fprintf(diag_notes(),
            "what is usually kept would take %.2f MB, more than half of the %.2f MB that this process may have: "
            "so that it takes less, more is computed again\n",
            (double)rt_memory_total(&needed) / 1e6, (double)memory / 1e6);
    return compile_anew(p, &fitting, error);
}

bool program_compile(RtProgram *p, const RtProgramOptions *o, Error *error) {
    Error ignored = {ERROR_NONE, ""};
    if (!compile(p, o, error))
        return false;
    if (!p->backend->check_memory)
        return fit_machine(p, o, error);
    if (o->narrow || p->backend->check_memory(p->device, p->module->plan, &ignored))
        return true;
    /* A GPU that cannot hold all values side by side gets a module that shares memory over time and recomputes. */
    RtProgramOptions narrow = *o;
    narrow.narrow = true;
    return compile_anew(p, &narrow, error);
}
