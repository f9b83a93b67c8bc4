/* passes_pipeline.c: the step graphs of a search and of a training: inputs, outputs, fed draws, mistakes, and that
 * every dumped graph leads to the same end; and what a bug leaves behind. */
#include "passes/pass.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char functions[] =
    "graph @skip_connect_4_1(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {\n"
    "  return %x\n"
    "}\n"
    "graph @sep_conv_3x3_4_1(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {\n"
    "  %1 = param {name=\"op.1.weight\", kind=\"weight\", init=\"uniform\", scale=0.5} : f32[4,4,1,1]\n"
    "  %2 = conv2d %x, %1 {stride=[1,1], pad=[0,0,0,0], dilation=[1,1], groups=1}\n"
    "  %3 = batch_norm %2 {name=\"op.2\", eps=1e-5, momentum=0.1, affine=false}\n"
    "  return %3\n"
    "}\n"
    "graph @head(%x: f32[N,8,8,4]) -> f32[N,4] {\n"
    "  %1 = reduce_sum %x {axes=[1,2]}\n"
    "  return %1\n"
    "}\n";

static const char search[] =
    "set kind = \"search\"\n"
    "set drop_path.candidate = \"skip_connect\"\n"
    "set drop_path.probability = 0.3\n"
    "graph @noise(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {\n"
    "  %1 = draw {stream=\"noise\", scope=\"parent\", distribution=\"normal\"} : f32[N,8,8,4]\n"
    "  %2 = deviation %x\n"
    "  %3 = detach %2\n"
    "  %4 = mul %3, %1\n"
    "  %5 = add %x, %4\n"
    "  return %5\n"
    "}\n"
    "graph @skip_connect_4_1_noise(%x: f32[N,8,8,4]) -> f32[N,8,8,4] {\n"
    "  %1 = call %x {callee=@skip_connect_4_1, name=\"\"}\n"
    "  %2 = in_training %1 {callee=@noise, name=\"\"}\n"
    "  return %2\n"
    "}\n"
    "graph @forward(%input: f32[N,8,8,4]) {\n"
    "  %1 = param {name=\"alphas_normal\", kind=\"alpha\", init=\"normal\", scale=0.001} : f32[1,2]\n"
    "  %2 = softmax %1\n"
    "  %3 = index %2 {axis=0, at=0}\n"
    "  %4 = mixed %input, %3 {candidates=[@skip_connect_4_1_noise, @sep_conv_3x3_4_1], name=\"cells.0._ops.0\"}\n"
    "  %5 = call %4 {callee=@head, name=\"\"}\n"
    "  return \"logits\" = %5\n"
    "}\n";

static const char training[] = "set kind = \"train\"\n"
                               "set train.drop_path = 0.2\n"
                               "graph @forward(%input: f32[N,8,8,4]) {\n"
                               "  %1 = call %input {callee=@skip_connect_4_1, name=\"cells.0._ops.0\", edge=true}\n"
                               "  %2 = call %1 {callee=@sep_conv_3x3_4_1, name=\"cells.0._ops.1\", edge=true}\n"
                               "  %3 = auxiliary %1 {callee=@head, name=\"auxiliary_head\", weight=0.4}\n"
                               "  %4 = call %2 {callee=@head, name=\"classifier\"}\n"
                               "  return \"logits\" = %4, \"logits_aux\" = %3\n"
                               "}\n";

static const char *const to_primitives[] = {
    "insert-drop-path", "attach-auxiliary", "attach-loss", "expand", "canonicalize", "cse", "dce"};

typedef struct Bench {
    PassContext ctx;
    FILE *messages;
    char *text;
    size_t size;
} Bench;

static IrModule *parse(Bench *t, const char *text) {
    SourceFile *source = ARENA_NEW(t->ctx.arena, SourceFile);
    *source = (SourceFile){.path = "test.ir", .text = text, .size = strlen(text)};
    IrModule *module = ir_parse_module(t->ctx.arena, source, t->ctx.diag);
    assert_non_null(module);
    return module;
}

