/* weights_fit.c: compares by name, through a map, so that large files take no longer than they must. */
#include "runtime/driver/weights_fit.h"

#include "base/str.h"
#include "runtime/driver/tensors.h"

#include <string.h>

typedef struct Comparison {
    Arena *arena;
    FILE *out;
    int missing, different, left_over;
} Comparison;

static void compare_wanted(Comparison *c, const RtTensorInfo *wanted, bool required, const Tensor *tensor) {
    const char *shape = rt_shape_string(c->arena, wanted->rank, wanted->shape);
    if (!tensor && required) {
        c->missing++;
        fprintf(c->out, "  missing: %s %s\n", wanted->name, shape);
    } else if (tensor && !rt_tensor_fits(wanted, tensor, 1)) {
        c->different++;
        fprintf(c->out, "  %s: expected %s, found %s\n", wanted->name, shape,
                rt_shape_string(c->arena, tensor->rank, tensor->shape));
    }
}

static bool may_be_left_over(const char *name) {
    return strchr(name, '/') || str_starts_with(name, "alphas") || str_starts_with(name, "betas") ||
           str_starts_with(name, "auxiliary_head.") || str_ends_with(name, ".num_batches_tracked");
}

bool weights_fit(Arena *arena, const RtTensorInfo *wanted, const bool *required, int count, const TensorFile *file,
                 bool more_allowed, Error *error) {
    Comparison c = {.arena = arena, .out = diag_stream()};
    StrMap names = str_map_create(arena), found = str_map_create(arena);
    for (size_t i = 0; i < file->count; i++)
        str_map_set(&found, file->tensors[i].name, &file->tensors[i]);
    for (int i = 0; i < count; i++) {
        str_map_set(&names, wanted[i].name, (void *)&wanted[i]);
        compare_wanted(&c, &wanted[i], !required || required[i], str_map_get(&found, wanted[i].name));
    }
    for (size_t i = 0; i < file->count && !more_allowed; i++) {
        const Tensor *tensor = &file->tensors[i];
        if (str_map_get(&names, tensor->name) || may_be_left_over(tensor->name))
            continue;
        c.left_over++;
        fprintf(c.out, "  left over: %s %s\n", tensor->name, rt_shape_string(arena, tensor->rank, tensor->shape));
    }
    return (!c.missing && !c.different && !c.left_over) ||
           error_set(error, ERROR_INPUT, "%d missing, %d of another shape, %d left over", c.missing, c.different,
                     c.left_over);
}
