/* Modules written by hand: the executor, the layouts of tensors, damaged plans, files and cache entries. */
#include "base/file.h"
#include "base/str.h"
#include "cache_folder.h"
#include "codegen/plan/plan.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/machine.h"
#include "runtime/driver/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* infer: logits[n,c] = sum over the picture of input * (2 w)[c]; 2 w is prepared.
 * train: loss = sum over images of (sum over the picture of input[..,0]) by chunks; w += lr. */
static const char kernels[] =
    "#include <stdint.h>\n"
    "typedef struct NdRun { uint64_t seed, step, image_base; int64_t batch, chunks; double scalar[16]; } NdRun;\n"
    "typedef struct NdWork { int64_t image, chunk, first; const NdRun *run; int64_t band, bands; void *scratch; } "
    "NdWork;\n"
    "typedef void NdKernel(void *const *, const int64_t *, const NdWork *);\n"
    "static void k_double(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)w; for (int c = 0; c < 3; c++) ((float *)b[1])[c] = (float)i[0] * ((float *)b[0])[c]; }\n"
    "static void k_scale(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)i; if (w->image < 0) return; const float *x = (float *)b[0] + w->image * 12, *s = b[1]; float *y = "
    "b[2];\n"
    "    for (int p = 0; p < 12; p++) y[p] = x[p] * s[p % 3]; }\n"
    "static void k_sum(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)i; if (w->image < 0) return; float *y = (float *)b[1] + w->image * 3; const float *x = b[0];\n"
    "    for (int c = 0; c < 3; c++) { y[c] = 0; for (int p = 0; p < 4; p++) y[c] += x[3 * p + c]; } }\n"
    "static void k_partial(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)i; float *sum = (float *)b[1] + w->chunk; if (w->first) *sum = 0; if (w->image < 0) return;\n"
    "    const float *x = (float *)b[0] + w->image * 12; for (int p = 0; p < 4; p++) *sum += x[3 * p] * 1.1f; }\n"
    "static void k_merge(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)i; double sum = 0; for (int64_t k = 0; k < w->run->chunks; k++) sum += ((float *)b[0])[k]; *(float "
    "*)b[1] = (float)sum; }\n"
    "static void k_step(void *const *b, const int64_t *i, const NdWork *w) {\n"
    "    (void)i; for (int c = 0; c < 3; c++) ((float *)b[0])[c] += (float)w->run->scalar[0]; }\n"
    "NdKernel *const nd_kernels[] = {k_double, k_scale, k_sum, k_partial, k_merge, k_step};\n";

static const char plan_text[] =
    "{\"version\":2,\"target\":\"c\",\"precision\":\"f32\",\"vector_bytes\":16,\"bands\":false,\"batch\":8,\"chunks\":"
    "5,\"scalars\":["
    "\"lr\",\"batch\"],"
    "\"kernels\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"d\"},{\"name\":\"e\"},{\"name\":\"f\"}"
    "],"
    "\"scratch_bytes\":64,\"state_bytes\":128,\"prepared_bytes\":64,"
    "\"params\":[{\"name\":\"w\",\"dtype\":\"f32\",\"shape\":[3],\"order\":[0],\"offset\":0,\"kind\":\"weight\","
    "\"init\":\"ones\",\"init_scale\":0,"
    "\"auxiliary\":false},{\"name\":\"conv\",\"dtype\":\"f32\",\"shape\":[2,3,1,2],\"order\":[2,3,1,0],\"offset\":64,"
    "\"kind\":\"statistic\","
    "\"init\":\"uniform\",\"init_scale\":0.5,\"auxiliary\":false}],"
    "\"graphs\":[{\"name\":\"infer\",\"work_bytes\":96,\"private_bytes\":48,"
    "\"inputs\":[{\"name\":\"input\",\"dtype\":\"f32\",\"shape\":[-1,2,2,3],\"order\":[0,1,2,3]}],"
    "\"outputs\":[{\"name\":\"logits\",\"dtype\":\"f32\",\"shape\":[-1,3],\"order\":[0,1],\"place\":\"work\","
    "\"offset\":0}],"
    "\"prepare\":[{\"domain\":\"serial\",\"steps\":\"0 s0 r0 #2\"}],"
    "\"stages\":[{\"domain\":\"images\",\"steps\":\"1 i0 r0 p0;2 p0 w0\"}]},"
    "{\"name\":\"train\",\"work_bytes\":64,\"private_bytes\":0,"
    "\"inputs\":[{\"name\":\"input\",\"dtype\":\"f32\",\"shape\":[-1,2,2,3],\"order\":[0,1,2,3]}],"
    "\"outputs\":[{\"name\":\"loss\",\"dtype\":\"f32\",\"shape\":[],\"order\":[],\"place\":\"work\",\"offset\":32}],"
    "\"prepare\":[],"
    "\"stages\":[{\"domain\":\"images\",\"steps\":\"3 i0 w0\"},"
    "{\"domain\":\"parallel\",\"steps\":\"4 w0 w32;5 s0\"}]}]}";

