/* attr.c: attributes of nodes, and the schema of ops.def that says which ones an op takes. */
#include "ir/internal.h"

#include <math.h>
#include <string.h>

const char *ir_attr_kind_name(IrAttrKind kind) {
    static const char *const names[] = {"an integer",         "a float",          "true or false", "a string",
                                        "a list of integers", "a list of symbols"};
    return names[kind];
}

IrAttr ir_attr_int(const char *name, int64_t value) {
    return (IrAttr){.name = name, .kind = ATTR_int, .i = value};
}

IrAttr ir_attr_float(const char *name, double value) {
    return (IrAttr){.name = name, .kind = ATTR_float, .f = value};
}

IrAttr ir_attr_bool(const char *name, bool value) {
    return (IrAttr){.name = name, .kind = ATTR_bool, .i = value};
}

IrAttr ir_attr_string(const char *name, const char *value) {
    return (IrAttr){.name = name, .kind = ATTR_string, .s = value};
}

/* The lists are borrowed until the attribute is given to a node or setting, which copies them. */
IrAttr ir_attr_ints(const char *name, int count, const int64_t *values) {
    return (IrAttr){.name = name, .kind = ATTR_ints, .count = count, .ints = (int64_t *)(uintptr_t)values};
}

IrAttr ir_attr_symbols(const char *name, int count, const char *const *values) {
    return (IrAttr){.name = name, .kind = ATTR_symbols, .count = count, .symbols = (const char **)(uintptr_t)values};
}

IrAttr ir_attr_copy(Arena *arena, const IrAttr *attr) {
    IrAttr copy = *attr;
    if (attr->kind == ATTR_string)
        copy.s = arena_strdup(arena, attr->s);
    if (attr->kind == ATTR_ints && attr->count) {
        copy.ints = ARENA_ARRAY(arena, int64_t, attr->count);
        memcpy(copy.ints, attr->ints, sizeof *copy.ints * (size_t)attr->count);
    }
    if (attr->kind == ATTR_symbols && attr->count) {
        copy.symbols = ARENA_ARRAY(arena, const char *, attr->count);
        for (int i = 0; i < attr->count; i++)
            copy.symbols[i] = arena_strdup(arena, attr->symbols[i]);
    }
    return copy;
}

const IrAttr *ir_attr_find(int count, const IrAttr *attrs, const char *name) {
    for (int i = 0; i < count; i++)
        if (str_equal(attrs[i].name, name))
            return &attrs[i];
    return NULL;
}

const IrAttr *ir_attr(const IrNode *node, const char *name) {
    return ir_attr_find(node->attr_count, node->attrs, name);
}

static const IrAttr *attr_of_kind(const IrNode *node, const char *name, IrAttrKind kind, IrAttrKind other) {
    const IrAttr *attr = ir_attr(node, name);
    if (attr && attr->kind != kind && attr->kind != other)
        bug("attribute %s of %s is %s, read as %s", name, ir_op_info[node->op].name, ir_attr_kind_name(attr->kind),
            ir_attr_kind_name(kind));
    return attr;
}

int64_t ir_attr_get_int(const IrNode *node, const char *name, int64_t otherwise) {
    const IrAttr *attr = attr_of_kind(node, name, ATTR_int, ATTR_bool);
    return attr ? attr->i : otherwise;
}

double ir_attr_get_float(const IrNode *node, const char *name, double otherwise) {
    const IrAttr *attr = attr_of_kind(node, name, ATTR_float, ATTR_float);
    return attr ? attr->f : otherwise;
}

const char *ir_attr_get_string(const IrNode *node, const char *name, const char *otherwise) {
    const IrAttr *attr = attr_of_kind(node, name, ATTR_string, ATTR_string);
    return attr ? attr->s : otherwise;
}

const int64_t *ir_attr_get_ints(const IrNode *node, const char *name) {
    const IrAttr *attr = attr_of_kind(node, name, ATTR_ints, ATTR_ints);
    if (!attr)
        bug("%s has no attribute %s", ir_op_info[node->op].name, name);
    return attr->ints;
}

void ir_attr_set(IrNode *node, IrAttr attr) {
    Arena *arena = node->graph->module->arena;
    IrAttr copy = ir_attr_copy(arena, &attr);
    for (int i = 0; i < node->attr_count; i++) {
        if (str_equal(node->attrs[i].name, attr.name)) {
            node->attrs[i] = copy;
            return;
        }
    }
    size_t size = sizeof(IrAttr) * (size_t)node->attr_count;
    node->attrs = arena_grow(arena, node->attrs, size, size + sizeof(IrAttr));
    node->attrs[node->attr_count++] = copy;
}

/* ---- the schema: "name:type name:type? name:s(word|word) ..." ---- */

typedef struct SchemaEntry {
    const char *name; /* not terminated */
    size_t length;
    IrAttrKind kind;
    bool optional;
    const char *words; /* those that a string may be, up to the ')'; NULL: any */
} SchemaEntry;

static IrAttrKind schema_kind(char letter) {
    switch (letter) {
    case 'i':
        return ATTR_int;
    case 'f':
        return ATTR_float;
    case 'b':
        return ATTR_bool;
    case 's':
        return ATTR_string;
    case 'l':
        return ATTR_ints;
    case 'y':
        return ATTR_symbols;
    }
    bug("unknown attribute type '%c' in ops.def", letter);
}

