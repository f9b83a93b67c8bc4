/* load.h: reading a text with all it imports. Private to frontend/. */
#ifndef NDARTS_FRONTEND_LOAD_H
#define NDARTS_FRONTEND_LOAD_H

#include "frontend/frontend.h"
#include "frontend/genotype_form.h"
#include "frontend/lower.h"
#include "frontend/sema.h"

typedef struct Loader {
    Arena *arena;
    Diag *diag;
    Error *error;
    const char *library;
    StrMap files; /* Ast * by real path */
    Program *program;
    size_t bytes; /* read so far */
    int depth;    /* of imports */
    const GenotypeChoice *choice;
    ForeignText foreign; /* the text itself, when it is a file of another program */
    bool placeless;      /* the text lies in no file: nothing is beside it */
    int hidden_count, hidden_capacity;
    struct Hidden *hidden;
    Error *unread; /* or NULL */
} Loader;

/* A file of the library that is not read, since there is one of its name beside the text that imports it. */
typedef struct Hidden {
    Span import;
    const char *found, *path; /* what is read instead; the library's */
} Hidden;

/* unread is the caller's to set. */
Loader load_create(Arena *arena, Program *program, Diag *diag, Error *error);
/* The text of path, or options->text in its place. False, and an error, when it cannot be read. */
bool load_main(Loader *loader, const char *path, const FrontendOptions *options);
bool load_recipe(Loader *loader, const char *path);
/* What was made here and lies in no file yet. */
void load_given(Loader *loader, const char *path, const char *text);
/* --set genotype=noisy_darts_b: what no text defines may be in a file of its name. */
void load_named_files(Loader *loader, const Sets *sets);
/* Names that are unknown since the library's file of an import's name is not the one that is read. */
void load_explain_unknown(Loader *loader);

#endif
