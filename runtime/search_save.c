/* search_save.c: the genotype that a search keeps in its folder, and its drawings. */
#include "runtime/search.h"

#include "base/str.h"
#include "runtime/genotype.h"

#include <string.h>

/* The text's file name without folder and suffix. */
static const char *text_name(const Search *s, Arena *arena) {
    const char *slash = strrchr(s->loop.options.path, '/');
    const char *name = slash ? slash + 1 : s->loop.options.path;
    size_t length = strlen(name);
    return arena_strndup(arena, name, str_ends_with(name, ".nd") ? length - 3 : length);
}

static bool current_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error) {
    const char *names[2];
    Tensor alphas[2];
    int count = genotype_alpha_names(s->loop.module, names);
    for (int i = 0; i < count; i++) {
        if (rt_param_find(s->loop.program, names[i]) < 0)
            return error_set(error, ERROR_INPUT, "the search has no architecture parameters '%s'", names[i]);
        alphas[i] = rt_param_get(s->loop.program, names[i], arena);
    }
    return genotype_build(arena, s->loop.module, s->loop.options.path, text_name(s, arena), alphas, count, genotype, error);
}

const char *search_genotype_text(Search *s, Arena *arena) {
    Genotype genotype;
    Error error = {0};
    return current_genotype(s, arena, &genotype, &error) ? genotype.text : "";
}

bool search_save_genotype(Search *s, Error *error) {
    Arena *arena = arena_create();
    Genotype genotype;
    bool ok = current_genotype(s, arena, &genotype, error) &&
              file_write_atomic(loop_file(&s->loop, "genotype.nd"), genotype.text, strlen(genotype.text), error) &&
              genotype_write_dot(arena, s->loop.options.out, &genotype, error);
    arena_destroy(arena);
    return ok;
}

void search_draw_cells(Search *s) {
    Arena *arena = arena_create();
    Genotype genotype;
    Error error = {0};
    if (current_genotype(s, arena, &genotype, &error) && !genotype_draw(arena, s->loop.options.out, &genotype))
        fprintf(stderr,
                "no drawings of the cells: Graphviz's dot is not installed or failed; normal.dot and reduce.dot are in "
                "%s\n",
                s->loop.options.out);
    arena_destroy(arena);
}
