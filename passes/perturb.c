/* perturb.c: the weights that the candidates have in the pass of the weights in place of their own (SDARTS, Chen and
 * Hsieh, 2020).
 *     %b = perturb %a {name="alphas_normal", start=@s, ascent=@f, steps=7}
 * In search-weights, with L the loss of the same images in evaluation mode (running statistics, which stay as they are):
 *     b = start(a)
 *     steps times: b = ascent(a, b, dL/db)             all kinds of cell together
 *     b = a where L(a) > L(b)                          when there are steps
 * and then the pass with b; outputs perturbed/NAME, and with steps ascent_loss/I (L(a), L before each step, L(b)) and
 * restored. In all other graphs %b is %a. For L the forward pass is made once more from @forward, as evaluation has it,
 * and copied for each place where it is wanted (forward_copy.h); the tags of the copies begin with ascent0/, ascent1/, ...
 * Equal values of the copies are not shared: they would have to live through all of them. */
#include "passes/forward_copy.h"
#include "passes/gradients.h"
#include "passes/rewrite.h"

typedef struct Places {
    int count, capacity;
    IrNode **nodes;
} Places;

typedef struct Perturb {
    PassContext *ctx;
    IrGraph *g;
    IrBuilder b;
    Places places;
    IrNode **a, **at;       /* of each place: as it was, and where the ascent has got to */
    ForwardPass evaluation; /* as are the copies of L */
    IrNode *evaluation_loss;
    int losses; /* copies so far */
} Perturb;

static Places find_places(Arena *arena, const IrGraph *g) {
    Places found = {0};
    for (IrNode *n = g->first; n; n = n->next)
        if (n->op == OP_perturb)
            ARENA_PUSH(arena, found.nodes, found.count, found.capacity, n);
    return found;
}

/* The first of each name: those of one name are the same. */
static Places first_places(Arena *arena, const Places *all) {
    Places found = {0};
    StrMap seen = str_map_create(arena);
    for (int i = 0; i < all->count; i++) {
        const char *name = ir_attr_get_string(all->nodes[i], "name", "");
        if (!str_map_get(&seen, name))
            ARENA_PUSH(arena, found.nodes, found.count, found.capacity, all->nodes[i]);
        str_map_set(&seen, name, all->nodes[i]);
    }
    return found;
}

static const char *name_of(const Perturb *p, int place) {
    return ir_attr_get_string(p->places.nodes[place], "name", "");
}

static int64_t steps_of(const Perturb *p) {
    return ir_attr_get_int(p->places.nodes[0], "steps", 0);
}

/* What the function that the attribute names makes of them; the first when there is none. */
static IrNode *call(Perturb *p, int place, const char *attribute, int count, IrNode *const *args) {
    const IrAttr *function = ir_attr(p->places.nodes[place], attribute);
    if (!function)
        return args[0];
    IrAttr attrs[] = {ir_attr_symbols("callee", 1, function->symbols), ir_attr_string("name", "")};
    p->b.span = p->places.nodes[place]->span;
    return ir_build(&p->b, OP_call, NULL, count, args, 2, attrs);
}

/* ---- the loss in evaluation mode ---- */

/* What makes primitives of @forward in evaluation, where there is neither noise nor drop path. */
static PassFunction *const to_primitives[] = {
    pass_attach_auxiliary, pass_attach_loss, pass_expand, pass_canonicalize, pass_cse, pass_sink_shuffles, pass_dce};

static IrGraph *make_evaluation(PassContext *ctx) {
    IrGraph *forward = ir_graph_find(ctx->module, "forward");
    if (!forward) {
        diag_error(ctx->diag, (Span){0},
                   "the pass 'perturb' makes the loss in evaluation mode of '@forward', which is not there");
        return NULL;
    }
    PassContext evaluation = *ctx;
    IrGraph *g = ir_graph_clone(forward, "perturb-evaluation");
    evaluation.kind = GRAPH_eval;
    for (size_t i = 0; i < sizeof to_primitives / sizeof to_primitives[0]; i++)
        to_primitives[i](&evaluation, g);
    return g;
}

static ForwardCopy start_copy(Perturb *p, const char *pass, IrNode *const *at) {
    Arena *arena = p->ctx->arena;
    ForwardCopy copy = {.arena = arena,
                        .g = p->g,
                        .pass = pass,
                        .images = "",
                        .draws = "",
                        .params = str_map_create(arena),
                        .perturbed = str_map_create(arena),
                        .assigned = str_map_create(arena)};
    for (int i = 0; at && i < p->places.count; i++)
        str_map_set(&copy.perturbed, name_of(p, i), at[i]);
    return copy;
}

