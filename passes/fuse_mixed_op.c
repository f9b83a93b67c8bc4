/* fuse_mixed_op.c: lets the candidates of an edge, and the edges into one node, share what they have in common.
 * 1. The sum of a node's edges takes each edge up as soon as it is there, so that the weighted sum of the candidates is
 *    added to the node in the pass over memory that normalises and weights them, and nothing of an edge outlives it:
 *        %e1 = (edge 1) ...                     %e1 = (edge 1) ...
 *        %e2 = (edge 2) ...              =>     %a = add %e0, %e1
 *        %a = add %e0, %e1                      %e2 = (edge 2) ...
 *        %b = add %a, %e2                       %b = add %a, %e2
 * 2. The weight of a candidate is taken out of the reductions of the batch norm's backward, which are then the same for
 *    all candidates and edges that lead into a node:
 *        %d = mul %dnode, %weight               %t = reduce_sum %dnode {axes=[0, 1, 2]}          (once)
 *        %s = reduce_sum %d              =>     %s = mul %t, %weight
 *    and reduce_sum (mul (mul %dnode, %weight), %x) likewise.
 * 3. What a choice adds to a sum is added where it is chosen, in the sum's own memory, and what adds nothing costs nothing:
 *        %e = choose %c, 0, %x, %y                                     (1 and 2 below)
 *        %b = add %a, %e                 =>     %b = choose %c, %a, %1, %2
 * The order of additions stays. Needs: nodes tagged by edge. */
#include "passes/rewrite.h"
#include "passes/staging.h"

PassFunction pass_dce;

/* ---- 1: sums of edges ---- */

static bool take_up_edges(IrGraph *g) {
    bool changed = false;
    for (IrNode *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op != OP_add || staging_is_edge(n->tag) || !staging_is_images(n)) {
            continue;
        }
        IrNode *later = n->inputs[0]->id > n->inputs[1]->id ? n->inputs[0] : n->inputs[1];
        if (staging_is_edge(later->tag) && later->next != n) {
            ir_node_move_before(n, later->next);
            n->id = later->id; /* where it stands now, for the sums that use it */
            changed = true;
        }
    }
    return changed;
}

/* ---- 2: factors of sums ---- */

typedef struct Factoring {
    PassContext *ctx;
    IrGraph *g;
    StrMap sums; /* what is summed, and how, to the node that does it */
} Factoring;

static bool is_weight(const IrNode *n) {
    return n->type.rank == 0 && n->type.dtype == DTYPE_f32;
}

/* If n is (value * weight), its value; the weight goes to *weight. */
static IrNode *without_weight(IrNode *n, IrNode **weight) {
    for (int i = 0; i < 2 && n->op == OP_mul; i++) {
        if (is_weight(n->inputs[i]) && staging_is_images(n->inputs[1 - i])) {
            *weight = n->inputs[i];
            return n->inputs[1 - i];
        }
    }
    return NULL;
}

static const char *sum_key(Factoring *f, const IrNode *sum, const IrNode *x, const IrNode *y) {
    Str key = str_create(f->ctx->arena);
    str_addf(&key, "%p %p %d %d", (const void *)x, (const void *)y, (int)ir_attr_get_int(sum, "keep", 0),
             (int)ir_attr_get_int(sum, "own", 0));
    const IrAttr *axes = ir_attr(sum, "axes");
    for (int i = 0; i < axes->count; i++) {
        str_addf(&key, " %d", (int)axes->ints[i]);
    }
    return key.data;
}

/* The sum over x, or over x * y, that stands as early as `like`; made once. */
static IrNode *shared_sum(Factoring *f, IrNode *like, IrNode *x, IrNode *y) {
    const char *key = sum_key(f, like, x, y);
    IrNode *sum = str_map_get(&f->sums, key);
    if (!sum) {
        IrBuilder b = {.graph = f->g, .before = like, .diag = f->ctx->diag, .span = like->span, .tag = like->tag};
        IrNode *summed = y ? ir_build2(&b, OP_mul, x, y, 0, NULL) : x;
        sum = ir_build1(&b, OP_reduce_sum, summed, like->attr_count, like->attrs);
        str_map_set(&f->sums, key, sum);
    }
    return sum;
}

