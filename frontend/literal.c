/* literal.c: a recursive reader of literals. Depth and number of items are bounded, so any bytes end soon. */
#include "frontend/literal.h"

#include "base/scan.h"
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_ITEMS = 4096, MAX_RANGE = 64 };

typedef struct Reader {
    Arena *arena;
    const SourceFile *source;
    Diag *diag;
    size_t at;
    uint32_t line, col;
    int depth, items;
} Reader;

const char *literal_kind_name(const Literal *literal) {
    static const char *const names[] = {
        [LITERAL_integer] = "an integer", [LITERAL_string] = "a string", [LITERAL_name] = "a name",
        [LITERAL_other] = "a number",     [LITERAL_list] = "a list",     [LITERAL_dict] = "a dict",
        [LITERAL_call] = "a call"};
    return names[literal->kind];
}

/* ---- characters ---- */

Span literal_span_at(const SourceFile *source, size_t at) {
    Span span = {source, 1, 1, 1, 1};
    for (size_t i = 0; i < at && i < source->size; i++) {
        span.col = source->text[i] == '\n' ? 1 : span.col + 1;
        span.line += source->text[i] == '\n';
    }
    span.end_line = span.line;
    span.end_col = span.col;
    return span;
}

static char peek(const Reader *r) {
    return r->at < r->source->size ? r->source->text[r->at] : '\0';
}

static void advance(Reader *r) {
    bool newline = peek(r) == '\n';
    r->at++;
    r->line += newline;
    r->col = newline ? 1 : r->col + 1;
}

/* Spaces, line ends, comments, a backslash before a line end. */
static void skip_space(Reader *r) {
    while (r->at < r->source->size) {
        char c = peek(r);
        if (c == '#') {
            while (r->at < r->source->size && peek(r) != '\n')
                advance(r);
        } else if (isspace((unsigned char)c) || c == '\\') {
            advance(r);
        } else {
            return;
        }
    }
}

static bool take(Reader *r, char c) {
    skip_space(r);
    if (peek(r) != c || r->at >= r->source->size)
        return false;
    advance(r);
    return true;
}

static Span here(const Reader *r) {
    return (Span){r->source, r->line, r->col, r->line, r->col};
}

static void end_span(const Reader *r, Literal *literal) {
    literal->span.end_line = r->line;
    literal->span.end_col = r->col;
}

static Literal *fail(Reader *r, const char *expected) {
    Span span = here(r);
    span.end_col++;
    unsigned char c = (unsigned char)peek(r);
    if (r->at >= r->source->size || c == '\n')
        diag_error(r->diag, span, "the %s ends within a literal; expected %s", c ? "line" : "text", expected);
    else if (c >= 0x20 && c < 0x7f)
        diag_error(r->diag, span, "unexpected '%c' in a literal; expected %s", c, expected);
    else
        diag_error(r->diag, span, "unexpected byte 0x%02x in a literal; expected %s", c, expected);
    return NULL;
}

static Literal *create(Reader *r, LiteralKind kind) {
    Literal *literal = ARENA_NEW(r->arena, Literal);
    literal->kind = kind;
    literal->span = here(r);
    return literal;
}

/* ---- what has no parts ---- */

static const char *take_word(Reader *r) {
    size_t from = r->at;
    while (scan_is_word(peek(r)) || peek(r) == '.')
        advance(r);
    return arena_strndup(r->arena, r->source->text + from, r->at - from);
}

static Literal *read_string(Reader *r) {
    Literal *literal = create(r, LITERAL_string);
    Str text = str_create(r->arena);
    char quote = peek(r);
    str_add(&text, "");
    for (advance(r); peek(r) != quote; advance(r)) {
        if (peek(r) == '\\')
            advance(r);
        if (r->at >= r->source->size || peek(r) == '\n')
            return fail(r, "the closing quote of a string");
        str_add_bytes(&text, &r->source->text[r->at], 1);
    }
    advance(r);
    literal->text = text.data;
    end_span(r, literal);
    return literal;
}

static Literal *read_number(Reader *r) {
    Literal *literal = create(r, LITERAL_integer);
    size_t from = r->at;
    advance(r); /* a digit or a sign */
    while (scan_is_word(peek(r)) || peek(r) == '.')
        advance(r);
    const char *text = arena_strndup(r->arena, r->source->text + from, r->at - from);
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || end == text)
        literal->kind = LITERAL_other;
    literal->integer = value;
    literal->text = text;
    end_span(r, literal);
    return literal;
}

/* ---- what has parts ---- */

static Literal *read_value(Reader *r);

static bool add_item(Reader *r, Literal *to, Literal *item) {
    if (++r->items > MAX_ITEMS) {
        diag_error(r->diag, item->span, "a literal of more than %d values", MAX_ITEMS);
        return false;
    }
    ARENA_PUSH(r->arena, to->items, to->count, to->capacity, item);
    return true;
}

