/* parse.c: reads a printed module. Recursive descent; a statement with a mistake is skipped to the next line, and a
 * value it should have defined is remembered as poisoned. A stated type is believed first and compared with the shape
 * rule when all graphs are known, so a call may stand before its callee. */
#include "ir/parser.h"
#include "ir/settings.h"

#include "base/file_kind.h"

#include <limits.h>
#include <string.h>

IrNode ir_parse_poison;

static void skip_line(IrParser *p) {
    do
        ir_parser_advance(p);
    while (p->token.kind != TOKEN_end && !p->token.first);
}

static bool at_section(const IrParser *p) {
    static const char *const words[] = {"module", "set", "param", "graph"};
    for (int i = 0; i < 4; i++)
        if (p->token.first && ir_parser_at_word(p, words[i]))
            return true;
    return p->token.kind == TOKEN_end;
}

/* ---- annotations: !{inline, stage=3, place="work", offset=4096, tag="..."} ---- */

static bool annotation_mistake(IrParser *p, const IrToken *name, const char *expected) {
    diag_error(p->diag, name->span, "annotation %s must be %s", name->text, expected);
    return false;
}

static bool take_place(IrParser *p, IrNode *node, const IrToken *name, const IrAttr *value) {
    for (int place = PLACE_none; value->kind == ATTR_string && place <= PLACE_prepared; place++) {
        if (str_equal(ir_place_name(place), value->s)) {
            node->place = place;
            return true;
        }
    }
    return annotation_mistake(p, name, "one of none, state, input, work, private, prepared");
}

static bool take_annotation(IrParser *p, void *context, const IrToken *name, const IrAttr *value) {
    IrNode *node = context;
    if (str_equal(name->text, "inline")) {
        node->inlined = value->i;
        return value->kind == ATTR_bool || annotation_mistake(p, name, "true or false");
    }
    if (str_equal(name->text, "half")) {
        node->half = value->i;
        return value->kind == ATTR_bool || annotation_mistake(p, name, "true or false");
    }
    if (str_equal(name->text, "stage")) {
        bool fits = value->kind == ATTR_int && value->i >= -1 && value->i <= INT_MAX;
        node->stage = fits ? (int)value->i : -1;
        return fits || annotation_mistake(p, name, "an integer, the number of a stage");
    }
    if (str_equal(name->text, "offset")) {
        node->offset = value->i;
        return value->kind == ATTR_int || annotation_mistake(p, name, "an integer");
    }
    if (str_equal(name->text, "tag")) {
        node->tag = value->s;
        return value->kind == ATTR_string || annotation_mistake(p, name, "a string");
    }
    if (str_equal(name->text, "place"))
        return take_place(p, node, name, value);
    diag_error(p->diag, name->span, "unknown annotation '%s'", name->text);
    return false;
}

/* Collects into a node of its own, because the real one is made last. */
static bool parse_annotations(IrParser *p, IrNode *notes) {
    *notes = (IrNode){.stage = -1};
    if (p->token.kind != TOKEN_notes)
        return true;
    ir_parser_advance(p);
    return ir_parse_attr_list(p, "inline", take_annotation, notes);
}

static void set_annotations(IrNode *node, const IrNode *notes) {
    node->half = notes->half;
    node->inlined = notes->inlined;
    node->stage = notes->stage;
    node->place = notes->place;
    node->offset = notes->offset;
    node->tag = notes->tag;
}

/* ---- nodes ---- */

typedef struct NodeText {
    IrOp op;
    int input_count, input_capacity;
    IrNode **inputs;
    int attr_count, attr_capacity;
    IrAttr *attrs;
    bool typed;
    IrType type;
    IrNode notes;
    Span span;
    bool poisoned; /* uses a value whose definition was wrong */
} NodeText;

static const char *suggest_op(const char *name) {
    const char *names[OP_COUNT];
    for (int i = 0; i < OP_COUNT; i++)
        names[i] = ir_op_info[i].name;
    return diag_suggest(name, names, OP_COUNT);
}

