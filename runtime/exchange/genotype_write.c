/* genotype_write.c: `ndarts-run genotype FILE`: a genotype as papers, logs and other programs write it down, as a
 * text in the language, or the other way round. */
#include "runtime/driver/runtime.h"

#include "base/str.h"
#include "base/tensor_file.h"
#include "frontend/frontend.h"
#include "runtime/loops/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct Command {
    const char *path, *output, *format, *auxiliary;
    GenotypeChoice choice;
} Command;

static const char *const formats[] = {"nd", "python", "nb201"};
enum { FORMAT_nd, FORMAT_python, FORMAT_nb201, FORMAT_COUNT };

static bool take_auxiliary(Command *c, Error *error) {
    char *end;
    if (!c->auxiliary)
        return true;
    c->choice.auxiliary = strtod(c->auxiliary, &end);
    return (*c->auxiliary && !*end && c->choice.auxiliary >= 0 && c->choice.auxiliary <= 100) ||
           error_set(error, ERROR_INPUT, "--auxiliary %s: expected the weight of the auxiliary head, 0 for none",
                     c->auxiliary);
}

static bool take_format(const Command *c, int *format, Error *error) {
    for (*format = 0; *format < FORMAT_COUNT; (*format)++)
        if (str_equal(formats[*format], c->format))
            return true;
    Arena *arena = arena_create();
    error_set(error, ERROR_INPUT, "unknown format '%s'%s", c->format,
              diag_choices(arena, c->format, formats, FORMAT_COUNT));
    arena_destroy(arena);
    return false;
}

static bool parse_command(Arena *arena, Command *c, int argc, char **argv, Error *error) {
    GenotypeChoice *choice = &c->choice;
    choice->epoch = -1;
    choice->auxiliary = -1;
    Arg args[] = {{NULL, ARG_text, &c->path, 0, 0},
                  {"-o", ARG_text, &c->output, 0, 0},
                  {"--format", ARG_text, &c->format, 0, 0},
                  {"--line", ARG_int, &choice->line, 1, UINT32_MAX},
                  {"--epoch", ARG_int, &choice->epoch, 0, INT64_MAX},
                  {"--name", ARG_text, &choice->pick, 0, 0},
                  {"--as", ARG_text, &choice->name, 0, 0},
                  {"--network", ARG_text, &choice->network, 0, 0},
                  {"-C", ARG_int, &choice->channels, 1, 1 << 20},
                  {"--layers", ARG_int, &choice->layers, 1, 10000},
                  {"--classes", ARG_int, &choice->classes, 1, 1 << 20},
                  {"--auxiliary", ARG_text, &c->auxiliary, 0, 0}};
    if (!args_parse(arena, argc, argv, args, sizeof args / sizeof args[0], error))
        return false;
    return (c->path || error_set(error, ERROR_INPUT, "genotype needs a file, or - for standard input")) &&
           take_auxiliary(c, error);
}

/* ---- Python ---- */

static void add_node(Str *out, const FormNode *node) {
    for (int i = 0; i < node->count; i++)
        str_addf(out, "%s('%s', %d)", i ? ", " : "", node->edges[i].operation, node->edges[i].source);
}

static bool has_two_each(const GenotypeForm *form) {
    for (int c = 0; c < form->cell_count; c++)
        for (int n = 0; n < form->cells[c].node_count; n++)
            if (form->cells[c].nodes[n].count != 2)
                return false;
    return true;
}

static void add_concat(Str *out, const FormCell *cell) {
    bool range = true;
    for (int i = 1; i < cell->output_count; i++)
        range = range && cell->outputs[i] == cell->outputs[i - 1] + 1;
    if (range) {
        str_addf(out, "range(%d, %d)", cell->outputs[0], cell->outputs[cell->output_count - 1] + 1);
        return;
    }
    for (int i = 0; i < cell->output_count; i++)
        str_addf(out, "%s%d", i ? ", " : "[", cell->outputs[i]);
    str_add(out, "]");
}

