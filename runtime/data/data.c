/* data.c: opening data sets. One is a row of ir/data_sources.def and the file that the row names. */
#include "runtime/data/data.h"

#include "base/hash.h"
#include "base/str.h"

#include <string.h>

#define SOURCE(name, format, ...) extern const DataFormat data_##format;
#include "ir/data_sources.def"
#undef SOURCE

static const DataFormat *const formats[SOURCE_COUNT] = {
#define SOURCE(name, format, ...) &data_##format,
#include "ir/data_sources.def"
#undef SOURCE
};

/* NULL when there is no such source. */
static const DataFormat *find_format(const char *name) {
    const DataSource *source = data_source_find(name);
    return source ? formats[source - data_sources] : NULL;
}

bool data_open(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    memset(data, 0, sizeof(*data));
    const DataFormat *format = find_format(options->source);
    if (!format)
        return data_report_unknown(options->source, error);
    if (!format->without_files && (!options->path || !options->path[0]))
        return error_set(error, ERROR_INPUT, "the data source '%s' needs the folder of its files (data.path)",
                         options->source);
    if (!format->read(options, part, data, error)) {
        data_close(data);
        return false;
    }
    return true;
}

bool data_has_test(const DataOptions *options) {
    const DataFormat *format = find_format(options->source);
    return !format || !format->has_test || format->has_test(options);
}

void data_look_at(const char *source, const char *path, int64_t *classes, int64_t *height, int64_t *width) {
    const DataFormat *format = find_format(source);
    *classes = *height = *width = 0;
    if (format && format->look)
        format->look(path, classes, height, width);
}

const char *data_summary(Arena *arena, const DataOptions *o, const Dataset *data) {
    bool has_path = o->path && o->path[0];
    return arena_printf(arena, "%s%s%s%s: %lld pictures in %d classes, %d x %d x %d", o->source, has_path ? " '" : "",
                        has_path ? o->path : "", has_path ? "'" : "", (long long)data->count, o->classes, o->height,
                        o->width, o->channels);
}

void data_shuffle(int64_t *order, int64_t count, const char *stream, uint64_t seed, uint32_t epoch, uint32_t turn) {
    uint32_t hash = draw_stream_hash(stream);
    for (int64_t i = count - 1; i > 0; i--) {
        PhiloxBlock r = philox_4x32_10((PhiloxBlock){{(uint32_t)i, turn, hash, epoch}}, seed);
        int64_t j = (int64_t)(((uint64_t)r.word[0] << 32 | r.word[1]) % (uint64_t)(i + 1));
        int64_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
