/* fuse.c: decides which values are never stored but computed where they are used (inlined), then orders the rest and
 * numbers its stages (staging.c).
 *     %c = conv2d ...                                 %c = conv2d ...          !{stage=0}
 *     %n = add (mul %c, %scale), %shift        =>     %n = ...                 !{inline}
 *     %r = relu %n                                    %r = relu %n             !{inline}
 *     %d = conv2d %r, %w                              %d = conv2d %r, %w       !{stage=2}     reads %c, %scale, %shift
 * Only elementwise operations, draws and views are inlined, and only when that is cheap:
 *   - several users compute the value several times, so it must not cost much;
 *   - a window (convolution, matrix product) reads every element several times, or copies it, so still less, and from
 *     one tensor; a GPU's pointwise products read theirs once, into a tile, so there it may be the gradient of a batch
 *     norm; into a pool and a shuffle of channels only views go, and a shuffle itself is stored;
 *   - what is computed once (scale) is not computed again for every pixel: only its views are inlined into images;
 *   - a value that reads several tensors is not carried into a later group: that would keep them all alive.
 * On a wide device what a dense convolution reads with a window of more than one pixel is stored, when there is enough
 * to do with it: a library can take the convolution then. A dilate never is, as only every fourth element is no zero.
 * There, too, a depthwise convolution stands inline in the pointwise one that alone reads it, where the device's kernels make it in
 * their tiles; and a depthwise convolution stands inline in the sum that alone reads it: the candidates' gradients with respect to
 * a state are added up without being stored.
 * Each decision has its reason (stored.def), which --remarks prints.
 * Values are decided operands first, so costs include what is inlined below. Outputs always have memory. */
#include "base/saturate.h"
#include "ir/stats.h"
#include "passes/plan_memory.h"
#include "passes/remarks.h"
#include "passes/staging.h"

enum {
    WINDOW_COST = 4, /* arithmetic operations per element */
    TILE_COST = 16,
    TILE_TENSORS = 2,
    SHARED_COST = 8,
    SHARED_TENSORS = 2,
    MOST_TENSORS = 8, /* of an inlined value of the images */
    MOST_LOADS = 48,
    MOST_NODES = 512, /* of an expression, however little it reads: it becomes one kernel, and trees that are walked */
    MOST_ONCE_LOADS = 16,
    ONCE_SHARED_COST = 3,
    DENSE_PRODUCTS =
        512 /* take six times as long, at the peak of an H100, as storing an element and reading it again */
};

/* What is known of a node when its users are looked at. */
typedef struct Value {
    double cost;         /* arithmetic operations to compute an element from memory (ir/stats.h) */
    int nodes;           /* of its expression */
    int loads;           /* reads of memory for an element, constants left out */
    int tensors;         /* those of them that read a tensor with images */
    int windows;         /* depthwise convolutions among what is inlined */
    bool expensive;      /* a transcendental function or a draw is among them */
    bool reads_assigned; /* a parameter that this graph assigns */
    bool is_choice;      /* looked at by whoever runs the graph */
    bool into_images;    /* computed once and read (through views) by something of the images */
    bool is_output;
    int users;
    IrNode *user; /* one of them */
    bool window_user, pool_user, larger_user, later_user, placed;
    bool large_window; /* a window of more than one pixel is among the users, or a depthwise one */
    int64_t products; /* on a wide device: of an element in a dense convolution, perhaps through a dilate; 0: in none */
    bool merged;      /* read with several dimensions as one, which only memory can give */
    Stored why;
} Value;

typedef struct Fusion {
    IrGraph *g;
    Value *values; /* by node id */
    int *groups;
    bool training;
    const WideDevice *wide; /* NULL: for another */
    int element_bytes;
    int64_t images;
} Fusion;

static bool is_pool(const IrNode *n) {
    return ir_is(n, OP_WINDOW) && !ir_is(n, OP_PRODUCT);
}

/* An element of it is one of an operand out of several. */
static bool is_joint(const IrNode *n) {
    return ir_is(n, OP_VIEW) && n->input_count > 1;
}

/* More elements per image than x has: an inlined x would be computed again for each. */
static bool is_larger(const IrNode *n, const IrNode *x) {
    return !ir_is(n, OP_REDUCTION | OP_ONCE) && ir_type_count(&n->type, 1, 1) > ir_type_count(&x->type, 1, 1);
}

