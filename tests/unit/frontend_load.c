/* frontend_load.c: from texts to modules, as other programs use the frontend. */
#include "frontend/frontend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LIBRARY NDARTS_SOURCE_DIR "/genotypes"

typedef struct Loaded {
    Arena *arena;
    IrModule *module;
    Error error;
    int mistakes;
    char *messages;
} Loaded;

static const char *write_text(const char *text) {
    static char path[] = "/tmp/ndarts-frontend-XXXXXX";
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    close(descriptor);
    return path;
}

static Loaded load_path(const char *path, int set_count, const char *const *sets, const char *entry) {
    Loaded loaded = {.arena = arena_create()};
    size_t size;
    FILE *out = open_memstream(&loaded.messages, &size);
    Diag *diag = diag_create(loaded.arena, out);
    FrontendOptions options = {.sets = sets, .set_count = set_count, .entry = entry, .library = LIBRARY};
    loaded.module = frontend_load(loaded.arena, path, &options, diag, &loaded.error);
    loaded.mistakes = diag_count_errors(diag);
    fclose(out);
    return loaded;
}

static Loaded load_text(const char *text) {
    const char *path = write_text(text);
    Loaded loaded = load_path(path, 0, NULL, NULL);
    unlink(path);
    return loaded;
}

static void unload(Loaded *loaded) {
    free(loaded->messages);
    arena_destroy(loaded->arena);
}

static int count_ops(const IrGraph *graph, IrOp op) {
    int count = 0;
    for (const IrNode *n = graph->first; n; n = n->next)
        count += n->op == op;
    return count;
}

/* Functions stand before their users, so that one walk over a module meets every callee first. */
static void check_order(const IrModule *module) {
    for (int i = 0; i < module->graph_count; i++)
        for (const IrNode *n = module->graphs[i]->first; n; n = n->next)
            for (int a = 0; a < n->attr_count; a++)
                for (int s = 0; n->attrs[a].kind == ATTR_symbols && s < n->attrs[a].count; s++) {
                    int at = 0;
                    while (!str_equal(module->graphs[at]->name, n->attrs[a].symbols[s]))
                        at++;
                    assert_true(at < i);
                }
}

static void supernet_has_all_edges(void **state) {
    (void)state;
    const char *sets[] = {"C=4", "layers=3"};
    Loaded loaded = load_path(NDARTS_SOURCE_DIR "/specs/noisy_darts_a.nd", 2, sets, NULL);
    assert_non_null(loaded.module);
    const IrGraph *forward = ir_graph_find(loaded.module, "forward");
    assert_int_equal(count_ops(forward, OP_mixed), 3 * 14);
    assert_int_equal(count_ops(forward, OP_softmax), 2);
    assert_null(ir_verify_module(loaded.module, loaded.arena));
    check_order(loaded.module);
    assert_string_equal(ir_module_get_string(loaded.module, "kind", ""), "search");
    assert_int_equal(ir_module_get_int(loaded.module, "search.seed", 0), 10);
    assert_string_equal(ir_module_get_string(loaded.module, "space.definitions", ""), "import \"darts.nd\"\n");
    unload(&loaded);
}

static void network_has_edges_and_head(void **state) {
    (void)state;
    const char *sets[] = {"C=4", "layers=5"};
    Loaded loaded = load_path(LIBRARY "/nasnet.nd", 2, sets, NULL);
    assert_non_null(loaded.module);
    const IrGraph *forward = ir_graph_find(loaded.module, "forward");
    assert_int_equal(count_ops(forward, OP_call), 5 * (10 + 2));
    assert_int_equal(count_ops(forward, OP_auxiliary), 1);
    assert_non_null(ir_graph_find_output(forward, "logits"));
    assert_non_null(ir_graph_find_output(forward, "logits_aux"));
    check_order(loaded.module);
    unload(&loaded);
}

static void every_mistake_is_counted(void **state) {
    (void)state;
    Loaded loaded = load_text("op a(C) = relu | convv(C)\nop b(C) = @\nnetwork main = nothing(1)\n");
    assert_null(loaded.module);
    assert_int_equal(loaded.error.kind, ERROR_NONE);
    assert_int_equal(loaded.mistakes, 4);
    assert_non_null(strstr(loaded.messages, ":1:18: error: unknown operation 'convv'; did you mean 'conv'?"));
    unload(&loaded);
}

static void missing_file_is_an_error(void **state) {
    (void)state;
    Loaded loaded = load_path("/nowhere/at/all.nd", 0, NULL, NULL);
    assert_null(loaded.module);
    assert_int_equal(loaded.error.kind, ERROR_INPUT);
    assert_non_null(strstr(loaded.error.message, "/nowhere/at/all.nd"));
    unload(&loaded);
}

static void entry_chooses(void **state) {
    (void)state;
    const char *path = write_text("network one(H = 8, W = 8, channels = 3) on x { return x | conv(1, 1) }\n"
                                  "network two(H = 8, W = 8, channels = 3) on x { return x | conv(2, 1) }\n");
    Loaded neither = load_path(path, 0, NULL, NULL), two = load_path(path, 0, NULL, "two");
    unlink(path);
    assert_null(neither.module);
    assert_int_equal(neither.mistakes, 1);
    assert_non_null(two.module);
    assert_int_equal(ir_graph_find_output(ir_graph_find(two.module, "forward"), "logits")->type.dim[3], 2);
    unload(&neither);
    unload(&two);
}

/* What an operation takes from its surroundings is part of what its function is known by. */
static void surroundings_tell_functions_apart(void **state) {
    (void)state;
    Loaded loaded = load_text("op inner = relu | batch_norm\n"
                              "op outer(C) = { inner }\n"
                              "network main(H = 8, W = 8, channels = 3, affine = true) on x {\n"
                              "    x = x | a: outer(1) | b: outer(1)\n"
                              "    affine = false\n"
                              "    return x | c: outer(1) | d: outer(1)\n"
                              "}\n");
    assert_non_null(loaded.module);
    assert_int_equal(loaded.module->graph_count, 2 + 2 + 1);
    unload(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(supernet_has_all_edges),
        cmocka_unit_test(network_has_edges_and_head),
        cmocka_unit_test(every_mistake_is_counted),
        cmocka_unit_test(missing_file_is_an_error),
        cmocka_unit_test(entry_chooses),
        cmocka_unit_test(surroundings_tell_functions_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
