/* literal.h: literals of Python and JSON, as papers, logs and genotypes.py hold them. Private to frontend/.
 * Nothing is evaluated but range(...) and what merely wraps a value, as list(...) and numpy's int64(...) do. */
#ifndef NDARTS_FRONTEND_LITERAL_H
#define NDARTS_FRONTEND_LITERAL_H

#include "base/diag.h"

typedef enum LiteralKind {
    LITERAL_integer,
    LITERAL_string, /* text */
    LITERAL_name,   /* text: None, true, PRIMITIVES, geno.DARTS */
    LITERAL_other,  /* a number with a fraction */
    LITERAL_list,   /* items: of a list or a tuple */
    LITERAL_dict,   /* items, each with its key */
    LITERAL_call    /* text: the last part of what is called; items, with a key when given by name */
} LiteralKind;

typedef struct Literal Literal;
struct Literal {
    LiteralKind kind;
    Span span;
    const char *text;
    int64_t integer;
    const char *key; /* of an item of a dict or a call; NULL: none */
    Span key_span;
    int count, capacity;
    Literal **items;
};

/* Reads the literal at byte `at` of the source; what comes after it is not looked at. NULL when diag has something to
 * say. */
Literal *literal_read(Arena *arena, const SourceFile *source, size_t at, Diag *diag);
/* "a list", "a string", ... */
const char *literal_kind_name(const Literal *literal);
/* Where a byte of the source is, a span of no width. */
Span literal_span_at(const SourceFile *source, size_t at);

#endif
