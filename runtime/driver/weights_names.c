/* weights_names.c: prefixes are found by what fits: every name is tried from each of its dots on. */
#include "runtime/driver/weights_names.h"

#include "runtime/driver/tensors.h"

#include <string.h>

/* What is wanted under one prefix. */
typedef struct Fit {
    int names, shapes;
} Fit;

static void count_fit(Arena *arena, StrMap *fits, const char *name, size_t length, bool shape) {
    const char *prefix = arena_strndup(arena, name, length);
    Fit *fit = str_map_get(fits, prefix);
    if (!fit) {
        fit = ARENA_NEW(arena, Fit);
        str_map_set(fits, prefix, fit);
    }
    fit->names++;
    fit->shapes += shape;
}

static void try_tensor(Arena *arena, const StrMap *wanted, const Tensor *tensor, StrMap *fits) {
    for (const char *rest = tensor->name; rest; rest = strchr(rest, '.')) {
        rest += rest > tensor->name; /* behind the dot */
        const RtTensorInfo *info = str_map_get(wanted, rest);
        if (info)
            count_fit(arena, fits, tensor->name, (size_t)(rest - tensor->name), rt_tensor_fits(info, tensor, 1));
    }
}

const char *weights_find_prefix(Arena *arena, const RtTensorInfo *wanted, int count, const TensorFile *file,
                                bool *exact) {
    StrMap names = str_map_create(arena), fits = str_map_create(arena);
    const char *best = "";
    const Fit *most = NULL;
    for (int i = 0; i < count; i++)
        str_map_set(&names, wanted[i].name, (void *)&wanted[i]);
    for (size_t i = 0; i < file->count; i++)
        try_tensor(arena, &names, &file->tensors[i], &fits);
    for (size_t i = 0; i < fits.count; i++) {
        const Fit *fit = fits.entries[i].value;
        if (!most || fit->names > most->names || (fit->names == most->names && fit->shapes > most->shapes)) {
            most = fit;
            best = fits.entries[i].key;
        }
    }
    *exact = count > 0 && most && most->shapes == count;
    return best;
}

/* Does every tensor with a dot in its name begin so, and is there one? */
static bool all_begin(const TensorFile *file, const char *prefix) {
    size_t found = 0, length = strlen(prefix);
    for (size_t i = 0; i < file->count; i++) {
        const char *name = file->tensors[i].name;
        bool begins = str_starts_with(name, prefix) && name[length];
        if (!begins && strchr(name, '.'))
            return false;
        found += begins;
    }
    return found > 0;
}

const char *weights_usual_prefix(Arena *arena, const TensorFile *file) {
    static const char *const wrappers[] = {"module.",  "_orig_mod.", "model.",     "net.",
                                           "network.", "backbone.",  "ema_model.", "ema."};
    enum { COUNT = sizeof wrappers / sizeof wrappers[0], MOST_LEVELS = 8 };
    const char *prefix = "";
    for (int level = 0, w = 0; level < MOST_LEVELS && w < COUNT; w++) {
        const char *longer = arena_printf(arena, "%s%s", prefix, wrappers[w]);
        if (!all_begin(file, longer))
            continue;
        prefix = longer;
        level++;
        w = -1;
    }
    return prefix;
}

TensorFile weights_strip(Arena *arena, const TensorFile *file, const char *prefix, StrMap *others) {
    TensorFile stripped = {.metadata = file->metadata};
    size_t length = strlen(prefix);
    for (size_t i = 0; i < file->count; i++) {
        Tensor tensor = file->tensors[i];
        bool begins = str_starts_with(tensor.name, prefix) && tensor.name[length];
        if (begins) {
            tensor.name += length;
            tensor_file_add(arena, &stripped, tensor);
        } else if (others) {
            str_map_set(others, tensor.name, file->tensors);
        }
    }
    return stripped;
}

TensorFile weights_adapt(Arena *arena, const RtTensorInfo *wanted, const bool *required, int count,
                         const TensorFile *file) {
    RtTensorInfo *needed = ARENA_ARRAY(arena, RtTensorInfo, count + 1);
    int needed_count = 0;
    bool exact = false;
    for (int i = 0; i < count; i++)
        if (!required || required[i])
            needed[needed_count++] = wanted[i];
    const char *prefix = weights_find_prefix(arena, needed, needed_count, file, &exact);
    if (!exact || !*prefix)
        return *file;
    StrMap others = str_map_create(arena);
    TensorFile stripped = weights_strip(arena, file, prefix, &others);
    fprintf(diag_stream(), "the weights' names begin with '%s', which is left off", prefix);
    for (size_t i = 0; i < others.count && i < 8; i++)
        fprintf(diag_stream(), "%s%s", i ? ", " : "; not used: ", others.entries[i].key);
    fprintf(diag_stream(), "%s\n", others.count > 8 ? ", ..." : "");
    return stripped;
}
