/* genotype_lines.h: the genotypes of a search, epoch by epoch: OUT/genotypes.jsonl. */
#ifndef NDARTS_RUNTIME_LOOPS_GENOTYPE_LINES_H
#define NDARTS_RUNTIME_LOOPS_GENOTYPE_LINES_H

#include "runtime/loops/genotype.h"

/* {"epoch": 0, "cells": {"normal": [["sep_conv_3x3", 2, 0], ...], ...}, "string": "|nor_conv_3x3~0|+..."}: of every edge the
 * operation, the state it leads to and the one it comes from; string only of cells of NAS-Bench-201's form. Appends a
 * line; ERROR_MACHINE when it cannot be written. */
bool genotype_append_line(const char *path, int64_t epoch, const Genotype *genotype, Error *error);
/* As NAS-Bench-201 writes it; NULL when the cells are of another form: one kind, one input, the last state returned,
 * an edge from every earlier state. */
const char *genotype_string(Arena *arena, const Genotype *genotype);

#endif
