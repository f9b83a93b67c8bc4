/* parser.y: the grammar of the ndarts language (docs/language.md). Builds the tree of ast.h.
 *
 * Line ends mean nothing: two expressions never stand side by side except in settings ("epochs 50 batch 128"), where a name
 * begins the next one. After a mistake the rest of its line is skipped, so that what follows is checked too. */
%define api.pure full
%define api.location.type {Span}
%define api.header.include {"parser.h"}
%define api.prefix {parser_}
%define api.token.prefix {T_}
%define parse.error custom
%locations
%expect 0
%param {void *scanner} {ParseState *state}

%code requires {
#include "frontend/ast.h"
#define YYLLOC_DEFAULT(current, rhs, n) \
    (current) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : empty_span(YYRHSLOC(rhs, 0))
}

%union {
    int64_t integer;
    double number;
    const char *name;
    Ast *ast;
}

%code {
#include <string.h>

/* The stack's memory is the arena's, as the scanner's. */
#define YYMALLOC(size) arena_alloc(state->arena, (size))
#define YYFREE(memory) ((void)(memory))

/* The scanner (lexer.l); its own header cannot stand beside a parser's. */
int lexer_token(YYSTYPE *value, YYLTYPE *span, void *scanner, ParseState *state);
int lexer_lex_init_extra(ParseState *state, void **scanner);
struct yy_buffer_state *lexer__scan_bytes(const char *bytes, int count, void *scanner);

/* Nothing was matched: the place right after what came before. */
static Span empty_span(Span before)
{
    before.line = before.end_line;
    before.col = before.end_col;
    return before;
}

/* The next token that is not on a line given up; braces are seen all the same, so that blocks stay closed. */
static int parser_lex(YYSTYPE *value, YYLTYPE *span, void *scanner, ParseState *state)
{
    int token;
    do {
        token = lexer_token(value, span, scanner, state);
        state->first_on_line = span->line > state->end_line;
    } while (token != T_END && token != '}' && span->line <= state->skip_line);
    if (token == T_END) /* right after the last token, rather than on an empty line */
        *span = (Span){state->source, state->end_line, state->end_col, state->end_line, state->end_col};
    state->end_line = span->end_line;
    state->end_col = span->end_col;
    return token;
}

static void parser_error(YYLTYPE *span, void *scanner, ParseState *state, const char *message)
{
    (void)scanner;
    bool deep = strcmp(message, "memory exhausted") == 0; /* bison's only message of its own */
    diag_error(state->diag, *span, "%s", deep ? "this is nested too deeply" : message);
}

static Ast *node(ParseState *state, AstKind kind, Span span, int count, Ast **kids)
{
    Ast *ast = ast_create(state->arena, kind, span);
    for (int i = 0; i < count; i++)
        ast_add(state->arena, ast, kids[i]);
    return ast;
}
#define KIDS(...) (int)(sizeof((Ast *[]){__VA_ARGS__}) / sizeof(Ast *)), (Ast *[]){__VA_ARGS__}
#define NODE(kind, span, ...) node(state, AST_##kind, span, KIDS(__VA_ARGS__))
#define LEAF(kind, span) ast_create(state->arena, AST_##kind, span)

static Ast *named(Ast *ast, const char *name, Span name_span)
{
    ast->name = name;
    ast->name_span = name_span;
    return ast;
}
#define NAMED(kind, span, name, name_span, ...) named(NODE(kind, span, __VA_ARGS__), name, name_span)

static Ast *operation(ParseState *state, Span span, const char *name, Span name_span, Ast *lists, Ast *inputs, Ast *body)
{
    Ast *ast = named(ast_create(state->arena, AST_op, span), name, name_span);
    for (int i = 0; i < lists->count; i++)
        ast_add(state->arena, ast, lists->kids[i]);
    return ast_add(state->arena, ast_add(state->arena, ast, inputs), body);
}

static Ast *binary(ParseState *state, Span span, const char *name, Span name_span, Ast *left, Ast *right)
{
    return NAMED(binary, span, name, name_span, left, right);
}

/* After a mistake at the token `at`: whether to give it up, and with it the rest of its line. One that begins a line most likely
 * begins something new (the line before lacks a parenthesis), but not twice; a brace may close the block. */
static bool give_up(ParseState *state, int token, Span at, bool in_block)
{
    bool again = state->error_line == at.line && state->error_col == at.col;
    state->error_line = at.line;
    state->error_col = at.col;
    if (!again && (token == '}' ? in_block : state->first_on_line))
        return false;
    state->skip_line = at.line;
    return true;
}
#define RECOVER(in_block)                                    \
    do {                                                     \
        if (yychar == T_END || diag_is_full(state->diag))    \
            YYABORT;                                         \
        if (give_up(state, yychar, yylloc, in_block))        \
            yyclearin;                                       \
        yyerrok;                                             \
    } while (0)

/* A label is written like an expression: a name, with .name and [number] behind it. */
static Ast *label(ParseState *state, Ast *ast)
{
    const Ast *part = ast;
    while (part->kind == AST_field || part->kind == AST_index)
        part = part->kids[0];
    if (part->kind == AST_name)
        return ast;
    diag_error(state->diag, ast->span, "only a name such as conv_1 or cells[i] can name a stage");
    return LEAF(error, ast->span);
}
}