/* Does a reshape join or split dimensions, rather than add or drop ones of extent 1? */
static bool merges_dimensions(const IrNode *n) {
    const IrType *from = &n->inputs[0]->type, *to = &n->type;
    for (int f = 0, t = 0; f < from->rank || t < to->rank; f++, t++) {
        while (f < from->rank && from->dim[f] == 1) {
            f++;
        }
        while (t < to->rank && to->dim[t] == 1) {
            t++;
        }
        if ((f < from->rank) != (t < to->rank) || (f < from->rank && from->dim[f] != to->dim[t])) {
            return true;
        }
    }
    return false;
}

/* Pixels of the window of a dense convolution or of the gradient of its weights; 0: n is neither. */
static int64_t count_taps(const IrNode *n) {
    if (!(ir_is_convolution(n) || ir_is_weight_gradient(n)) || ir_attr_get_int(n, "groups", 1) != 1)
        return 0;
    const int64_t *weight = ir_conv_weight(n);
    return weight[2] * weight[3];
}

/* ---- facts ---- */

/* Products that an element of operand x takes part in, when n is a dense convolution, or the gradient of its weights, with
 * a window of more than one pixel; else 0. */
static int64_t count_products(const IrNode *n, const IrNode *x) {
    int64_t taps = count_taps(n);
    if (taps <= 1 || !staging_is_images(x))
        return 0;
    const IrNode *y = ir_is_weight_gradient(n) ? n->inputs[0] : n, *input = n->inputs[ir_is_weight_gradient(n)];
    int64_t products = saturating_multiply(ir_type_count(&y->type, 1, 1), input->type.dim[3] * taps);
    return products / ir_type_count(&x->type, 1, 1);
}

static void find_products(Fusion *f) {
    for (IrNode *n = f->g->last; n; n = n->prev) {
        for (int i = 0; i < n->input_count; i++) {
            Value *x = &f->values[n->inputs[i]->id];
            bool dilated = n->op == OP_dilate && f->values[n->id].products > 0;
            int64_t products = dilated ? DENSE_PRODUCTS : count_products(n, n->inputs[i]);
            x->products = products > x->products ? products : x->products;
        }
    }
}

static void note_uses(Fusion *f, IrNode *n) {
    for (int i = 0; i < n->input_count; i++) {
        Value *x = &f->values[n->inputs[i]->id];
        bool again = i > 0 && n->inputs[i] == n->inputs[i - 1];
        x->users += !again;
        x->user = n;
        x->is_choice = x->is_choice || n->inputs[i] == ir_choice_of(n);
        x->merged = x->merged || (n->op == OP_reshape && merges_dimensions(n));
        bool window = ir_is(n, OP_WINDOW | OP_PRODUCT);
        x->window_user = x->window_user || window;
        x->large_window = x->large_window || (window && count_taps(n) != 1);
        x->pool_user = x->pool_user || is_pool(n) || n->op == OP_shuffle;
        x->larger_user = x->larger_user || is_larger(n, n->inputs[i]);
        x->placed = x->placed || (n->op == OP_place && n->inputs[i]->type.rank > 0);
        x->later_user = x->later_user || f->groups[n->id] != f->groups[n->inputs[i]->id];
    }
}

/* From users to operands: which once values end up in an expression over images. */
static void find_into_images(Fusion *f) {
    for (IrNode *n = f->g->last; n; n = n->prev) {
        bool passes_on = staging_is_images(n) || (ir_is(n, OP_VIEW) && f->values[n->id].into_images);
        for (int i = 0; passes_on && i < n->input_count; i++) {
            Value *x = &f->values[n->inputs[i]->id];
            x->into_images = x->into_images || !staging_is_images(n->inputs[i]);
        }
    }
}

static void gather_facts(Fusion *f, Arena *arena) {
    StrMap assigned = str_map_create(arena);
    for (IrNode *n = f->g->first; n; n = n->next) {
        note_uses(f, n);
        if (ir_param_written(n)) {
            str_map_set(&assigned, ir_param_written(n), n);
        }
    }
    for (IrNode *n = f->g->first; n; n = n->next) {
        if (ir_param_read(n)) {
            f->values[n->id].reads_assigned = str_map_get(&assigned, ir_param_read(n)) != NULL;
        }
    }
    for (int i = 0; i < f->g->output_count; i++) {
        f->values[f->g->outputs[i].value->id].is_output = true;
    }
    find_into_images(f);
    if (f->wide) {
        find_products(f);
    }
}

/* ---- decisions ---- */

typedef struct Tensors {
    int count;
    const IrNode *nodes[MOST_LOADS];
} Tensors;

static void add_tensor(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    Tensors *t = data;
    for (int i = 0; i < t->count; i++) {
        if (t->nodes[i] == value) {
            return;
        }
    }
    if (staging_is_images(value) && t->count < MOST_LOADS) {
        t->nodes[t->count++] = value;
    }
}

