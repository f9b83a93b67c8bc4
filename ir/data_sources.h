/* data_sources.h: the rows of data_sources.def: what is known of a data set without its files. */
#ifndef NDARTS_IR_DATA_SOURCES_H
#define NDARTS_IR_DATA_SOURCES_H

#include <stdbool.h>

typedef enum DataFit { FIT_exact, FIT_padded, FIT_pictures } DataFit;

typedef struct DataSource {
    const char *name;
    bool any_shape; /* a text may say what images there are */
    DataFit fit;    /* how a picture of any size becomes one of them */
    int classes, side, channels;
    int crop; /* zero padding of the random crop; 0: none */
    bool flip;
    double mean[3], std[3];
} DataSource;

enum {
#define SOURCE(name, ...) SOURCE_##name,
#include "ir/data_sources.def"
#undef SOURCE
    SOURCE_COUNT
};
extern const DataSource data_sources[SOURCE_COUNT];
extern const char data_source_words[]; /* "mnist|fashion_mnist|...|": what the setting data.source allows */

const DataSource *data_source_find(const char *name); /* NULL when there is none, and for NULL */

#endif
