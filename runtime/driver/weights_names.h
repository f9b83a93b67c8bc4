/* weights_names.h: what wrappers put before the names of weights: DataParallel's `module.`, torch.compile's
 * `_orig_mod.`, Lightning's `model.`, in any order and number. */
#ifndef NDARTS_RUNTIME_DRIVER_WEIGHTS_NAMES_H
#define NDARTS_RUNTIME_DRIVER_WEIGHTS_NAMES_H

#include "base/str.h"
#include "runtime/driver/runtime.h"

/* The prefix ("" or "module.model.") under which most of what is wanted is in the file, by name and, where the names
 * say no more, by shape; of equal ones the file's first. *exact: all of it is there. */
const char *weights_find_prefix(Arena *arena, const RtTensorInfo *wanted, int count, const TensorFile *file,
                                bool *exact);
/* Without a network: the longest prefix of usual wrappers that all names with a dot have. */
const char *weights_usual_prefix(Arena *arena, const TensorFile *file);
/* The tensors whose names begin with the prefix, without it. others: the names of the rest, or NULL. */
TensorFile weights_strip(Arena *arena, const TensorFile *file, const char *prefix, StrMap *others);
/* The file as the network calls it, when all that is wanted is under a prefix, which is said on diag_stream(); else as
 * it is. required NULL: all is wanted. */
TensorFile weights_adapt(Arena *arena, const RtTensorInfo *wanted, const bool *required, int count,
                         const TensorFile *file);

#endif
