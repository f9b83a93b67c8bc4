/* print.c: a module as text that parse.c reads back to the same module. docs/ir.md has the grammar. */
#include "ir/internal.h"

#include <ctype.h>

bool ir_name_is_identifier(const char *name) {
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

bool ir_name_is_symbol(const char *name) {
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '.' && *name != '-')
            return false;
    return true;
}

static void print_symbol(Str *out, const char *name) {
    str_add(out, "@");
    if (ir_name_is_symbol(name))
        str_add(out, name);
    else
        str_add_quoted(out, name);
}

static void print_type(Str *out, const IrType *type) {
    char text[IR_TYPE_TEXT];
    str_add(out, ir_type_format(type, text));
}

static void print_use(Str *out, const IrNode *node) {
    str_add(out, "%");
    if (node->op != OP_input) {
        str_addf(out, "%d", node->id);
        return;
    }
    const char *name = ir_attr_get_string(node, "name", "");
    if (ir_name_is_identifier(name))
        str_add(out, name);
    else
        str_add_quoted(out, name);
}

/* ---- values of attributes and settings ---- */

static void print_ints(Str *out, const IrAttr *value) {
    str_add(out, "[");
    for (int i = 0; i < value->count; i++)
        str_addf(out, "%s%lld", i ? "," : "", (long long)value->ints[i]);
    str_add(out, "]");
}

/* One symbol needs no brackets: callee=@f. */
static void print_symbols(Str *out, const IrAttr *value) {
    if (value->count != 1)
        str_add(out, "[");
    for (int i = 0; i < value->count; i++) {
        if (i)
            str_add(out, ", ");
        print_symbol(out, value->symbols[i]);
    }
    if (value->count != 1)
        str_add(out, "]");
}

static void print_value(Str *out, const IrAttr *value) {
    switch (value->kind) {
    case ATTR_int:
        str_addf(out, "%lld", (long long)value->i);
        break;
    case ATTR_float:
        str_add_double(out, value->f);
        break;
    case ATTR_bool:
        str_add(out, value->i ? "true" : "false");
        break;
    case ATTR_string:
        str_add_quoted(out, value->s);
        break;
    case ATTR_ints:
        print_ints(out, value);
        break;
    case ATTR_symbols:
        print_symbols(out, value);
        break;
    }
}

static void print_attrs(Str *out, const IrNode *node) {
    for (int i = 0; i < node->attr_count; i++) {
        str_addf(out, "%s%s=", i ? ", " : " {", node->attrs[i].name);
        print_value(out, &node->attrs[i]);
    }
    if (node->attr_count)
        str_add(out, "}");
}

static const char *separator(int *count) {
    return (*count)++ ? ", " : " !{";
}

static void print_annotations(Str *out, const IrNode *node) {
    int count = 0;
    if (node->inlined)
        str_addf(out, "%sinline", separator(&count));
    if (node->stage != -1)
        str_addf(out, "%sstage=%d", separator(&count), node->stage);
    if (node->place != PLACE_none)
        str_addf(out, "%splace=\"%s\"", separator(&count), ir_place_name(node->place));
    if (node->offset)
        str_addf(out, "%soffset=%lld", separator(&count), (long long)node->offset);
    if (node->half)
        str_addf(out, "%shalf=true", separator(&count));
    if (node->tag) {
        str_addf(out, "%stag=", separator(&count));
        str_add_quoted(out, node->tag);
    }
    if (count)
        str_add(out, "}");
}

/* ---- graphs ---- */

static void print_node(Str *out, const IrNode *node) {
    str_addf(out, "  %%%d = %s", node->id, ir_op_info[node->op].name);
    for (int i = 0; i < node->input_count; i++) {
        str_add(out, i ? ", " : " ");
        print_use(out, node->inputs[i]);
    }
    print_attrs(out, node);
    str_add(out, " : ");
    print_type(out, &node->type);
    print_annotations(out, node);
    str_add(out, "\n");
}

static bool is_function(const IrGraph *graph) {
    return graph->output_count == 1 && !graph->outputs[0].name[0];
}

static void print_header(Str *out, const IrGraph *graph) {
    str_add(out, "graph ");
    print_symbol(out, graph->name);
    str_add(out, "(");
    for (int i = 0; i < graph->arg_count; i++) {
        if (i)
            str_add(out, ", ");
        print_use(out, graph->args[i]);
        str_add(out, ": ");
        print_type(out, &graph->args[i]->type);
        print_annotations(out, graph->args[i]);
    }
    str_add(out, ")");
    if (is_function(graph)) {
        str_add(out, " -> ");
        print_type(out, &graph->outputs[0].value->type);
    }
    str_add(out, " {\n");
}

static void print_return(Str *out, const IrGraph *graph) {
    str_add(out, "  return");
    for (int i = 0; i < graph->output_count; i++) {
        str_add(out, i ? ", " : " ");
        if (!is_function(graph)) {
            str_add_quoted(out, graph->outputs[i].name);
            str_add(out, " = ");
        }
        print_use(out, graph->outputs[i].value);
    }
    str_add(out, "\n");
}

void ir_print_graph(const IrGraph *graph, Str *out) {
    ir_graph_number((IrGraph *)(uintptr_t)graph);
    print_header(out, graph);
    for (const IrNode *node = graph->first; node; node = node->next)
        if (node->op != OP_input)
            print_node(out, node);
    print_return(out, graph);
    str_add(out, "}\n");
}

/* ---- modules ---- */

static void print_setting(Str *out, const IrSetting *setting) {
    str_add(out, "set ");
    if (ir_name_is_symbol(setting->key))
        str_add(out, setting->key);
    else
        str_add_quoted(out, setting->key);
    str_add(out, " = ");
    print_value(out, &setting->value);
    str_add(out, "\n");
}

static void print_param(Str *out, const IrParam *param) {
    str_add(out, "param ");
    str_add_quoted(out, param->name);
    str_add(out, ": ");
    print_type(out, &param->type);
    str_addf(out, " {kind=\"%s\", init=\"%s\"", ir_param_kind_name(param->kind), ir_init_name(param->init));
    if (param->init_scale != 0) {
        str_add(out, ", scale=");
        str_add_double(out, param->init_scale);
    }
    str_add(out, param->auxiliary ? ", auxiliary=true}\n" : "}\n");
}

void ir_print_module(const IrModule *module, Str *out) {
    size_t begin = out->length;
    if (module->name && module->name[0]) {
        str_add(out, "module ");
        str_add_quoted(out, module->name);
        str_add(out, "\n");
    }
    for (int i = 0; i < module->setting_count; i++)
        print_setting(out, &module->settings[i]);
    for (int i = 0; i < module->param_count; i++)
        print_param(out, &module->params[i]);
    for (int i = 0; i < module->graph_count; i++) {
        if (out->length > begin)
            str_add(out, "\n");
        ir_print_graph(module->graphs[i], out);
    }
}