static bool parse_op(IrParser *p, IrOp *op) {
    IrToken name;
    if (!ir_parser_expect(p, TOKEN_word, "an operation", &name))
        return false;
    if (ir_op_find(name.text, op))
        return true;
    const char *near = suggest_op(name.text);
    diag_error(p->diag, name.span, near ? "unknown operation '%s'; did you mean '%s'?" : "unknown operation '%s'",
               name.text, near);
    return false;
}

static bool at_value(const IrParser *p) {
    return p->token.kind == TOKEN_name || p->token.kind == TOKEN_number;
}

/* NULL after reporting; the poison is passed on silently. */
static IrNode *parse_use(IrParser *p) {
    if (!at_value(p)) {
        ir_parser_expected(p, "a value like %1 or %x");
        return NULL;
    }
    IrNode *node = str_map_get(&p->values, p->token.text);
    if (!node)
        diag_error(p->diag, p->token.span, "unknown value %%%s; a value is defined before it is used", p->token.text);
    ir_parser_advance(p);
    return node;
}

static bool parse_operands(IrParser *p, NodeText *text) {
    if (!at_value(p))
        return true;
    do {
        IrNode *input = parse_use(p);
        if (!input)
            return false;
        text->poisoned |= input == &ir_parse_poison;
        ARENA_PUSH(p->arena, text->inputs, text->input_count, text->input_capacity, input);
    } while (ir_parser_accept_mark(p, ','));
    return true;
}

/* Where the schema wants a float an integer will do, and where it wants symbols an empty list. */
static void attr_coerce(IrAttr *attr, IrAttrKind kind) {
    if (kind == ATTR_float && attr->kind == ATTR_int)
        *attr = ir_attr_float(attr->name, (double)attr->i);
    if (kind == ATTR_symbols && attr->kind == ATTR_ints && !attr->count)
        attr->kind = ATTR_symbols;
}

static bool take_attr(IrParser *p, void *context, const IrToken *name, const IrAttr *value) {
    NodeText *text = context;
    IrAttr attr = *value;
    IrAttrKind kind;
    bool optional;
    if (!ir_op_attribute(text->op, attr.name, &kind, &optional)) {
        diag_error(p->diag, name->span, "%s has no attribute '%s'", ir_op_info[text->op].name, attr.name);
        return false;
    }
    attr_coerce(&attr, kind);
    ARENA_PUSH(p->arena, text->attrs, text->attr_count, text->attr_capacity, attr);
    return true;
}

/* op operands {attributes} : type !{annotations} */
static bool parse_node_text(IrParser *p, NodeText *text) {
    if (!parse_op(p, &text->op) || !parse_operands(p, text))
        return false;
    if (ir_parser_accept_mark(p, '{') && !ir_parse_attr_list(p, NULL, take_attr, text))
        return false;
    text->typed = ir_parser_accept_mark(p, ':');
    if (text->typed && !ir_parse_type(p, &text->type))
        return false;
    if (!parse_annotations(p, &text->notes))
        return false;
    if (p->token.first || p->token.kind == TOKEN_end || ir_parser_at_mark(p, '}'))
        return true;
    return ir_parser_expected(p, "the end of the line");
}

static bool infer_untyped(IrParser *p, NodeText *text) {
    char error[IR_ERROR_TEXT];
    if (ir_infer_type(p->module, text->op, NULL, text->input_count, text->inputs, text->attr_count, text->attrs,
                      &text->type, error))
        return true;
    const IrAttr *callee = ir_attr_find(text->attr_count, text->attrs, "callee");
    bool later =
        callee && callee->kind == ATTR_symbols && callee->count == 1 && !ir_graph_find(p->module, callee->symbols[0]);
    diag_error(p->diag, text->span, "%s: %s%s", ir_op_info[text->op].name, error,
               later ? " before this one (if it comes later, state the type of the call)" : "");
    return false;
}

static IrNode *make_node(IrParser *p, NodeText *text) {
    if (text->poisoned || (!text->typed && !infer_untyped(p, text)))
        return NULL;
    if (text->op == OP_input) {
        diag_error(p->diag, text->span, "an input is written as an argument of the graph");
        return NULL;
    }
    IrBuilder b = {.graph = p->graph, .span = text->span};
    IrNode *node =
        ir_node_create(&b, text->op, &text->type, text->input_count, text->inputs, text->attr_count, text->attrs);
    set_annotations(node, &text->notes);
    return node;
}

