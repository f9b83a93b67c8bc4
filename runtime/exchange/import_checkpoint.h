/* import_checkpoint.h: weights out of a PyTorch checkpoint. */
#ifndef NDARTS_RUNTIME_EXCHANGE_IMPORT_CHECKPOINT_H
#define NDARTS_RUNTIME_EXCHANGE_IMPORT_CHECKPOINT_H

#include "base/diag.h"

typedef struct ImportOptions {
    const char *path, *output; /* the checkpoint; the safetensors file */
    const char *key;           /* where in it the weights are; or NULL: found */
    const char *strip;         /* what stands before all names; or NULL: found */
    const char *net;           /* the text that they must fit; or NULL */
    const char *const *sets;   /* of net */
    int set_count;
} ImportOptions;

/* What was taken and what was left out is said on stderr. */
bool import_checkpoint(const ImportOptions *options, Error *error);

#endif
