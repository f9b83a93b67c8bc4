/* lex.c: from the text of printed IR to tokens. '#' begins a comment; line ends only matter for recovery. */
#include "ir/lex.h"

#include "base/unicode.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void ir_lexer_start(IrLexer *lexer, Arena *arena, const SourceFile *source) {
    *lexer = (IrLexer){.arena = arena, .source = source, .at = source->text, .line = 1, .line_empty = true};
    lexer->line_start = lexer->at;
}

static const char *text_end(const IrLexer *lexer) {
    return lexer->source->text + lexer->source->size;
}

/* The character `ahead` places on; 0 at the end of the text. */
static char peek(const IrLexer *lexer, int ahead) {
    return text_end(lexer) - lexer->at > ahead ? lexer->at[ahead] : 0;
}

static void skip_blank(IrLexer *lexer) {
    for (; lexer->at < text_end(lexer); lexer->at++) {
        if (*lexer->at == '\n') {
            lexer->line++;
            lexer->line_start = lexer->at + 1;
            lexer->line_empty = true;
        } else if (*lexer->at == '#') {
            while (lexer->at + 1 < text_end(lexer) && lexer->at[1] != '\n')
                lexer->at++;
        } else if (!isspace((unsigned char)*lexer->at)) {
            return;
        }
    }
}

static IrToken token_start(IrLexer *lexer) {
    uint32_t col = (uint32_t)(lexer->at - lexer->line_start) + 1;
    IrToken token = {.span = {lexer->source, lexer->line, col, lexer->line, col}, .first = lexer->line_empty};
    lexer->line_empty = false;
    return token;
}

static void token_finish(IrLexer *lexer, IrToken *token, IrTokenKind kind) {
    token->kind = kind;
    token->span.end_col = (uint32_t)(lexer->at - lexer->line_start) + 1;
}

/* A complaint as text; the parser reports it. */
static void token_bad(IrLexer *lexer, IrToken *token, const char *text) {
    token_finish(lexer, token, TOKEN_bad);
    token->text = text;
}

/* ---- strings ---- */

/* The character an escape stands for, lexer->at behind it; -1 for an unknown one. */
static int read_escape(IrLexer *lexer) {
    char c = peek(lexer, 1);
    lexer->at += c ? 2 : 1;
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
        return c;
    case 'x': {
        int byte = str_hex_byte(lexer->at);
        if (byte <= 0)
            return -1;
        lexer->at += 2;
        return byte;
    }
    }
    return -1;
}

/* At the opening quote. */
static void read_string(IrLexer *lexer, IrToken *token, IrTokenKind kind) {
    Str text = str_create(lexer->arena);
    const char *mistake = NULL;
    lexer->at++;
    while (peek(lexer, 0) && peek(lexer, 0) != '"' && peek(lexer, 0) != '\n') {
        if (peek(lexer, 0) == '\\') {
            int c = read_escape(lexer);
            char byte = (char)c;
            if (c < 0)
                mistake = "unknown escape in a string";
            else
                str_add_bytes(&text, &byte, 1);
        } else {
            str_add_bytes(&text, lexer->at++, 1);
        }
    }
    if (peek(lexer, 0) == '"')
        lexer->at++;
    else
        mistake = "string without an end";
    token_finish(lexer, token, kind);
    token->text = arena_strdup(lexer->arena, text.data ? text.data : "");
    if (mistake)
        token_bad(lexer, token, mistake);
}

/* ---- words and numbers ---- */

static bool is_word_start(char c) {
    return isalpha((unsigned char)c) || c == '_';
}

/* "a-b" is a word, the '-' of "a->" is not part of it. */
static const char *read_word(IrLexer *lexer) {
    const char *start = lexer->at;
    while (isalnum((unsigned char)peek(lexer, 0)) || peek(lexer, 0) == '_' || peek(lexer, 0) == '.' ||
           (peek(lexer, 0) == '-' && peek(lexer, 1) != '>'))
        lexer->at++;
    return arena_strndup(lexer->arena, start, (size_t)(lexer->at - start));
}

static const char *read_identifier(IrLexer *lexer) {
    const char *start = lexer->at;
    while (isalnum((unsigned char)peek(lexer, 0)) || peek(lexer, 0) == '_')
        lexer->at++;
    return arena_strndup(lexer->arena, start, (size_t)(lexer->at - start));
}