static void define_value(IrParser *p, const IrToken *name, IrNode *node) {
    if (str_map_get(&p->values, name->text))
        diag_error(p->diag, name->span, "value %%%s is defined twice", name->text);
    else
        str_map_set(&p->values, name->text, node ? node : &ir_parse_poison);
}

/* %3 = op ..., or without a name when nothing uses the result. */
static void parse_node(IrParser *p) {
    NodeText text = {0};
    IrToken name = p->token;
    Span begin = p->token.span;
    bool named = at_value(p);
    if (named)
        ir_parser_advance(p);
    bool well_formed = (!named || ir_parser_expect_mark(p, '=')) && parse_node_text(p, &text);
    text.span = span_join(begin, p->last);
    IrNode *node = well_formed ? make_node(p, &text) : NULL;
    if (named)
        define_value(p, &name, node);
    if (!well_formed && !p->token.first)
        skip_line(p);
}

/* ---- graphs ---- */

static bool parse_arg(IrParser *p) {
    IrToken name = p->token;
    IrType type;
    IrNode notes;
    if (!at_value(p))
        return ir_parser_expected(p, "an argument like %x");
    ir_parser_advance(p);
    if (!ir_parser_expect_mark(p, ':') || !ir_parse_type(p, &type) || !parse_annotations(p, &notes))
        return false;
    IrNode *arg = ir_graph_add_arg(p->graph, name.text, type, span_join(name.span, p->last));
    set_annotations(arg, &notes);
    define_value(p, &name, arg);
    return true;
}

static bool parse_args(IrParser *p) {
    if (!ir_parser_expect_mark(p, '('))
        return false;
    for (bool first = true; !ir_parser_at_mark(p, ')'); first = false)
        if ((!first && !ir_parser_expect_mark(p, ',')) || !parse_arg(p))
            return false;
    return ir_parser_expect_mark(p, ')');
}

static bool parse_result(IrParser *p) {
    StatedResult result = {.graph = p->graph, .span = p->token.span};
    if (p->token.kind != TOKEN_arrow)
        return true;
    ir_parser_advance(p);
    if (!ir_parse_type(p, &result.type))
        return false;
    result.span = span_join(result.span, p->last);
    ARENA_PUSH(p->arena, p->results, p->result_count, p->result_capacity, result);
    return true;
}

static bool parse_output(IrParser *p) {
    IrToken name = {.text = ""};
    if (p->token.kind == TOKEN_string) {
        name = p->token;
        ir_parser_advance(p);
        if (!ir_parser_expect_mark(p, '='))
            return false;
    }
    IrNode *value = parse_use(p);
    if (value && value != &ir_parse_poison)
        ir_graph_add_output(p->graph, name.text, value);
    return value;
}

static void parse_return(IrParser *p) {
    ir_parser_advance(p);
    bool well_formed = true;
    if (at_value(p) || p->token.kind == TOKEN_string)
        do
            well_formed = parse_output(p);
        while (well_formed && ir_parser_accept_mark(p, ','));
    if (!well_formed && !p->token.first)
        skip_line(p);
    if (!ir_parser_at_mark(p, '}'))
        ir_parser_expected(p, "'}' after the return");
}

static void parse_body(IrParser *p) {
    bool returned = false;
    while (!ir_parser_at_mark(p, '}') && !returned) {
        if (p->token.kind == TOKEN_end || (p->token.first && ir_parser_at_word(p, "graph")))
            break;
        returned = ir_parser_at_word(p, "return");
        if (returned) {
            parse_return(p);
        } else if (at_value(p) || p->token.kind == TOKEN_word) {
            parse_node(p);
        } else {
            ir_parser_expected(p, "a statement");
            skip_line(p);
        }
    }
    if (!returned)
        ir_parser_expected(p, "return");
    ir_parser_accept_mark(p, '}');
}

