/* genotype_form.h: a genotype between the ways of writing it down: the language, Python and JSON, the strings of
 * NAS-Bench-201, the numbers of NAS-Bench-301. Private to frontend/ but for what frontend.h shows of it.
 *
 *     text -> genotype_find.c (where) -> genotype_python.c | genotype_nb201.c (what) -> GenotypeForm
 *     GenotypeForm -> genotype_text.c -> the tree of a text;  the tree of a text -> genotype_text.c -> GenotypeForm */
#ifndef NDARTS_FRONTEND_GENOTYPE_FORM_H
#define NDARTS_FRONTEND_GENOTYPE_FORM_H

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/sema.h"

typedef enum ForeignKind {
    FOREIGN_call,    /* Genotype(normal=[...], ...) */
    FOREIGN_dict,    /* {"normal": [...], ...}, {"...:darts:edge_normal_0": ...} */
    FOREIGN_compact, /* (((0, 6), ...), ((0, 1), ...)) */
    FOREIGN_string   /* |nor_conv_3x3~0|+|...| */
} ForeignKind;

/* A genotype that was seen in a text. */
typedef struct ForeignGenotype {
    ForeignKind kind;
    size_t at;
    uint32_t line;
    const char *name; /* of NAME = Genotype(...); or NULL */
    int64_t epoch;    /* of the last "epoch N" before it; -1: none */
} ForeignGenotype;

typedef struct ForeignList {
    ForeignGenotype *items;
    int count, capacity;
    StrMap aliases; /* NAME = OTHER: const char * by name */
} ForeignList;

/* All genotypes of a text, in order. */
ForeignList genotype_find_all(Arena *arena, const SourceFile *source);
/* Whether a text is to be read for the genotypes in it: it has some, and no definition of the language. */
bool genotype_is_foreign(const SourceFile *source);
/* The last genotype, or the one that is chosen; NULL with a message. */
const ForeignGenotype *genotype_choose(Arena *arena, const SourceFile *source, const ForeignList *list,
                                       const GenotypeChoice *choice, Diag *diag);
/* Reads one. NULL when diag has something to say. */
GenotypeForm *genotype_read(Arena *arena, const SourceFile *source, const ForeignGenotype *found, Diag *diag);
GenotypeForm *genotype_read_python(Arena *arena, const SourceFile *source, size_t at, Diag *diag);
GenotypeForm *genotype_read_nb201(Arena *arena, const SourceFile *source, size_t at, Diag *diag);

/* What the readers share: mistakes are reported. */
enum { FORM_MAX_NODES = 64, FORM_MAX_EDGES = 64 };
FormNode *genotype_add_node(Arena *arena, FormCell *cell, Span span);
bool genotype_add_edge(Arena *arena, const FormCell *cell, FormNode *node, FormEdge edge, Diag *diag);

/* A file of another program as a text of the language: the library's import, one genotype, a network of it. */
typedef struct ForeignText {
    const SourceFile *source; /* NULL: the text is in the language */
    Ast *text;
    GenotypeForm *form; /* NULL: there was a mistake */
} ForeignText;

/* The text with its import; the genotype that is chosen is read. */
Ast *genotype_text_begin(Arena *arena, const SourceFile *source, const GenotypeChoice *choice, ForeignText *foreign,
                         Diag *diag);
/* When the import is loaded: the genotype under a free name, and its network. */
void genotype_text_end(Arena *arena, ForeignText *foreign, const Program *program, const GenotypeChoice *choice,
                       Diag *diag);
/* Adds another genotype of the file by the name it is assigned to; false when there is none, or the text is not of this
 * kind. */
bool genotype_text_add(Arena *arena, ForeignText *foreign, const Program *program, const char *name, Diag *diag);

/* Which file of the library has the operations: "darts.nd". */
const char *genotype_import(const GenotypeForm *form);
/* Calls the operations as the library does: operations are its own names. SepConv3x3 is sep_conv_3x3. False when diag
 * has something to say about unknown ones. */
bool genotype_name_operations(Arena *arena, GenotypeForm *form, const char *const *operations, int count, Diag *diag);
/* Adds the genotype to a text, and a network of it. */
Ast *genotype_definition(Arena *arena, const GenotypeForm *form);
Ast *genotype_network_definition(Arena *arena, const GenotypeForm *form, const GenotypeChoice *choice);
/* Of a definition whose cells are sums of operations on states. NULL with a message for others. */
GenotypeForm *genotype_read_definition(Arena *arena, const Ast *genotype, Diag *diag);

#endif