%token START_TEXT START_EXPRESSION
%token <name> NAME "a name"
%token <name> STRING "a string"
%token <integer> INTEGER "an integer"
%token <number> FLOAT "a number"
%token <name> IMPORT "'import'" OP_ "'op'" FN "'fn'" LET "'let'" NETWORK "'network'" GENOTYPE "'genotype'" SPACE "'space'"
%token <name> METHOD "'method'"
%token <name> SEARCH "'search'" TRAIN "'train'"
%token ON "'on'" IF "'if'" THEN "'then'" ELSE "'else'" FOR "'for'" IN "'in'" DO "'do'" RETURN "'return'"
%token REQUIRE "'require'"
%token AND "'and'" OR "'or'" NOT "'not'" TRUE_ "'true'" FALSE_ "'false'"
%token EQ "'=='" NE "'!='" LE "'<='" GE "'>='" OPTIONAL "'?='" RANGE "'..'"
%token END 0 "the end of the text"

%type <name> name
%type <ast> text definitions definition lists params param_list param inputs opt_inputs input_names names body opt_params
%type <ast> cells cell settings setting items item block statements statement values place
%type <ast> expression pipe stages stage or and comparison sum product unary postfix primary arguments argument_list argument elements

%%

start
    : START_TEXT text                { state->result = $2; }
    | START_EXPRESSION expression    { state->result = $2; }
    ;

text
    : definitions                    { $$ = $1; $$->span = @$; }
    ;

definitions
    : %empty                         { $$ = LEAF(text, @$); }
    | definitions definition         { $$ = ast_add(state->arena, $1, $2); }
    | definitions error              { $$ = $1; RECOVER(false); }
    ;

definition
    : IMPORT STRING                  { $$ = named(LEAF(import, @$), $2, @2); }
    | LET name '=' expression        { $$ = NAMED(let, @$, $2, @2, $4); }
    | OP_ name lists '=' expression  { $$ = operation(state, @$, $2, @2, $3, NULL, $5); }
    | OP_ name lists inputs block    { $$ = operation(state, @$, $2, @2, $3, $4, $5); }
    | FN name params '=' expression  { $$ = NAMED(fn, @$, $2, @2, $3, $5); }
    | NETWORK name opt_params opt_inputs body  { $$ = NAMED(network, @$, $2, @2, $3, $4, $5); }
    | GENOTYPE name '{' cells '}'    { $$ = named($4, $2, @2); $$->span = @$; }
    | SPACE name '{' settings '}'    { $$ = named($4, $2, @2); $$->kind = AST_space; $$->span = @$; }
    | METHOD name opt_params '{' settings '}'  { $$ = NAMED(method, @$, $2, @2, $3, $5); }
    | SEARCH '{' settings '}'        { $$ = named($3, "search", @1); $$->kind = AST_experiment; $$->span = @$; }
    | TRAIN '{' settings '}'         { $$ = named($3, "train", @1); $$->kind = AST_experiment; $$->span = @$; }
    ;

/* Words that begin a definition are names everywhere else. */
name
    : NAME | IMPORT | OP_ | FN | LET | NETWORK | GENOTYPE | SPACE | METHOD | SEARCH | TRAIN
    ;