/* After a mistake in the header reading goes on in the body, so that what is wrong there is found too. */
static void skip_to_body(IrParser *p) {
    while (!ir_parser_at_mark(p, '{') && p->token.kind != TOKEN_end && !p->token.first)
        ir_parser_advance(p);
}

static void parse_graph(IrParser *p) {
    IrToken name;
    ir_parser_advance(p);
    if (!ir_parser_expect(p, TOKEN_symbol, "a name like @infer", &name)) {
        skip_to_body(p);
        name.text = arena_printf(p->arena, "nameless.%d", p->module->graph_count);
    }
    const char *unique = name.text;
    if (ir_graph_find(p->module, name.text)) {
        diag_error(p->diag, name.span, "there is a graph @%s already", name.text);
        unique = arena_printf(p->arena, "%s.again.%d", name.text, p->module->graph_count);
    }
    p->graph = ir_graph_create(p->module, unique);
    p->graph->span = name.span;
    p->values = str_map_create(p->arena);
    if (!ir_parser_at_mark(p, '{') && (!parse_args(p) || !parse_result(p)))
        skip_to_body(p);
    if (ir_parser_expect_mark(p, '{'))
        parse_body(p);
}

/* ---- modules ---- */

static bool parse_module_name(IrParser *p) {
    IrToken name;
    ir_parser_advance(p);
    if (!ir_parser_expect(p, TOKEN_string, "the module's name in quotes", &name))
        return false;
    p->module->name = name.text;
    return true;
}

/* set search.weights.lr = 0.025 */
static bool parse_setting(IrParser *p) {
    IrAttr value;
    ir_parser_advance(p);
    IrToken key = p->token;
    if (key.kind != TOKEN_word && key.kind != TOKEN_string)
        return ir_parser_expected(p, "the key of a setting");
    ir_parser_advance(p);
    if (!ir_parser_expect_mark(p, '=') || !ir_parse_attr_value(p, &value))
        return false;
    if (ir_module_get(p->module, key.text)) {
        diag_error(p->diag, key.span, "setting %s is given twice", key.text);
        return true;
    }
    ir_module_set(p->module, key.text, value, span_join(key.span, p->last));
    return true;
}

static bool take_param_attr(IrParser *p, void *context, const IrToken *name, const IrAttr *value) {
    IrParam *param = context;
    bool good = false;
    if (str_equal(name->text, "kind"))
        good = value->kind == ATTR_string && ir_param_kind_parse(value->s, &param->kind);
    else if (str_equal(name->text, "init"))
        good = value->kind == ATTR_string && ir_init_parse(value->s, &param->init);
    else if (str_equal(name->text, "scale")) {
        good = value->kind == ATTR_float || value->kind == ATTR_int;
        param->init_scale = value->kind == ATTR_int ? (double)value->i : value->f;
    } else if (str_equal(name->text, "auxiliary")) {
        good = value->kind == ATTR_bool;
        param->auxiliary = value->i;
    }
    if (!good)
        diag_error(p->diag, name->span, "a parameter has no such %s; see docs/ir.md", name->text);
    return good;
}

/* param "stem.0.weight": f32[48,3,3,3] {kind="weight", init="uniform", scale=0.19} */
static bool parse_param(IrParser *p) {
    IrToken name;
    IrParam param = {0};
    ir_parser_advance(p);
    if (!ir_parser_expect(p, TOKEN_string, "the parameter's name in quotes", &name) || !ir_parser_expect_mark(p, ':') ||
        !ir_parse_type(p, &param.type))
        return false;
    if (ir_parser_accept_mark(p, '{') && !ir_parse_attr_list(p, NULL, take_param_attr, &param))
        return false;
    param.name = name.text;
    param.span = span_join(name.span, p->last);
    if (ir_module_find_param(p->module, param.name))
        diag_error(p->diag, name.span, "parameter %s is given twice", param.name);
    else
        ir_module_add_param(p->module, param);
    return true;
}