static Bench *open_bench(const char *text, GraphKind kind) {
    Bench *t = calloc(1, sizeof *t);
    t->messages = open_memstream(&t->text, &t->size);
    t->ctx.arena = arena_create();
    t->ctx.diag = diag_create(t->ctx.arena, t->messages);
    t->ctx.module = parse(t, arena_printf(t->ctx.arena, "%s%s", functions, text));
    t->ctx.kind = kind;
    t->ctx.batch = 4;
    t->ctx.element_size = 4;
    t->ctx.only = to_primitives;
    t->ctx.only_count = sizeof to_primitives / sizeof to_primitives[0];
    t->ctx.out = t->messages;
    return t;
}

static void close_bench(Bench *t) {
    fclose(t->messages);
    free(t->text);
    arena_destroy(t->ctx.arena);
    free(t);
}

/* "input labels -> logits loss" */
static const char *signature(Bench *t, const IrGraph *g) {
    Str s = str_create(t->ctx.arena);
    for (int i = 0; i < g->arg_count; i++)
        str_addf(&s, "%s ", ir_attr_get_string(g->args[i], "name", "?"));
    str_add(&s, "->");
    for (int i = 0; i < g->output_count; i++)
        str_addf(&s, " %s", g->outputs[i].name);
    return s.data;
}

static int count_ops(const IrGraph *g, IrOp op) {
    int count = 0;
    for (const IrNode *n = g->first; n; n = n->next)
        count += n->op == op;
    return count;
}

static void check(const char *text, GraphKind kind, const char *expected, int draws, int assigns) {
    Bench *t = open_bench(text, kind);
    IrGraph *g = pipeline_build_graph(&t->ctx);
    assert_non_null(g);
    assert_string_equal(g->name, graph_kind_name(kind));
    assert_string_equal(signature(t, g), expected);
    assert_int_equal(count_ops(g, OP_draw), draws);
    assert_int_equal(count_ops(g, OP_assign), assigns);
    close_bench(t);
}

static void test_kinds(void **state) {
    (void)state;
    check(search, GRAPH_infer, "input -> logits", 0, 0);
    check(search, GRAPH_eval, "input labels -> logits loss", 0, 0);
    check(search, GRAPH_search_alphas, "input labels -> logits loss", 2, 2);
    check(search, GRAPH_search_weights, "input labels -> logits loss", 2, 2);
    check(search, GRAPH_gradients, "input labels -> logits loss", 2, 2);
    check(training, GRAPH_infer, "input -> logits", 0, 0);
    check(training, GRAPH_eval, "input labels -> logits loss", 0, 0);
    check(training, GRAPH_train, "input labels -> logits logits_aux loss", 1, 2);
    check(training, GRAPH_gradients, "input labels -> logits logits_aux loss", 1, 2);
}

/* All kinds in one module, twice: functions are shared, a graph replaces the one of its kind, parameters are entered
 * once. */
static void test_one_module(void **state) {
    (void)state;
    Bench *t = open_bench(search, GRAPH_infer);
    static const GraphKind kinds[] = {GRAPH_infer, GRAPH_search_alphas, GRAPH_search_weights, GRAPH_eval};
    for (int i = 0; i < 8; i++) {
        t->ctx.kind = kinds[i % 4];
        assert_non_null(pipeline_build_graph(&t->ctx));
    }
    /* 5 functions, 1 made by the insertion, @forward, 4 step graphs. */
    assert_int_equal(t->ctx.module->graph_count, 11);
    assert_int_equal(t->ctx.module->param_count, 4);
    assert_string_equal(t->ctx.module->params[0].name, "alphas_normal");
    assert_int_equal(t->ctx.module->params[0].kind, PARAM_alpha);
    assert_string_equal(t->ctx.module->params[1].name, "cells.0._ops.0._ops.1.op.1.weight");
    assert_string_equal(t->ctx.module->params[2].name, "cells.0._ops.0._ops.1.op.2.running_mean");
    assert_int_equal(t->ctx.module->params[3].kind, PARAM_statistic);
    assert_int_equal(t->ctx.module->params[3].init, INIT_ones);
    close_bench(t);
}

