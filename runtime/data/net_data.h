/* net_data.h: what images a given network takes: those of its text, or of the option --data. */
#ifndef NDARTS_RUNTIME_DATA_NET_DATA_H
#define NDARTS_RUNTIME_DATA_NET_DATA_H

#include "runtime/data/data.h"
#include "runtime/driver/runtime.h"

/* SOURCE:PATH as SOURCE("PATH"); all else is as it is. */
const char *net_data_expression(Arena *arena, const char *data);
/* The shape of input and logits of the program's graph kind; source, normalisation and all else of data, a source as in
 * a text (SOURCE:PATH and SOURCE are short for it), or if data is NULL of the program's text, or if that names none of
 * otherwise (NULL: that is an error). net names the program in messages. */
bool net_data_options(Arena *arena, const RtProgram *program, GraphKind kind, const char *net, const char *data,
                      const char *otherwise, DataOptions *options, Error *error);

#endif
