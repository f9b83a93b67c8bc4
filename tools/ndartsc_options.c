/* ndartsc_options.c: the command line of ndartsc. */
#include "tools/ndartsc.h"

#include "base/str.h"
#include "runtime/loops/args.h"

#include <stdlib.h>
#include <string.h>

const char *const emit_names[EMIT_COUNT] = {"ast", "ir",    "stages", "plan", "c",     "so",       "cu",
                                            "ptx", "cubin", "dot",    "svg",  "stats", "resources"};

static const char usage[] =
    "usage: ndartsc FILE|- [-o OUT] [options]\n"
    "\n"
    "Compiles a text in the ndarts language (or textual IR, FILE.ir). What is made follows from the suffix of OUT or "
    "from --emit.\n"
    "\n"
    "  -o OUT                   write there instead of stdout; nothing is written when there are mistakes\n"
    "  --emit=KIND              ast, ir, stages, plan, c, so, cu, ptx, cubin, dot, stats; resources (of a .cubin)\n"
    "  --target=c|cuda          what the graph, stages or plan are made for; by itself: that source (default: what OUT "
    "is for, else c)\n"
    "  --weights W.safetensors  with --emit=c: one stand-alone C file with these weights, and its header; cubin: put "
    "into it\n"
    "  --graph=A,B              the steps to compile: infer, eval, search-alphas, search-weights, train, gradients. "
    "Default: infer for\n"
    "                           a network, search-alphas,search-weights,eval for a search, train,eval for a training; "
    "for ir and dot:\n"
    "                           the graph as the text describes it\n"
    "  --network=NAME           which of several networks or experiments of the text: a network's name, search or "
    "train\n"
    "  --set NAME=VALUE         change a parameter of the text: C=8, search.epochs=2; may be repeated\n"
    "  --batch N                largest number of images of one run (default: the text's batch, else 16)\n"
    "  --precision P            numbers of the compiled code: f32, f64, or for CUDA tf32 or bf16\n"
    "  --vector BYTES           width of vectors: 64, 32, 16, or 0 for scalar code (default: this machine's)\n"
    "  --plain                  only the plain schedule\n"
    "  --tune FILE              a table of tiles that ndarts-run tune wrote, instead of the user's own\n"
    "  --arch sm_75 ... sm_120  for ptx and cubin (default: this machine's GPU, else sm_80)\n"
    "  --card NAME              for resources: h100 (the default), h200, a100, l4, t4, rtx3090, rtx4090\n"
    "  --json                   statistics as JSON\n"
    "  --list-passes            what passes there are\n"
    "  --passes=A,B             run only these passes\n"
    "  --disable-pass=A,B       leave these out\n"
    "  --print-ir-before=PASS, --print-ir-after=PASS, --print-ir-after-all, --print-ir-after-change   on stderr\n"
    "  --dump-to=DIR            one file per pass and graph, each a valid input again\n"
    "  --timing                 time of each pass, on stderr\n"
    "  --mem-report[=FILE.svg]  every buffer with its place, size and life, on stderr; a picture of it, as text or in "
    "FILE\n"
    "  --mem-budget BYTES       keep to so much memory (K, M, G), or say that it cannot be done\n"
    "  --help, --version\n";

void options_print_usage(FILE *out) {
    fputs(usage, out);
}

static const char *const flags[] = {
    "--plain", "--json", "--mem-report", "--timing", "--print-ir-after-all", "--print-ir-after-change"};
static const char *const values[] = {
    "-o",       "--emit",         "--target",          "--weights",        "--graph",   "--network",
    "--set",    "--batch",        "--precision",       "--vector",         "--arch",    "--card",
    "--passes", "--disable-pass", "--print-ir-before", "--print-ir-after", "--dump-to", "--mem-budget",
    "--tune"};
enum { FLAG_COUNT = sizeof flags / sizeof flags[0], VALUE_COUNT = sizeof values / sizeof values[0] };

