/* data_sources.c: the table of data sets. */
#include "ir/data_sources.h"

#include "base/str.h"

enum { SHAPE_fixed = false, SHAPE_any = true };

const DataSource data_sources[SOURCE_COUNT] = {
#define CHANNELS(r, g, b)                                                                                              \
    { r, g, b }
#define SOURCE(name, format, shape, fit, classes, side, channels, crop, flip, mean, std)                               \
    {#name, SHAPE_##shape, FIT_##fit, classes, side, channels, crop, flip, mean, std},
#include "ir/data_sources.def"
#undef SOURCE
#undef CHANNELS
};

const char data_source_words[] =
#define SOURCE(name, ...) #name "|"
#include "ir/data_sources.def"
#undef SOURCE
    ;

const DataSource *data_source_find(const char *name) {
    for (int i = 0; name && i < SOURCE_COUNT; i++)
        if (str_equal(data_sources[i].name, name))
            return &data_sources[i];
    return NULL;
}
