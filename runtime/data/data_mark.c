/* data_mark.c: which images a data set has, for a run that goes on later.
 * Pixels in memory are hashed as a whole; pictures in files by name, size and label, since reading them all would take
 * as long as an epoch. The order counts: an image's draws are named by its place. */
#include "runtime/data/data.h"

#include "base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t join(uint64_t hash, uint64_t more) {
    uint64_t parts[2] = {hash, more};
    return hash_fnv1a(parts, sizeof parts);
}

/* The name without the folder's, and how many bytes the file has. */
static bool add_file(const Dataset *data, int64_t index, uint64_t *hash, Error *error) {
    const char *path = data->names[index], *name = path + strlen(data->root);
    struct stat status;
    if (stat(path, &status) != 0)
        return error_set(error, errno == ENOENT ? ERROR_INPUT : ERROR_MACHINE, "cannot look at '%s': %s", path,
                         strerror(errno));
    *hash = join(*hash, join(hash_string(name + strspn(name, "/")), (uint64_t)status.st_size));
    return true;
}

bool data_mark(const Dataset *data, DataMark *out, Error *error) {
    const Dataset *held = data->smaller ? data->smaller : data;
    size_t image = (size_t)held->height * (size_t)held->width * (size_t)held->channels;
    DataMark mark = {.images = data->count, .classes = data->classes};
    *out = mark;
    if (data->count == 0)
        return true;
    mark.hash = hash_fnv1a(data->labels, (size_t)data->count * sizeof *data->labels);
    if (held->pixels)
        mark.hash = join(mark.hash, hash_fnv1a(held->pixels, (size_t)data->count * image));
    for (int64_t i = 0; data->names && i < data->count; i++) {
        if (!add_file(data, i, &mark.hash, error))
            return false;
    }
    *out = mark;
    return true;
}