static void test_fed_draws(void **state) {
    (void)state;
    static const char *const streams[] = {"mask.cells.0._ops.0", "noise.cells.0._ops.0"};
    Bench *t = open_bench(search, GRAPH_gradients);
    t->ctx.fed_streams = streams;
    t->ctx.fed_stream_count = 2;
    IrGraph *g = pipeline_build_graph(&t->ctx);
    assert_non_null(g);
    assert_string_equal(signature(t, g), "input labels noise.cells.0._ops.0 mask.cells.0._ops.0 -> logits loss");
    assert_int_equal(count_ops(g, OP_draw), 0);
    assert_string_equal(ir_type_string(t->ctx.arena, &g->args[3]->type), "f32[N,1,1,1]");
    close_bench(t);
}

static void test_grad_output_loss(void **state) {
    (void)state;
    Bench *t = open_bench(search, GRAPH_gradients);
    t->ctx.grad_output_loss = true;
    IrGraph *g = pipeline_build_graph(&t->ctx);
    assert_non_null(g);
    assert_string_equal(signature(t, g), "input grad_output -> logits loss");
    assert_string_equal(ir_type_string(t->ctx.arena, &g->args[1]->type), "f32[N,4]");
    close_bench(t);
}

static void check_mistake(const char *text, GraphKind kind, const char *message) {
    Bench *t = open_bench(text, kind);
    assert_null(pipeline_build_graph(&t->ctx));
    fflush(t->messages);
    if (!strstr(t->text, message))
        fail_msg("expected \"%s\" in:\n%s", message, t->text);
    close_bench(t);
}

static void test_mistakes(void **state) {
    (void)state;
    check_mistake(training, GRAPH_search_alphas, "needs a text that defines a search; this one defines a training");
    check_mistake(search, GRAPH_train, "the graph 'train' needs a training or a network; this text defines a search");
    check_mistake("graph @forward(%input: f32[N,4]) {\n  return \"logits\" = %input\n}\n", GRAPH_search_weights,
                  "needs architecture parameters");
    check_mistake("graph @forwards(%input: f32[N,4]) {\n  return \"logits\" = %input\n}\n", GRAPH_infer,
                  "no graph '@forward'");
}

static const char *print(Bench *t, IrGraph *g) {
    Str s = str_create(t->ctx.arena);
    ir_print_graph(g, &s);
    return s.data;
}

/* The pipeline goes on from what was dumped after any pass, and ends where it did the first time. */
static void test_dumps(void **state) {
    (void)state;
    char folder[] = "/tmp/ndarts-passes-XXXXXX";
    assert_non_null(mkdtemp(folder));
    Bench *t = open_bench(search, GRAPH_search_weights);
    t->ctx.only = NULL;
    t->ctx.dump_to = folder;
    IrGraph *g = pipeline_build_graph(&t->ctx);
    assert_non_null(g);
    const char *expected = print(t, g);
    int params = t->ctx.module->param_count;
    t->ctx.dump_to = NULL;
    for (int i = 0; i < pass_count; i++) {
        const char *path = arena_printf(t->ctx.arena, "%s/search-weights.%02d-%s.ir", folder, i, pass_info[i].name);
        Error error = {0};
        SourceFile *source = source_read(t->ctx.arena, path, &error);
        assert_non_null(source);
        t->ctx.module = parse(t, source->text);
        IrGraph *again = ir_graph_find(t->ctx.module, "search-weights");
        assert_non_null(again);
        assert_true(pipeline_run(&t->ctx, again));
        assert_string_equal(print(t, again), expected);
        assert_int_equal(t->ctx.module->param_count, params);
        unlink(path);
    }
    rmdir(folder);
    close_bench(t);
}

/* ---- bugs ---- */

/* As a pass with a mistake would: a value is used before it is there. */
static bool break_graph(PassContext *ctx, IrGraph *g) {
    (void)ctx;
    g->last->inputs[0] = g->last;
    return true;
}

static bool fail_inside(const IrNode *pointwise, IrNode *convolution, int element_bytes, int64_t images) {
    (void)pointwise, (void)convolution, (void)element_bytes, (void)images;
    bug("no tile");
}

