/* parse_value.c: the parser's handling of tokens, types, and values of attributes and settings. */
#include "ir/parser.h"

#include <string.h>

void ir_parser_advance(IrParser *p) {
    p->last = p->token.span;
    p->token = ir_lexer_next(&p->lexer);
}

bool ir_parser_at_mark(const IrParser *p, char mark) {
    return p->token.kind == TOKEN_mark && p->token.text[0] == mark;
}

bool ir_parser_at_word(const IrParser *p, const char *word) {
    return p->token.kind == TOKEN_word && str_equal(p->token.text, word);
}

bool ir_parser_accept_mark(IrParser *p, char mark) {
    if (!ir_parser_at_mark(p, mark))
        return false;
    ir_parser_advance(p);
    return true;
}

static const char *describe_token(const IrParser *p) {
    switch (p->token.kind) {
    case TOKEN_end:
        return "the end of the text";
    case TOKEN_string:
        return "a string";
    case TOKEN_number:
    case TOKEN_name:
        return arena_printf(p->arena, "'%%%s'", p->token.text);
    case TOKEN_symbol:
        return arena_printf(p->arena, "'@%s'", p->token.text);
    default:
        return arena_printf(p->arena, "'%s'", p->token.text);
    }
}

bool ir_parser_expected(IrParser *p, const char *what) {
    if (p->token.kind == TOKEN_bad)
        diag_error(p->diag, p->token.span, "%s", p->token.text);
    else
        diag_error(p->diag, p->token.span, "expected %s, found %s", what, describe_token(p));
    return false;
}

bool ir_parser_expect_mark(IrParser *p, char mark) {
    if (ir_parser_accept_mark(p, mark))
        return true;
    return ir_parser_expected(p, arena_printf(p->arena, "'%c'", mark));
}

bool ir_parser_expect(IrParser *p, IrTokenKind kind, const char *what, IrToken *token) {
    if (p->token.kind != kind)
        return ir_parser_expected(p, what);
    *token = p->token;
    ir_parser_advance(p);
    return true;
}

/* ---- types ---- */

static bool parse_dtype(IrParser *p, IrDtype *dtype) {
    for (int i = DTYPE_f32; i <= DTYPE_u8; i++) {
        if (ir_parser_at_word(p, ir_dtype_name((IrDtype)i))) {
            *dtype = (IrDtype)i;
            ir_parser_advance(p);
            return true;
        }
    }
    return ir_parser_expected(p, "a type (f32, i32 or u8)");
}

static bool parse_dim(IrParser *p, int64_t *dim) {
    if (p->token.kind == TOKEN_int && p->token.i > 0 && p->token.i <= IR_MAX_EXTENT)
        *dim = p->token.i;
    else if (ir_parser_at_word(p, "N"))
        *dim = IR_DIM_N;
    else if (ir_parser_at_word(p, "K"))
        *dim = IR_DIM_K;
    else
        return ir_parser_expected(p, "an extent (a positive integer, N or K)");
    ir_parser_advance(p);
    return true;
}

bool ir_parse_type(IrParser *p, IrType *type) {
    *type = (IrType){0};
    if (!parse_dtype(p, &type->dtype) || !ir_parser_expect_mark(p, '['))
        return false;
    while (!ir_parser_at_mark(p, ']')) {
        if (type->rank && !ir_parser_expect_mark(p, ','))
            return false;
        if (type->rank == IR_MAX_RANK) {
            diag_error(p->diag, p->token.span, "a type has at most %d extents", IR_MAX_RANK);
            return false;
        }
        if (!parse_dim(p, &type->dim[type->rank]))
            return false;
        type->rank++;
    }
    Span end = p->token.span;
    if (!ir_parser_expect_mark(p, ']'))
        return false;
    if (!ir_type_fits(type))
        diag_error(p->diag, end, "the type is too large: a value has at most 2^48 bytes");
    return ir_type_fits(type);
}

/* ---- values ---- */

static bool parse_int_item(IrParser *p, IrAttr *list, int *capacity) {
    IrToken token = {0};
    if (!ir_parser_expect(p, TOKEN_int, "an integer", &token))
        return false;
    ARENA_PUSH(p->arena, list->ints, list->count, *capacity, token.i);
    return true;
}

static bool parse_symbol_item(IrParser *p, IrAttr *list, int *capacity) {
    IrToken token = {0};
    if (!ir_parser_expect(p, TOKEN_symbol, "a symbol like @name", &token))
        return false;
    ARENA_PUSH(p->arena, list->symbols, list->count, *capacity, token.text);
    return true;
}

/* The first item decides of what the list is; an empty one is of integers. */
static bool parse_list(IrParser *p, IrAttr *list) {
    int capacity = 0;
    ir_parser_advance(p);
    list->kind = p->token.kind == TOKEN_symbol ? ATTR_symbols : ATTR_ints;
    while (!ir_parser_at_mark(p, ']')) {
        if (list->count && !ir_parser_expect_mark(p, ','))
            return false;
        if (!(list->kind == ATTR_symbols ? parse_symbol_item : parse_int_item)(p, list, &capacity))
            return false;
    }
    return ir_parser_expect_mark(p, ']');
}

static void set_single_symbol(IrParser *p, IrAttr *value) {
    value->kind = ATTR_symbols;
    value->count = 1;
    value->symbols = ARENA_NEW(p->arena, const char *);
    value->symbols[0] = p->token.text;
}

bool ir_parse_attr_value(IrParser *p, IrAttr *value) {
    *value = (IrAttr){0};
    if (ir_parser_at_mark(p, '['))
        return parse_list(p, value);
    if (p->token.kind == TOKEN_int)
        *value = ir_attr_int(NULL, p->token.i);
    else if (p->token.kind == TOKEN_float)
        *value = ir_attr_float(NULL, p->token.f);
    else if (p->token.kind == TOKEN_string)
        *value = ir_attr_string(NULL, p->token.text);
    else if (p->token.kind == TOKEN_symbol)
        set_single_symbol(p, value);
    else if (ir_parser_at_word(p, "true") || ir_parser_at_word(p, "false"))
        *value = ir_attr_bool(NULL, p->token.text[0] == 't');
    else
        return ir_parser_expected(p, "a value");
    ir_parser_advance(p);
    return true;
}

static bool parse_attr(IrParser *p, const char *bare, IrTakeAttr *take, void *context) {
    IrToken name;
    IrAttr value;
    if (!ir_parser_expect(p, TOKEN_word, "the name of an attribute", &name))
        return false;
    if (bare && str_equal(name.text, bare) && !ir_parser_at_mark(p, '='))
        value = ir_attr_bool(NULL, true);
    else if (!ir_parser_expect_mark(p, '=') || !ir_parse_attr_value(p, &value))
        return false;
    value.name = name.text;
    return take(p, context, &name, &value);
}

bool ir_parse_attr_list(IrParser *p, const char *bare, IrTakeAttr *take, void *context) {
    for (bool first = true; !ir_parser_at_mark(p, '}'); first = false)
        if ((!first && !ir_parser_expect_mark(p, ',')) || !parse_attr(p, bare, take, context))
            return false;
    return ir_parser_expect_mark(p, '}');
}