static Arena *arena;

/* Source of a module with this plan: the kernels, then the plan as a byte array. */
static const char *module_source(const char *plan) {
    Str s = str_create(arena);
    size_t length = strlen(plan);
    str_add(&s, kernels);
    str_add(&s, "const unsigned char nd_plan[] = {'n','d','p','l','a','n',0,1");
    for (int i = 0; i < 8; i++)
        str_addf(&s, ",%d", (int)(length >> (8 * i) & 255));
    for (size_t i = 0; i < length; i++)
        str_addf(&s, ",%d", plan[i]);
    str_add(&s, "};\n");
    return s.data;
}

static void build(const char *plan, const char *path) {
    RtCompiler compiler;
    Error error = {0};
    const char *unit = module_source(plan);
    CgOutput output = {.unit_count = 1, .units = &unit};
    if (!rt_compiler_find(arena, &compiler, &error) ||
        !rt_build_shared(&compiler, &output, rt_compiler_options(arena, 16), path, &error))
        fail_msg("%s", error.message);
}

static void copy_part(const char *from, const char *to, size_t most) {
    Error error = {0};
    SourceFile *file = source_read(arena, from, &error);
    assert_non_null(file);
    assert_true(file_write_atomic(to, file->text, file->size < most ? file->size : most, &error));
}

static Tensor make_input(int64_t n) {
    Tensor t = {.name = "input",
                .type = TENSOR_f32,
                .rank = 4,
                .shape = {n, 3, 2, 2},
                .data = arena_alloc(arena, sizeof(float) * 12 * (size_t)n)};
    for (int64_t i = 0; i < 12 * n; i++)
        ((float *)t.data)[i] = (float)i;
    return t;
}

static RtProgram *load(const char *path, int threads) {
    Error error = {0};
    RtProgram *p = rt_program_load(NULL, path, threads, 1, &error);
    if (!p)
        fail_msg("%s", error.message);
    return p;
}

static void run(RtProgram *p, GraphKind kind, int64_t n) {
    Error error = {0};
    Tensor t = make_input(n);
    RtInput input = {"input", rt_input_pack(p, kind, "input", &t, 0, n, arena, &error)};
    RtRun r = {.kind = kind, .batch = n, .scalars = {[RUN_lr] = 0.5}, .input_count = 1, .inputs = &input};
    if (!rt_run(p, &r, &error))
        fail_msg("%s", error.message);
}

static void test_infer(void **state) {
    (void)state;
    RtProgram *p = load("./hand.so", 2);
    run(p, GRAPH_infer, 2);
    Tensor logits = rt_output_get(p, GRAPH_infer, "logits", arena);
    assert_int_equal(logits.shape[0], 2);
    /* NCHW: channel c of image n holds 12 n + 4 c + 0..3 */
    for (int n = 0; n < 2; n++) {
        for (int c = 0; c < 3; c++)
            assert_float_equal(tensor_get(&logits, 3 * n + c), 2 * (4 * (12 * n + 4 * c) + 6), 0);
    }
    run(p, GRAPH_train, 2); /* w is 1.5 now, and what was prepared from it is out of date */
    run(p, GRAPH_infer, 2);
    logits = rt_output_get(p, GRAPH_infer, "logits", arena);
    assert_float_equal(tensor_get(&logits, 0), 3 * 6, 0);
    rt_program_close(p);
}

static void test_same_bits(void **state) {
    (void)state;
    for (int n = 1; n <= 8; n++) {
        double first = 0;
        for (int threads = 1; threads <= 4; threads++) {
            RtProgram *p = load("./hand.so", threads);
            for (int i = 0; i < 50; i++) {
                run(p, GRAPH_train, n);
                double loss = rt_output_scalar(p, GRAPH_train, "loss");
                first = threads == 1 && i == 0 ? loss : first;
                assert_true(loss == first);
            }
            rt_program_close(p);
        }
        assert_true(first > 0);
    }
}