static void parse_section(IrParser *p) {
    bool well_formed = true;
    if (ir_parser_at_word(p, "graph")) {
        parse_graph(p);
    } else if (ir_parser_at_word(p, "set")) {
        well_formed = parse_setting(p);
    } else if (ir_parser_at_word(p, "param")) {
        well_formed = parse_param(p);
    } else if (ir_parser_at_word(p, "module")) {
        well_formed = parse_module_name(p);
    } else {
        ir_parser_expected(p, "module, set, param or graph");
        while (!at_section(p))
            ir_parser_advance(p);
    }
    if (!well_formed && !p->token.first && p->token.kind != TOKEN_end)
        skip_line(p);
}

/* ---- what can only be checked when all graphs are known ---- */

static void check_node_type(IrParser *p, const IrNode *node) {
    char error[IR_ERROR_TEXT], text[2][IR_TYPE_TEXT];
    IrType type;
    if (!ir_infer_type(p->module, node->op, &node->type, node->input_count, node->inputs, node->attr_count, node->attrs,
                       &type, error))
        diag_error(p->diag, node->span, "%s: %s", ir_op_info[node->op].name, error);
    else if (!ir_type_equal(&type, &node->type))
        diag_error(p->diag, node->span, "%s: the stated type is %s, but the result is %s", ir_op_info[node->op].name,
                   ir_type_format(&node->type, text[0]), ir_type_format(&type, text[1]));
}

static void check_types(IrParser *p) {
    for (int i = 0; i < p->module->graph_count; i++)
        for (const IrNode *node = p->module->graphs[i]->first; node; node = node->next)
            check_node_type(p, node);
    for (int i = 0; i < p->result_count; i++) {
        const StatedResult *result = &p->results[i];
        const IrGraph *graph = result->graph;
        char text[2][IR_TYPE_TEXT];
        if (graph->output_count == 1 && !ir_type_equal(&graph->outputs[0].value->type, &result->type))
            diag_error(p->diag, result->span, "@%s returns %s, not %s", graph->name,
                       ir_type_format(&graph->outputs[0].value->type, text[0]), ir_type_format(&result->type, text[1]));
    }
}

/* Says it of one graph: its callers are as large. */
static void check_expanded(IrParser *p) {
    bool fits = true;
    for (int i = 0; i < p->module->graph_count && fits; i++) {
        const IrGraph *graph = p->module->graphs[i];
        fits = graph->expanded <= IR_MAX_EXPANDED && graph->depth <= IR_MAX_CALL_DEPTH;
        if (graph->expanded > IR_MAX_EXPANDED)
            diag_error(p->diag, graph->span, "@%s has more than %d nodes when its calls are written out", graph->name,
                       IR_MAX_EXPANDED);
        else if (!fits)
            diag_error(p->diag, graph->span, "the calls of @%s go more than %d deep", graph->name, IR_MAX_CALL_DEPTH);
    }
}

IrModule *ir_parse_module(Arena *arena, const SourceFile *source, Diag *diag) {
    int errors_before = diag_count_errors(diag);
    IrParser p = {.arena = arena, .diag = diag, .module = ir_module_create(arena, "")};
    ir_lexer_start(&p.lexer, arena, source);
    ir_parser_advance(&p);
    while (p.token.kind != TOKEN_end)
        parse_section(&p);
    check_types(&p);
    if (diag_count_errors(diag) == errors_before) {
        const char *message = ir_verify_module(p.module, arena);
        if (message)
            diag_error(diag, (Span){.file = source, .line = 1, .col = 1, .end_line = 1, .end_col = 1}, "%s", message);
        else
            check_expanded(&p);
    }
    settings_check_values(p.module, diag);
    if (diag_count_errors(diag) == errors_before)
        settings_check_rules(p.module, diag);
    return diag_count_errors(diag) == errors_before ? p.module : NULL;
}

IrModule *ir_read_module(Arena *arena, const char *path, Diag *diag, Error *error) {
    const SourceFile *source = source_read_text(arena, path, IR_MOST_BYTES, false, error);
    return source && file_expect(path, source->text, source->size, FILE_ir, "a printed graph", error)
               ? ir_parse_module(arena, source, diag)
               : NULL;
}