/* However often it reads them. */
static int count_tensors(IrNode *n) {
    Tensors t = {0};
    staging_visit_loads(n, add_tensor, &t);
    return t.count;
}

/* What an expression has no room for gets memory after all. */
static void add_operand(const Fusion *f, Value *value, Value *x, IrNode *operand) {
    if (operand->inlined && f->wide && value->windows + x->windows > f->wide->most_windows) {
        operand->inlined = false;
        x->why = STORED_no_room;
    }
    if (operand->inlined) {
        value->nodes += x->nodes;
        value->windows += x->windows;
        value->cost += x->cost;
        value->loads += x->loads;
        value->tensors += x->tensors;
        value->expensive = value->expensive || x->expensive;
    } else {
        value->loads++;
        value->tensors += staging_is_images(operand);
    }
    if (operand->inlined || ir_param_read(operand)) {
        value->reads_assigned = value->reads_assigned || x->reads_assigned;
    }
}

/* A depthwise convolution that brings no more than a tile of its operand into shared memory. */
static bool is_tiled_window(const WideDevice *wide, const IrNode *n) {
    if (!wide || !ir_is_convolution(n) || !ir_conv_is_depthwise(n))
        return false;
    const int64_t *weight = ir_conv_weight(n), *stride = ir_attr_get_ints(n, "stride");
    return weight[2] * weight[3] <= wide->most_taps && stride[0] == 1 && stride[1] == 1;
}

static void sum_costs(Fusion *f, IrNode *n) {
    Value *value = &f->values[n->id];
    value->cost = ir_element_cost(n, 1);
    value->expensive = value->cost >= IR_EXPENSIVE;
    value->nodes = 1;
    value->windows = is_tiled_window(f->wide, n);
    for (int i = 0; i < n->input_count; i++) {
        add_operand(f, value, &f->values[n->inputs[i]->id], n->inputs[i]);
    }
    if (is_joint(n) && value->tensors > 1 && !f->training) {
        value->tensors = 1; /* an element is read from one of the parts, which loops over channels are cut by */
    }
}

/* Where all that read it are pointwise products of a GPU, which bring it into a tile once. */
static bool should_inline_in_tiles(IrNode *n, const Value *v) {
    return v->cost <= TILE_COST && !v->expensive && !v->larger_user && count_tensors(n) <= TILE_TENSORS;
}

/* Into one elementwise operation over the same elements. */
static bool should_inline_windows(const IrNode *n, const Value *v) {
    return v->users == 1 && !v->is_output && ir_is(v->user, OP_ELEMENTWISE | OP_LAZY) &&
           ir_type_equal(&v->user->type, &n->type);
}

/* Into the pointwise convolution that alone reads it. */
static bool is_made_inside(const Fusion *f, IrNode *n, const Value *v) {
    return f->wide && v->users == 1 && !v->is_output && ir_is_convolution(n) && ir_conv_is_depthwise(n) &&
           ir_is_convolution(v->user) && v->user->inputs[0] == n &&
           f->wide->makes_inside(v->user, n, f->element_bytes, f->images);
}

static Stored when(bool stored, Stored why) {
    return stored ? why : STORED_not;
}

static Stored decide_images(const Fusion *f, IrNode *n, const Value *v) {
    if (v->windows > 0) {
        return when(!should_inline_windows(n, v), STORED_windows);
    }
    if (is_joint(n) && v->tensors > 1) {
        return STORED_joint; /* in training its readers are many: one copy (measured 3 % faster, and less memory) */
    }
    if (v->pool_user) {
        return when(v->cost != 0, STORED_pool);
    }
    if (f->wide && n->op == OP_dilate) {
        return STORED_not;
    }
    if (v->products >= DENSE_PRODUCTS && v->cost > 0) {
        return STORED_dense;
    }
    if (v->window_user) {
        bool little = v->cost <= WINDOW_COST && v->tensors <= 1 && !v->expensive && !v->larger_user;
        return when(!little && !(f->wide && !v->large_window && should_inline_in_tiles(n, v)), STORED_window);
    }
    if (v->larger_user) {
        return when(v->cost != 0, STORED_larger);
    }
    if (v->later_user && v->tensors > 1) {
        return STORED_later;
    }
    bool little = v->cost <= SHARED_COST && v->tensors <= SHARED_TENSORS && !v->expensive;
    return when(v->users > 1 && !little, STORED_shared);
}

/* Rows of the architecture parameters and of their gradient: were the row's number part of the expressions that read
 * it, every edge would have kernels of its own. */
static bool is_row(const IrNode *n, const Value *v) {
    return (n->op == OP_index && n->type.rank > 0) || (v->placed && v->cost > 0);
}

