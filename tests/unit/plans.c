/* plans.c: every plan there is goes through its text: built, printed, read, it is the same value, and printed again the
 * same bytes. The texts are those of specs/, genotypes/ and tests/. Those of tests/ are compiled for all targets and
 * precisions; the others, which are large, have three layers, and each some kinds of graphs for one target in one precision, in
 * turn; with NDARTS_SHORT every second of them, and fewer kinds of the small ones. */
#include "base/str.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 4, COMBINATIONS = 7 /* of targets and precisions */ };

static int plan_count, text_count;
static bool seen[TARGET_COUNT][PRECISION_COUNT][GRAPH_KIND_COUNT];

/* ---- equal ---- */

static void expect_tensors(const PlanTensor *a, int a_count, const PlanTensor *b, int b_count) {
    assert_int_equal(a_count, b_count);
    for (int i = 0; i < a_count; i++) {
        assert_string_equal(a[i].name, b[i].name);
        assert_true(ir_type_equal(&a[i].type, &b[i].type));
        assert_memory_equal(a[i].order, b[i].order, sizeof a[i].order[0] * (size_t)a[i].type.rank);
        assert_int_equal(a[i].place, b[i].place);
        assert_int_equal(a[i].offset, b[i].offset);
        assert_int_equal(a[i].kind, b[i].kind);
        assert_int_equal(a[i].init, b[i].init);
        assert_true(a[i].init_scale == b[i].init_scale);
        assert_int_equal(a[i].auxiliary, b[i].auxiliary);
    }
}

static bool same_step(const PlanStep *a, const PlanStep *b) {
    bool same = a->kernel == b->kernel && a->buffer_count == b->buffer_count && a->int_count == b->int_count &&
                a->launch == b->launch && a->threads == b->threads && a->when.choice == b->when.choice &&
                a->when.cases == b->when.cases && a->wait_count == b->wait_count;
    for (int i = 0; same && i < a->buffer_count; i++)
        same = a->buffers[i].place == b->buffers[i].place && a->buffers[i].offset == b->buffers[i].offset;
    for (int i = 0; same && i < a->int_count; i++)
        same = a->ints[i] == b->ints[i];
    for (int i = 0; same && i < a->wait_count; i++)
        same = a->waits[i] == b->waits[i];
    return same;
}

static void expect_stages(const PlanStage *a, int a_count, const PlanStage *b, int b_count) {
    assert_int_equal(a_count, b_count);
    for (int i = 0; i < a_count; i++) {
        assert_int_equal(a[i].domain, b[i].domain);
        assert_int_equal(a[i].step_count, b[i].step_count);
        for (int j = 0; j < a[i].step_count; j++)
            assert_true(same_step(&a[i].steps[j], &b[i].steps[j]));
    }
}

static void expect_kernels(const Plan *a, const Plan *b) {
    assert_int_equal(a->kernel_count, b->kernel_count);
    for (int i = 0; i < a->kernel_count; i++) {
        const PlanKernel *x = &a->kernels[i], *y = &b->kernels[i];
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->origin, y->origin);
        assert_int_equal(x->flops, y->flops);
        assert_int_equal(x->bytes, y->bytes);
        assert_int_equal(x->tensor, y->tensor);
        assert_memory_equal(&x->conv, &y->conv, sizeof x->conv);
    }
}

static void expect_plans(const Plan *a, const Plan *b) {
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->precision, b->precision);
    assert_int_equal(a->vector_bytes, b->vector_bytes);
    assert_int_equal(a->bands, b->bands);
    assert_int_equal(a->batch, b->batch);
    assert_int_equal(a->chunks, b->chunks);
    assert_int_equal(a->scratch_bytes, b->scratch_bytes);
    assert_int_equal(a->state_bytes, b->state_bytes);
    assert_int_equal(a->prepared_bytes, b->prepared_bytes);
    assert_int_equal(a->scalar_count, b->scalar_count);
    for (int i = 0; i < a->scalar_count; i++)
        assert_string_equal(a->scalars[i], b->scalars[i]);
    expect_kernels(a, b);
    expect_tensors(a->params, a->param_count, b->params, b->param_count);
    assert_int_equal(a->graph_count, b->graph_count);
    for (int i = 0; i < a->graph_count; i++) {
        const PlanGraph *x = &a->graphs[i], *y = &b->graphs[i];
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->work_bytes, y->work_bytes);
        assert_int_equal(x->private_bytes, y->private_bytes);
        assert_int_equal(x->changes_state, y->changes_state);
        assert_int_equal(x->choosing_count, y->choosing_count);
        assert_int_equal(x->choice_count, y->choice_count);
        for (int c = 0; c < x->choice_count; c++) {
            assert_int_equal(x->choices[c].place, y->choices[c].place);
            assert_int_equal(x->choices[c].offset, y->choices[c].offset);
        }
        expect_tensors(x->inputs, x->input_count, y->inputs, y->input_count);
        expect_tensors(x->outputs, x->output_count, y->outputs, y->output_count);
        expect_stages(x->prepare, x->prepare_count, y->prepare, y->prepare_count);
        expect_stages(x->stages, x->stage_count, y->stages, y->stage_count);
    }
}

/* ---- one text ---- */

typedef struct Text {
    Arena *arena;
    const char *path;
    const CgTarget *target;
    CgPrecision precision;
    int turns, number; /* kinds are taken in so many turns; of the combination */
    bool large;
    FILE *said;
} Text;

