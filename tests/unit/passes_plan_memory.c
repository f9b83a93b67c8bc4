/* Memory plans of random graphs, checked by following who owns each byte: a value is read where it was written and
 * nothing has been written over it since, also when the threads of a stage are at different images. */
#include "passes/pass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GRAPHS = 150, NODES = 80, BATCH = 6, CHUNKS = 3, GRAIN = 64 };

/* ---- random graphs ---- */

typedef struct Maker {
    Arena *arena;
    IrBuilder b;
    unsigned long long state;
    IrNode *images[NODES + 8], *vectors[NODES + 8];
    int image_count, vector_count;
} Maker;

static unsigned choose(Maker *m, unsigned count) {
    m->state = m->state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(m->state >> 33) % count;
}

static IrNode *any_image(Maker *m) {
    unsigned back = choose(m, 3) ? choose(m, m->image_count < 5 ? (unsigned)m->image_count : 5)
                                 : choose(m, (unsigned)m->image_count);
    return m->images[m->image_count - 1 - (int)back];
}

static IrNode *any_vector(Maker *m) {
    return m->vectors[choose(m, (unsigned)m->vector_count)];
}

static IrNode *make_conv(Maker *m, IrNode *x) {
    IrAttr attrs[] = {ir_attr_ints("stride", 2, (int64_t[]){1, 1}), ir_attr_ints("pad", 4, (int64_t[]){1, 1, 1, 1}),
                      ir_attr_ints("dilation", 2, (int64_t[]){1, 1}), ir_attr_int("groups", 4)};
    IrNode *w = ir_param_node(&m->b, "w", ir_type(DTYPE_f32, 4, (int64_t[]){4, 1, 3, 3}));
    return ir_build2(&m->b, OP_conv2d, x, w, 4, attrs);
}

static void add_random_node(Maker *m) {
    static const char *const tags[] = {NULL, "cells.0._ops.0", "cells.0._ops.1", "cells.0.preprocess0"};
    if (choose(m, 12) == 0) {
        m->b.tag = tags[choose(m, 4)];
    }
    IrAttr axes = ir_attr_ints("axes", 3, (int64_t[]){0, 1, 2});
    switch (choose(m, 9)) {
    case 0:
        m->images[m->image_count++] = make_conv(m, any_image(m));
        break;
    case 1:
        m->vectors[m->vector_count++] = ir_build1(&m->b, OP_reduce_sum, any_image(m), 1, &axes);
        break;
    case 2:
        m->vectors[m->vector_count++] = ir_build2(&m->b, OP_div, any_vector(m), any_vector(m), 0, NULL);
        break;
    case 3:
    case 4:
        m->images[m->image_count++] = ir_build2(&m->b, OP_mul, any_image(m), any_vector(m), 0, NULL);
        break;
    case 5:
        m->images[m->image_count++] = ir_build1(&m->b, choose(m, 2) ? OP_relu : OP_exp, any_image(m), 0, NULL);
        break;
    default:
        m->images[m->image_count++] = ir_build2(&m->b, OP_add, any_image(m), any_image(m), 0, NULL);
    }
}

static IrGraph *make_graph(Arena *arena, unsigned seed) {
    IrModule *module = ir_module_create(arena, "random");
    IrGraph *g = ir_graph_create(module, "train");
    Maker m = {.arena = arena, .b = {.graph = g}, .state = seed};
    IrType vector = ir_type(DTYPE_f32, 1, (int64_t[]){4});
    IrType image = ir_type(DTYPE_f32, 4, (int64_t[]){IR_DIM_N, 5, 5, 4});
    ir_module_add_param(module, (IrParam){.name = "v", .type = vector, .kind = PARAM_statistic});
    m.images[m.image_count++] = ir_graph_add_arg(g, "input", image, (Span){0});
    m.vectors[m.vector_count++] = ir_param_node(&m.b, "v", vector);
    for (int i = 0; i < NODES; i++) {
        add_random_node(&m);
    }
    IrAttr param = ir_attr_string("param", "v");
    ir_build1(&m.b, OP_assign, ir_build2(&m.b, OP_add, m.vectors[0], any_vector(&m), 0, NULL), 1, &param);
    ir_graph_add_output(g, "loss", m.vectors[m.vector_count - 1]);
    ir_graph_add_output(g, "logits", m.images[m.image_count - 1]);
    ir_graph_add_output(g, "middle", any_image(&m));
    return g;
}

/* ---- the check ---- */

typedef struct Step {
    IrNode *node;
    IrNode *reads[4 * NODES];
    int read_count;
} Step;

static void collect_reads(Step *step, const IrNode *n) {
    for (int i = 0; i < n->input_count; i++) {
        if (n->inputs[i]->inlined) {
            collect_reads(step, n->inputs[i]);
        } else if (step->read_count < 4 * NODES) {
            step->reads[step->read_count++] = n->inputs[i];
        }
    }
}

static bool has_memory(const IrNode *n) {
    return n->place == PLACE_work || n->place == PLACE_private;
}