static void read_number(IrLexer *lexer, IrToken *token) {
    const char *start = lexer->at;
    if (peek(lexer, 0) == '-')
        lexer->at++;
    while (isalnum((unsigned char)peek(lexer, 0)) || peek(lexer, 0) == '.' ||
           ((peek(lexer, 0) == '-' || peek(lexer, 0) == '+') && tolower((unsigned char)lexer->at[-1]) == 'e'))
        lexer->at++;
    const char *text = arena_strndup(lexer->arena, start, (size_t)(lexer->at - start));
    char *end;
    errno = 0;
    token->text = text;
    if (!strpbrk(text, ".eEinIN")) {
        token->i = strtoll(text, &end, 10);
        token_finish(lexer, token, TOKEN_int);
        if (errno)
            token_bad(lexer, token, "integer out of range");
    } else {
        token->f = strtod(text, &end);
        token_finish(lexer, token, TOKEN_float);
    }
    if (*end)
        token_bad(lexer, token, "malformed number");
}

static void read_value(IrLexer *lexer, IrToken *token) {
    lexer->at++;
    if (peek(lexer, 0) == '"') {
        read_string(lexer, token, TOKEN_name);
    } else if (isdigit((unsigned char)peek(lexer, 0))) {
        token->text = read_identifier(lexer);
        token->i = atoll(token->text);
        token_finish(lexer, token, TOKEN_number);
        if (strspn(token->text, "0123456789") != strlen(token->text))
            token_bad(lexer, token, "malformed number after '%'");
    } else if (is_word_start(peek(lexer, 0))) {
        token->text = read_identifier(lexer);
        token_finish(lexer, token, TOKEN_name);
    } else {
        token_bad(lexer, token, "'%' without a name");
    }
}

static void read_symbol(IrLexer *lexer, IrToken *token) {
    lexer->at++;
    if (peek(lexer, 0) == '"') {
        read_string(lexer, token, TOKEN_symbol);
    } else if (is_word_start(peek(lexer, 0))) {
        token->text = read_word(lexer);
        token_finish(lexer, token, TOKEN_symbol);
    } else {
        token_bad(lexer, token, "'@' without a name");
    }
}

/* inf and nan are floats, so that every float can be printed. */
static void read_word_token(IrLexer *lexer, IrToken *token) {
    token->text = read_word(lexer);
    token_finish(lexer, token, TOKEN_word);
    if (str_equal(token->text, "inf") || str_equal(token->text, "nan")) {
        token->kind = TOKEN_float;
        token->f = token->text[0] == 'i' ? HUGE_VAL : NAN;
    }
}

static const char *describe_stray(const IrLexer *lexer, const char *text) {
    Str message = str_create(lexer->arena);
    str_add(&message, "stray ");
    unicode_describe(&message, text, text + strlen(text));
    return message.data;
}

static void read_mark(IrLexer *lexer, IrToken *token) {
    char c = peek(lexer, 0), next = peek(lexer, 1);
    if (c == '-' && next == '>') {
        lexer->at += 2;
        token_finish(lexer, token, TOKEN_arrow);
        token->text = "->";
    } else if (c == '!' && next == '{') {
        lexer->at += 2;
        token_finish(lexer, token, TOKEN_notes);
        token->text = "!{";
    } else {
        uint32_t code;
        size_t length = unicode_decode(lexer->at, text_end(lexer), &code);
        token->text = arena_strndup(lexer->arena, lexer->at, length ? length : 1);
        lexer->at += length ? length : 1;
        token_finish(lexer, token, TOKEN_mark);
        if (!strchr("(){}[],=:", c))
            token_bad(lexer, token, describe_stray(lexer, token->text));
    }
}

IrToken ir_lexer_next(IrLexer *lexer) {
    skip_blank(lexer);
    IrToken token = token_start(lexer);
    char c = peek(lexer, 0), next = peek(lexer, 1);
    if (lexer->at >= text_end(lexer))
        token_finish(lexer, &token, TOKEN_end);
    else if (c == '"')
        read_string(lexer, &token, TOKEN_string);
    else if (c == '%')
        read_value(lexer, &token);
    else if (c == '@')
        read_symbol(lexer, &token);
    else if (isdigit((unsigned char)c) || (c == '-' && (isalnum((unsigned char)next) || next == '.')))
        read_number(lexer, &token);
    else if (is_word_start(c))
        read_word_token(lexer, &token);
    else
        read_mark(lexer, &token);
    return token;
}
