/* genotype_write.h: a genotype as papers, logs and other programs write it down. */
#ifndef NDARTS_RUNTIME_EXCHANGE_GENOTYPE_WRITE_H
#define NDARTS_RUNTIME_EXCHANGE_GENOTYPE_WRITE_H

#include "frontend/frontend.h"

typedef enum GenotypeFormat { GENOTYPE_python, GENOTYPE_nb201 } GenotypeFormat;

/* NULL when that way of writing lacks what the genotype has; path names it in the message. */
const char *genotype_write(Arena *arena, const char *path, const GenotypeForm *form, GenotypeFormat format,
                           Error *error);

#endif
