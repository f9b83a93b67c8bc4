/* agree.c: compares what ranks have by hashes of it. */
#include "runtime/loops/agree.h"

#include "base/str.h"
#include "runtime/loops/checkpoint.h"

#include <inttypes.h>

static bool agree_on_numbers(const Ranks *ranks, const char *what, int64_t first, int64_t second, uint64_t hash,
                             Error *error) {
    char text[80];
    snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %016" PRIx64, first, second, hash);
    return ranks_agree(ranks, what, text, error);
}

bool agree_on_images(const Ranks *ranks, const char *what, const DataMark *mark, Error *error) {
    return !ranks || agree_on_numbers(ranks, what, mark->images, mark->classes, mark->hash, error);
}

bool agree_on_tensors(const Ranks *ranks, const char *what, const TensorFile *file, Error *error) {
    return !ranks || agree_on_numbers(ranks, what, (int64_t)file->count, 0, checkpoint_hash(file), error);
}

bool agree_on_state(const Ranks *ranks, const char *what, const RtProgram *program, Error *error) {
    if (!ranks)
        return true;
    Arena *arena = arena_create();
    TensorFile state = {0};
    rt_state_get(program, arena, &state);
    bool same = agree_on_tensors(ranks, what, &state, error);
    arena_destroy(arena);
    return same;
}

bool agree_on_text(const Ranks *ranks, const RtProgramOptions *options, Error *error) {
    if (!ranks)
        return true;
    Arena *arena = arena_create();
    const IrModule *module = rt_text_load_options(arena, options, error);
    Str text = str_create(arena);
    if (module)
        ir_print_module(module, &text);
    bool same = module && ranks_agree(ranks, "another text", text.data, error);
    arena_destroy(arena);
    return same;
}
