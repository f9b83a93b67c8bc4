/* runtime_data_checkpoint.c: a checkpoint comes back exactly; a broken one is refused; a failed write leaves the old
 * one. */
#include "runtime/loops/checkpoint.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ndarts-checkpoint-XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/c.safetensors", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static float values[40000] = {1.5f, -0.0f, 3e-39f};

static Checkpoint make_checkpoint(Arena *arena) {
    Checkpoint c = {.seed = UINT64_MAX - 3,
                    .epoch = 4,
                    .epochs = 50,
                    .step = 17,
                    .batch = 19,
                    .alphas_batch = 23,
                    .data = {400, 4, UINT64_MAX - 1},
                    .test = {100, 4, 7},
                    .global_step = 417,
                    .alphas_updates = 300,
                    .identity = "c f32 64 \"gcc 12\"",
                    .settings = "set search.epochs = 50\nset data.path = \"a\"\n"};
    c.sums =
        (SearchSums){.loss = 0.1 + 0.2, .alphas_loss = 1e-300, .grad_norm = -7, .correct = 5, .images = 6, .steps = 17};
    tensor_file_add(arena, &c.tensors,
                    (Tensor){.name = "a.weight", .type = TENSOR_f32, .rank = 2, .shape = {200, 200}, .data = values});
    tensor_file_add(arena, &c.tensors,
                    (Tensor){.name = "b", .type = TENSOR_f32, .rank = 1, .shape = {3}, .data = values + 1});
    return c;
}

static void test_round_trip(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    Checkpoint c = make_checkpoint(arena), back;
    assert_true(checkpoint_write(path, &c, &error));
    assert_true(checkpoint_read(arena, path, &back, &error));
    assert_true(back.seed == c.seed && back.epoch == 4 && back.epochs == 50 && back.step == 17 &&
                back.global_step == 417);
    assert_int_equal(back.alphas_updates, 300);
    assert_int_equal(back.batch, 19);
    assert_int_equal(back.alphas_batch, 23);
    assert_memory_equal(&back.data, &c.data, sizeof(c.data));
    assert_memory_equal(&back.test, &c.test, sizeof(c.test));
    assert_memory_equal(&back.sums, &c.sums, sizeof(c.sums));
    assert_string_equal(back.identity, c.identity);
    assert_string_equal(back.settings, c.settings);
    assert_int_equal(back.tensors.count, 2);
    assert_memory_equal(tensor_find(&back.tensors, "a.weight")->data, values, sizeof(values));
    arena_destroy(arena);
}

static void expect_refused(const char *part_of_message) {
    Arena *arena = arena_create();
    Error error = {0};
    Checkpoint back;
    assert_false(checkpoint_read(arena, path, &back, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.message, path));
    if (!strstr(error.message, part_of_message))
        fail_msg("expected \"%s\" in \"%s\"", part_of_message, error.message);
    arena_destroy(arena);
}

static void flip_byte(long from_end) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, -from_end, SEEK_END);
    int byte = fgetc(file);
    fseek(file, -from_end, SEEK_END);
    fputc(byte ^ 1, file);
    assert_int_equal(fclose(file), 0);
}

static void test_broken_files_are_refused(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    Checkpoint c = make_checkpoint(arena);
    assert_true(checkpoint_write(path, &c, &error));
    flip_byte(1000);
    expect_refused("corrupted checkpoint: its contents have the checksum");
    assert_true(checkpoint_write(path, &c, &error));
    assert_int_equal(truncate(path, 100000), 0);
    expect_refused("");
    assert_int_equal(truncate(path, 0), 0);
    expect_refused("");
    assert_true(safetensors_write(path, &c.tensors, &error));
    expect_refused("not a checkpoint");
    unlink(path);
    expect_refused("");
    arena_destroy(arena);
}

static void test_failed_write_keeps_the_old_file(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    Checkpoint c = make_checkpoint(arena), back;
    assert_true(checkpoint_write(path, &c, &error));
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 50000;
    setrlimit(RLIMIT_FSIZE, &small);
    c.epoch = 5;
    bool written = checkpoint_write(path, &c, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(written);
    assert_int_equal(error.kind, ERROR_MACHINE);
    Error none = {0};
    assert_true(checkpoint_read(arena, path, &back, &none));
    assert_int_equal(back.epoch, 4);
    arena_destroy(arena);
}

static void test_settings_are_compared(void **state) {
    (void)state;
    Arena *arena = arena_create();
    const char *a = "set x = 1\nset data.path = \"a\"\nset y = 2\n";
    assert_null(checkpoint_compare_settings(arena, a, "set y = 2\nset x = 1\nset data.path = \"b\"\n"));
    assert_string_equal(checkpoint_compare_settings(arena, a, "set x = 1\nset y = 3\n"),
                        "y is 2 here, 3 in the checkpoint");
    assert_string_equal(checkpoint_compare_settings(arena, a, "set x = 1\n"), "y is 2 here, not set in the checkpoint");
    assert_string_equal(checkpoint_compare_settings(arena, "set x = 1\n", a), "y is not set here, 2 in the checkpoint");
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_broken_files_are_refused),
        cmocka_unit_test(test_failed_write_keeps_the_old_file),
        cmocka_unit_test(test_settings_are_compared),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
