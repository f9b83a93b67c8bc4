/* frontend.h: from a text in the ndarts language to an IR module. */
#ifndef NDARTS_FRONTEND_FRONTEND_H
#define NDARTS_FRONTEND_FRONTEND_H

#include "base/diag.h"
#include "ir/ir.h"

/* Files as they were when they were first read: texts that are loaded again with the same ones are the same texts,
 * whatever became of the files meanwhile. */
typedef struct FrontendFiles FrontendFiles;
FrontendFiles *frontend_files_create(Arena *arena); /* which must outlive the arenas that texts are loaded into */
/* source_read_text, once for each path; files NULL: each time. imported: a text names the file, not the user. */
SourceFile *frontend_files_read(FrontendFiles *files, Arena *arena, const char *path, size_t most, bool imported,
                                Error *error);

/* Which of the genotypes that a file of another program holds, and the network around it. Zero or NULL: not said. */
typedef struct GenotypeChoice {
    const char *pick;    /* the name it is assigned to */
    int64_t line, epoch; /* where it begins; what the log said before it (-1: not said). Else: the last one */
    const char *name;    /* what it is called from now on */
    const char *network; /* default: cifar, or nas_bench_201_network */
    int64_t channels, layers, classes;
    double auxiliary; /* weight of the auxiliary head; below 0: not said */
} GenotypeChoice;

/* What the files of a data set hold: the number of classes and, where all of some pictures have one size, that; 0: not
 * known. */
typedef void FrontendLookAt(const char *source, const char *path, int64_t *classes, int64_t *height, int64_t *width);

typedef struct FrontendOptions {
    const char *const *sets; /* "NAME=VALUE" as given to --set, in order */
    int set_count;
    const char *entry;  /* "search", "train" or a network's name; NULL: the first of search, train and network main */
    const char *prefer; /* likewise, but nothing is amiss when the text has none of that name */
    const char *recipe; /* a text whose training is applied to what path defines: its `genotype` is the text's last one;
                           of a text without a genotype the network main, or its only network, is trained. Where search
                           is preferred, its search, of the text's last space. Or NULL */
    const char *library; /* folder searched for imports after the importing file's own: genotypes/ */
    const char *text;    /* what is compiled instead of the file path, which then only names it, and whose imports are
                            looked for in the library only; or NULL */
    const GenotypeChoice *choice; /* of a file that is no text in the language; NULL: the last, with the defaults */
    FrontendFiles *files;         /* where texts are read from; or NULL */
    Error *unread; /* gets the first file that is there but could not be read, also when that is told as a mistake
                      of the text that imports it: no verdict on the text then. Or NULL */
    FrontendLookAt *look_at; /* what a folder holds that `data=...` among the sets names; or NULL */
} FrontendOptions;

/* Parses path ("-": standard input) and what it imports, checks, lowers. NULL when diag or error has something to say.
 * A file without definitions of the language, but with genotypes as Python, JSON, NAS-Bench-201 or NAS-Bench-301 write
 * them down, is the text that says the same (genotype_form.h).
 * The module holds @forward, the functions it calls, and the settings (see docs/ir.md, "settings"). */
IrModule *frontend_load(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag, Error *error);
/* The settings data.* that a data line would make, from its value alone: `cifar10("PATH", crop = 4)`. NULL on mistakes.
 */
IrModule *frontend_parse_data(Arena *arena, const char *text, Diag *diag);
/* Whether a text that begins with options->text, definitions, may call something of its own `name`: it is a name, and
 * neither the language nor the definitions with all they import have it. */
bool frontend_name_is_free(Arena *arena, const FrontendOptions *options, const char *name, Error *error);

/* ---- genotypes ---- */

typedef struct FormEdge {
    const char *operation;
    int source; /* a state */
    Span operation_span, source_span;
} FormEdge;

typedef struct FormNode {
    Span span;
    int count, capacity;
    FormEdge *edges;
} FormNode;

typedef struct FormCell {
    const char *name; /* "normal" or "reduce" */
    Span span;
    int inputs;
    int node_count, node_capacity;
    FormNode *nodes; /* node i is the state inputs + i, the sum of its edges */
    bool concat;     /* the outputs are concatenated; else there is one */
    int output_count, output_capacity;
    int *outputs; /* states */
} FormCell;

typedef struct GenotypeForm {
    const char *name; /* NULL: none was given */
    Span span;
    bool nas_bench_201; /* one kind of cell, with one input */
    int cell_count;
    FormCell cells[2];
} GenotypeForm;

/* The genotype of a text in the language (its last one, or choice->pick) or of a file of another program; *text is all
 * of it in the language, checked. NULL when diag or error has something to say. */
const GenotypeForm *frontend_read_genotype(Arena *arena, const char *path, const FrontendOptions *options,
                                           const char **text, Diag *diag, Error *error);

/* A cell as NAS-Bench-201 writes it down: "|nor_conv_3x3~0|+|none~0|none~1|"; operations under the names it has for them. */
const char *frontend_nb201_string(Arena *arena, const FormCell *cell);

/* The text as the library's texts are written, with its comments (--format). NULL on mistakes of syntax. */
const char *frontend_format(Arena *arena, const SourceFile *source, Diag *diag);

/* The text's syntax tree, printed as text that parses again (--emit=ast). NULL on mistakes. */
const char *frontend_print_ast(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                               Error *error);

/* A table (Markdown) of the methods that a text and its imports define: parameters with their defaults, clauses, and the first
 * sentence of the comment above them. NULL on mistakes. */
const char *frontend_list_methods(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                                  Error *error);

#endif
