/* ast.h: the syntax tree of a text. Private to frontend/.
 * One node type for everything; the table says what a kind's name and children mean. Trees are immutable after parsing.
 */
#ifndef NDARTS_FRONTEND_AST_H
#define NDARTS_FRONTEND_AST_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum AstKind {
    /* expressions */
    AST_int,    /* integer */
    AST_float,  /* number */
    AST_string, /* name: the text */
    AST_bool,   /* integer */
    AST_name,   /* name */
    AST_list,   /* kids: elements */
    AST_call,   /* kid 0: callee; the others: arguments (AST_arg when given by name) */
    AST_arg,    /* name = kid 0 */
    AST_binary, /* name: + - * / % == != < <= > >= and or; kids 0, 1 */
    AST_unary,  /* name: - not; kid 0 */
    AST_if,     /* if kid 0 then kid 1 else kid 2 */
    AST_field,  /* kid 0 . name */
    AST_index,  /* kid 0 [ kid 1 ] */
    AST_pipe,   /* kids: stages, at least 2 */
    AST_label,  /* kid 0: label (a name, field or index expression) : kid 1 */
    AST_group,  /* kid 0: label or NULL; kid 1: expression;   label { expression }   { expression } */
    AST_error,  /* what did not parse */
    /* statements */
    AST_block,   /* kids: statements */
    AST_assign,  /* kid 0: AST_list of names; kid 1: AST_list of values */
    AST_for,     /* for name in kid 0 .. kid 1 do kid 2 */
    AST_when,    /* if kid 0 then kid 1 [else kid 2]: kids 1, 2 blocks */
    AST_within,  /* kid 0: label; kid 1: block */
    AST_return,  /* kids: values */
    AST_require, /* require kid 0, the other kids: what the message is made of */
    /* definitions */
    AST_text,       /* kids: definitions, in order */
    AST_import,     /* name: the path */
    AST_let,        /* let name = kid 0 */
    AST_op,         /* name; kids: AST_params*, then AST_inputs or NULL, then the body (expression or block) */
    AST_fn,         /* name; kids: AST_params, body */
    AST_network,    /* name; kids: AST_params or NULL, AST_inputs or NULL, body */
    AST_genotype,   /* name; kids: AST_cell */
    AST_cell,       /* name; kid 0: block */
    AST_space,      /* name; kids: settings */
    AST_method,     /* name; kid 0: AST_params or NULL; kid 1: AST_section of clauses */
    AST_experiment, /* name: search or train; kids: settings */
    AST_params,     /* kids: AST_param */
    AST_param,      /* name; kid 0: default value or NULL; integer: 1 when it is "?=" */
    AST_inputs,     /* kids: AST_name */
    /* settings of spaces and experiments */
    AST_setting, /* name kid 0;   name = kid 0;   integer: 1 for "=" */
    AST_rule,    /* name kid 0 = kid 1;   name kid 0 block */
    AST_section, /* name { kids }; kids: settings */
    AST_attach,  /* name on kid 0 { the other kids };  AST_flag and AST_setting with "=" */
    AST_flag     /* name */
} AstKind;

typedef struct Ast Ast;
struct Ast {
    AstKind kind;
    Span span;
    Span name_span; /* of name, when it is only part of the whole */
    const char *name;
    int64_t integer;
    double number;
    int depth; /* levels below */
    int count, capacity;
    Ast **kids;
};

/* What is nested deeper than this is refused: everything after the parser walks trees by recursion. */
enum { AST_MAX_DEPTH = 1000 };

Ast *ast_create(Arena *arena, AstKind kind, Span span);
Ast *ast_add(Arena *arena, Ast *parent, Ast *kid); /* returns parent; NULL kids are kept */
const char *ast_kind_name(AstKind kind);           /* "operation", "network", ...: for messages */

/* The tree as text that parses to the same tree. */
void ast_print(const Ast *ast, Str *out);
void ast_print_definition(const Ast *definition, Str *out);
/* What is between the braces of one, as it stands there: indented, without the end of the line. */
void ast_print_setting(const Ast *setting, Str *out);
void ast_print_params(const Ast *params, Str *out);

/* What the scanner and the parser share (parser.y, lexer.l). */
typedef struct ParseState {
    Arena *arena;
    Diag *diag;
    const SourceFile *source;
    Ast *result;
    int start;                      /* token returned first: START_TEXT or START_EXPRESSION */
    size_t token, next;             /* bytes of the source before the latest token, and behind it */
    uint32_t line, col;             /* of the next byte */
    uint32_t skip_line;             /* tokens up to this line are not seen: it had a mistake */
    uint32_t end_line, end_col;     /* where the latest token ends */
    bool first_on_line;             /* the latest token begins its line */
    uint32_t error_line, error_col; /* of the latest mistake */
} ParseState;

/* Mistakes go to diag; what could be understood is returned all the same. */
Ast *ast_parse_text(Arena *arena, const SourceFile *source, Diag *diag);
/* One expression, as the value of --set; NULL when there was a mistake. */
Ast *ast_parse_expression(Arena *arena, const SourceFile *source, Diag *diag);
/* Whether a text is one name, and none of the language's words. */
bool ast_is_name(Arena *arena, const char *text);

#endif