static Stored decide_once(const IrNode *n, const Value *v) {
    if (is_row(n, v)) {
        return STORED_row;
    }
    if (v->into_images || v->window_user || v->larger_user) {
        return when(v->cost != 0, v->into_images ? STORED_pixels : v->window_user ? STORED_window : STORED_larger);
    }
    bool little = v->cost <= ONCE_SHARED_COST && v->loads <= 4 && !v->expensive && !v->reads_assigned;
    return when(v->users > 1 && !little, STORED_shared);
}

/* Reading it along the other axis is what it is there for, so the copy pays; a depthwise one only counts backwards. */
static bool is_transposition(const IrNode *n) {
    return n->op == OP_flip_weight && ir_attr_get_int(n, "groups", 1) == 1;
}

/* Whoever reads it would go through its operand's channels in strides. */
static bool is_shuffle(const IrNode *n) {
    return n->op == OP_shuffle && n->type.dim[n->type.rank - 1] > 1;
}

/* What is stored whatever it costs to compute. */
static Stored decide_form(const IrNode *n, const Value *v) {
    int most_loads = staging_is_images(n) ? MOST_LOADS : MOST_ONCE_LOADS;
    return v->is_output                                         ? STORED_output
           : v->is_choice                                       ? STORED_choice
           : v->users == 0                                      ? STORED_unread
           : !(ir_is_light(n) || n->op == OP_draw)              ? STORED_loop
           : is_transposition(n) || is_shuffle(n)               ? STORED_order
           : v->merged                                          ? STORED_merged
           : v->tensors > MOST_TENSORS || v->loads > most_loads ? STORED_reads
           : v->nodes > MOST_NODES                              ? STORED_large
                                                                : STORED_not;
}

static Stored decide(const Fusion *f, IrNode *n, const Value *v) {
    if (ir_is(n, OP_NUMBER)) {
        return when(v->is_output, STORED_output);
    }
    if (is_made_inside(f, n, v)) {
        return STORED_not;
    }
    if (is_tiled_window(f->wide, n)) {
        return when(!should_inline_windows(n, v), v->is_output ? STORED_output : STORED_loop);
    }
    Stored why = decide_form(n, v);
    return why ? why : staging_is_images(n) ? decide_images(f, n, v) : decide_once(n, v);
}

/* Of what is computed: parameters and inputs are there. */
static void print_remarks(const PassContext *ctx, const Fusion *f) {
    int count = 0;
    Remark *remarks = ARENA_ARRAY(ctx->arena, Remark, f->g->next_id);
    for (const IrNode *n = f->g->first; n; n = n->next) {
        int64_t elements = ir_type_count(&n->type, ctx->batch, ctx->chunks ? ctx->chunks : 16);
        if (!n->inlined && n->input_count)
            remarks[count++] = (Remark){n, f->values[n->id].why, elements * pass_element_size(ctx, n), 1};
    }
    fprintf(ctx->out, "graph %s, batch %lld\n", f->g->name, (long long)ctx->batch);
    remarks_print(ctx->out, remarks, count);
}

/* A number has no memory, and an output needs some. */
static void copy_numbers(PassContext *ctx, IrGraph *g) {
    for (int i = 0; i < g->output_count; i++) {
        IrNode *value = g->outputs[i].value;
        IrBuilder b = {.graph = g, .span = value->span, .diag = ctx->diag};
        const IrAttr shape = ir_attr_ints("shape", value->type.rank, value->type.dim);
        if (ir_is(value, OP_NUMBER))
            g->outputs[i].value = ir_build1(&b, OP_reshape, value, 1, &shape);
    }
}

bool pass_fuse(PassContext *ctx, IrGraph *g) {
    copy_numbers(ctx, g);
    if (ctx->wide || (ctx->ranks > 1 && !settings_batch_norm_is_local(&ctx->settings)))
        staging_sort_groups(g, ctx->arena);
    ir_graph_number(g);
    Fusion f = {.g = g,
                .values = ARENA_ARRAY(ctx->arena, Value, g->next_id),
                .groups = staging_find_groups(g, ctx->arena),
                .training = graph_kind_is_training(ctx->kind),
                .wide = ctx->wide,
                .element_bytes = (int)ctx->element_size,
                .images = ctx->batch};
    gather_facts(&f, ctx->arena);
    for (IrNode *n = g->first; n; n = n->next) {
        sum_costs(&f, n);
        f.values[n->id].why = decide(&f, n, &f.values[n->id]);
        n->inlined = f.values[n->id].why == STORED_not;
    }
    if (ctx->remarks)
        print_remarks(ctx, &f);
    staging_number_stages(ctx, g);
    return true;
}
