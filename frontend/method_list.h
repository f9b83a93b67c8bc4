/* method_list.h: the methods of a text as rows of a table. Private to frontend/. */
#ifndef NDARTS_FRONTEND_METHOD_LIST_H
#define NDARTS_FRONTEND_METHOD_LIST_H

#include "frontend/ast.h"

/* | `beta_darts(weight = 50, epochs = 100)` | `penalty` | the first sentence of the comment above it | */
void method_list(Arena *arena, const Ast *text, Str *out);

#endif
