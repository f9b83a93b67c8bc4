/* genotype_write.c: a genotype as papers, logs and other programs write it down. */
#include "runtime/exchange/genotype_write.h"

#include "base/str.h"

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

/* The other way of writing down lacks what this genotype has. */
const char *genotype_write(Arena *arena, const char *path, const GenotypeForm *form, GenotypeFormat format,
                           Error *error) {
    bool sums = true, concats = true;
    for (int i = 0; i < form->cell_count; i++) {
        sums = sums && !form->cells[i].concat &&
               form->cells[i].outputs[0] == form->cells[i].inputs + form->cells[i].node_count - 1;
        concats = concats && form->cells[i].concat && form->cells[i].inputs == 2 && form->cells[i].node_count > 0;
    }
    if (format == GENOTYPE_python ? concats : form->nas_bench_201 && sums)
        return format == GENOTYPE_python ? as_python(arena, form)
                                         : arena_printf(arena, "%s\n", frontend_nb201_string(arena, &form->cells[0]));
    if (format == GENOTYPE_python)
        error_set(error, ERROR_INPUT,
                  "%s: Python's Genotype is of cells with two inputs that concatenate their nodes%s", path,
                  form->nas_bench_201 ? "; --format nb201 writes this one" : "");
    else
        error_set(error, ERROR_INPUT,
                  "%s: strings of NAS-Bench-201 are of one cell with one input, which returns its last node; "
                  "--format python writes others",
                  path);
    return NULL;
}