static void test_state(void **state) {
    (void)state;
    RtProgram *p = load("./hand.so", 1), *q = load("./hand.so", 1);
    Error error = {0};
    float values[12];
    for (int i = 0; i < 12; i++)
        values[i] = (float)i;
    Tensor conv = {.name = "conv", .type = TENSOR_f32, .rank = 4, .shape = {2, 3, 1, 2}, .data = values};
    Tensor before = rt_param_get(q, "conv", arena);
    for (int i = 0; i < 12; i++)
        assert_true(tensor_get(&before, i) >= -0.5 && tensor_get(&before, i) < 0.5 && tensor_get(&before, i) != 0);
    assert_true(rt_param_set(p, &conv, &error));
    TensorFile file = {0};
    rt_state_get(p, arena, &file);
    assert_true(rt_state_set(q, &file, RT_STATE_all, &error));
    Tensor after = rt_param_get(q, "conv", arena);
    assert_memory_equal(after.data, values, sizeof values);

    conv.shape[0] = 3;
    assert_false(rt_param_set(p, &conv, &error));
    assert_string_equal(error.message, "conv: expected shape [2, 3, 1, 2], found [3, 3, 1, 2]");
    error = (Error){0};
    TensorFile part = {.tensors = &file.tensors[0], .count = 1};
    assert_false(rt_state_set(q, &part, RT_STATE_weights, &error));
    assert_string_equal(error.message,
                        "does not fit the network: 1 missing, 0 of another shape, 0 left over; nothing was loaded");
    rt_program_close(p);
    rt_program_close(q);
}