static void expect_round_trip(Arena *arena, const Plan *plan, const char *path) {
    Error error = {ERROR_NONE, ""};
    size_t size;
    const char *printed = plan_print(arena, plan);
    const unsigned char *bytes = plan_bytes(arena, plan, &size);
    const Plan *read = plan_read(arena, bytes, size, &error);
    if (!read)
        fail_msg("%s: %s", path, error.message);
    expect_plans(plan, read);
    if (!str_equal(plan_print(arena, read), printed))
        fail_msg("%s: printed again, the plan is another", path);
    plan_count++;
}

static IrModule *load_with(const Text *t, const char *set) {
    Error error = {ERROR_NONE, ""};
    FrontendOptions options = {
        .library = NDARTS_SOURCE_DIR "/genotypes", .sets = &set, .set_count = t->large && set ? 1 : 0};
    IrModule *module = frontend_load(t->arena, t->path, &options, diag_create(t->arena, t->said), &error);
    return module && ir_graph_find(module, "forward") ? module : NULL;
}

/* Not every network has layers. */
static IrModule *load(const Text *t) {
    IrModule *module = load_with(t, "layers=3");
    return module ? module : load_with(t, NULL);
}

/* Those that can be made of the text; their number. */
static int build_graphs(const Text *t, IrModule *module, const CgOptions *cg, IrGraph **graphs) {
    int count = 0;
    for (int kind = 0; kind < GRAPH_KIND_COUNT; kind++) {
        PassContext ctx = {.arena = t->arena,
                           .diag = diag_create(t->arena, t->said),
                           .module = module,
                           .kind = (GraphKind)kind,
                           .batch = cg->batch,
                           .chunks = cg->chunks,
                           .element_size = cg->precision == PRECISION_f64 ? 8 : 4,
                           .half = cg->precision == PRECISION_bf16,
                           .wide = cg->target->wide,
                           .out = t->said};
        if ((kind + t->number + text_count) % t->turns == 0 && (graphs[count] = pipeline_build_graph(&ctx))) {
            seen[cg->target->id][cg->precision][kind] = true;
            count++;
        }
    }
    return count;
}

/* False when the text defines no network. */
static bool try_plan(Text *t) {
    t->arena = arena_create();
    IrModule *module = load(t);
    IrGraph *graphs[GRAPH_KIND_COUNT];
    CgOptions cg = {.target = t->target,
                    .precision = t->precision,
                    .vector_bytes = t->target->vectors ? 32 : 0,
                    .unit_count = 1,
                    .batch = BATCH,
                    .chunks = cg_chunk_count(t->target, BATCH)};
    int count = module ? build_graphs(t, module, &cg, graphs) : 0;
    if (count)
        expect_round_trip(t->arena, cg_plan(t->arena, module, graphs, count, &cg), t->path);
    arena_destroy(t->arena);
    return count > 0;
}

static bool has(const CgTarget *target, int precision) {
    return target->precisions >> precision & 1;
}

/* All combinations, or that whose turn it is. */
static void try_text(const char *path, int turns, bool large) {
    Text t = {.path = path, .turns = turns, .large = large, .said = fopen("/dev/null", "w")};
    bool found = false;
    for (int target = 0; target < TARGET_COUNT; target++) {
        for (int i = 0; i < PRECISION_COUNT; i++) {
            t.target = cg_targets[target];
            t.precision = (CgPrecision)i;
            if (!has(t.target, i))
                continue;
            if (!large || t.number == text_count % COMBINATIONS)
                found |= try_plan(&t);
            t.number++;
        }
    }
    text_count += found;
    fclose(t.said);
}

/* ---- all texts ---- */

/* Of those that are alike but for their edges or their noise, one in so many. */
static void try_folder(const char *folder, int every, int turns, bool large) {
    Arena *arena = arena_create();
    struct dirent **found;
    int count = scandir(arena_printf(arena, "%s/%s", NDARTS_SOURCE_DIR, folder), &found, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        bool alike = str_starts_with(found[i]->d_name, "noisy_darts_"),
             later = large && getenv("NDARTS_SHORT") && i % 2;
        if (str_ends_with(found[i]->d_name, ".nd") && (!alike || i % every == 0) && !later)
            try_text(arena_printf(arena, "%s/%s/%s", NDARTS_SOURCE_DIR, folder, found[i]->d_name), turns, large);
        free(found[i]);
    }
    free(found);
    arena_destroy(arena);
}

static void test_specs(void **state) {
    (void)state;
    try_folder("specs", 4, 6, true);
}

static void test_genotypes(void **state) {
    (void)state;
    try_folder("genotypes", 16, 4, true);
}

static void test_small(void **state) {
    (void)state;
    try_folder("tests/simt", 1, 4, false);
    try_folder("tests/fuzz", 1, getenv("NDARTS_SHORT") ? 4 : 1, false);
    printf("%d texts, %d plans\n", text_count, plan_count);
    assert_true(text_count > 30 && plan_count > 60);
    for (int target = 0; target < TARGET_COUNT; target++)
        for (int i = 0; i < PRECISION_COUNT; i++)
            for (int kind = 0; kind < GRAPH_KIND_COUNT; kind++)
                assert_true(seen[target][i][kind] == has(cg_targets[target], i));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_specs), cmocka_unit_test(test_genotypes),
                                       cmocka_unit_test(test_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
