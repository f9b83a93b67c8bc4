/* agree.h: what all ranks of a run must have alike, before anything is done with it. Of one process it always is, and nothing is computed. */
#ifndef NDARTS_RUNTIME_LOOPS_AGREE_H
#define NDARTS_RUNTIME_LOOPS_AGREE_H

#include "base/tensor_file.h"
#include "runtime/data/data.h"
#include "runtime/driver/runtime.h"
#include "runtime/ranks/ranks.h"

/* All call them in the same order. ERROR_INPUT names the first rank that has something else; what: "other weights". */
bool agree_on_images(const Ranks *ranks, const char *what, const DataMark *mark, Error *error);
bool agree_on_tensors(const Ranks *ranks, const char *what, const TensorFile *file, Error *error);
/* Parameters and statistics, wherever they are from. */
bool agree_on_state(const Ranks *ranks, const char *what, const RtProgram *program, Error *error);
/* The text with its imports and settings. */
bool agree_on_text(const Ranks *ranks, const RtProgramOptions *options, Error *error);

#endif