static bool is_in(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

static bool take_flag(Options *o, const char *name) {
    bool *const to[FLAG_COUNT] = {&o->plain,
                                  &o->json,
                                  &o->mem_report,
                                  &o->passes.timing,
                                  &o->passes.print_after_all,
                                  &o->passes.print_after_change};
    for (int i = 0; i < FLAG_COUNT; i++)
        if (str_equal(flags[i], name))
            return *to[i] = true;
    return false;
}

static const char *const *split_list(Arena *arena, const char *list, int *count) {
    const char **names = ARENA_ARRAY(arena, const char *, strlen(list) + 1);
    *count = 0;
    while (*list) {
        size_t length = strcspn(list, ",");
        if (length)
            names[(*count)++] = arena_strndup(arena, list, length);
        list += length + (list[length] == ',');
    }
    return names;
}

static bool suggest(Arena *arena, Error *error, const char *what, const char *given, const char *const *names,
                    int count) {
    return error_set(error, ERROR_INPUT, "unknown %s '%s'%s", what, given,
                     diag_choices(arena, given, names, (size_t)count));
}

static bool take_pass_list(Options *o, const char *list, const char *const **names, int *count, Error *error) {
    *names = split_list(o->arena, list, count);
    const char **known = ARENA_ARRAY(o->arena, const char *, pass_count);
    for (int i = 0; i < pass_count; i++)
        known[i] = pass_info[i].name;
    for (int i = 0; i < *count; i++)
        if (!pass_find((*names)[i]))
            return suggest(o->arena, error, "pass", (*names)[i], known, pass_count);
    return true;
}

static bool take_kinds(Options *o, const char *list, Error *error) {
    int count;
    const char *const *names = split_list(o->arena, list, &count);
    const char *known[GRAPH_KIND_COUNT];
    for (int i = 0; i < GRAPH_KIND_COUNT; i++)
        known[i] = graph_kind_name((GraphKind)i);
    for (int i = 0; i < count; i++) {
        GraphKind kind;
        if (!graph_kind_parse(names[i], &kind))
            return suggest(o->arena, error, "graph", names[i], known, GRAPH_KIND_COUNT);
        for (int k = 0; k < o->kind_count; k++)
            if (o->kinds[k] == kind)
                return error_set(error, ERROR_INPUT, "the graph '%s' is named twice", names[i]);
        o->kinds[o->kind_count++] = kind;
    }
    return o->kind_count > 0 || error_set(error, ERROR_INPUT, "--graph names no graph");
}

static bool take_emit(Options *o, const char *name, Error *error) {
    for (int i = 0; i < EMIT_COUNT; i++)
        if (str_equal(emit_names[i], name)) {
            o->emit = (Emit)i;
            o->emit_given = true;
            return true;
        }
    return suggest(o->arena, error, "kind of output", name, emit_names, EMIT_COUNT);
}

static bool take_target(Options *o, const char *name, Error *error) {
    static const char *const names[] = {[TARGET_c] = "c", [TARGET_cuda] = "cuda"};
    for (int i = 0; i < 2; i++) {
        if (str_equal(names[i], name)) {
            o->target = (CgTarget)i;
            o->target_given = true;
            return true;
        }
    }
    return suggest(o->arena, error, "target", name, names, 2);
}

static bool take_vector(Options *o, const char *value, Error *error) {
    return args_parse_int("--vector", value, 0, 64, &o->vector_bytes, error) &&
           (o->vector_bytes == 0 || o->vector_bytes == 16 || o->vector_bytes == 32 || o->vector_bytes == 64 ||
            error_set(error, ERROR_INPUT, "--vector is 64, 32, 16 or 0, not %s", value));
}

static bool take_value(Options *o, const char *name, const char *value, Error *error) {
    PassContext *p = &o->passes;
    if (str_equal(name, "-o"))
        o->output = value;
    else if (str_equal(name, "--emit"))
        return take_emit(o, value, error);
    else if (str_equal(name, "--target"))
        return take_target(o, value, error);
    else if (str_equal(name, "--weights"))
        o->weights = value;
    else if (str_equal(name, "--graph"))
        return take_kinds(o, value, error);
    else if (str_equal(name, "--network"))
        o->entry = value;
    else if (str_equal(name, "--set"))
        o->sets[o->set_count++] = value;
    else if (str_equal(name, "--batch"))
        return args_parse_int(name, value, 1, 1 << 20, &o->batch, error);
    else if (str_equal(name, "--precision"))
        return cg_precision_parse(name, value, &o->precision, error);
    else if (str_equal(name, "--vector"))
        return take_vector(o, value, error);
    else if (str_equal(name, "--tune"))
        o->tune = value;
    else if (str_equal(name, "--arch"))
        o->arch = value;
    else if (str_equal(name, "--card"))
        o->card = value;
    else if (str_equal(name, "--passes"))
        return take_pass_list(o, value, &p->only, &p->only_count, error);
    else if (str_equal(name, "--disable-pass"))
        return take_pass_list(o, value, &p->disabled, &p->disabled_count, error);
    else if (str_equal(name, "--print-ir-before"))
        p->print_before = value;
    else if (str_equal(name, "--print-ir-after"))
        p->print_after = value;
    else if (str_equal(name, "--dump-to"))
        p->dump_to = value;
    else
        return str_parse_bytes(value, &o->memory_budget) ||
               error_set(error, ERROR_INPUT, "--mem-budget is a number of bytes, as in 500M, not '%s'", value);
    return true;
}

static bool take_picture(Options *o, const char *path, Error *error) {
    o->mem_report = true;
    o->mem_picture = path;
    return str_ends_with(path, ".svg") ||
           error_set(error, ERROR_INPUT, "--mem-report writes an SVG: --mem-report=FILE.svg, not '%s'", path);
}

static bool report_unknown(Options *o, const char *name, Error *error) {
    const char **known = ARENA_ARRAY(o->arena, const char *, FLAG_COUNT + VALUE_COUNT);
    for (int i = 0; i < FLAG_COUNT; i++)
        known[i] = flags[i];
    for (int i = 0; i < VALUE_COUNT; i++)
        known[FLAG_COUNT + i] = values[i];
    return suggest(o->arena, error, "option", name, known, FLAG_COUNT + VALUE_COUNT);
}

static bool take_argument(Options *o, int argc, char **argv, int *at, Error *error) {
    const char *argument = argv[*at], *equals = strchr(argument, '=');
    if (argument[0] != '-' || !argument[1]) {
        if (o->input)
            return error_set(error, ERROR_INPUT, "one text at a time, not '%s' and '%s'", o->input, argument);
        o->input = argument;
        return true;
    }
    if (take_flag(o, argument))
        return true;
    if (str_starts_with(argument, "--mem-report="))
        return take_picture(o, equals + 1, error);
    const char *name = equals ? arena_strndup(o->arena, argument, (size_t)(equals - argument)) : argument;
    if (!is_in(values, VALUE_COUNT, name))
        return report_unknown(o, name, error);
    if (!equals && *at + 1 == argc)
        return error_set(error, ERROR_INPUT, "%s needs a value", name);
    return take_value(o, name, equals ? equals + 1 : argv[++*at], error);
}

/* net.so -> so */
static bool emit_by_suffix(Options *o, Error *error) {
    const char *dot = o->output ? strrchr(o->output, '.') : NULL;
    if (o->emit_given || !dot || strchr(dot, '/'))
        return true;
    for (int i = 0; i < EMIT_COUNT; i++)
        if (str_equal(emit_names[i], dot + 1))
            return take_emit(o, dot + 1, error);
    if (str_equal(dot, ".nd"))
        return take_emit(o, "ast", error);
    return error_set(error, ERROR_INPUT, "the suffix of '%s' says nothing about what to make; give --emit=KIND",
                     o->output);
}

/* Sources and modules are of one target; by itself --target means its source. */
static bool agree_on_target(Options *o, Error *error) {
    bool cuda = o->emit >= EMIT_cu && o->emit <= EMIT_cubin, c = o->emit == EMIT_c || o->emit == EMIT_so;
    if (!o->target_given)
        o->target = cuda ? TARGET_cuda : TARGET_c;
    else if (!o->emit_given)
        o->emit = o->target == TARGET_cuda ? EMIT_cu : EMIT_c;
    else if (o->target == TARGET_cuda ? c : cuda)
        return error_set(error, ERROR_INPUT, "%s is not made for --target=%s", emit_names[o->emit],
                         o->target == TARGET_cuda ? "cuda" : "c");
    return true;
}

bool options_parse(Options *o, int argc, char **argv, Error *error) {
    o->sets = ARENA_ARRAY(o->arena, const char *, argc);
    for (int i = 1; i < argc; i++)
        if (!take_argument(o, argc, argv, &i, error))
            return false;
    if (!o->input)
        return error_set(error, ERROR_INPUT, "no input; ndartsc FILE|-");
    return emit_by_suffix(o, error) && agree_on_target(o, error);
}
