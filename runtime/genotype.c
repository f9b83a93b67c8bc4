/* genotype.c: settings of a search + values of its architecture parameters -> genotype and its text. */
#include "runtime/genotype.h"

#include <ctype.h>
#include <string.h>

int genotype_alpha_names(const IrModule *settings, const char *names[2]) {
    const IrAttr *attr = ir_module_get(settings, "space.alphas");
    names[0] = "alphas_normal";
    names[1] = "alphas_reduce";
    if (!attr || attr->kind != ATTR_symbols || attr->count < 1)
        return 2;
    for (int i = 0; i < attr->count && i < 2; i++)
        names[i] = attr->symbols[i];
    return attr->count < 2 ? 1 : 2;
}

/* A name of the language: letters, digits and '_', no digit first. */
static const char *as_identifier(Arena *arena, const char *name) {
    char *copy = arena_printf(arena, "%s%s", isdigit((unsigned char)name[0]) || !name[0] ? "g" : "", name);
    for (char *p = copy; *p; p++) {
        if (!isalnum((unsigned char)*p))
            *p = '_';
    }
    return copy;
}

static bool derive_from(Arena *arena, const DeriveSpace *space, const Tensor *alphas, GenotypeCell *cell,
                        Error *error) {
    int width = 0;
    for (int e = 0; e < space->edge_count; e++)
        width = space->edges[e].count > width ? space->edges[e].count : width;
    if (alphas->rank != 2 || alphas->shape[0] != space->edge_count || alphas->shape[1] != width)
        return error_set(error, ERROR_INPUT, "'%s' has %lld x %lld values; the space has %d edges with %d candidates",
                         alphas->name, (long long)(alphas->rank > 0 ? alphas->shape[0] : 1),
                         (long long)(alphas->rank > 1 ? alphas->shape[1] : 1), space->edge_count, width);
    int64_t count = tensor_count(alphas);
    double *values = ARENA_ARRAY(arena, double, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor_get(alphas, i);
    *cell = derive_cell(arena, space, values, width);
    return true;
}

/* The published network of a CIFAR genotype: 36 channels, 20 cells, auxiliary head. */
static const char *network_line(Arena *arena, const IrModule *settings, const char *name) {
    int classes = (int)ir_module_get_int(settings, "classes", 10);
    return genotype_network(arena, "cifar", name, 36, 20, classes, 0.4);
}

bool genotype_build(Arena *arena, const IrModule *settings, const char *name, const Tensor *alphas, int count,
                    Genotype *genotype, Error *error) {
    DeriveSpace space;
    const char *names[2];
    genotype_alpha_names(settings, names);
    memset(genotype, 0, sizeof(*genotype));
    genotype->name = as_identifier(arena, name);
    genotype->has_reduce = count > 1;
    GenotypeCell *cells[] = {&genotype->normal, &genotype->reduce};
    for (int i = 0; i < count && i < 2; i++) {
        if (!derive_space_from_module(arena, settings, names[i], &space, error) ||
            !derive_from(arena, &space, &alphas[i], cells[i], error))
            return false;
    }
    GenotypeText text = {.name = genotype->name,
                         .import = ir_module_get_string(settings, "space.import", "darts.nd"),
                         .network = network_line(arena, settings, genotype->name)};
    genotype->text = genotype_print(arena, &text, &genotype->normal, genotype->has_reduce ? &genotype->reduce : NULL);
    return true;
}
