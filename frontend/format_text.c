/* format_text.c: a text as the library's texts are written, token by token, so that comments and lines stay:
 *     search{                       search {
 *      epochs 3# quick        =>        epochs 3 # quick
 *      weights sgd( lr=0.1 )            weights sgd(lr = 0.1)
 * - A line that begins a statement is indented by four blanks for each brace around it; one that goes on (in parentheses, or between
 *   an operator and its operand) moves with the line before it.
 * - One blank on each side of operators, behind commas and inside braces; none inside parentheses. More of them, which
 *   align columns, stay; of blank lines one stays.
 * Line ends are never made or removed. The tokens stay what they are: what comes out parses to the same tree. */
#include "frontend/ast.h"
#include "frontend/frontend.h"

#include <ctype.h>
#include <string.h>

enum { INDENT = 4 };

/* A word is a name, a keyword or a number. */
typedef enum TokenKind { TOKEN_none, TOKEN_word, TOKEN_string, TOKEN_comment, TOKEN_sign } TokenKind;
typedef struct Token {
    TokenKind kind;
    const char *text;
    int length;
    int blanks;   /* before it, on its line */
    int newlines; /* before it */
} Token;

typedef struct Formatter {
    Str *out;
    const char *at;
    Token last; /* that is no comment, but for one at the beginning */
    int braces; /* that are open */
    int inner;  /* parentheses and brackets that are open */
    int shift;  /* by how much the line that began the statement moved */
    bool unary; /* the last is a sign of one operand */
} Formatter;

static bool is_word_part(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* The length of the token that begins at text, which the parser has seen to be right. */
static int measure(const char *text, TokenKind *kind) {
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "?=", ".."};
    int length = 0;
    *kind = TOKEN_sign;
    if (text[0] == '#') {
        *kind = TOKEN_comment;
        length = (int)strcspn(text, "\n");
        while (length > 1 && isspace((unsigned char)text[length - 1]))
            length--;
        return length;
    }
    if (text[0] == '"') {
        *kind = TOKEN_string;
        for (length = 1; text[length] && text[length] != '"'; length++)
            length += text[length] == '\\';
        return length + 1;
    }
    if (is_word_part(text[0]) || text[0] == '^') {
        *kind = TOKEN_word;
        for (length = 1; is_word_part(text[length]); length++)
            ;
        bool exponent = isdigit((unsigned char)text[0]) && strchr("eE", text[length - 1]);
        if (exponent && strchr("+-", text[length]) && text[length])
            return length + measure(text + length + 1, kind) + 1;
        if (isdigit((unsigned char)text[0]) && text[length] == '.' && isdigit((unsigned char)text[length + 1]))
            return length + 1 + measure(text + length + 1, kind);
        return length;
    }
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (strncmp(text, pairs[i], 2) == 0)
            return 2;
    }
    return 1;
}

static Token next_token(Formatter *f) {
    Token t = {0};
    for (; *f->at && isspace((unsigned char)*f->at); f->at++) {
        t.newlines += *f->at == '\n';
        t.blanks = *f->at == '\n' ? 0 : t.blanks + 1;
    }
    if (!*f->at)
        return t;
    t.text = f->at;
    t.length = measure(f->at, &t.kind);
    f->at += t.length;
    return t;
}

/* Is it one of the words or signs of a list, each with a blank behind it? */
static bool is_one_of(const Token *t, const char *list) {
    if (t->kind != TOKEN_word && t->kind != TOKEN_sign)
        return false;
    for (const char *at = list; *at; at += strcspn(at, " ") + 1) {
        if ((int)strcspn(at, " ") == t->length && strncmp(at, t->text, (size_t)t->length) == 0)
            return true;
    }
    return false;
}

static const char infix[] = "| .. + - * / % = ?= == != < <= > >= ";
static const char words_between[] = "and or not then in on ";

static bool ends_operand(const Token *t) {
    return t->kind == TOKEN_string || is_one_of(t, ") ] } ") ||
           (t->kind == TOKEN_word && !is_one_of(t, "and or not then else in on if do return require "));
}