static const char separable[] =
    "set kind = \"network\"\n"
    "graph @forward(%input: f32[N,8,8,4]) {\n"
    "  %1 = param {name=\"a\", kind=\"weight\", init=\"uniform\", scale=0.5} : f32[4,1,3,3]\n"
    "  %2 = param {name=\"b\", kind=\"weight\", init=\"uniform\", scale=0.5} : f32[8,4,1,1]\n"
    "  %3 = conv2d %input, %1 {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=4}\n"
    "  %4 = conv2d %3, %2 {stride=[1,1], pad=[0,0,0,0], dilation=[1,1], groups=1}\n"
    "  %5 = reduce_sum %4 {axes=[1,2]}\n"
    "  return \"logits\" = %5\n"
    "}\n";
static const WideDevice failing = {.target = "cuda", .most_windows = 8, .most_taps = 25, .makes_inside = fail_inside};

static void run_broken(Bench *t, const char *given) {
    static const PassInfo broken = {"broken", break_graph, 0, ""};
    (void)given;
    pass_run(&t->ctx, &broken, ir_graph_find(t->ctx.module, "forward"));
}

static void run_all(Bench *t, const char *given) {
    (void)given;
    pipeline_build_graph(&t->ctx);
}

/* The passes and the graph that a reproducer names. */
static void run_again(Bench *t, const char *given) {
    const char **names = ARENA_ARRAY(t->ctx.arena, const char *, pass_count);
    char *list = arena_strdup(t->ctx.arena, strstr(given, "--passes=") + strlen("--passes="));
    *strchr(list, '\n') = 0;
    t->ctx.only_count = 0;
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
        names[t->ctx.only_count++] = name;
    t->ctx.only = names;
    t->ctx.module = parse(t, given);
    pipeline_run(&t->ctx, ir_graph_find(t->ctx.module, "infer"));
}

/* Runs it in a child, which has to end by a bug, and returns the file it leaves and then is gone. */
static const char *reproduce(Bench *t, void (*run)(Bench *, const char *), const char *given) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        run(t, given);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    const char *path = arena_printf(t->ctx.arena, "ndarts-bug-%ld.ir", (long)child);
    Error error = {0};
    SourceFile *file = source_read(t->ctx.arena, path, &error);
    assert_non_null(file);
    assert_int_equal(unlink(path), 0);
    assert_non_null(strstr(file->text, path));
    return file->text;
}

/* One pass alone: the graph is as it was before. */
static void test_broken_pass(void **state) {
    (void)state;
    Bench *t = open_bench(separable, GRAPH_infer);
    const char *text = reproduce(t, run_broken, NULL);
    assert_non_null(strstr(text, "--graph=forward --kind=infer --batch 4 --passes=broken\n"));
    t->ctx.module = parse(t, text);
    assert_null(ir_verify_module(t->ctx.module, t->ctx.arena));
    close_bench(t);
}

/* The pipeline as far as the pass, on the graph as the pipeline was given it; it leads to the same bug. */
static void test_reproducer(void **state) {
    (void)state;
    Bench *t = open_bench(separable, GRAPH_infer);
    static const char *const disabled[] = {"cse"};
    t->ctx.only = NULL;
    t->ctx.wide = &failing;
    t->ctx.element_size = 8;
    t->ctx.disabled = disabled;
    t->ctx.disabled_count = 1;
    const char *text = reproduce(t, run_all, NULL);
    assert_non_null(
        strstr(text, " --graph=infer --kind=infer --batch 4 --precision f64 --target=cuda --passes=objective,"));
    assert_non_null(strstr(text, ",expand,canonicalize,sink-shuffles,"));
    assert_non_null(strstr(text, ",fuse\n"));
    const char *again = reproduce(t, run_again, text);
    assert_string_equal(strstr(again, " --graph"), strstr(text, " --graph"));
    close_bench(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),       cmocka_unit_test(test_one_module),
        cmocka_unit_test(test_fed_draws),   cmocka_unit_test(test_grad_output_loss),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_dumps),
        cmocka_unit_test(test_broken_pass), cmocka_unit_test(test_reproducer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
