/* sema.h: what is checked before lowering: names, arguments, the form of spaces and genotypes. Private to frontend/.
 * All of a program is checked, used or not; experiments are checked by what lowers them (experiment.c). */
#ifndef NDARTS_FRONTEND_SEMA_H
#define NDARTS_FRONTEND_SEMA_H

#include "frontend/ast.h"
#include "frontend/frontend.h"

/* A text and all it imports. */
typedef struct Program {
    int text_count, text_capacity;
    Ast **texts;       /* [0]: the text itself */
    const Ast *recipe; /* one of the texts, or NULL: its `genotype` is the last one that texts[0] defines */
    StrMap globals;    /* definitions by name */
    StrMap unknown;    /* names that were looked for in vain */
    const char *library;
    FrontendFiles *files;    /* FrontendOptions.files */
    FrontendLookAt *look_at; /* FrontendOptions.look_at */
} Program;

/* Whether one of the texts defines something of that name. */
bool program_defines(const Program *program, const char *name);
/* Fills globals; every mistake goes to diag. */
void sema_check(Arena *arena, Program *program, Diag *diag);

bool sema_is_of_library(const char *library, const SourceFile *file);
/* "; the library has it: import ..." when a text of the library that was not imported defines the name, else "". */
const char *sema_library_hint(Arena *arena, const Program *program, const char *name);
/* The definition that a name stands for, or NULL. Texts of the library mean the primitives whatever is called like one
 * in a user's text. */
const Ast *sema_find_definition(const StrMap *globals, const char *library, const Ast *name);

/* ---- shared by the files of sema ---- */
typedef struct Sema {
    Arena *arena;
    Diag *diag;
    const Program *program;
    const StrMap *globals; /* of the program */
    StrMap *unknown;       /* NULL: nobody asks */
} Sema;

/* Names of a body that are not definitions. */
typedef struct Scope {
    StrMap names;
    bool cell;   /* of a genotype: a state is computed once */
    bool clause; /* of a method: schedules are known */
} Scope;

/* Names and calls of an expression, in a body (scope may be NULL: none). */
void sema_check_expression(Sema *s, Scope *scope, const Ast *ast);
/* An expression that stands for an operation: an unknown name is called an unknown operation. */
void sema_check_operation(Sema *s, Scope *scope, const Ast *ast);
void sema_check_block(Sema *s, Scope *scope, const Ast *block);
/* Whether a return stands somewhere in the block. */
bool sema_returns(const Ast *block);
void sema_check_space(Sema *s, const Ast *space);
/* keep.c: a word of the clause `keep` of a method. */
typedef struct KeepItem {
    const char *key;      /* the setting that it becomes; NULL: of an operation */
    const Ast *operation; /* of which a cell has at most `value`; or NULL */
    const Ast *value;
} KeepItem;
/* The words of the clause that begins at kids[*at]; *at: what comes after it. Other forms are reported. */
KeepItem *keep_read(Arena *arena, const Ast *section, int *at, int *count, Diag *diag);
/* sema_method.c */
void sema_check_method(Sema *s, const Ast *method);
void sema_check_genotype(Sema *s, const Ast *genotype);

#endif
