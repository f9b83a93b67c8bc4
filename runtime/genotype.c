/* genotype.c: settings of a search + values of its architecture parameters -> genotype and its text. */
#include "runtime/genotype.h"

#include "base/str.h"
#include "frontend/frontend.h"
#include "runtime/runtime.h"

#include <ctype.h>
#include <stdlib.h>
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

static bool derive_from(Arena *arena, const IrModule *settings, const Tensor *alphas, GenotypeCell *cell,
                        Error *error) {
    DeriveSpace space;
    int width = 0;
    if (!derive_space_from_module(arena, settings, alphas->name, &space, error))
        return false;
    for (int e = 0; e < space.edge_count; e++)
        width = space.edges[e].count > width ? space.edges[e].count : width;
    if (alphas->rank != 2 || alphas->shape[0] != space.edge_count || alphas->shape[1] != width)
        return error_set(error, ERROR_INPUT, "'%s' has %lld x %lld values; the space has %d edges with %d candidates",
                         alphas->name, (long long)(alphas->rank > 0 ? alphas->shape[0] : 1),
                         (long long)(alphas->rank > 1 ? alphas->shape[1] : 1), space.edge_count, width);
    int64_t count = tensor_count(alphas);
    double *values = ARENA_ARRAY(arena, double, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor_get(alphas, i);
    *cell = derive_cell(arena, &space, values, width);
    return true;
}

/* The published network of a CIFAR genotype: 36 channels, 20 cells, auxiliary head; for the images of the search. The
 * head's last convolution needs an image of 8 x 8 after two reductions. */
static const char *network_line(Arena *arena, const IrModule *settings, const char *name) {
    int classes = (int)ir_module_get_int(settings, "classes", 10);
    int height = (int)ir_module_get_int(settings, "input.height", 32);
    int width = (int)ir_module_get_int(settings, "input.width", 32);
    int channels = (int)ir_module_get_int(settings, "input.channels", 3);
    bool auxiliary = height >= 32 && width >= 32;
    const char *other = ir_module_get_string(settings, "space.network", NULL); /* a space may have its own */
    if (other)
        return arena_printf(arena, "%s(%s, classes=%d, channels=%d, H=%d, W=%d)", other, name, classes, channels, height,
                            width);
    const char *line = genotype_network(arena, "cifar", name, 36, 20, classes, auxiliary ? 0.4 : 0);
    Str out = str_create(arena);
    str_add_bytes(&out, line, strlen(line) - 1); /* without the closing parenthesis */
    if (channels != 3)
        str_addf(&out, ", channels=%d", channels);
    if (height != 32 || width != 32)
        str_addf(&out, ", H=%d, W=%d", height, width);
    str_add(&out, ")");
    return out.data;
}

/* The text that defines the candidates: the library's, or the one that was searched (its search is not imported). */
static const char *import_path(Arena *arena, const IrModule *settings, const char *spec) {
    char *resolved = NULL;
    if (spec && !str_equal(ir_module_get_string(settings, "space.name", "darts"), "darts"))
        resolved = realpath(spec, NULL);
    const char *path = resolved ? arena_strdup(arena, resolved) : "darts.nd";
    free(resolved);
    return path;
}

/* NAME, or NAME_found when the imported text calls something else so: `darts` is a space. */
static const char *free_name(Arena *arena, const char *import, const char *name) {
    const char *library = rt_library_path(arena), *found = as_identifier(arena, name);
    for (int i = 0; i < 3 && !frontend_name_is_free(arena, import, library, found); i++)
        found = arena_printf(arena, "%s_found", found);
    return found;
}

bool genotype_build(Arena *arena, const IrModule *settings, const char *spec, const char *name, const Tensor *alphas,
                    int count, Genotype *genotype, Error *error) {
    memset(genotype, 0, sizeof(*genotype));
    const char *import = import_path(arena, settings, spec);
    genotype->name = free_name(arena, import, name);
    genotype->has_reduce = count > 1;
    if (!derive_from(arena, settings, &alphas[0], &genotype->normal, error) ||
        (count > 1 && !derive_from(arena, settings, &alphas[1], &genotype->reduce, error)))
        return false;
    genotype->normal.output = genotype->reduce.output = ir_module_get_string(settings, "space.output", NULL);
    GenotypeText text = {.name = genotype->name,
                         .import = import,
                         .network = network_line(arena, settings, genotype->name)};
    genotype->text = genotype_print(arena, &text, &genotype->normal, genotype->has_reduce ? &genotype->reduce : NULL);
    return true;
}
