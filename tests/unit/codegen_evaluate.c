/* codegen_evaluate.c: what ir_evaluate says of every elementwise op, against generated code: of all triples of some numbers, and
 * of what is none, in single and double precision, element by element and in vectors. An op that is added is tried too. */
#include "codegen_harness.h"
#include "ir/scalar_form.h"

enum { NUMBERS = 10, TRIPLES = NUMBERS * NUMBERS * NUMBERS, COLUMNS = TRIPLES / HARNESS_BATCH };

static const double numbers[NUMBERS] = {-INFINITY, -3.5, -1, -0.0, 0, 0.25, 1, 40, INFINITY, NAN};

static double operand(int triple, int which) {
    static const int step[3] = {NUMBERS * NUMBERS, NUMBERS, 1};
    return numbers[triple / step[which] % NUMBERS];
}

static int operand_count(int op) {
    return ir_op_info[op].inputs < 0 ? 3 : ir_op_info[op].inputs;
}

/* Each op's result is an output of its name. */
static const char *write_graph(Arena *arena) {
    static const char *const operands[] = {"", "%x", "%x, %y", "%x, %y, %z"};
    Str nodes = str_create(arena), outputs = str_create(arena);
    for (int op = 0; op < OP_COUNT; op++) {
        const char *name = ir_op_info[op].name;
        if (!(ir_op_info[op].flags & OP_ELEMENTWISE))
            continue;
        str_addf(&nodes, "  %%%d = %s %s\n", op, name, operands[operand_count(op)]);
        str_addf(&outputs, "%s\"%s\"=%%%d", outputs.length ? ", " : "", name, op);
    }
    return arena_printf(arena, "graph @infer(%%x: f32[N,%d], %%y: f32[N,%d], %%z: f32[N,%d]) {\n%s  return %s\n}\n",
                        COLUMNS, COLUMNS, COLUMNS, nodes.data, outputs.data);
}

static void *input(Arena *arena, int which, bool f64) {
    double *wide = ARENA_ARRAY(arena, double, TRIPLES);
    float *narrow = ARENA_ARRAY(arena, float, TRIPLES);
    for (int i = 0; i < TRIPLES; i++)
        wide[i] = operand(i, which), narrow[i] = (float)wide[i];
    return f64 ? (void *)wide : narrow;
}

static bool agree(double found, double expected, double tolerance) {
    if (isnan(expected) || isinf(expected))
        return isnan(expected) ? isnan(found) : found == expected;
    return fabs(found - expected) <= tolerance * fabs(expected);
}

static void check_op(Harness *h, int op, bool f64) {
    const char *name = ir_op_info[op].name;
    const void *found = harness_output(h, name);
    for (int i = 0; i < TRIPLES; i++) {
        double x[3] = {operand(i, 0), operand(i, 1), operand(i, 2)};
        double expected = ir_evaluate((IrOp)op, operand_count(op), x);
        double value = f64 ? ((const double *)found)[i] : ((const float *)found)[i];
        if (!agree(value, expected, f64 ? 1e-13 : 1e-5))
            fail_msg("%s of %g, %g, %g: the kernel says %.17g, ir_evaluate %.17g", name, x[0], x[1], x[2], value,
                     expected);
    }
}

static void check(int vector_bytes, CgPrecision precision) {
    Arena *arena = arena_create();
    bool f64 = precision == PRECISION_f64;
    Harness *h = harness_create(arena, write_graph(arena), harness_options(vector_bytes, precision), "-march=native");
    for (int i = 0; i < 3; i++)
        h->inputs[i] = input(arena, i, f64);
    harness_run(h);
    for (int op = 0; op < OP_COUNT; op++)
        if (ir_op_info[op].flags & OP_ELEMENTWISE)
            check_op(h, op, f64);
    harness_end(arena);
}

static void test_plain(void **state) {
    (void)state;
    check(0, PRECISION_f32);
    check(0, PRECISION_f64);
}

static void test_vectors(void **state) {
    (void)state;
    check(32, PRECISION_f32);
    check(32, PRECISION_f64);
}

/* What the forms should be, of one number each that only the right one gives. */
static void test_values(void **state) {
    (void)state;
    const double x[3] = {-2, 3, 5}, zero[3] = {0, 3, 5}, half = 0.5;
    assert_true(ir_evaluate(OP_sub, 2, x) == -5 && ir_evaluate(OP_div, 2, x) == -2.0 / 3);
    assert_true(ir_evaluate(OP_max, 2, x) == 3 && ir_evaluate(OP_min, 2, x) == -2 && ir_evaluate(OP_gt, 2, x) == 0);
    assert_true(ir_evaluate(OP_select, 3, x) == 3 && ir_evaluate(OP_select, 3, zero) == 5);
    assert_true(ir_evaluate(OP_add_n, 3, x) == 6 && ir_evaluate(OP_relu, 1, x) == 0 && ir_evaluate(OP_abs, 1, x) == 2);
    assert_true(ir_evaluate(OP_sigmoid, 1, &half) == 1 / (1 + exp(-0.5)) && ir_evaluate(OP_log, 1, &half) == log(0.5));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_vectors),
                                       cmocka_unit_test(test_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
