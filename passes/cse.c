/* cse.c: computes equal values once.
 *     %3 = relu %1        %4 = relu %1        =>  users of %4 use %3
 * Two nodes are equal when they are PURE and have the same op, operands, attributes and type; parameters when they have
 * the same name, draws when they have the same stream. The first occurrence wins and keeps its tag. Effects are never
 * merged, nor values that are needed in different cases of a choice: then each is computed where it is needed. */
#include "passes/rewrite.h"

#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash ^= value + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
    return hash * 0xFF51AFD7ED558CCDu;
}

static uint64_t hash_attr(const IrAttr *a) {
    uint64_t h = mix(hash_string(a->name), (uint64_t)a->kind), bits;
    switch (a->kind) {
    case ATTR_int:
    case ATTR_bool:
        return mix(h, (uint64_t)a->i);
    case ATTR_float:
        memcpy(&bits, &a->f, sizeof bits);
        return mix(h, bits);
    case ATTR_string:
        return mix(h, hash_string(a->s));
    case ATTR_ints:
        for (int i = 0; i < a->count; i++)
            h = mix(h, (uint64_t)a->ints[i]);
        return h;
    case ATTR_symbols:
        for (int i = 0; i < a->count; i++)
            h = mix(h, hash_string(a->symbols[i]));
        return h;
    }
    return h;
}

/* Floats are compared by their bits: -0.0 is another constant than 0.0. */
static bool equal_attr(const IrAttr *a, const IrAttr *b) {
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case ATTR_int:
    case ATTR_bool:
        return a->i == b->i;
    case ATTR_float:
        return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case ATTR_string:
        return str_equal(a->s, b->s);
    case ATTR_ints:
        return a->count == 0 || memcmp(a->ints, b->ints, sizeof(int64_t) * (size_t)a->count) == 0;
    case ATTR_symbols:
        for (int i = 0; i < a->count; i++) {
            if (!str_equal(a->symbols[i], b->symbols[i]))
                return false;
        }
        return true;
    }
    return false;
}

/* Attributes count in any order. A parameter is its name: another mention may leave out how it begins. */
static uint64_t hash_node(const IrNode *n) {
    uint64_t h = mix(17, (uint64_t)n->op), attrs = 0;
    for (int i = 0; i < n->input_count; i++)
        h = mix(h, (uint64_t)n->inputs[i]->id);
    for (int i = 0; i < n->attr_count; i++) {
        if (!ir_param_read(n) || str_equal(n->attrs[i].name, "name"))
            attrs += hash_attr(&n->attrs[i]);
    }
    return mix(h, attrs);
}

static bool equal_attrs(const IrNode *a, const IrNode *b) {
    if (ir_param_read(a))
        return str_equal(ir_param_read(a), ir_param_read(b));
    if (a->attr_count != b->attr_count)
        return false;
    for (int i = 0; i < a->attr_count; i++) {
        const IrAttr *other = ir_attr(b, a->attrs[i].name);
        if (!other || !equal_attr(&a->attrs[i], other))
            return false;
    }
    return true;
}

typedef struct Table {
    size_t size; /* a power of two */
    IrNode **slots;
    const IrCondition *needed; /* by node id */
} Table;

static const IrNode *choice_of(const IrCondition *needed) {
    const IrNode *choice = needed->choice;
    return choice && choice->scratch ? choice->scratch : choice;
}

static bool needed_alike(const Table *table, const IrNode *a, const IrNode *b) {
    const IrCondition *x = &table->needed[a->id], *y = &table->needed[b->id];
    return ir_is(a, OP_GIVEN) || (choice_of(x) == choice_of(y) && x->cases == y->cases);
}

static bool equal_nodes(const IrNode *a, const IrNode *b) {
    if (a->op != b->op || a->input_count != b->input_count || !ir_type_equal(&a->type, &b->type))
        return false;
    for (int i = 0; i < a->input_count; i++) {
        if (a->inputs[i] != b->inputs[i])
            return false;
    }
    return equal_attrs(a, b);
}

/* A hash table with open addressing; the slot of an equal node, or the free one where it belongs. */
static IrNode **find_slot(const Table *table, const IrNode *n) {
    size_t at = hash_node(n) & (table->size - 1);
    while (table->slots[at] && !(equal_nodes(table->slots[at], n) && needed_alike(table, table->slots[at], n)))
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

bool pass_cse(PassContext *ctx, IrGraph *g) {
    bool changed = false;
    ir_clear_scratch(g);
    Table table = {.size = 64, .needed = ir_find_conditions(g, ctx->arena)};
    while (table.size < 2 * (size_t)g->next_id)
        table.size *= 2;
    table.slots = ARENA_ARRAY(ctx->arena, IrNode *, table.size);
    for (IrNode *n = g->first; n; n = n->next) {
        rewrite_forward_inputs(n);
        if (!ir_is(n, OP_PURE) || n->op == OP_input)
            continue;
        IrNode **slot = find_slot(&table, n);
        if (!*slot) {
            *slot = n;
            continue;
        }
        n->scratch = *slot;
        n->mark = 1;
        changed = true;
    }
    ir_replace_uses_by_scratch(g);
    rewrite_remove_marked(g);
    return changed;
}
