/* parser.h: what the two halves of the IR parser share: parse.c (modules and graphs) and parse_value.c (types, values).
 */
#ifndef NDARTS_IR_PARSER_H
#define NDARTS_IR_PARSER_H

#include "ir/lex.h"

/* "-> type" of a graph, checked when all graphs are known. */
typedef struct StatedResult {
    IrGraph *graph;
    IrType type;
    Span span;
} StatedResult;

typedef struct IrParser {
    Arena *arena;
    Diag *diag;
    IrModule *module;
    IrLexer lexer;
    IrToken token; /* the next one */
    Span last;     /* of the one before it */
    IrGraph *graph;
    StrMap values; /* of the graph: text after '%' -> IrNode, or &ir_parse_poison after a mistake */
    StatedResult *results;
    int result_count, result_capacity;
} IrParser;

/* Stands for values whose definition is wrong; uses of it are not reported again. */
extern IrNode ir_parse_poison;

void ir_parser_advance(IrParser *p);
bool ir_parser_at_mark(const IrParser *p, char mark);
bool ir_parser_at_word(const IrParser *p, const char *word);
bool ir_parser_accept_mark(IrParser *p, char mark);
/* These report what is missing and return false. */
bool ir_parser_expected(IrParser *p, const char *what);
bool ir_parser_expect_mark(IrParser *p, char mark);
bool ir_parser_expect(IrParser *p, IrTokenKind kind, const char *what, IrToken *token);

bool ir_parse_type(IrParser *p, IrType *type);
/* An integer, float, true, false, string, symbol, list of integers or of symbols; the name is left empty. */
bool ir_parse_attr_value(IrParser *p, IrAttr *value);

/* name=value, ... up to the closing brace; the opening one has been read. take() is given each and may refuse it; bare
 * says which word may stand without a value (it is then true), NULL: none. */
typedef bool IrTakeAttr(IrParser *p, void *context, const IrToken *name, const IrAttr *value);
bool ir_parse_attr_list(IrParser *p, const char *bare, IrTakeAttr *take, void *context);

#endif
