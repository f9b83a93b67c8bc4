/* work.c: what one call of a kernel does, read off its steps: for the profile, not for the code.
 *
 * Arithmetic: every elementwise operation and every term of a sum or maximum counts 1, so a multiply-add counts 2. A
 * scalar is evaluated once for each combination of the axes that it depends on, or, when that is less, for each
 * combination of the indices at which it reads: relu(x[h+kh, w+kw, c]) is needed once per pixel, not once per window.
 * Random draws count nothing. Memory: every element that the steps read or write, once, whatever the caches do; partial
 * sums are read and written.
 *
 * In C a call is for one image in stages over images; a CUDA kernel is for all images of the largest batch. */
#include "codegen/stages/emit.h"

enum { MAX_KEYS = 24 };

/* The indices at which a scalar reads, apart from their constants. */
typedef struct Keys {
    int count; /* MAX_KEYS + 1: too many to tell */
    const CgIndex *index[MAX_KEYS];
} Keys;

typedef struct Walk {
    Arena *arena;
    const CgOptions *options;
    const CgStep *step;
    bool image; /* one image only */
    int scalar_count, scalar_capacity;
    CgScalar **scalars; /* operands before what uses them; mark is the place in this list, from 1 */
    Keys *keys;
} Walk;

static void collect(Walk *w, CgScalar *s) {
    if (s->mark)
        return;
    for (int i = 0; i < s->arg_count; i++)
        collect(w, s->args[i]);
    ARENA_PUSH(w->arena, w->scalars, w->scalar_count, w->scalar_capacity, s);
    s->mark = w->scalar_count;
}

static double extent(const Walk *w, int64_t given) {
    if (given == IR_DIM_K)
        return w->options->chunks;
    return given == IR_DIM_N ? (w->image ? 1 : (double)w->options->batch) : (double)given;
}

static double axes_product(const Walk *w, uint32_t axes) {
    double product = 1;
    for (int a = 0; a < w->step->axis_count; a++)
        product *= axes >> a & 1 ? extent(w, w->step->axes[a].extent) : 1;
    return product;
}

/* ---- indices ---- */

static bool same_key(const CgIndex *a, const CgIndex *b) {
    CgIndex x = *a, y = *b;
    x.constant = y.constant = 0;
    return cg_index_equal(&x, &y);
}

static void add_key(Keys *keys, const CgIndex *index) {
    for (int i = 0; i < keys->count && i < MAX_KEYS; i++)
        if (same_key(keys->index[i], index))
            return;
    if (keys->count < MAX_KEYS)
        keys->index[keys->count] = index;
    keys->count += keys->count <= MAX_KEYS;
}

static void find_keys(const Walk *w, const CgScalar *s, Keys *keys) {
    for (int i = 0; i < s->index_count; i++)
        add_key(keys, &s->index[i]);
    for (int i = 0; i < s->arg_count; i++) {
        const Keys *of = &w->keys[s->args[i]->mark - 1];
        if (of->count > MAX_KEYS) {
            keys->count = MAX_KEYS + 1;
            return;
        }
        for (int k = 0; k < of->count; k++)
            add_key(keys, of->index[k]);
    }
}

/* How many values an index takes. */
static double index_values(const Walk *w, const CgIndex *index) {
    int64_t least, most;
    if (!cg_index_range(w->step, index, &least, &most))
        return axes_product(w, cg_index_axes(index));
    return (double)((most - least) / index->divisor + 1);
}

static double evaluations(const Walk *w, const CgScalar *s) {
    double by_axes = axes_product(w, s->axes), by_keys = 1;
    const Keys *keys = &w->keys[s->mark - 1];
    if (keys->count > MAX_KEYS)
        return by_axes;
    for (int i = 0; i < keys->count; i++)
        by_keys *= index_values(w, keys->index[i]);
    return by_keys < by_axes ? by_keys : by_axes;
}

/* ---- counting ---- */

static double count_operations(const Walk *w, const CgScalar *s) {
    if (s->kind == SCALAR_op)
        return evaluations(w, s);
    if (s->kind != SCALAR_reduce)
        return 0;
    uint32_t axes = s->axes;
    for (int i = 0; i < s->reduce_count; i++)
        axes |= UINT32_C(1) << s->reduce_axes[i];
    return axes_product(w, axes);
}

static double buffer_elements(const Walk *w, const CgBuffer *buffer) {
    double count = 1;
    for (int d = 0; d < buffer->type.rank; d++)
        count *= extent(w, buffer->type.dim[d]);
    return count;
}