lists
    : %empty                         { $$ = LEAF(list, @$); }
    | lists params                   { $$ = ast_add(state->arena, $1, $2); }
    ;
params
    : '(' ')'                        { $$ = LEAF(params, @$); }
    | '(' param_list ')'             { $$ = $2; $$->span = @$; }
    ;
opt_params
    : %empty                         { $$ = NULL; }
    | params
    ;
param_list
    : param                          { $$ = NODE(params, @$, $1); }
    | param_list ',' param           { $$ = ast_add(state->arena, $1, $3); }
    ;
param
    : name                           { $$ = NAMED(param, @$, $1, @1, NULL); }
    | name '=' expression            { $$ = NAMED(param, @$, $1, @1, $3); }
    | name OPTIONAL expression       { $$ = NAMED(param, @$, $1, @1, $3); $$->integer = 1; }
    ;

inputs
    : ON name                        { Ast *input = named(LEAF(name, @2), $2, @2); $$ = NODE(inputs, @$, input); }
    | ON '(' input_names ')'         { $$ = $3; $$->span = @$; }
    ;
opt_inputs
    : %empty                         { $$ = NULL; }
    | inputs
    ;
input_names
    : names                          { $$ = $1; $$->kind = AST_inputs; }
    ;
names
    : name                           { Ast *first = named(LEAF(name, @1), $1, @1); $$ = NODE(list, @$, first); }
    | names ',' name                 { $$ = ast_add(state->arena, $1, named(LEAF(name, @3), $3, @3)); $$->span = @$; }
    ;
body
    : '=' expression                 { $$ = $2; }
    | block
    ;

cells
    : %empty                         { $$ = LEAF(genotype, @$); }
    | cells cell                     { $$ = ast_add(state->arena, $1, $2); }
    ;
cell
    : name block                     { $$ = NAMED(cell, @$, $1, @1, $2); }
    ;

settings
    : %empty                         { $$ = LEAF(section, @$); }
    | settings setting               { $$ = $2 ? ast_add(state->arena, $1, $2) : $1; }
    | settings ','
    ;
setting
    : name sum                       { $$ = NAMED(setting, @$, $1, @1, $2); }
    | name NAME INTEGER              { Ast *every = named(LEAF(name, @2), $2, @2), *number = LEAF(int, @3); /* every 2: every(2) */
                                       number->integer = $3;
                                       Span span = span_join(@2, @3);
                                       $$ = NAMED(setting, @$, $1, @1, NODE(call, span, every, number)); }
    | name '=' expression            { $$ = NAMED(setting, @$, $1, @1, $3); $$->integer = 1; }
    | name sum '=' expression        { $$ = NAMED(rule, @$, $1, @1, $2, $4); }
    | name sum block                 { $$ = NAMED(rule, @$, $1, @1, $2, $3); }
    | name '{' settings '}'          { $$ = named($3, $1, @1); $$->span = @$; }
    | name ON sum '{' items '}'      { $$ = NAMED(attach, @$, $1, @1, $3);
                                       for (int i = 0; i < $5->count; i++)
                                           ast_add(state->arena, $$, $5->kids[i]); }
    | error                          { $$ = NULL; RECOVER(true); }
    ;
items
    : %empty                         { $$ = LEAF(list, @$); }
    | items item                     { $$ = ast_add(state->arena, $1, $2); }
    | items ','
    ;
item
    : name                           { $$ = named(LEAF(flag, @$), $1, @1); }
    | name '=' sum                   { $$ = NAMED(setting, @$, $1, @1, $3); $$->integer = 1; }
    ;

block
    : '{' statements '}'             { $$ = $2; $$->span = @$; }
    ;
statements
    : %empty                         { $$ = LEAF(block, @$); }
    | statements statement           { $$ = $2 ? ast_add(state->arena, $1, $2) : $1; }
    ;
statement
    : names '=' values               { $$ = NODE(assign, @$, $1, $3); }
    | FOR name IN sum RANGE sum DO block         { $$ = NAMED(for, @$, $2, @2, $4, $6, $8); }
    | IF expression THEN block                   { $$ = NODE(when, @$, $2, $4); }
    | IF expression THEN block ELSE block        { $$ = NODE(when, @$, $2, $4, $6); }
    | place block                    { $$ = NODE(within, @$, $1, $2); }
    | RETURN values                  { $$ = $2; $$->kind = AST_return; $$->span = @$; }
    | REQUIRE expression ',' values  { $$ = NODE(require, @$, $2);
                                       for (int i = 0; i < $4->count; i++)
                                           ast_add(state->arena, $$, $4->kids[i]); }
    | error                          { $$ = NULL; RECOVER(true); }
    ;
