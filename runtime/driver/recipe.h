/* recipe.h: recipes by name. A recipe is a text with a `train { ... }` that is applied to the genotype of another text.
 */
#ifndef NDARTS_RUNTIME_DRIVER_RECIPE_H
#define NDARTS_RUNTIME_DRIVER_RECIPE_H

#include "base/arena.h"
#include "base/diag.h"

/* The text of a recipe: name is a path, or the name of one in specs/recipes. NULL with ERROR_INPUT. */
const char *recipe_find(Arena *arena, const char *name, Error *error);
/* "cifar, fashion_quick, ..." */
const char *recipe_list(Arena *arena);

#endif