/* Elements of the buffer that a load touches. */
static double load_elements(const Walk *w, const CgScalar *s) {
    double count = 1;
    for (int d = 0; d < s->index_count; d++) {
        double values = index_values(w, &s->index[d]), most = extent(w, s->buffer->type.dim[d]);
        count *= values < most ? values : most;
    }
    return count;
}

typedef struct Touched {
    const CgBuffer *buffer;
    bool made; /* by one of the steps: those behind it have what it made at hand */
    double elements;
} Touched;

static Touched *touch(Touched *list, int *count, const CgBuffer *buffer, double elements, double most) {
    int i = 0;
    while (i < *count && list[i].buffer != buffer)
        i++;
    if (i == *count)
        list[(*count)++] = (Touched){buffer, false, 0};
    if (!list[i].made)
        list[i].elements += elements;
    if (list[i].elements > most)
        list[i].elements = most;
    return &list[i];
}

static double result_elements(const Walk *w) {
    double count = 1;
    for (int a = 0; a < w->step->out->type.rank; a++)
        count *= extent(w, w->step->axes[a].extent);
    return count;
}

static void count_step(Walk *w, double *flops, Touched *touched, int *touched_count) {
    const CgStep *step = w->step;
    collect(w, step->value);
    w->keys = ARENA_ARRAY(w->arena, Keys, w->scalar_count);
    for (int i = 0; i < w->scalar_count; i++) {
        CgScalar *s = w->scalars[i];
        find_keys(w, s, &w->keys[i]);
        *flops += count_operations(w, s);
        if (s->kind == SCALAR_load)
            touch(touched, touched_count, s->buffer, load_elements(w, s), buffer_elements(w, s->buffer));
    }
    double results = result_elements(w);
    *flops += step->partial ? results : 0;
    touch(touched, touched_count, step->out, results * (step->partial ? 2 : 1), 2 * results)->made = true;
    for (int i = 0; i < w->scalar_count; i++)
        w->scalars[i]->mark = 0;
}

static void count_work(const CgOptions *options, PlanDomain domain, const CgStep *const *steps, int count,
                       PlanKernel *kernel) {
    Arena *arena = arena_create();
    Touched *touched = ARENA_ARRAY(arena, Touched, count * CG_MAX_BUFFERS);
    int touched_count = 0;
    double flops = 0, bytes = 0;
    for (int i = 0; i < count; i++) {
        bool image = options->target->by_image && domain == DOMAIN_images;
        Walk w = {.arena = arena, .options = options, .step = steps[i], .image = image};
        count_step(&w, &flops, touched, &touched_count);
    }
    for (int i = 0; i < touched_count; i++)
        bytes += touched[i].elements * (double)plan_element_bytes(options->precision, touched[i].buffer->type.dtype);
    arena_destroy(arena);
    kernel->flops = (int64_t)flops;
    kernel->bytes = (int64_t)bytes;
}

/* ---- what for ---- */

/* A convolution that makes what it reads by another, which stands inline in it. */
static bool has_inside(const IrNode *node) {
    return ir_is_convolution(node) && node->inputs[0]->inlined && ir_is_convolution(node->inputs[0]);
}

/* "3 conv2d, reduce_partial": operations in order, neighbours that are alike counted. */
static void add_operations(Str *s, const CgStep *const *steps, int count) {
    for (int i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && steps[end]->node->op == steps[i]->node->op; end++)
            continue;
        str_add(s, i ? ", " : "");
        if (end - i > 1)
            str_addf(s, "%d ", end - i);
        str_add(s, ir_op_info[steps[i]->node->op].name);
        str_add(s, has_inside(steps[i]->node) ? " with conv2d inside" : "");
    }
}

static const char *describe_purpose(Arena *arena, const CgStep *const *steps, int count) {
    enum { MOST_OPERANDS = 3 };
    const IrNode *node = steps[0]->node;
    Str s = str_create(arena);
    add_operations(&s, steps, count);
    str_add(&s, ":");
    for (int i = 0; i < node->input_count && i < MOST_OPERANDS; i++)
        str_addf(&s, "%s%s", i ? ", " : " ", ir_type_string(arena, &node->inputs[i]->type));
    str_addf(&s, "%s -> %s", node->input_count > MOST_OPERANDS ? ", ..." : "", ir_type_string(arena, &node->type));
    if (node->tag)
        str_addf(&s, "; %s", node->tag);
    return s.data;
}

PlanKernel cg_describe_kernel(Arena *arena, const CgOptions *options, PlanDomain domain, const CgStep *const *steps,
                              int count) {
    PlanKernel kernel = {.origin = describe_purpose(arena, steps, count)};
    count_work(options, domain, steps, count, &kernel);
    return kernel;
}