place
    : name                           { $$ = named(LEAF(name, @$), $1, @1); }
    | place '.' name                 { $$ = NAMED(field, @$, $3, @3, $1); }
    | place '[' expression ']'       { $$ = NODE(index, @$, $1, $3); }
    ;
values
    : expression                     { $$ = NODE(list, @$, $1); }
    | values ',' expression          { $$ = ast_add(state->arena, $1, $3); $$->span = @$; }
    ;

expression
    : pipe
    ;
pipe
    : stage
    | stages
    ;
/* A pipe in parentheses is one stage of the pipe around it. */
stages
    : stage '|' stage                { $$ = NODE(pipe, @$, $1, $3); }
    | stages '|' stage               { $$ = ast_add(state->arena, $1, $3); $$->span = @$; }
    ;
stage
    : or
    | IF expression THEN stage ELSE stage  { $$ = NODE(if, @$, $2, $4, $6); }
    | postfix ':' stage              { $$ = NODE(label, @$, label(state, $1), $3); }
    | postfix '{' expression '}'     { $$ = NODE(group, @$, label(state, $1), $3); }
    | '{' expression '}'             { $$ = NODE(group, @$, NULL, $2); }
    ;
or
    : and
    | or OR and                      { $$ = binary(state, @$, "or", @2, $1, $3); }
    ;
and
    : comparison
    | and AND comparison             { $$ = binary(state, @$, "and", @2, $1, $3); }
    ;
comparison
    : sum
    | sum EQ sum                     { $$ = binary(state, @$, "==", @2, $1, $3); }
    | sum NE sum                     { $$ = binary(state, @$, "!=", @2, $1, $3); }
    | sum '<' sum                    { $$ = binary(state, @$, "<", @2, $1, $3); }
    | sum LE sum                     { $$ = binary(state, @$, "<=", @2, $1, $3); }
    | sum '>' sum                    { $$ = binary(state, @$, ">", @2, $1, $3); }
    | sum GE sum                     { $$ = binary(state, @$, ">=", @2, $1, $3); }
    ;
sum
    : product
    | sum '+' product                { $$ = binary(state, @$, "+", @2, $1, $3); }
    | sum '-' product                { $$ = binary(state, @$, "-", @2, $1, $3); }
    ;
product
    : unary
    | product '*' unary              { $$ = binary(state, @$, "*", @2, $1, $3); }
    | product '/' unary              { $$ = binary(state, @$, "/", @2, $1, $3); }
    | product '%' unary              { $$ = binary(state, @$, "%", @2, $1, $3); }
    ;
unary
    : postfix
    | '-' unary                      { $$ = NAMED(unary, @$, "-", @1, $2); }
    | NOT unary                      { $$ = NAMED(unary, @$, "not", @1, $2); }
    ;
postfix
    : primary
    | postfix '(' arguments ')'      { $$ = NODE(call, @$, $1);
                                       for (int i = 0; i < $3->count; i++)
                                           ast_add(state->arena, $$, $3->kids[i]); }
    | postfix '.' name               { $$ = NAMED(field, @$, $3, @3, $1); }
    | postfix '.' INTEGER            { $$ = NAMED(field, @$, arena_printf(state->arena, "%lld", (long long)$3), @3, $1); }
    | postfix '[' expression ']'     { $$ = NODE(index, @$, $1, $3); }
    ;
primary
    : name                           { $$ = named(LEAF(name, @$), $1, @1); }
    | INTEGER                        { $$ = LEAF(int, @$); $$->integer = $1; }
    | FLOAT                          { $$ = LEAF(float, @$); $$->number = $1; }
    | STRING                         { $$ = named(LEAF(string, @$), $1, @1); }
    | TRUE_                          { $$ = LEAF(bool, @$); $$->integer = 1; }
    | FALSE_                         { $$ = LEAF(bool, @$); }
    | '(' expression ')'             { $$ = $2; }
    | '(' expression ',' elements ')'  { Ast *rest = $4;
                                       $$ = NODE(list, @$, $2);
                                       for (int i = 0; i < rest->count; i++)
                                           ast_add(state->arena, $$, rest->kids[i]); }
    | '[' ']'                        { $$ = LEAF(list, @$); }
    | '[' elements ']'               { $$ = $2; $$->span = @$; }
    ;