/* Every prefix of the plan, and every plan with one character changed, is read or refused; nothing else. */
static void test_damaged_plans(void **state) {
    (void)state;
    size_t length = strlen(plan_text), accepted = 0;
    char *text = arena_strdup(arena, plan_text);
    for (size_t i = 0; i < length; i++) {
        Error error = {0};
        assert_null(plan_parse(arena, text, i, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
        char kept = text[i];
        text[i] = kept == '9' ? '0' : '9';
        error = (Error){0};
        accepted += plan_parse(arena, text, length, &error) != NULL;
        assert_true(error.kind == ERROR_NONE || error.kind == ERROR_INPUT);
        text[i] = kept;
    }
    assert_true(accepted < length);
}

static const char *replace(const char *text, const char *old, const char *new) {
    const char *at = strstr(text, old);
    return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

/* The plan without what is between `from` (from there on) and `to`, or with something else in its place. */
static void expect_bad_plan(const char *from, const char *until, const char *instead, const char *says) {
    const char *begin = strstr(plan_text, from), *end = strstr(begin, until);
    const char *text = arena_printf(arena, "%.*s%s%s", (int)(begin - plan_text), plan_text, instead, end);
    Error error = {0};
    assert_null(plan_parse(arena, text, strlen(text), &error));
    if (error.kind != ERROR_INPUT || !strstr(error.message, says))
        fail_msg("expected '%s' in: %s", says, error.message);
}

/* What is missing is not taken for empty, nor what does nothing for a plan. */
static void test_emptied_plans(void **state) {
    (void)state;
    expect_bad_plan("\"graphs\":", "\"}]}]}", "\"graphs\":[],\"x\":[{\"y\":[{\"z\":\"", "there are no graphs");
    expect_bad_plan("\"stages\":", "},{\"name\":\"train\"", "\"stages\":[]", "graphs[0]: the graph has no stages");
    expect_bad_plan("1 i0 r0 p0;2 p0 w0", "\"}]}", "",
                    "graphs[0].stages[0]: 'steps' should be a string with a step in it");
    expect_bad_plan("\"bands\"", "\"batch\"", "", "'bands' should be true or false");
    expect_bad_plan("\"auxiliary\"", "\"auxiliary\":false}]", "\"x\":0},{",
                    "params[0]: 'auxiliary' should be true or false");
    expect_bad_plan("\"name\":\"b\"", "}", "", "kernels[1]: 'name' should be a string");
    expect_bad_plan("\"lr\"", ",\"batch\"]", "null", "'scalars' should hold strings");
    static const char *const members[] = {"version", "target",     "precision",     "vector_bytes", "chunks",
                                          "scalars", "kernels",    "scratch_bytes", "state_bytes",  "prepared_bytes",
                                          "params",  "graphs",     "stages",        "prepare",      "inputs",
                                          "outputs", "work_bytes", "private_bytes", "domain",       "steps"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *key = arena_printf(arena, "\"%s\":", members[i]);
        expect_bad_plan(key, ":", "\"else\"", arena_printf(arena, "'%s'", members[i]));
    }
}

/* What is no description of a convolution is passed over: it is only for those who have something faster. */
static void test_convolutions(void **state) {
    (void)state;
    static const struct {
        const char *conv;
        PlanConvKind kind;
    } cases[] = {
        {"[2,0,1, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_forward},
        {"[0,2,1, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_grad_input},
        {"[2,1,0, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_grad_weight},
        {"[0,0,3, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_none},
        {"[1,1,0, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_none},
        {"[2,0,1, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,-1]", CONV_none},
        {"[2,0,1, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,99999999]", CONV_none},
        {"[2,0, 8,8,3,4,4,5, 3,3, 1,1, 2,2, 1,1]", CONV_none}, /* as an older version wrote it */
        {"true", CONV_none},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text =
            replace(plan_text, "{\"name\":\"a\"}", arena_printf(arena, "{\"name\":\"a\",\"conv\":%s}", cases[i].conv));
        Error error = {0};
        Plan *plan = plan_parse(arena, text, strlen(text), &error);
        assert_non_null(plan);
        assert_int_equal(plan_conv_kind(&plan->kernels[0].conv), cases[i].kind);
    }
}

/* What the runtime itself reads and writes: 5 chunks of so many numbers, and a result, in 64 bytes. */
static void test_exchange(void **state) {
    (void)state;
    static const struct {
        const char *step, *says;
    } cases[] = {{"-1 w32 w0 #1", NULL},
                 {"-1 w24 w0 #1", NULL},
                 {"-1 w32 w0 #4", "an exchange lies outside its place"},
                 {"-1 w64 w0 #1", "a buffer lies outside its place"},
                 {"-1 w32 w0 #0", "an exchange lies outside its place"},
                 {"-1 w32 i0 #1", "an exchange lies outside its place"},
                 {"-1 w32 w0", "an exchange has a result, chunks and a number of elements"},
                 {"-1 w32 #1", "an exchange has a result, chunks and a number of elements"},
                 {"4 w32 w0 #1", "kernel 4 is not there"}};
    const char *ranks = replace(plan_text, "\"chunks\":5,", "\"chunks\":5,\"ranks\":2,");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *stage = arena_printf(arena, "{\"domain\":\"exchange\",\"steps\":\"%s\"}", cases[i].step);
        const char *text = replace(ranks, "{\"domain\":\"images\",\"steps\":\"3 i0 w0\"}", stage);
        Error error = {0};
        Plan *plan = plan_parse(arena, text, strlen(text), &error);
        assert_int_equal(plan == NULL, cases[i].says != NULL);
        assert_true(!cases[i].says || strstr(error.message, cases[i].says));
        assert_true(!plan || plan->ranks == 2);
    }
    const char *alone = replace(plan_text, "{\"domain\":\"images\",\"steps\":\"3 i0 w0\"}",
                                "{\"domain\":\"exchange\",\"steps\":\"-1 w32 w0 #1\"}");
    Error error = {0};
    assert_null(plan_parse(arena, alone, strlen(alone), &error));
    assert_non_null(strstr(error.message, "in a plan of several ranks"));
}

/* The first graph's second step, "2 p0 w0", written otherwise. */
static void test_damaged_steps(void **state) {
    (void)state;
    static const struct {
        const char *step, *says;
    } wrong[] = {
        {"x p0 w0", "a number is missing or too long"},
        {"99 p0 w0", "kernel 99 is not there"},
        {"2 p0 q0", "the unknown place 'q'"},
        {"2 p0 w", "a number is missing or too long"},
        {"2 p0 w-4", "a buffer lies outside its place"},
        {"2 p0 w96", "a buffer lies outside its place"},
        {"2 i1 w0", "a buffer lies outside its place"},
        {"2 p0 w12345678901234567890", "a number is missing or too long"},
        {"2 p0 w0 #", "a number is missing or too long"},
        {"2 p0 w0 #1 w0", "a step goes on where it should end"},
        {"2 p0 w0 *once 1", "a step goes on where it should end"},
        {"2 p0 w0;", "a number is missing or too long"},
        {"2 p0 w0 ?0:1", "choice 0 is not there"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *text = replace(plan_text, "2 p0 w0", wrong[i].step);
        Error error = {0};
        assert_null(plan_parse(arena, text, strlen(text), &error));
        assert_int_equal(error.kind, ERROR_INPUT);
        const char *where = strchr(wrong[i].step, ';') ? "steps[2]" : "steps[1]";
        if (!strstr(error.message, arena_printf(arena, "bad plan: graphs[0].stages[0].%s: %s", where, wrong[i].says)))
            fail_msg("expected '%s' in: %s", wrong[i].says, error.message);
    }
}

/* Of a plan for a GPU, with these steps in the first graph's stage of a text. */
static Plan *parse_for_gpu(const char *begin, const char *steps, Error *error) {
    const char *text = replace(begin, "\"target\":\"c\"", "\"target\":\"cuda\"");
    text = replace(text, "0 s0 r0 #2", "0 s0 r0 #2 *once 1 <");
    text = replace(text, "1 i0 r0 p0;2 p0 w0", steps);
    text = replace(text, "3 i0 w0", "3 i0 w0 *once 1 <");
    text = replace(text, "4 w0 w32;5 s0", "4 w0 w32 *once 1 <0;5 s0 *once 1 <1,0");
    return plan_parse(arena, text, strlen(text), error);
}

static Plan *parse_waits(const char *steps, Error *error) {
    return parse_for_gpu(plan_text, steps, error);
}

/* Of several ranks with GPUs: rows of all of them, in the work memory, of which each has as many. */
static void test_exchanged_rows(void **state) {
    (void)state;
    static const struct {
        const char *step, *says;
    } cases[] = {{"-1 w0 #96 *once 0 <", NULL},
                 {"-1 w32 #64 *once 0 <", NULL},
                 {"-1 w64 #64 *once 0 <", "an exchange lies outside its place"},
                 {"-1 w0 #7 *once 0 <", "an exchange lies outside its place"},
                 {"-1 r0 #64 *once 0 <", "an exchange lies outside its place"},
                 {"-1 w32 w0 #32 *once 0 <", "an exchange has the chunks of all ranks and a number of bytes"}};
    const char *ranks = replace(plan_text, "\"chunks\":5,", "\"chunks\":5,\"ranks\":2,");
    ranks = replace(ranks, "\"stages\":[{\"domain\":\"images\",\"steps\":\"1",
                    "\"stages\":[{\"domain\":\"exchange\",\"steps\":\"1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Error error = {0};
        Plan *plan = parse_for_gpu(ranks, cases[i].step, &error);
        if ((plan == NULL) != (cases[i].says != NULL) || (cases[i].says && !strstr(error.message, cases[i].says)))
            fail_msg("%s: %s", cases[i].step, error.message);
    }
}

/* Every launch says what it waits for, and that is before it: a plan without any would run all at once. */
static void test_waits(void **state) {
    (void)state;
    static const struct {
        const char *steps, *says;
    } wrong[] = {
        {"1 i0 r0 p0 *images 1 <;2 p0 w0 *images 1", "steps[1]: a launch should say what it waits for"},
        {"1 i0 r0 p0 *images 1;2 p0 w0 *images 1 <0", "steps[0]: a launch should say what it waits for"},
        {"1 i0 r0 p0 *images 1 <;1 i0 r0 p0 *images 1 <", "steps[1]: only a launch waits for others"},
        {"1 i0 r0 p0 *images 1 <0;2 p0 w0 *images 1 <0", "steps[0]: a launch waits for one that is not before it"},
        {"1 i0 r0 p0 *images 1 <;2 p0 w0 *images 1 <99999999999", "steps[1]: a launch waits for one that is not"},
        {"1 i0 r0 p0 *images 1 <;2 p0 w0 *images 1 <-1", "steps[1]: a step goes on where it should end"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        Error error = {0};
        assert_null(parse_waits(wrong[i].steps, &error));
        if (error.kind != ERROR_INPUT || !strstr(error.message, wrong[i].says))
            fail_msg("expected '%s' in: %s", wrong[i].says, error.message);
    }
    Error error = {0};
    const Plan *plan = parse_waits("1 i0 r0 p0 *images 1 <;1 i0 r0 p0 *images 1;2 p0 w0 *images 1 <0", &error);
    assert_non_null(plan);
    assert_int_equal(plan_count_launches(plan->graphs[0].stages, 1), 2);
    assert_int_equal(plan_longest_chain(arena, &plan->graphs[0]), 2);
    assert_int_equal(plan_longest_chain(arena, &plan->graphs[1]), 3);
}

static void expect_refused(const char *path, const char *part) {
    Error error = {0};
    assert_null(rt_program_load(NULL, path, 1, 1, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.message, part))
        fail_msg("expected '%s' in: %s", part, error.message);
}

static void test_damaged_files(void **state) {
    (void)state;
    expect_refused("./absent.so", "cannot open");
    copy_part("./hand.so", "./short.so", 3000);
    expect_refused("./short.so", "truncated");
    copy_part("./hand.so", "./short.so", 10);
    expect_refused("./short.so", "expected a shared object");
    char *other = arena_strdup(arena, plan_text);
    char *size = strstr(other, "\"state_bytes\":128") + strlen("\"state_bytes\":");
    memcpy(size, " 64", 3);
    build(other, "./other.so");
    expect_refused("./other.so", "bad plan: params[1]: the parameter lies outside the state");
    memcpy(strstr(other, "\"lr\""), "\"qr\"", 4);
    memcpy(size, "128", 3);
    build(other, "./other2.so");
    expect_refused("./other2.so", "bad plan: this program knows no run-time number 'qr'");
}

static void test_cache(void **state) {
    (void)state;
    Error error = {0};
    RtCompiler compiler;
    const char *unit = module_source(plan_text), *options = rt_compiler_options(arena, 16);
    CgOutput output = {.unit_count = 1, .units = &unit};
    assert_true(rt_compiler_find(arena, &compiler, &error));
    const char *key = rt_cache_key(arena, &output, options, compiler.version);
    const char *entry = arena_printf(arena, "%s/%s.so", rt_cache_folder(arena, &error), key);
    const char *text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_null(rt_cache_recall(arena, text));
    static const size_t cuts[] = {1 << 30, 0, 100, 4000};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        RtModule *m = rt_cache_load(&compiler, &output, options, key, &error);
        if (!m)
            fail_msg("%s", error.message);
        assert_int_equal(m->plan->chunks, 5);
        rt_module_unload(m);
        copy_part(entry, "./entry.part", cuts[i]);
        assert_int_equal(rename("./entry.part", entry), 0);
    }
    /* a whole entry is taken as it is: no compiler is asked */
    copy_part("./hand.so", "./entry.part", 1 << 30);
    RtModule *m = rt_cache_load(&compiler, &output, options, key, &error);
    assert_non_null(m);
    rt_module_unload(m);
    compiler.args[0] = "/nonexistent/cc";
    compiler.arg_count = 1;
    m = rt_cache_load(&compiler, &output, options, key, &error);
    assert_non_null(m);
    rt_module_unload(m);
    rt_cache_remember(text, key);
    assert_string_equal(rt_cache_recall(arena, text), key);
    unlink(entry);
    assert_null(rt_cache_find(key));
    assert_null(rt_cache_load(&compiler, &output, options, key, &error));
    assert_int_equal(error.kind, ERROR_MACHINE);
}

static void test_compiler_errors(void **state) {
    (void)state;
    Error error = {0};
    RtCompiler compiler;
    const char *units[] = {"int x;\n", "this is not C;\n"};
    CgOutput output = {.unit_count = 2, .units = units};
    assert_true(rt_compiler_find(arena, &compiler, &error));
    assert_false(rt_build_shared(&compiler, &output, "-O1 -fPIC", "./broken.so", &error));
    assert_int_equal(error.kind, ERROR_MACHINE);
    assert_non_null(strstr(error.message, "cannot compile the generated code"));
    assert_non_null(strstr(error.message, "unit1.c:1"));
    assert_int_not_equal(access("./broken.so", F_OK), 0);
    error = (Error){0};
    setenv("CC", "no-such-compiler -x", 1);
    assert_false(rt_compiler_find(arena, &compiler, &error));
    assert_string_equal(error.message, "the C compiler 'no-such-compiler -x' (from $CC) is not there");
    unsetenv("CC");
}

static int set_up(void **state) {
    (void)state;
    arena = arena_create();
    if (!cache_folder_enter(arena))
        return 1;
    build(plan_text, "./hand.so");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    int status = cache_folder_leave(arena);
    arena_destroy(arena);
    return status;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_infer),           cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_state),           cmocka_unit_test(test_damaged_plans),
        cmocka_unit_test(test_emptied_plans),   cmocka_unit_test(test_damaged_steps),
        cmocka_unit_test(test_exchange),        cmocka_unit_test(test_exchanged_rows),
        cmocka_unit_test(test_damaged_files),   cmocka_unit_test(test_waits),
        cmocka_unit_test(test_convolutions),    cmocka_unit_test(test_cache),
        cmocka_unit_test(test_compiler_errors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