static int64_t bytes_of(const IrNode *n) {
    return ir_type_count(&n->type, n->place == PLACE_private ? 1 : BATCH, CHUNKS) * 4;
}

static bool overlap(const IrNode *a, const IrNode *b) {
    return a->place == b->place && a->offset < b->offset + bytes_of(b) && b->offset < a->offset + bytes_of(a);
}

static bool is_once(const IrNode *n) {
    return !ir_type_has_dim(&n->type, IR_DIM_N) && !ir_type_has_dim(&n->type, IR_DIM_K);
}

/* One thread does the steps of a once stage in order when one depends on another. */
static bool is_serial(const Step *first, const Step *end) {
    for (const Step *s = first; s < end; s++) {
        for (int i = 0; i < s->read_count; i++) {
            if (s->reads[i]->stage == first->node->stage && is_once(s->node)) {
                return true;
            }
        }
    }
    return false;
}

static bool same_memory(const IrNode *a, const IrNode *b) {
    return a->offset == b->offset && ir_type_equal(&a->type, &b->type);
}

/* May step w write where r is read by step s of the same stage? Only where a value goes on in its operand's memory. */
static bool may_write_over(const Step *w, const Step *s, const IrNode *r, bool serial) {
    bool in_order = serial || (!is_once(w->node) && s < w);
    return same_memory(w->node, r) && (ir_op_info[w->node->op].flags & OP_ELEMENTWISE || serial) &&
           (s == w || in_order);
}

static bool may_share(const IrNode *a, const IrNode *b, bool serial) {
    return a->place != b->place || !overlap(a, b) || (serial && same_memory(a, b));
}

static void check_stage(const Step *first, const Step *end) {
    bool serial = is_serial(first, end);
    for (const Step *w = first; w < end; w++) {
        for (const Step *s = first; s < end && w->node->place == PLACE_work; s++) {
            assert_true(s == w || may_share(w->node, s->node, serial));
            for (int i = 0; i < s->read_count; i++) {
                const IrNode *r = s->reads[i];
                assert_true(r == w->node || !has_memory(r) || !overlap(w->node, r) || may_write_over(w, s, r, serial));
            }
        }
    }
}

/* Owners of each grain of a place, in the order of execution. */
typedef struct Owners {
    IrNode **of[PLACE_prepared + 1];
    int64_t size;
} Owners;

static void own(Owners *o, IrNode *n) {
    for (int64_t at = n->offset / GRAIN; at * GRAIN < n->offset + bytes_of(n); at++) {
        assert_true(at < o->size);
        o->of[n->place][at] = n;
    }
}

static void check_owned(const Owners *o, const IrNode *n) {
    for (int64_t at = n->offset / GRAIN; has_memory(n) && at * GRAIN < n->offset + bytes_of(n); at++) {
        assert_ptr_equal(o->of[n->place][at], n);
    }
}

static void check_graph(Arena *arena, IrGraph *g) {
    Step *steps = ARENA_ARRAY(arena, Step, 4 * NODES);
    int count = 0;
    Owners owners = {.size = 4 * NODES * 64};
    owners.of[PLACE_work] = ARENA_ARRAY(arena, IrNode *, owners.size);
    owners.of[PLACE_private] = ARENA_ARRAY(arena, IrNode *, owners.size);
    for (IrNode *n = g->first; n; n = n->next) {
        if (n->stage >= 0) {
            assert_true(count == 0 || n->stage >= steps[count - 1].node->stage);
            steps[count].node = n;
            collect_reads(&steps[count++], n);
        }
    }
    for (int i = 0, end; i < count; i = end) {
        for (end = i; end < count && steps[end].node->stage == steps[i].node->stage; end++) {
            for (int r = 0; r < steps[end].read_count; r++) {
                const IrNode *read = steps[end].reads[r];
                check_owned(&owners, read);
                assert_true(is_once(read) == is_once(steps[end].node) || read->op == OP_param ||
                            read->stage < steps[i].node->stage);
            }
            if (has_memory(steps[end].node)) {
                own(&owners, steps[end].node);
            }
            assert_true(is_once(steps[end].node) == is_once(steps[i].node));
        }
        check_stage(&steps[i], &steps[end]);
    }
    for (int i = 0; i < g->output_count; i++) {
        check_owned(&owners, g->outputs[i].value);
    }
}

static void values_never_overlap(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < GRAPHS; seed++) {
        Arena *arena = arena_create();
        IrGraph *g = make_graph(arena, seed);
        PassContext ctx = {.arena = arena,
                           .diag = diag_create(arena, stderr),
                           .module = g->module,
                           .kind = GRAPH_train,
                           .batch = BATCH,
                           .chunks = CHUNKS,
                           .element_size = 4,
                           .out = stdout};
        static const char *const names[] = {"dce", "split-reductions", "fuse", "plan-memory"};
        for (int i = 0; i < 4; i++) {
            pass_run(&ctx, pass_find(names[i]), g);
        }
        check_graph(arena, g);
        arena_destroy(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_never_overlap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
