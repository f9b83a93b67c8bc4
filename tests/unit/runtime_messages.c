/* runtime_messages.c: a message is waited for before the first stage that touches what comes of it, at the end if none does, and
 * when there are too many under way. */
#include "runtime/device/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { STAGES = 8 };

/* A stage with one step: where its buffers lie. */
typedef struct Row {
    PlanDomain domain;
    int64_t first, second, count; /* count: of what is exchanged */
} Row;

/* Results lie at 0, 100, 200, ...; their chunks at 1000. */
static PlanGraph make_graph(Arena *arena, const Row *rows, int count) {
    PlanGraph g = {.stage_count = count, .stages = ARENA_ARRAY(arena, PlanStage, count)};
    for (int i = 0; i < count; i++) {
        PlanStep *step = ARENA_NEW(arena, PlanStep);
        *step = (PlanStep){.buffer_count = 2, .buffers = ARENA_ARRAY(arena, PlanBuffer, 2), .int_count = 1};
        step->buffers[0] = (PlanBuffer){PLACE_work, rows[i].first};
        step->buffers[1] = (PlanBuffer){PLACE_work, rows[i].second};
        step->ints = ARENA_ARRAY(arena, int64_t, 1);
        step->ints[0] = rows[i].count;
        g.stages[i] = (PlanStage){rows[i].domain, 1, 1, step};
    }
    return g;
}

static void expect_due(const RtMessages *at, int count, int first) {
    assert_int_equal(at->due_count, count);
    if (count)
        assert_int_equal(at->due[0], first);
}

static void test_touched(void **state) {
    (void)state;
    static const Row rows[] = {{DOMAIN_exchange, 0, 1000, 10},   {DOMAIN_exchange, 100, 1000, 10},
                               {DOMAIN_images, 500, 40, 0},      {DOMAIN_images, 500, 136, 0},
                               {DOMAIN_exchange, 100, 1000, 10}, {DOMAIN_serial, 36, 500, 0}};
    Arena *arena = arena_create();
    PlanGraph g = make_graph(arena, rows, 6);
    const RtMessages *at = rt_messages_plan(arena, &g, false, 4);
    static const int own[] = {0, 1, -1, -1, 1, -1};
    for (int i = 0; i < 6; i++)
        assert_int_equal(at[i].own, own[i]);
    expect_due(&at[2], 0, 0); /* 40 is behind ten numbers from 0 */
    expect_due(&at[3], 1, 1);
    expect_due(&at[4], 0, 0);
    expect_due(&at[5], 1, 0);
    expect_due(&at[6], 1, 4);
    at = rt_messages_plan(arena, &g, true, 4);
    expect_due(&at[2], 1, 0); /* of doubles it is the sixth of them */
    arena_destroy(arena);
}

static void test_other_places(void **state) {
    (void)state;
    static const Row rows[] = {{DOMAIN_exchange, 0, 1000, 10}, {DOMAIN_images, 0, 500, 0}};
    Arena *arena = arena_create();
    PlanGraph g = make_graph(arena, rows, 2);
    g.stages[1].steps->buffers[0].place = PLACE_private;
    const RtMessages *at = rt_messages_plan(arena, &g, false, 4);
    expect_due(&at[1], 0, 0);
    expect_due(&at[2], 1, 0);
    arena_destroy(arena);
}

static void test_too_many(void **state) {
    (void)state;
    Row rows[STAGES];
    for (int i = 0; i < STAGES; i++)
        rows[i] = (Row){DOMAIN_exchange, i * 100, 1000, 10};
    Arena *arena = arena_create();
    PlanGraph g = make_graph(arena, rows, STAGES);
    const RtMessages *at = rt_messages_plan(arena, &g, false, 2);
    for (int i = 0; i < STAGES; i++) {
        assert_int_equal(at[i].own, i % 2);
        expect_due(&at[i], i >= 2, i - 2);
    }
    expect_due(&at[STAGES], 2, STAGES - 2);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_touched), cmocka_unit_test(test_other_places),
                                       cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