elements
    : expression                     { $$ = NODE(list, @$, $1); }
    | elements ',' expression        { $$ = ast_add(state->arena, $1, $3); }
    ;
arguments
    : %empty                         { $$ = LEAF(list, @$); }
    | argument_list
    ;
argument_list
    : argument                       { $$ = NODE(list, @$, $1); }
    | argument_list ',' argument     { $$ = ast_add(state->arena, $1, $3); }
    ;
argument
    : expression
    | name '=' expression            { $$ = NAMED(arg, @$, $1, @1, $3); }
    ;

%%

/* "unexpected 'foo'; expected a, b or c" */
static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, ParseState *state)
{
    (void)scanner;
    enum { MOST = 5 };
    yysymbol_kind_t expected[MOST];
    int count = yypcontext_expected_tokens(context, expected, MOST);
    const Span *at = yypcontext_location(context);
    if (state->error_line == at->line && state->error_col == at->col)
        return 0; /* the same token, tried again as the beginning of something new */
    Str message = str_create(state->arena);
    const char *token = arena_strndup(state->arena, state->source->text + state->token, state->next - state->token);
    if (yypcontext_token(context) == YYSYMBOL_YYEOF)
        str_add(&message, "the text ends too early");
    else
        str_addf(&message, "unexpected '%s'", at->line == at->end_line ? token : "\"");
    for (int i = 0; i < count; i++)
        str_addf(&message, "%s%s", i == 0 ? "; expected " : i + 1 == count ? " or " : ", ", yysymbol_name(expected[i]));
    diag_error(state->diag, *at, "%s", message.data);
    return 0;
}

/* A zero byte would end every string it is in: whatever has one is no text, and is not looked at any further. */
static bool check_zero_bytes(const SourceFile *source, Diag *diag)
{
    const char *zero = memchr(source->text, '\0', source->size);
    if (!zero)
        return true;
    Span at = {source, 1, 1, 1, 1};
    for (const char *c = source->text; c < zero; c++) {
        at.col++;
        if (*c == '\n') {
            at.line++;
            at.col = 1;
        }
    }
    at.end_line = at.line;
    at.end_col = at.col + 1;
    bool wide = source->size > 1 && (memcmp(source->text, "\xff\xfe", 2) == 0 || memcmp(source->text, "\xfe\xff", 2) == 0);
    diag_error(diag, at, wide ? "this is UTF-16; a text is UTF-8, or ASCII" : "unexpected byte 0x00: this is not a text");
    return false;
}

static Ast *parse(Arena *arena, const SourceFile *source, Diag *diag, int start)
{
    if (!check_zero_bytes(source, diag))
        return NULL;
    ParseState state = {.arena = arena, .diag = diag, .source = source, .start = start, .line = 1, .col = 1};
    void *scanner;
    lexer_lex_init_extra(&state, &scanner);
    lexer__scan_bytes(source->text, (int)source->size, scanner);
    parser_parse(scanner, &state);
    return state.result;
}

Ast *ast_parse_text(Arena *arena, const SourceFile *source, Diag *diag)
{
    Ast *text = parse(arena, source, diag, T_START_TEXT);
    for (int i = 0; text && i < text->count; i++)
        if (text->kids[i]->depth > AST_MAX_DEPTH) {
            diag_error(diag, text->kids[i]->name_span, "this is nested more than %d levels deep", AST_MAX_DEPTH);
            text = NULL;
        }
    return text ? text : ast_create(arena, AST_text, (Span){source, 1, 1, 1, 1});
}

Ast *ast_parse_expression(Arena *arena, const SourceFile *source, Diag *diag)
{
    int before = diag_count_errors(diag);
    Ast *expression = parse(arena, source, diag, T_START_EXPRESSION);
    if (expression && expression->depth > AST_MAX_DEPTH)
        diag_error(diag, expression->span, "this is nested more than %d levels deep", AST_MAX_DEPTH);
    return diag_count_errors(diag) == before ? expression : NULL;
}
