/* dot.c: a graph for Graphviz; what carries the same tag stands in one box. */
#include "base/quote.h"
#include "ir/internal.h"

static const char *node_color(const IrNode *node) {
    unsigned flags = ir_op_info[node->op].flags;
    if (flags & OP_SOURCE)
        return "lightblue";
    if (flags & OP_EFFECT)
        return "lightsalmon";
    if (flags & OP_HIGH)
        return "khaki";
    return node->inlined ? "white" : "lightgrey";
}

/* What tells this node from others of its op: a name, or whom it calls. */
static void add_detail(Str *out, const IrNode *node) {
    for (int i = 0; i < node->attr_count; i++) {
        const IrAttr *attr = &node->attrs[i];
        if (attr->kind == ATTR_string) {
            str_add(out, "\\n");
            quote_dot(out, attr->s);
        }
        for (int j = 0; attr->kind == ATTR_symbols && j < attr->count; j++) {
            str_add(out, "\\n@");
            quote_dot(out, attr->symbols[j]);
        }
    }
}

static void print_node(Str *out, const char *indent, const IrNode *node) {
    char text[IR_TYPE_TEXT];
    str_addf(out, "%sn%d [label=\"%%%d %s", indent, node->id, node->id, ir_op_info[node->op].name);
    add_detail(out, node);
    str_addf(out, "\\n%s\", fillcolor=%s];\n", ir_type_format(&node->type, text), node_color(node));
}

static void print_cluster(Str *out, const IrGraph *graph, const char *tag, int number) {
    str_addf(out, "  subgraph cluster_%d {\n    label=\"", number);
    quote_dot(out, tag);
    str_add(out, "\";\n");
    for (const IrNode *node = graph->first; node; node = node->next)
        if (node->tag && str_equal(node->tag, tag))
            print_node(out, "    ", node);
    str_add(out, "  }\n");
}

static void print_nodes(Str *out, const IrGraph *graph) {
    StrMap tags = str_map_create(graph->module->arena);
    for (const IrNode *node = graph->first; node; node = node->next) {
        if (!node->tag)
            print_node(out, "  ", node);
        else
            str_map_set(&tags, node->tag, (void *)(uintptr_t)1);
    }
    for (size_t i = 0; i < tags.count; i++)
        print_cluster(out, graph, tags.entries[i].key, (int)i);
}

static void print_edges(Str *out, const IrGraph *graph) {
    for (const IrNode *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->input_count; i++)
            str_addf(out, "  n%d -> n%d;\n", node->inputs[i]->id, node->id);
    for (int i = 0; i < graph->output_count; i++) {
        str_addf(out, "  out%d [label=\"", i);
        quote_dot(out, graph->outputs[i].name[0] ? graph->outputs[i].name : "return");
        str_addf(out, "\", shape=oval, fillcolor=white];\n  n%d -> out%d;\n", graph->outputs[i].value->id, i);
    }
}

void ir_print_dot(const IrGraph *graph, Str *out) {
    ir_graph_number((IrGraph *)(uintptr_t)graph);
    str_add(out, "digraph \"");
    quote_dot(out, graph->name);
    str_add(out, "\" {\n  node [shape=box, style=filled, fontname=\"monospace\"];\n");
    print_nodes(out, graph);
    print_edges(out, graph);
    str_add(out, "}\n");
}
