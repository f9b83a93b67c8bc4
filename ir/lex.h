/* lex.h: the words of the printed IR. */
#ifndef NDARTS_IR_LEX_H
#define NDARTS_IR_LEX_H

#include "ir/internal.h"

typedef enum IrTokenKind {
    TOKEN_end,
    TOKEN_word,   /* conv2d, search.epochs, f32; text */
    TOKEN_int,    /* i */
    TOKEN_float,  /* f */
    TOKEN_string, /* text, escapes resolved */
    TOKEN_number, /* %12: i; text is "12" */
    TOKEN_name,   /* %x or %"x": text */
    TOKEN_symbol, /* @f or @"f": text */
    TOKEN_arrow,  /* -> */
    TOKEN_notes,  /* !{ */
    TOKEN_mark,   /* ( ) { } [ ] , = : in text */
    TOKEN_bad     /* text says what is wrong */
} IrTokenKind;

typedef struct IrToken {
    IrTokenKind kind;
    const char *text;
    int64_t i;
    double f;
    Span span;
    bool first; /* of its line: where reading goes on after a mistake */
} IrToken;

typedef struct IrLexer {
    Arena *arena;
    const SourceFile *source;
    const char *at;
    uint32_t line;
    const char *line_start;
    bool line_empty; /* no token on this line yet */
} IrLexer;

void ir_lexer_start(IrLexer *lexer, Arena *arena, const SourceFile *source);
IrToken ir_lexer_next(IrLexer *lexer);

#endif
