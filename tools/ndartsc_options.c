/* ndartsc_options.c: what the command line of ndartsc asks for. */
#include "tools/ndartsc.h"

#include "base/str.h"

#include <string.h>

const char *const emit_names[EMIT_COUNT] = {"ast", "ir",    "stages", "plan", "c",     "so",       "cu",
                                            "ptx", "cubin", "dot",    "svg",  "stats", "resources"};

static bool check_passes(const Options *line, const OptionList *names, Error *error) {
    const char **known = ARENA_ARRAY(line->arena, const char *, pass_count);
    for (int i = 0; i < pass_count; i++)
        known[i] = pass_info[i].name;
    for (int i = 0; i < names->count; i++)
        if (!pass_find(names->items[i]))
            return diag_unknown(line->arena, "pass", names->items[i], known, pass_count, error);
    return true;
}

static bool take_emit(Emission *o, const char *name, Error *error) {
    for (int i = 0; i < EMIT_COUNT; i++)
        if (str_equal(emit_names[i], name)) {
            o->emit = (Emit)i;
            o->emit_given = true;
            return true;
        }
    return diag_unknown(o->arena, "kind of output", name, emit_names, EMIT_COUNT, error);
}

/* net.so -> so */
static bool emit_by_suffix(Emission *o, Error *error) {
    const char *dot = o->line->output ? strrchr(o->line->output, '.') : NULL;
    if (o->emit_given || !dot || strchr(dot, '/'))
        return true;
    for (int i = 0; i < EMIT_COUNT; i++)
        if (str_equal(emit_names[i], dot + 1))
            return take_emit(o, dot + 1, error);
    if (str_equal(dot, ".nd"))
        return take_emit(o, "ast", error);
    return error_set(error, ERROR_INPUT, "the suffix of '%s' says nothing about what to make; give --emit=KIND",
                     o->line->output);
}

/* NULL: what is made is not of one target alone. */
static const CgTarget *target_of(Emit emit) {
    for (int i = 0; i < TARGET_COUNT; i++) {
        const CgTarget *t = cg_targets[i];
        const char *const made[] = {t->source_suffix, t->module_suffix, t->assembly_suffix};
        for (size_t j = 0; j < sizeof made / sizeof *made; j++)
            if (made[j] && str_equal(emit_names[emit], made[j]))
                return t;
    }
    return NULL;
}

/* Sources and modules are of one target; by itself --target means its source. */
static bool agree_on_target(Emission *o, Error *error) {
    const CgTarget *own = target_of(o->emit);
    if (!o->line->target)
        o->target = own ? own : &cg_target_c;
    else if (!o->emit_given)
        return take_emit(o, o->target->source_suffix, error);
    else if (own && own != o->target)
        return error_set(error, ERROR_INPUT, "%s is not made for --target=%s", emit_names[o->emit], o->target->name);
    return true;
}

bool emission_read(Emission *o, const Options *line, Error *error) {
    *o = (Emission){.line = line,
                    .arena = line->arena,
                    .input = options_input(line),
                    .emit = EMIT_ir,
                    .arch = line->arch,
                    .passes.out = stderr};
    options_set_passes(line, &o->passes);
    if (!check_passes(line, &line->only_passes, error) || !check_passes(line, &line->disabled_passes, error) ||
        !options_graph_kinds(line, o->kinds, &o->kind_count, error) ||
        (line->emit && !take_emit(o, line->emit, error)) || (line->target && !options_target(line, &o->target, error)))
        return false;
    if (!o->input)
        return error_set(error, ERROR_INPUT, "no input; ndartsc FILE|-");
    const char *picture = line->memory_report;
    if (picture && *picture && !str_ends_with(picture, ".svg"))
        return error_set(error, ERROR_INPUT, "--mem-report writes an SVG: --mem-report=FILE.svg, not '%s'", picture);
    return emit_by_suffix(o, error) && agree_on_target(o, error);
}