/* "a - b", but "-b", and "seed -1", which is written so. */
static bool is_unary(const Formatter *f, const Token *t) {
    return is_one_of(t, "- ") && (!ends_operand(&f->last) || (t->blanks && !isspace((unsigned char)*f->at)));
}

static bool is_number(const Token *t) {
    return t->kind == TOKEN_word && isdigit((unsigned char)t->text[0]);
}

/* The least number of blanks between the last token and t; -1: as they are written. */
static int blanks_between(const Formatter *f, const Token *t) {
    const Token *last = &f->last;
    if (t->kind == TOKEN_comment)
        return 1;
    if ((is_one_of(t, ". ") && is_number(last)) || (is_one_of(last, ". ") && is_number(t)))
        return -1; /* x.1 .2 would become another number */
    if (is_one_of(t, ") ] , . : ") || is_one_of(last, "( [ . ") || f->unary)
        return 0;
    if (is_one_of(t, "( [ "))
        return is_one_of(last, infix) || is_one_of(last, ", : ") || is_one_of(last, words_between) ? 1 : -1;
    return is_one_of(last, "{ ") && is_one_of(t, "} ") ? -1 : 1;
}

static void add_blanks(Str *out, int count) {
    for (int i = 0; i < count; i++)
        str_add(out, " ");
}

static bool goes_on(const Formatter *f, const Token *t) {
    return f->inner > 0 || is_one_of(t, "| + - * / % = == != < <= > >= ) ] and or then ") ||
           is_one_of(&f->last, infix) || is_one_of(&f->last, ", : and or not then else if in ") ||
           (is_one_of(t, "else ") && !is_one_of(&f->last, "} "));
}

/* Where a line begins. */
static void begin_line(Formatter *f, const Token *t) {
    for (int i = 0; i < t->newlines && i < 2 && f->last.kind; i++)
        str_add(f->out, "\n");
    if (f->last.kind && goes_on(f, t)) {
        add_blanks(f->out, t->blanks + f->shift > 0 ? t->blanks + f->shift : 0);
        return;
    }
    int indent = INDENT * (f->braces - is_one_of(t, "} "));
    if (t->kind != TOKEN_comment)
        f->shift = indent - t->blanks;
    add_blanks(f->out, indent);
}

static void add_token(Formatter *f, const Token *t) {
    int least = blanks_between(f, t);
    if (t->newlines || !f->last.kind)
        begin_line(f, t);
    else
        add_blanks(f->out, least < 0 || (least && t->blanks > least) ? t->blanks : least);
    str_add_bytes(f->out, t->text, (size_t)t->length);
    f->braces += is_one_of(t, "{ ") - is_one_of(t, "} ");
    f->inner += is_one_of(t, "( [ ") - is_one_of(t, ") ] ");
    f->unary = is_unary(f, t);
    if (t->kind != TOKEN_comment || !f->last.kind)
        f->last = *t;
}

static const char *print_tree(Arena *arena, const SourceFile *source, Diag *diag) {
    const Ast *text = ast_parse_text(arena, source, diag);
    Str out = str_create(arena);
    str_add(&out, "");
    if (diag_count_errors(diag) == 0)
        ast_print(text, &out);
    return out.data;
}

const char *frontend_format(Arena *arena, const SourceFile *source, Diag *diag) {
    const char *tree = print_tree(arena, source, diag);
    if (diag_count_errors(diag) > 0)
        return NULL;
    Str out = str_create(arena);
    str_add(&out, "");
    Formatter f = {.out = &out, .at = source->text};
    for (Token t = next_token(&f); t.kind; t = next_token(&f))
        add_token(&f, &t);
    str_add(&out, out.length ? "\n" : "");
    const SourceFile again = {source->path, out.data, out.length};
    if (!str_equal(tree, print_tree(arena, &again, diag)))
        bug("'%s' means something else when it is formatted", source->path);
    return out.data;
}