/* One element up to the comma: value, key: value, or name=value. */
static Literal *read_item(Reader *r, LiteralKind kind) {
    Literal *item = read_value(r);
    char separator = kind == LITERAL_dict ? ':' : kind == LITERAL_call ? '=' : '\0';
    if (!item || !separator || !take(r, separator))
        return item && kind == LITERAL_dict ? fail(r, "':'") : item;
    if (item->kind != (kind == LITERAL_dict ? LITERAL_string : LITERAL_name)) {
        diag_error(r->diag, item->span, "%s cannot name a value here", literal_kind_name(item));
        return NULL;
    }
    Literal *value = read_value(r);
    if (value) {
        value->key = item->text;
        value->key_span = item->span;
    }
    return value;
}

static Literal *read_items(Reader *r, Literal *to, char close) {
    const char expected[] = {'\'', ',', '\'', ' ', 'o', 'r', ' ', '\'', close, '\'', '\0'};
    advance(r); /* the opening bracket */
    while (!take(r, close)) {
        Literal *item = read_item(r, to->kind);
        if (!item || !add_item(r, to, item))
            return NULL;
        if (!take(r, ',') && peek(r) != close)
            return fail(r, expected);
    }
    end_span(r, to);
    return to;
}

/* (1) is 1, (1,) a tuple. */
static Literal *read_parenthesis(Reader *r) {
    Literal *list = create(r, LITERAL_list);
    if (!read_items(r, list, ')'))
        return NULL;
    const char *end = r->source->text + r->at - 2;
    while (isspace((unsigned char)*end))
        end--;
    return list->count == 1 && *end != ',' ? list->items[0] : list;
}

/* range(stop), range(start, stop[, step]) as the list it stands for. */
static Literal *make_range(Reader *r, const Literal *call) {
    int64_t bounds[3] = {0, 0, 1};
    bool good = call->count >= 1 && call->count <= 3;
    for (int i = 0; good && i < call->count; i++) {
        good = call->items[i]->kind == LITERAL_integer;
        bounds[call->count == 1 ? 1 : i] = call->items[i]->integer;
    }
    Literal *list = ARENA_NEW(r->arena, Literal);
    *list = (Literal){.kind = LITERAL_list, .span = call->span};
    for (int64_t i = bounds[0]; good && bounds[2] > 0 && i < bounds[1]; i += bounds[2]) {
        Literal *item = ARENA_NEW(r->arena, Literal);
        *item = (Literal){.kind = LITERAL_integer, .span = call->span, .integer = i};
        ARENA_PUSH(r->arena, list->items, list->count, list->capacity, item);
        good = list->count <= MAX_RANGE && i < INT32_MAX && bounds[2] < INT32_MAX;
    }
    if (good && bounds[2] > 0)
        return list;
    diag_error(r->diag, call->span, "expected range(first, end) of at most %d integers", MAX_RANGE);
    return NULL;
}

static bool is_wrapper(const char *name) {
    static const char *const names[] = {"list", "tuple", "int", "str", "array", "int64", "int32", "tensor"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

static Literal *read_word(Reader *r) {
    Literal *literal = create(r, LITERAL_name);
    literal->text = take_word(r);
    end_span(r, literal);
    bool prefix = strlen(literal->text) == 1 && strchr("rub", literal->text[0]);
    if (prefix && (peek(r) == '\'' || peek(r) == '"'))
        return read_string(r);
    skip_space(r);
    if (peek(r) != '(')
        return literal;
    const char *dot = strrchr(literal->text, '.');
    literal->kind = LITERAL_call;
    literal->text = dot ? dot + 1 : literal->text;
    if (!read_items(r, literal, ')'))
        return NULL;
    if (str_equal(literal->text, "range"))
        return make_range(r, literal);
    return literal->count == 1 && is_wrapper(literal->text) ? literal->items[0] : literal;
}

static Literal *read_nested(Reader *r, char open) {
    Span span = here(r);
    if (r->depth == MAX_DEPTH) {
        diag_error(r->diag, span, "a literal nested deeper than %d", MAX_DEPTH);
        return NULL;
    }
    r->depth++;
    Literal *value = open == '('   ? read_parenthesis(r)
                     : open == '[' ? read_items(r, create(r, LITERAL_list), ']')
                     : open == '{' ? read_items(r, create(r, LITERAL_dict), '}')
                                   : read_word(r);
    r->depth--;
    return value;
}

static Literal *read_value(Reader *r) {
    skip_space(r);
    char c = peek(r);
    if (c == '\'' || c == '"')
        return read_string(r);
    if (isdigit((unsigned char)c) || c == '-' || c == '+')
        return read_number(r);
    if (c == '(' || c == '[' || c == '{' || isalpha((unsigned char)c) || c == '_')
        return read_nested(r, c);
    return fail(r, "a string, a number, a list or a tuple");
}

Literal *literal_read(Arena *arena, const SourceFile *source, size_t at, Diag *diag) {
    Span start = literal_span_at(source, at);
    Reader r = {.arena = arena, .source = source, .diag = diag, .at = at, .line = start.line, .col = start.col};
    return read_value(&r);
}