/* What stands for the sum n, or NULL when there is no weight to take out. */
static IrNode *factor_sum(Factoring *f, IrNode *n) {
    IrNode *x = n->inputs[0], *y = NULL, *weight = NULL;
    IrNode *value = without_weight(x, &weight);
    for (int i = 0; !value && i < 2 && x->op == OP_mul; i++) {
        value = without_weight(x->inputs[i], &weight);
        y = x->inputs[1 - i];
    }
    if (!value) {
        return NULL;
    }
    IrNode *sum = shared_sum(f, n, value, y);
    IrBuilder b = {.graph = f->g, .before = n, .diag = f->ctx->diag, .span = n->span, .tag = n->tag};
    return ir_build2(&b, OP_mul, sum, weight, 0, NULL);
}

static bool factor_sums(PassContext *ctx, IrGraph *g) {
    Factoring f = {.ctx = ctx, .g = g, .sums = str_map_create(ctx->arena)};
    bool changed = false;
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->op == OP_reduce_sum && staging_is_edge(n->tag) && staging_is_images(n->inputs[0]) &&
            !staging_is_images(n)) {
            n->scratch = factor_sum(&f, n);
            changed = changed || n->scratch;
        }
    }
    ir_replace_by_scratch(g);
    return changed;
}

/* ---- 3: sums with a choice ---- */

static bool is_zero(const IrNode *n) {
    return ir_is_constant(n->op == OP_broadcast ? n->inputs[0] : n, 0);
}

/* Which operand of the sum is a choice that nothing else reads; of two, the one that is made later; -1: none. */
static int find_choice(const IrNode *sum, const int *uses, int numbered) {
    int found = -1;
    for (int i = 0; i < 2; i++) {
        const IrNode *x = sum->inputs[i];
        bool own = ir_is(x, OP_LAZY) && x->id < numbered && uses[x->id] == 1;
        if (own && ir_type_equal(&sum->type, &x->type) && ir_type_equal(&sum->type, &sum->inputs[1 - i]->type) &&
            (found < 0 || x->id > sum->inputs[found]->id))
            found = i;
    }
    return found;
}

/* One of the values to choose from, with the rest added to it. */
static IrNode *add_rest(IrBuilder *b, const IrNode *sum, int which, IrNode *value) {
    IrNode *operands[2] = {sum->inputs[0], sum->inputs[1]};
    operands[which] = value;
    return is_zero(value) ? sum->inputs[1 - which] : ir_build2(b, OP_add, operands[0], operands[1], 0, NULL);
}

static IrNode *add_where_chosen(PassContext *ctx, IrNode *sum, int which) {
    IrNode *choice = sum->inputs[which], *operands[IR_MAX_CASES + 1] = {choice->inputs[0]};
    IrBuilder b = {.graph = sum->graph, .before = sum, .diag = ctx->diag, .span = choice->span, .tag = choice->tag};
    for (int i = 1; i < choice->input_count; i++) {
        int same = 1;
        while (choice->inputs[same] != choice->inputs[i])
            same++;
        operands[i] = same < i ? operands[same] : add_rest(&b, sum, which, choice->inputs[i]);
    }
    b.span = sum->span;
    b.tag = sum->tag;
    return ir_build(&b, OP_choose, NULL, choice->input_count, operands, 0, NULL);
}

static bool take_up_choices(PassContext *ctx, IrGraph *g) {
    ir_clear_scratch(g);
    ir_graph_number(g);
    const int *uses = ir_count_uses(g, ctx->arena);
    int numbered = g->next_id;
    bool changed = false;
    for (IrNode *n = g->first; n; n = n->next) {
        rewrite_forward_inputs(n);
        int which = n->op == OP_add ? find_choice(n, uses, numbered) : -1;
        if (which < 0)
            continue;
        n->scratch = add_where_chosen(ctx, n, which);
        changed = true;
    }
    ir_replace_uses_by_scratch(g);
    ir_clear_scratch(g);
    return changed;
}

bool pass_fuse_mixed_op(PassContext *ctx, IrGraph *g) {
    ir_graph_number(g);
    bool moved = take_up_edges(g);
    bool factored = factor_sums(ctx, g);
    bool chosen = take_up_choices(ctx, g);
    if (factored || chosen) {
        pass_dce(ctx, g); /* the weighted values that only the sums needed; sums that were replaced */
    }
    return moved || factored || chosen;
}
