/* sema.h: what is checked before lowering: names, arguments, the form of spaces, genotypes and experiments. Private to
 * frontend/. */
#ifndef NDARTS_FRONTEND_SEMA_H
#define NDARTS_FRONTEND_SEMA_H

#include "frontend/ast.h"

/* A text and all it imports. */
typedef struct Program {
    int text_count, text_capacity;
    Ast **texts;    /* [0]: the text itself */
    StrMap globals; /* definitions by name */
    const char *library;
} Program;

/* Fills globals; every mistake goes to diag. */
void sema_check(Arena *arena, Program *program, Diag *diag);

#endif