/* Two edges per node in one list, as DARTS; a list per node where there are others. */
static const char *as_python(Arena *arena, const GenotypeForm *form) {
    Str out = str_create(arena);
    bool flat = has_two_each(form);
    str_addf(&out, "%s = Genotype(", form->name);
    for (int c = 0; c < form->cell_count; c++) {
        const FormCell *cell = &form->cells[c];
        str_addf(&out, "%s%s=[", c ? ", " : "", cell->name);
        for (int i = 0; i < cell->node_count; i++) {
            str_add(&out, i ? ", " : "");
            str_add(&out, flat ? "" : "[");
            add_node(&out, &cell->nodes[i]);
            str_add(&out, flat ? "" : "]");
        }
        str_addf(&out, "], %s_concat=", cell->name);
        add_concat(&out, cell);
    }
    str_add(&out, ")\n");
    return out.data;
}

/* ---- NAS-Bench-201 ---- */

static const char *bench_name(Arena *arena, const char *operation) {
    bool ours = str_ends_with(operation, "_201");
    return ours ? arena_strndup(arena, operation, strlen(operation) - strlen("_201")) : operation;
}

static const char *as_nb201(Arena *arena, const GenotypeForm *form) {
    Str out = str_create(arena);
    for (int i = 0; i < form->cells[0].node_count; i++) {
        const FormNode *node = &form->cells[0].nodes[i];
        str_add(&out, i ? "+|" : "|");
        for (int e = 0; e < node->count; e++)
            str_addf(&out, "%s~%d|", bench_name(arena, node->edges[e].operation), node->edges[e].source);
    }
    str_add(&out, "\n");
    return out.data;
}

/* The other way of writing down lacks what this genotype has. */
static const char *write_as(Arena *arena, const Command *c, const GenotypeForm *form, int format, Error *error) {
    bool sums = true, concats = true;
    for (int i = 0; i < form->cell_count; i++) {
        sums = sums && !form->cells[i].concat &&
               form->cells[i].outputs[0] == form->cells[i].inputs + form->cells[i].node_count - 1;
        concats = concats && form->cells[i].concat && form->cells[i].inputs == 2 && form->cells[i].node_count > 0;
    }
    if (format == FORMAT_python ? concats : form->nas_bench_201 && sums)
        return format == FORMAT_python ? as_python(arena, form) : as_nb201(arena, form);
    if (format == FORMAT_python)
        error_set(error, ERROR_INPUT,
                  "%s: Python's Genotype is of cells with two inputs that concatenate their nodes%s", c->path,
                  form->nas_bench_201 ? "; --format nb201 writes this one" : "");
    else
        error_set(error, ERROR_INPUT,
                  "%s: strings of NAS-Bench-201 are of one cell with one input, which returns its last node; "
                  "--format python writes others",
                  c->path);
    return NULL;
}

/* ---- the command ---- */

static bool write_out(const Command *c, const char *text, Error *error) {
    if (c->output)
        return file_write_atomic(c->output, text, strlen(text), error);
    return (fputs(text, stdout) >= 0 && fflush(stdout) == 0) ||
           error_set(error, ERROR_MACHINE, "cannot write to standard output: %s", strerror(errno));
}

static bool convert(Arena *arena, Command *c, Error *error) {
    int format = FORMAT_nd;
    if (c->format && !take_format(c, &format, error))
        return false;
    FrontendOptions options = {.library = rt_library_path(arena), .choice = &c->choice};
    Diag *diag = diag_create(arena, stderr);
    const char *text = NULL;
    const GenotypeForm *form = frontend_read_genotype(arena, c->path, &options, &text, diag, error);
    int mistakes = diag_count_errors(diag);
    if (!form)
        return error_set(error, ERROR_INPUT, "%s: %d mistake%s", c->path, mistakes, mistakes == 1 ? "" : "s");
    text = format == FORMAT_nd ? text : write_as(arena, c, form, format, error);
    return text && write_out(c, text, error);
}

int rt_genotype_main(int argc, char **argv) {
    Arena *arena = arena_create();
    Command c = {0};
    Error error = {ERROR_NONE, ""};
    bool ok = parse_command(arena, &c, argc, argv, &error) && convert(arena, &c, &error);
    arena_destroy(arena);
    return ok ? 0 : error_report(&error);
}
