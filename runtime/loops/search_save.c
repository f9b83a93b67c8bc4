/* search_save.c: the genotype that a search keeps in its folder, and its drawings. */
#include "runtime/loops/search.h"

#include "base/str.h"

#include <string.h>

/* The text's file name without folder and suffix. */
static const char *text_name(const Search *s, Arena *arena) {
    const char *slash = strrchr(s->loop.options.path, '/');
    const char *name = slash ? slash + 1 : s->loop.options.path;
    size_t length = strlen(name);
    return arena_strndup(arena, name, str_ends_with(name, ".nd") ? length - 3 : length);
}

bool search_build_genotype(Search *s, Arena *arena, Genotype *genotype, Error *error) {
    const char *names[2];
    Tensor alphas[2];
    int count = genotype_alpha_names(s->loop.module, names);
    for (int i = 0; i < count; i++) {
        if (rt_param_find(s->loop.program, names[i]) < 0)
            return error_set(error, ERROR_INPUT, "the search has no architecture parameters '%s'", names[i]);
        alphas[i] = rt_param_get(s->loop.program, names[i], arena);
    }
    return genotype_build(arena, s->loop.module, text_name(s, arena), alphas, count, genotype, error);
}

/* A list of the data's settings, as far as the text of the search sets it. */
static void add_list(Str *out, const IrModule *module, const char *name, int count) {
    char key[32];
    snprintf(key, sizeof(key), "data.%s.0", name);
    if (!ir_module_get(module, key))
        return;
    str_addf(out, ", %s = [", name);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "data.%s.%d", name, i);
        str_add(out, i ? ", " : "");
        str_add_double(out, ir_module_get_float(module, key, 0));
    }
    str_add(out, "]");
}

static void add_number(Str *out, const char *name, double value) {
    if (value == 0)
        return;
    str_addf(out, ", %s = ", name);
    str_add_double(out, value);
}

/* How pictures are made to size and changed. */
static void add_pictures(Str *out, const IrModule *module, const DataOptions *o) {
    if (o->resize)
        str_addf(out, ", resize = %d", o->resize);
    if (o->interpolation == IMAGE_bicubic)
        str_add(out, ", interpolation = bicubic");
    add_list(out, module, "area", 2);
    add_list(out, module, "ratio", 2);
    add_number(out, "brightness", o->brightness);
    add_number(out, "contrast", o->contrast);
    add_number(out, "saturation", o->saturation);
    add_number(out, "hue", o->hue);
}

/* The images of the search, all of them. */
static void add_data(Str *out, const Search *s) {
    const DataOptions *o = &s->loop.data_options;
    str_addf(out, "    data %s(", o->source);
    if (o->path)
        str_add_quoted(out, o->path);
    /* The others have 32 x 32, and 10 classes or as many as their name says, unless it is said otherwise. */
    bool any_size =
        str_equal(o->source, "image_folder") || str_equal(o->source, "synthetic") || str_equal(o->source, "stl10");
    bool mnist = str_ends_with(o->source, "mnist");
    if (any_size)
        str_addf(out, "%sclasses = %d, H = %d, W = %d, channels = %d", o->path ? ", " : "", o->classes, o->height,
                 o->width, o->channels);
    else if (o->height != 32 || o->width != 32)
        str_addf(out, ", H = %d, W = %d", o->height, o->width);
    if (mnist && o->classes != 10)
        str_addf(out, ", classes = %d", o->classes);
    if (o->transposed)
        str_add(out, ", transposed = true");
    if (o->labels_from)
        str_addf(out, ", labels_from = %d", o->labels_from);
    add_pictures(out, s->loop.module, o);
    str_addf(out, ", crop = %d, flip = %s, cutout = %d", o->crop, o->flip ? "true" : "false", o->height / 2);
    add_list(out, s->loop.module, "mean", 3);
    add_list(out, s->loop.module, "std", 3);
    str_add(out, ")\n");
}

/* The published training, on the data of the search. */
static const char *training_text(const Search *s, Arena *arena) {
    Str out = str_create(arena);
    str_add(
        &out,
        "\n# The published training, on the data of the search. `ndarts-run train` on this file runs it; --recipe NAME "
        "replaces it.\ntrain {\n    network main\n");
    add_data(&out, s);
    bool has_test = data_has_test(&s->loop.data_options); /* else there is nothing to choose the best epoch by */
    str_addf(&out, "    epochs 600  batch 96  seed 0  drop_path 0.2%s\n", has_test ? "" : "  hold_out 0.2");
    str_add(&out, "    weights sgd(lr = cosine(0.025, 0), momentum = 0.9, decay = 3e-4, clip = 5)\n}\n");
    return out.data;
}

const char *search_genotype_text(const Search *s, Arena *arena, const Genotype *genotype) {
    return genotype->has_network ? arena_printf(arena, "%s%s", genotype->text, training_text(s, arena))
                                 : genotype->text;
}

bool search_save_genotype(Search *s, Arena *arena, const Genotype *genotype, Error *error) {
    const char *text = search_genotype_text(s, arena, genotype);
    return file_write_atomic(loop_file(&s->loop, "genotype.nd"), text, strlen(text), error) &&
           genotype_write_dot(arena, s->loop.options.out, genotype, error);
}

bool search_check_genotype(Search *s, Error *error) {
    Arena *arena = arena_create();
    bool ok = genotype_check(arena, s->loop.module, text_name(s, arena), error);
    arena_destroy(arena);
    return ok;
}

void search_draw_cells(Search *s, Arena *arena, const Genotype *genotype) {
    if (!genotype_draw(arena, s->loop.options.out, genotype))
        fprintf(stderr,
                "no drawings of the cells: Graphviz's dot is not installed or failed; normal.dot and reduce.dot are in "
                "%s\n",
                s->loop.options.out);
}
