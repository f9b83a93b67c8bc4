/* genotype.c: settings of a search + values of its architecture parameters -> genotype and its text. */
#include "runtime/loops/genotype.h"

#include "base/installed.h"
#include "base/str.h"
#include "ir/settings.h"
#include "runtime/driver/runtime.h"

#include <stdlib.h>
#include <string.h>

const char *const *genotype_alpha_names(const IrModule *settings, int *count) {
    static const char *const usual[] = {"alphas_normal", "alphas_reduce"};
    const IrAttr *named = settings_read(settings).space.alphas;
    *count = named && named->count ? named->count : 2;
    return named && named->count ? named->symbols : usual;
}

const char *genotype_beta_name(Arena *arena, const IrModule *settings, const char *alphas) {
    const IrAttr *betas = settings_read(settings).space.betas;
    const char *name = arena_printf(arena, "betas_%s", genotype_cell_name(alphas));
    for (int i = 0; betas && i < betas->count; i++)
        if (str_equal(betas->symbols[i], name))
            return name;
    return NULL;
}

const char *genotype_cell_name(const char *alphas) {
    static const char prefix[] = "alphas_";
    return str_starts_with(alphas, prefix) ? alphas + sizeof prefix - 1 : alphas;
}

static const double *all_values(Arena *arena, const Tensor *t) {
    int64_t count = tensor_count(t);
    double *values = ARENA_ARRAY(arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor_get(t, i);
    return values;
}

/* Candidates, and edges where these have weights too. */
static bool weigh_cell(Arena *arena, const IrModule *settings, const GenotypeValues *values, int cell_number,
                       const DeriveSpace *space, DeriveWeights *weights, Error *error) {
    const double *alphas = all_values(arena, &values->tensors[cell_number]);
    weights->stride = derive_count_columns(space);
    weights->of_candidates =
        values->are_weights ? alphas : derive_weigh(arena, settings, space, alphas, weights->stride, error);
    const Tensor *betas = values->betas ? &values->betas[cell_number] : NULL;
    if (betas && tensor_count(betas) != space->edge_count)
        return error_set(error, ERROR_INPUT, "'%s' has %lld values; the space has %d edges", betas->name,
                         (long long)tensor_count(betas), space->edge_count);
    if (betas)
        weights->of_edges = all_values(arena, betas);
    if (betas && !values->are_weights)
        weights->of_edges = derive_edge_weights(arena, space, weights->of_edges);
    return weights->of_candidates != NULL;
}

bool genotype_weigh(Arena *arena, const IrModule *settings, const GenotypeValues *values, int cell_number,
                    DeriveSpace *space, DeriveWeights *weights, Error *error) {
    const Tensor *alphas = &values->tensors[cell_number];
    if (!derive_space_from_module(arena, settings, alphas->name, space, error))
        return false;
    int width = derive_count_columns(space);
    if (alphas->rank != 2 || alphas->shape[0] != space->edge_count || alphas->shape[1] != width)
        return error_set(error, ERROR_INPUT, "'%s' has %lld x %lld values; the space has %d edges with %d candidates",
                         alphas->name, (long long)(alphas->rank > 0 ? alphas->shape[0] : 1),
                         (long long)(alphas->rank > 1 ? alphas->shape[1] : 1), space->edge_count, width);
    *weights = (DeriveWeights){0};
    return weigh_cell(arena, settings, values, cell_number, space, weights, error);
}

static bool derive_from(Arena *arena, const IrModule *settings, const GenotypeValues *values, int cell_number,
                        GenotypeCell *cell, Error *error) {
    const Tensor *alphas = &values->tensors[cell_number];
    DeriveSpace space;
    DeriveWeights weights;
    if (!genotype_weigh(arena, settings, values, cell_number, &space, &weights, error))
        return false;
    *cell = derive_cell(arena, &space, &weights);
    cell->name = genotype_cell_name(alphas->name);
    cell->output = settings_read(settings).space.output;
    return true;
}

/* ---- the network around it ---- */

/* The published network of a CIFAR genotype: 36 channels, 20 cells; for the images of the search. */
static const char *cifar_line(Arena *arena, const NetworkFacts *n, const char *name, bool auxiliary) {
    int classes = (int)n->classes, height = (int)n->height, width = (int)n->width, channels = (int)n->channels;
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

/* A space may name a network for its genotypes; otherwise the search's own may take one in the place of the space. */
static const char *other_line(Arena *arena, const Settings *settings, const char *network, const char *name) {
    const NetworkFacts *n = &settings->network;
    const char *parameter = settings->space.genotype_parameter, *given = settings->space.network_arguments;
    const char *arguments = given ? given : "";
    if (parameter)
        return arena_printf(arena, "%s(%s = %s%s%s)", network, parameter, name, *arguments ? ", " : "", arguments);
    return arena_printf(arena, "%s(%s, classes=%d, channels=%d, H=%d, W=%d)", network, name, (int)n->classes,
                        (int)n->channels, (int)n->height, (int)n->width);
}

/* NULL: the search says nothing of one. */
static const char *network_line(Arena *arena, const Settings *settings, const char *name, bool auxiliary) {
    const char *other = settings->space.network;
    if (!other)
        return cifar_line(arena, &settings->network, name, auxiliary);
    return *other ? other_line(arena, settings, other, name) : NULL;
}

/* ---- the text ---- */

/* What defines the candidates. A checkpoint written before searches kept it names the file to import. */
static const char *definitions(Arena *arena, const SpaceSettings *space) {
    if (space->definitions)
        return space->definitions;
    Str out = str_create(arena);
    str_add(&out, "import ");
    str_add_quoted(&out, space->import);
    str_add(&out, "\n");
    return out.data;
}

/* NAME, or NAME_found when the definitions call something else so: `darts` is a space. */
static const char *free_name(Arena *arena, const char *definitions, const FrontendOptions *texts, const char *name,
                             Error *error) {
    FrontendOptions options = *texts;
    options.text = definitions;
    const char *found = str_identifier(arena, name);
    while (!frontend_name_is_free(arena, &options, found, error) && !error->kind)
        found = arena_printf(arena, "%s_found", found);
    return found;
}

/* ---- that it compiles ---- */

/* Mistakes go to out. An error: a file was not read, and nothing is known. */
static bool compiles(Arena *arena, const FrontendOptions *texts, const Genotype *g, FILE *out, Error *error) {
    FrontendOptions options = *texts;
    options.text = g->text;
    options.unread = error;
    Diag *diag = diag_create(arena, out);
    bool good = g->has_network ? frontend_load(arena, "genotype.nd", &options, diag, error) != NULL
                               : frontend_print_ast(arena, "genotype.nd", &options, diag, error) != NULL;
    return good && !error->kind;
}

static bool report_mistakes(Arena *arena, const FrontendOptions *texts, const Genotype *g, Error *error) {
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&said, &size);
    if (!out)
        return error_set(error, ERROR_MACHINE, "out of memory");
    bool good = compiles(arena, texts, g, out, error);
    fclose(out);
    if (!good)
        error_set(error, ERROR_INPUT,
                  "the genotype of this search does not compile; `network NAME` in its space says what network it is "
                  "put into:\n%s",
                  said);
    free(said);
    return good;
}

/* With the auxiliary head if that compiles. */
static bool choose_text(Arena *arena, const IrModule *settings, FrontendFiles *files, Genotype *genotype,
                        Error *error) {
    const Settings values = settings_read(settings);
    const FrontendOptions texts = {.library = installed_library(arena), .files = files};
    const char *front = definitions(arena, &values.space);
    genotype->name = free_name(arena, front, &texts, genotype->name, error);
    for (int auxiliary = 1; !error->kind && auxiliary >= 0; auxiliary--) {
        const char *network = network_line(arena, &values, genotype->name, auxiliary);
        genotype->has_network = network != NULL;
        GenotypeText text = {.name = genotype->name, .definitions = front, .network = network};
        genotype->text = genotype_print(arena, &text, genotype->cell_count, genotype->cells);
        if (compiles(arena, &texts, genotype, NULL, error))
            return true;
    }
    return !error->kind && report_mistakes(arena, &texts, genotype, error);
}

/* A cell gives what its nodes are: all of them, or those that its space names. */
static bool check_nodes(const GenotypeCell *cell, const Tensor *alphas, Error *error) {
    int empty = -1, count = 0;
    for (int i = 0; i < cell->node_count; i++) {
        count += cell->nodes[i].edge_count > 0;
        empty = empty < 0 && !cell->nodes[i].edge_count ? i : empty;
    }
    if (count == cell->node_count || (count > 0 && !cell->output))
        return true;
    return error_set(error, ERROR_INPUT,
                     "a genotype of this space has nothing to compute s%d from: the edges of %s to it offer `none` "
                     "only, or none of them is kept",
                     cell->inputs + empty, alphas->name);
}

bool genotype_build(Arena *arena, const IrModule *settings, const char *name, const GenotypeValues *values,
                    FrontendFiles *files, Genotype *genotype, Error *error) {
    memset(genotype, 0, sizeof(*genotype));
    genotype->name = name;
    genotype->cell_count = values->count;
    genotype->cells = ARENA_ARRAY(arena, GenotypeCell, values->count);
    for (int i = 0; i < values->count; i++)
        if (!derive_from(arena, settings, values, i, &genotype->cells[i], error) ||
            !check_nodes(&genotype->cells[i], &values->tensors[i], error))
            return false;
    return choose_text(arena, settings, files, genotype, error);
}

/* Weights that are all the same, and reach any threshold. */
static bool equal_weights(Arena *arena, const IrModule *settings, const char *name, Tensor *weights, Error *error) {
    DeriveSpace space;
    if (!derive_space_from_module(arena, settings, name, &space, error))
        return false;
    double weight = space.keep.has_threshold ? space.keep.threshold : 1;
    *weights = (Tensor){
        .name = name, .type = TENSOR_f64, .rank = 2, .shape = {space.edge_count, derive_count_columns(&space)}};
    double *numbers = ARENA_ARRAY(arena, double, tensor_count(weights) + 1);
    for (int64_t i = 0; i < tensor_count(weights); i++)
        numbers[i] = weight;
    weights->data = numbers;
    return true;
}

/* How alphas are weighed can be computed: of zeros. */
static bool check_weights(Arena *arena, const IrModule *settings, const char *name, Error *error) {
    DeriveSpace space;
    if (!derive_space_from_module(arena, settings, name, &space, error))
        return false;
    int width = derive_count_columns(&space);
    double *zeros = ARENA_ARRAY(arena, double, (int64_t)space.edge_count *width + 1);
    memset(zeros, 0, sizeof(double) * (size_t)space.edge_count * (size_t)width);
    return derive_weigh(arena, settings, &space, zeros, width, error) != NULL;
}

bool genotype_check(Arena *arena, const IrModule *settings, const char *name, FrontendFiles *files, Error *error) {
    int count;
    const char *const *names = genotype_alpha_names(settings, &count);
    Tensor *weights = ARENA_ARRAY(arena, Tensor, count);
    Genotype genotype;
    for (int i = 0; i < count; i++)
        if (!equal_weights(arena, settings, names[i], &weights[i], error) ||
            !check_weights(arena, settings, names[i], error))
            return false;
    const GenotypeValues values = {.tensors = weights, .count = count, .are_weights = true};
    return genotype_build(arena, settings, name, &values, files, &genotype, error);
}