/* Reads one entry and returns what follows it, or NULL at the end. */
static const char *schema_next(const char *schema, SchemaEntry *entry) {
    while (*schema == ' ')
        schema++;
    if (!*schema)
        return NULL;
    const char *colon = strchr(schema, ':');
    if (!colon)
        bug("broken attribute schema in ops.def: %s", schema);
    const char *end = colon + 2;
    *entry = (SchemaEntry){.name = schema, .length = (size_t)(colon - schema), .kind = schema_kind(colon[1])};
    if (*end == '(') {
        entry->words = end + 1;
        end = strchr(end, ')') + 1;
    }
    entry->optional = *end == '?';
    return end + entry->optional;
}

static bool schema_names(const SchemaEntry *entry, const char *name) {
    return strlen(name) == entry->length && !memcmp(name, entry->name, entry->length);
}

static bool schema_find(IrOp op, const char *name, SchemaEntry *found) {
    SchemaEntry entry;
    for (const char *schema = ir_op_info[op].attributes; (schema = schema_next(schema, &entry));) {
        if (schema_names(&entry, name)) {
            *found = entry;
            return true;
        }
    }
    return false;
}

bool ir_op_attribute(IrOp op, const char *name, IrAttrKind *kind, bool *optional) {
    SchemaEntry entry;
    if (!schema_find(op, name, &entry))
        return false;
    *kind = entry.kind;
    *optional = entry.optional;
    return true;
}

/* Is the word one of word|word|...? */
static bool word_is_one_of(const char *word, const char *words, size_t size) {
    size_t length = strlen(word);
    for (size_t at = 0; at < size; at += strcspn(words + at, "|)") + 1)
        if (length && strcspn(words + at, "|)") == length && !memcmp(words + at, word, length))
            return true;
    return false;
}

static bool attr_check_word(const SchemaEntry *entry, const IrAttr *attr, char error[IR_ERROR_TEXT]) {
    size_t size = entry->words ? strcspn(entry->words, ")") : 0;
    return !entry->words || word_is_one_of(attr->s, entry->words, size) ||
           ir_fail(error, "%s is \"%s\"; it must be one of %.*s", attr->name, attr->s, (int)size, entry->words);
}

/* No axis is longer, so nothing is counted or reached by a larger number; and products of two of them do not overflow.
 */
static bool attr_check_range(const IrAttr *attr, char error[IR_ERROR_TEXT]) {
    for (int i = 0; i < (attr->kind == ATTR_ints ? attr->count : attr->kind == ATTR_int); i++) {
        int64_t value = attr->kind == ATTR_ints ? attr->ints[i] : attr->i;
        if (value < -IR_MAX_EXTENT || value > IR_MAX_EXTENT)
            return ir_fail(error, "%s is %lld; numbers are at most 2^31 - 1 here", attr->name, (long long)value);
    }
    return true;
}

static bool attr_check(IrOp op, const IrAttr *attr, char error[IR_ERROR_TEXT]) {
    SchemaEntry entry;
    if (!schema_find(op, attr->name, &entry))
        return ir_fail(error, "unknown attribute '%s'", attr->name);
    if (entry.kind != attr->kind)
        return ir_fail(error, "attribute %s is %s; it must be %s", attr->name, ir_attr_kind_name(attr->kind),
                       ir_attr_kind_name(entry.kind));
    return attr_check_range(attr, error) && attr_check_word(&entry, attr, error);
}

bool ir_op_check_attrs(IrOp op, int attr_count, const IrAttr *attrs, char error[256]) {
    if (attr_count > IR_MAX_ATTRS)
        return ir_fail(error, "%d attributes; at most %d", attr_count, IR_MAX_ATTRS);
    for (int i = 0; i < attr_count; i++) {
        if (!attr_check(op, &attrs[i], error))
            return false;
        if (ir_attr_find(i, attrs, attrs[i].name))
            return ir_fail(error, "attribute %s is given twice", attrs[i].name);
    }
    SchemaEntry entry;
    for (const char *schema = ir_op_info[op].attributes; (schema = schema_next(schema, &entry));) {
        bool found = entry.optional;
        for (int i = 0; i < attr_count && !found; i++)
            found = schema_names(&entry, attrs[i].name);
        if (!found)
            return ir_fail(error, "attribute %.*s is missing", (int)entry.length, entry.name);
    }
    return true;
}

/* ---- parameters ---- */

const char *ir_param_read(const IrNode *node) {
    return node->op == OP_param ? ir_attr_get_string(node, "name", "") : NULL;
}

const char *ir_param_written(const IrNode *node) {
    return node->op == OP_assign ? ir_attr_get_string(node, "param", "") : NULL;
}

const char *ir_param_name(const IrNode *node) {
    const char *read = ir_param_read(node);
    return read ? read : ir_param_written(node);
}

/* ---- constants ---- */

bool ir_is_constant(const IrNode *node, double value) {
    return node->op == OP_constant && ir_attr_get_float(node, "value", NAN) == value;
}

/* ---- sums by chunks ---- */

bool ir_is_partial(const IrNode *node) {
    return node->op == OP_reduce_partial || ir_attr_get_int(node, "partial", 0);
}

/* ---- convolutions ---- */

bool ir_is_convolution(const IrNode *node) {
    return node->op == OP_conv2d;
}

bool ir_is_weight_gradient(const IrNode *node) {
    return node->op == OP_conv2d_grad_weight;
}

const int64_t *ir_conv_weight(const IrNode *node) {
    const IrType *type = ir_is_weight_gradient(node) ? &node->type : &node->inputs[1]->type;
    return type->dim + type->rank - 4; /* behind K, when the gradient is partial */
}

bool ir_conv_is_depthwise(const IrNode *node) {
    if (!ir_is_convolution(node) && !ir_is_weight_gradient(node))
        return false;
    const int64_t *weight = ir_conv_weight(node), groups = ir_attr_get_int(node, "groups", 1);
    return groups > 1 && groups == weight[0] && weight[1] == 1;
}
