/* loop_options.c: what options of a search or a training go together, and what follows from them. */
#include "runtime/loops/loop.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/loops/tensorboard.h"

#include <string.h>

/* runs/NAME for some/folder/NAME.nd. */
static const char *default_folder(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    if (str_ends_with(name, ".nd") && length > 3)
        length -= 3;
    return arena_printf(arena, "runs/%.*s", (int)length, name);
}

bool loop_check_options(Arena *arena, const char *command, LoopOptions *options, Error *error) {
    if (!options->text && str_equal(options->path, "-"))
        return error_set(error, ERROR_INPUT,
                         "%s reads its text from a file, not from standard input: --resume needs it again", command);
    if (options->resume && options->init)
        return error_set(error, ERROR_INPUT, "--init and --resume exclude each other");
    if (options->init_except_count && !options->init)
        return error_set(error, ERROR_INPUT, "--init-except %s is for --init W.safetensors", options->init_except[0]);
    if (options->seed_count && options->has_seed)
        return error_set(error, ERROR_INPUT, "--seed and --seeds exclude each other");
    if (options->spread && !options->seed_count)
        return error_set(error, ERROR_INPUT, "--spread=seeds is for --seeds");
    if (options->spread && ranks_size(options->ranks) > options->seed_count)
        return error_set(error, ERROR_INPUT, "--spread=seeds: %d ranks for %d seeds; some would have nothing to do",
                         ranks_size(options->ranks), options->seed_count);
    if (options->tensorboard && !tensorboard_available(error))
        return false;
    if (!options->out)
        options->out = default_folder(arena, options->path);
    file_guard_folder(options->out);
    return true;
}