/* At these weights of the candidates; NULL: at their own. */
static IrNode *loss_at(Perturb *p, IrNode *const *at) {
    ForwardCopy copy = start_copy(p, arena_printf(p->ctx->arena, "ascent%d", p->losses), at);
    forward_copy(&copy, &p->evaluation);
    IrNode *loss = p->evaluation_loss->scratch;
    ir_graph_add_output(p->g, arena_printf(p->ctx->arena, "ascent_loss/%d", p->losses++), loss);
    return loss;
}

/* The weights as they are, by the names of the places; in the first copy. */
static void find_own(Perturb *p) {
    for (int i = 0; i < p->evaluation.count; i++) {
        const IrNode *n = p->evaluation.nodes[i];
        for (int k = 0; n->op == OP_perturb && k < p->places.count; k++)
            if (str_equal(name_of(p, k), ir_attr_get_string(n, "name", "")))
                p->a[k] = n->scratch;
    }
}

/* ---- the ascent ---- */

static void climb(Perturb *p) {
    IrNode **gradients = ARENA_ARRAY(p->ctx->arena, IrNode *, p->places.count);
    gradients_of(p->ctx, loss_at(p, p->at), p->at, p->places.count, gradients);
    for (int i = 0; i < p->places.count; i++)
        p->at[i] = call(p, i, "ascent", 3, (IrNode *[]){p->a[i], p->at[i], gradients[i]});
}

static void ascend(Perturb *p) {
    IrNode *before = loss_at(p, NULL);
    find_own(p);
    for (int i = 0; i < p->places.count; i++)
        p->at[i] = call(p, i, "start", 1, &p->a[i]);
    for (int64_t i = 0; i < steps_of(p); i++)
        climb(p);
    IrNode *restored = rewrite_binary(&p->b, OP_gt, before, loss_at(p, p->at));
    for (int i = 0; i < p->places.count; i++) {
        IrNode *better = ir_build3(&p->b, OP_select, restored, p->a[i], p->at[i], 0, NULL);
        p->at[i] = rewrite_unary(&p->b, OP_detach, better);
    }
    ir_graph_add_output(p->g, "restored", restored);
}

static void add_outputs(Perturb *p) {
    for (int i = 0; i < p->places.count; i++) {
        const char *name = arena_printf(p->ctx->arena, "perturbed/%s", name_of(p, i));
        if (!ir_graph_find_output(p->g, name))
            ir_graph_add_output(p->g, name, p->at[i]);
    }
}

/* The pass itself stands behind all of this. */
static bool build_ascent(Perturb *p) {
    IrGraph *evaluation = make_evaluation(p->ctx);
    if (!evaluation)
        return false;
    ForwardPass training = forward_pass_of(p->ctx->arena, p->g);
    p->places = first_places(p->ctx->arena, &p->places);
    int outputs = p->g->output_count;
    p->evaluation = forward_pass_of(p->ctx->arena, evaluation);
    p->evaluation_loss = ir_graph_find_output(evaluation, "loss");
    ascend(p);
    ForwardCopy copy = start_copy(p, "", p->at);
    copy.assigns = true;
    forward_copy(&copy, &training);
    for (int i = 0; i < outputs; i++)
        p->g->outputs[i].value = p->g->outputs[i].value->scratch;
    forward_remove(&training);
    ir_graph_remove(evaluation);
    return true;
}

/* ---- the pass ---- */

/* In the place of each. */
static void start_only(Perturb *p) {
    for (int i = 0; i < p->places.count; i++) {
        p->b.before = p->places.nodes[i];
        p->at[i] = call(p, i, "start", 1, p->places.nodes[i]->inputs);
    }
}

static void replace_places(Perturb *p) {
    ir_clear_scratch(p->g);
    for (int i = 0; i < p->places.count; i++) {
        p->places.nodes[i]->scratch = p->at[i];
        p->places.nodes[i]->mark = 1;
    }
    ir_replace_uses_by_scratch(p->g);
    rewrite_remove_marked(p->g);
}

bool pass_perturb(PassContext *ctx, IrGraph *g) {
    Perturb p = {.ctx = ctx, .g = g, .b = {.graph = g, .diag = ctx->diag}, .places = find_places(ctx->arena, g)};
    if (p.places.count == 0)
        return false;
    bool here = ctx->kind == GRAPH_search_weights;
    p.a = ARENA_ARRAY(ctx->arena, IrNode *, p.places.count);
    p.at = ARENA_ARRAY(ctx->arena, IrNode *, p.places.count);
    if (here && steps_of(&p) > 0) {
        if (!build_ascent(&p))
            return false;
    } else {
        for (int i = 0; i < p.places.count; i++)
            p.at[i] = p.places.nodes[i]->inputs[0];
        if (here)
            start_only(&p);
        replace_places(&p);
    }
    if (here) {
        add_outputs(&p);
        pass_expand(ctx, g);
        pass_dce(ctx, g);
    }
    return true;
}
