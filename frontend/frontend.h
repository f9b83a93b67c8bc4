/* frontend.h: from a text in the ndarts language to an IR module. */
#ifndef NDARTS_FRONTEND_FRONTEND_H
#define NDARTS_FRONTEND_FRONTEND_H

#include "base/diag.h"
#include "ir/ir.h"

typedef struct FrontendOptions {
    const char *const *sets; /* "NAME=VALUE" as given to --set, in order */
    int set_count;
    const char *entry;  /* "search", "train" or a network's name; NULL: the first of search, train and network main */
    const char *prefer; /* likewise, but nothing is amiss when the text has none of that name */
    const char *recipe; /* a text whose training is applied to what path defines: its `genotype` is the text's last one;
                           of a text without a genotype the network main, or its only network, is trained. Or NULL */
    const char *library; /* folder searched for imports after the importing file's own: genotypes/ */
    const char *text;    /* what is compiled instead of the file path, which then only names it; or NULL */
} FrontendOptions;

/* Parses path ("-": standard input) and what it imports, checks, lowers. NULL when diag or error has something to say.
 * The module holds @forward, the functions it calls, and the settings (see docs/ir.md, "settings"). */
IrModule *frontend_load(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag, Error *error);
/* The settings data.* that a data line would make, from its value alone: `cifar10("PATH", crop = 4)`. NULL on mistakes.
 */
IrModule *frontend_parse_data(Arena *arena, const char *text, Diag *diag);
/* Whether a text that imports the file `import` may call something of its own `name`: it is a name, and neither the
 * language nor what is imported defines it. False when the file cannot be read. */
bool frontend_name_is_free(Arena *arena, const char *import, const char *library, const char *name);
/* The text's syntax tree, printed as text that parses again (--emit=ast). NULL on mistakes. */
const char *frontend_print_ast(Arena *arena, const char *path, const FrontendOptions *options, Diag *diag,
                               Error *error);

#endif
