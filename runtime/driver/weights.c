/* weights.c: weights from a file into a program. */
#include "runtime/driver/weights.h"

bool weights_load(RtProgram *program, const char *net, const char *path, Error *error) {
    if (!path)
        return rt_program_has_weights(program) ||
               error_set(error, ERROR_INPUT, "%s holds no weights, so --weights W.safetensors is needed", net);
    Arena *arena = arena_create();
    TensorFile file = {0};
    Error inner = {ERROR_NONE, ""};
    bool ok = safetensors_read(arena, path, &file, error);
    if (ok && !rt_state_set(program, &file, RT_STATE_weights, &inner))
        ok = error_set(error, inner.kind, "%s: %s", path, inner.message);
    arena_destroy(arena);
    return ok;
}
