/* gradients.c: every gradient rule against finite differences, in f64, through the generated code.
 * The table has one or more rows for every op of ops.def that has a rule, but elementwise ones of one operand, which make
 * theirs themselves; an op without a row fails the test, so a new one cannot be forgotten. A row is the body of @forward: its result %y is weighted by a random grad_output, its input
 * is %input: f32[N,5,4,6] (called %x in the table), its parameters are %w and so on. Values are drawn from [low, high],
 * away from kinks by chance. */
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "ir/scalar_form.h"
#include "runtime/driver/runtime.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGES = 3, INPUT_SIZE = 5 * 4 * 6 };

typedef struct Case {
    IrOp op;
    double low, high;
    const char *text;
} Case;

#define W(type) "%w = param {name=\"w\", kind=\"weight\", init=\"zeros\"} : f32" type "\n"
#define V(type) "%v = param {name=\"v\", kind=\"weight\", init=\"zeros\"} : f32" type "\n"
#define BINARY(op, low, high)                                                                                          \
    {OP_##op, low, high, W("[6]") "%y = " #op " %x, %w\n"},                                                            \
        {OP_##op, low, high, W("[4,1]") V("[1,5,1,6]") "%u = " #op " %w, %v\n%y = add %u, %x\n"}, {                    \
        OP_##op, low, high, W("[]") "%y = " #op " %w, %x\n"                                                            \
    }
#define CONV(shape, stride, pad, dilation, groups)                                                                     \
    {                                                                                                                  \
        OP_conv2d, -1, 1,                                                                                              \
            W(shape) "%y = conv2d %x, %w {stride=" stride ", pad=" pad ", dilation=" dilation ", groups=" groups "}\n" \
    }
#define POOL(op, kernel, stride, pad)                                                                                  \
    { OP_##op, -1, 1, "%y = " #op " %x {kernel=" kernel ", stride=" stride ", pad=" pad "}\n" }

/* In one of the three orders the case has what is made of the parameter v. */
#define CHOOSE(values)                                                                                                 \
    {                                                                                                                  \
        OP_choose, -1, 1,                                                                                              \
            W("[3]") V("[6]") "%c = argmax %w\n%a = mul %x, %v\n%b = exp %x\n%d = sin %x\n%e = mul %b, %d\n"           \
                              "%f = choose %c, " values "\n%g = index %w {axis=0, at=1}\n%h = mul %f, %g\n"            \
                              "%y = choose %c, %h, %f, %h\n"                                                           \
    }

static const Case cases[] = {
    BINARY(add, -1, 1),
    BINARY(sub, -1, 1),
    BINARY(mul, -1, 1),
    BINARY(div, 0.5, 2),
    BINARY(max, -1, 1),
    BINARY(min, -1, 1),
    {OP_mul, -1, 1, "%y = mul %x, %x\n"},
    {OP_select, -1, 1, W("[6]") V("[4,6]") "%c = gt %x, %v\n%y = select %c, %w, %x\n"},
    {OP_select, -1, 1, W("[6]") "%c = gt %x, %w\n%y = select %c, %x, %w\n"},
    {OP_add_n, -1, 1, W("[6]") V("[4,1]") "%y = add_n %x, %w, %v, %x\n"},
    CHOOSE("%a, %e, %x"),
    CHOOSE("%e, %x, %a"),
    CHOOSE("%x, %a, %e"),
    {OP_slice, -1, 1, "%y = slice %x {axis=1, begin=1, end=4}\n"},
    {OP_slice, -1, 1, "%y = slice %x {axis=3, begin=2, end=6}\n"},
    {OP_pad, -1, 1, "%y = pad %x {axis=2, begin=1, end=2}\n"},
    {OP_concat, -1, 1,
     W("[6]") "%a = mul %x, %w\n%b = slice %x {axis=3, begin=0, end=2}\n%y = concat %a, %b, %x {axis=3}\n"},
    {OP_index, -1, 1, "%y = index %x {axis=2, at=1}\n"},
    {OP_index, -1, 1, W("[3,6]") "%a = index %w {axis=0, at=2}\n%y = mul %x, %a\n"},
    {OP_place, -1, 1, W("[6]") "%a = place %w {axis=0, at=1, size=4}\n%y = mul %x, %a\n"},
    {OP_place, -1, 1, "%a = index %x {axis=1, at=3}\n%y = place %a {axis=2, at=1, size=3}\n"},
    {OP_shuffle, -1, 1, "%y = shuffle %x {groups=2}\n"},
    {OP_shuffle, -1, 1, "%a = shuffle %x {groups=3}\n%y = mul %a, %x\n"},
    {OP_reshape, -1, 1, "%y = reshape %x {shape=[-1,20,6]}\n"},
    {OP_reshape, -1, 1, W("[24]") "%a = reshape %w {shape=[4,6]}\n%y = mul %x, %a\n"},
    {OP_broadcast, -1, 1, W("[4,1]") "%a = broadcast %w {shape=[5,4,6]}\n%y = mul %x, %a\n"},
    {OP_broadcast, -1, 1,
     "%a = slice %x {axis=3, begin=1, end=2}\n%b = broadcast %a {shape=[-1,5,4,6]}\n%y = mul %b, %x\n"},
    {OP_reduce_sum, -1, 1, "%y = reduce_sum %x {axes=[1,2], keep=true}\n"},
    {OP_reduce_sum, -1, 1, "%y = reduce_sum %x {axes=[3]}\n"},
    {OP_reduce_sum, -1, 1, "%s = reduce_sum %x {axes=[0,1,2]}\n%y = mul %x, %s\n"},
    {OP_reduce_sum, -1, 1, W("[6,3]") "%s = reduce_sum %w {axes=[1]}\n%y = mul %x, %s\n"},
    {OP_reduce_sum, -1, 1, "%s = reduce_sum %x {axes=[0], keep=true}\n%y = mul %x, %s\n"},
    CONV("[4,6,3,3]", "[1,1]", "[1,1,1,1]", "[1,1]", "1"),
    CONV("[4,6,3,2]", "[2,1]", "[0,1,1,0]", "[1,1]", "1"),
    CONV("[20,6,1,1]", "[1,1]", "[0,0,0,0]", "[1,1]", "1"),
    CONV("[3,6,1,1]", "[2,2]", "[0,0,0,0]", "[1,1]", "1"),
    CONV("[4,6,1,3]", "[1,2]", "[0,1,0,1]", "[1,1]", "1"),
    CONV("[6,1,3,3]", "[1,1]", "[1,1,1,1]", "[1,1]", "6"),
    CONV("[6,1,5,5]", "[2,2]", "[2,2,2,2]", "[1,1]", "6"),
    CONV("[6,1,3,3]", "[1,1]", "[2,2,2,2]", "[2,2]", "6"),
    CONV("[6,1,3,3]", "[2,2]", "[2,2,2,2]", "[2,2]", "6"),
    CONV("[4,3,3,3]", "[2,1]", "[1,1,1,1]", "[1,1]", "2"),
    CONV("[12,1,3,3]", "[1,1]", "[1,1,1,1]", "[1,1]", "6"),
    {OP_matmul, -1, 1, W("[120,7]") "%a = reshape %x {shape=[-1,120]}\n%y = matmul %a, %w\n"},
    {OP_matmul, -1, 1, W("[7,120]") "%a = reshape %x {shape=[-1,120]}\n%y = matmul %a, %w {tb=true}\n"},
    {OP_matmul, -1, 1,
     W("[3,6]") V("[4,3]") "%a = matmul %w, %v {ta=true, tb=true}\n%b = reshape %a {shape=[1,6,4]}\n"
                           "%c = slice %b {axis=1, begin=1, end=2}\n%d = reshape %c {shape=[4,1]}\n%y = mul %x, %d\n"},
    {OP_matmul, -1, 1, W("[3,4]") V("[3,6]") "%a = matmul %w, %v {ta=true}\n%y = mul %x, %a\n"},
    {OP_matmul, -1, 1,
     "%a = reshape %x {shape=[-1,120]}\n%b = slice %a {axis=1, begin=0, end=4}\n"
     "%c = slice %a {axis=1, begin=5, end=11}\n%d = matmul %b, %c {ta=true}\n%y = mul %x, %d\n"},
    POOL(max_pool, "[3,3]", "[1,1]", "[1,1,1,1]"),
    POOL(max_pool, "[3,3]", "[2,2]", "[1,1,1,1]"),
    POOL(max_pool, "[2,3]", "[2,1]", "[0,1,1,0]"),
    POOL(avg_pool, "[3,3]", "[1,1]", "[1,1,1,1]"),
    POOL(avg_pool, "[3,3]", "[2,2]", "[1,1,1,1]"),
    POOL(avg_pool, "[4,3]", "[1,1]", "[0,0,0,0]"),
};
enum { CASES = sizeof cases / sizeof cases[0] };

static Arena *arena;

/* ---- one case ---- */

typedef struct Check {
    const Case *c;
    RtProgram *program;
    Tensor input, grad_output;
} Check;

static double value_at(const char *name, int64_t i, double low, double high) {
    uint64_t z = hash_string(name) + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return low + (high - low) * (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static Tensor make_tensor(const RtTensorInfo *info, double low, double high) {
    Tensor t = {.name = info->name, .type = TENSOR_f64, .rank = info->rank};
    for (int d = 0; d < info->rank; d++)
        t.shape[d] = info->shape[d] < 0 ? IMAGES : info->shape[d];
    double *data = ARENA_ARRAY(arena, double, tensor_count(&t));
    for (int64_t i = 0; i < tensor_count(&t); i++)
        data[i] = value_at(info->name, i, low, high);
    t.data = data;
    return t;
}

static double run(const Check *check) {
    Error error = {0};
    RtInput inputs[2] = {{"input", NULL}, {"grad_output", NULL}};
    const Tensor *tensors[2] = {&check->input, &check->grad_output};
    for (int i = 0; i < 2; i++)
        inputs[i].data =
            rt_input_pack(check->program, GRAPH_gradients, inputs[i].name, tensors[i], 0, IMAGES, arena, &error);
    RtRun r = {.kind = GRAPH_gradients, .batch = IMAGES, .input_count = 2, .inputs = inputs};
    if (error.kind || !rt_run(check->program, &r, &error))
        fail_msg("%s: %s", ir_op_info[check->c->op].name, error.message);
    return rt_output_scalar(check->program, GRAPH_gradients, "loss");
}

/* Central differences in every element of tensor; is_param says how a change reaches the program. */
static void compare(Check *check, Tensor *tensor, bool is_param, const Tensor *gradient) {
    const double step = 1e-5;
    double *data = tensor->data, difference = 0, size = 0;
    Error error = {0};
    for (int64_t i = 0; i < tensor_count(tensor); i++) {
        double old = data[i], loss[2];
        for (int side = 0; side < 2; side++) {
            data[i] = old + (side ? step : -step);
            assert_true(!is_param || rt_param_set(check->program, tensor, &error));
            loss[side] = run(check);
        }
        data[i] = old;
        assert_true(!is_param || rt_param_set(check->program, tensor, &error));
        double numeric = (loss[1] - loss[0]) / (2 * step), analytic = tensor_get(gradient, i);
        difference += (numeric - analytic) * (numeric - analytic);
        size += numeric * numeric;
    }
    if (!(sqrt(difference) <= 1e-6 * (sqrt(size) + 1e-2)))
        fail_msg("gradient of '%s' with respect to %s is off by %g of %g in\n%s", ir_op_info[check->c->op].name,
                 tensor->name, sqrt(difference), sqrt(size), check->c->text);
}

static const char *with_input_named(const char *text) {
    Str s = str_create(arena);
    for (const char *at = text; *at; at++) {
        bool is_x = at[0] == '%' && at[1] == 'x';
        str_add_bytes(&s, is_x ? "%input" : at, is_x ? 6 : 1);
        at += is_x;
    }
    return s.data;
}

static RtProgram *open_case(const Case *c, bool plain) {
    Error error = {0};
    const char *path = arena_printf(arena, "gradients_%d.ir", (int)getpid());
    const char *text = arena_printf(arena, "graph @forward(%%input: f32[N,5,4,6]) {\n%sreturn \"logits\" = %%y\n}\n",
                                    with_input_named(c->text));
    GraphKind kind = GRAPH_gradients;
    assert_true(file_write_atomic(path, text, strlen(text), &error));
    RtProgramOptions options = {.path = path,
                                .threads = 1,
                                .precision = PRECISION_f64,
                                .batch = IMAGES,
                                .kinds = &kind,
                                .kind_count = 1,
                                .vector_bytes = RT_VECTOR_HOST,
                                .plain = plain,
                                .grad_output_loss = true,
                                .input_gradient = true};
    RtProgram *program = rt_program_open(&options, &error);
    if (!program)
        fail_msg("%s: %s\n%s", ir_op_info[c->op].name, error.message, text);
    return program;
}

static void check_case(const Case *c, bool plain) {
    Check check = {.c = c, .program = open_case(c, plain)};
    int count = rt_param_count(check.program);
    Tensor *params = ARENA_ARRAY(arena, Tensor, count);
    Error error = {0};
    for (int i = 0; i < count; i++) {
        params[i] = make_tensor(rt_param_info(check.program, i), c->low, c->high);
        assert_true(rt_param_set(check.program, &params[i], &error));
    }
    check.input = make_tensor(rt_input_info(check.program, GRAPH_gradients, "input"), c->low, c->high);
    check.grad_output = make_tensor(rt_input_info(check.program, GRAPH_gradients, "grad_output"), -1, 1);
    run(&check);
    Tensor *gradients = ARENA_ARRAY(arena, Tensor, count + 1);
    for (int i = 0; i < count; i++)
        gradients[i] =
            rt_output_get(check.program, GRAPH_gradients, arena_printf(arena, "grad/%s", params[i].name), arena);
    gradients[count] = rt_output_get(check.program, GRAPH_gradients, "grad/input", arena);
    for (int i = 0; i < count; i++)
        compare(&check, &params[i], true, &gradients[i]);
    compare(&check, &check.input, false, &gradients[count]);
    rt_program_close(check.program);
}

/* ---- tests ---- */

static const char *const gradient_names[OP_COUNT] = {
#define OP(id, inputs, shape, flags, scalar, cost, simplify, gradient, expand, stage, stats, attributes) #gradient,
#include "ir/ops.def"
#undef OP
};

static bool has_rule(IrOp op) {
    return !str_equal(gradient_names[op], "none") && !str_equal(gradient_names[op], "zero");
}

static bool is_unary(IrOp op) {
    return (ir_op_info[op].flags & OP_ELEMENTWISE) && ir_op_info[op].inputs == 1;
}

/* Of numbers on both sides of zero, where the function is defined there. */
static Case unary_case(IrOp op) {
    bool everywhere = isfinite(ir_evaluate(op, 1, (double[]){-1}));
    return (Case){op, everywhere ? -1.5 : 0.5, everywhere ? 1.5 : 2,
                  arena_printf(arena, "%%y = %s %%x\n", ir_op_info[op].name)};
}

static void every_rule_has_a_case(void **state) {
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        bool found = is_unary((IrOp)op);
        for (int i = 0; i < CASES; i++)
            found = found || cases[i].op == (IrOp)op;
        if (has_rule((IrOp)op) && !found)
            fail_msg("op '%s' has a gradient rule, and no row in the table of this test", ir_op_info[op].name);
    }
}

static void rules_match_differences(void **state) {
    bool plain = *(bool *)*state;
    for (int i = 0; i < CASES; i++) {
        arena = arena_create();
        check_case(&cases[i], plain);
        arena_destroy(arena);
    }
    for (int op = 0; op < OP_COUNT; op++) {
        if (!is_unary((IrOp)op) || !has_rule((IrOp)op))
            continue;
        arena = arena_create();
        Case of_row = unary_case((IrOp)op);
        check_case(&of_row, plain);
        arena_destroy(arena);
    }
    unlink(arena_printf(arena = arena_create(), "gradients_%d.ir", (int)getpid()));
    arena_destroy(arena);
}

int main(void) {
    static bool plain = true, fast = false;
    setenv("NDARTS_CFLAGS", "-O1", 1); /* compiled faster, and optimising changes no bit */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_has_a_case),
        {"rules_match_differences_plain", rules_match_differences, NULL, NULL, &plain},
        {"rules_match_differences_fast", rules_match_differences, NULL, NULL, &fast},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
