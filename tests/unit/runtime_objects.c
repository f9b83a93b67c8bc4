/* runtime_objects.c: functions that another module had made are linked again, whatever they are called; what is gone or
 * damaged is made anew, and the module is right all the same. */
#include "runtime/device/objects.h"

#include "base/str.h"
#include "cache_folder.h"
#include "runtime/device/cache_folder.h"

#include <dirent.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static Arena *arena;
static RtCompiler compiler;
static const char *cache;
static int build_count;

static int set_up(void **state) {
    (void)state;
    Error error = {0};
    arena = arena_create();
    if (!cache_folder_enter(arena) || !rt_compiler_find(arena, &compiler, &error))
        return 1;
    cache = rt_cache_folder(arena, &error);
    return cache == NULL;
}

static int tear_down(void **state) {
    (void)state;
    int status = cache_folder_leave(arena);
    arena_destroy(arena);
    return status;
}

/* Functions of one number, first those that others call; the table exports the last. */
typedef struct Text {
    const char *name, *body;
} Text;

static CgDefinitions definitions(int count, const Text *texts) {
    CgDefinitions d = {.prelude = "#define ND_HIDDEN __attribute__((visibility(\"hidden\")))\n", .count = count};
    d.list = ARENA_ARRAY(arena, CgDefinition, count);
    for (int i = 0; i < count; i++)
        d.list[i] = (CgDefinition){texts[i].name, arena_printf(arena, "(double *x)\n{\n    %s\n}\n", texts[i].body)};
    const char *last = texts[count - 1].name;
    d.table =
        arena_printf(arena, "ND_HIDDEN void %s(double *x);\nvoid (*const nd_entry)(double *) = %s;\n", last, last);
    return d;
}

/* What the last function makes of 1. */
static double run_as(int count, const Text *texts, bool draft) {
    Error error = {0};
    CgDefinitions d = definitions(count, texts);
    const char *folder = arena_printf(arena, "./build%d", build_count++), *module;
    assert_int_equal(mkdir(folder, 0700), 0);
    RtCompiling work = {arena, &compiler, "-O1 -fPIC", folder, draft};
    if (!rt_objects_build(&work, &d, &module, &error))
        fail_msg("%s", error.message);
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    void (*const *entry)(double *) = dlsym(library, "nd_entry");
    double x = 1;
    (*entry)(&x);
    dlclose(library);
    return x;
}

static double run(int count, const Text *texts) {
    return run_as(count, texts, false);
}

/* Their paths; the number of objects in the cache. */
static int list_objects(const char **paths, int most) {
    DIR *directory = opendir(cache);
    int count = 0;
    for (struct dirent *item; (item = readdir(directory));)
        if (str_ends_with(item->d_name, ".o") && count++ < most)
            paths[count - 1] = arena_printf(arena, "%s/%s", cache, item->d_name);
    closedir(directory);
    return count;
}

static int count_objects(void) {
    return list_objects(NULL, 0);
}

static void clear(void) {
    assert_int_equal(system(arena_printf(arena, "rm -f '%s'/*", cache)), 0);
}

static void write_index(const char *text, const char *mode) {
    FILE *file = fopen(arena_printf(arena, "%s/objects.index", cache), mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const Text plus_two[] = {{"nd_loop0", "*x += 1;"}, {"nd_k0", "nd_loop0(x); nd_loop0(x);"}};

static void test_names_do_not_matter(void **state) {
    (void)state;
    clear();
    assert_true(run(2, plus_two) == 3);
    assert_int_equal(count_objects(), 1);
    static const Text renamed[] = {
        {"nd_loop0", "*x *= 8;"}, {"nd_loop7", "*x += 1;"}, {"nd_k9", "nd_loop7(x); nd_loop7(x);"}};
    assert_true(run(3, renamed) == 3);
    assert_int_equal(count_objects(), 2); /* of the function that is new */
    assert_true(run(3, renamed) == 3);
    assert_int_equal(count_objects(), 2);
}

static void test_what_is_called_matters(void **state) {
    (void)state;
    clear();
    assert_true(run(2, plus_two) == 3);
    static const Text other[] = {{"nd_loop0", "*x += 5;"}, {"nd_k0", "nd_loop0(x); nd_loop0(x);"}};
    assert_true(run(2, other) == 11);
    assert_true(run(2, plus_two) == 3);
}

/* nd_loop1 is in the first module's object and in the second's, each of which has what the third needs. */
static void test_two_objects_have_it(void **state) {
    (void)state;
    static const Text first[] = {{"nd_loop0", "*x += 1;"}, {"nd_k0", "nd_loop0(x); *x *= 3;"}};
    static const Text both[] = {{"nd_loop0", "*x += 1;"},
                                {"nd_k0", "nd_loop0(x); *x *= 3;"},
                                {"nd_k1", "nd_loop0(x); *x *= 5;"},
                                {"nd_k2", "nd_loop0(x); nd_k0(x); nd_k1(x);"}};
    clear();
    assert_true(run(2, first) == 6);
    const char *path[1], *aside = arena_printf(arena, "%s/aside", cache);
    assert_int_equal(list_objects(path, 1), 1);
    assert_int_equal(rename(path[0], aside), 0);
    assert_true(run(3, both) == 10);
    assert_int_equal(rename(aside, path[0]), 0);
    assert_true(run(4, both) == 50);
    assert_int_equal(count_objects(), 3);
}

static void test_damage(void **state) {
    (void)state;
    const char *path[1];
    clear();
    assert_true(run(2, plus_two) == 3);
    assert_int_equal(list_objects(path, 1), 1);
    FILE *file = fopen(path[0], "r+");
    assert_non_null(file);
    fseek(file, 100, SEEK_SET);
    fputs("damaged", file);
    fclose(file);
    assert_true(run(2, plus_two) == 3);
    unlink(path[0]);
    assert_true(run(2, plus_two) == 3);
    assert_int_equal(count_objects(), 1);
}

static void test_index(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n\n",
        "nd_",
        "no index at all\n",
        "nd_0123456789abcdef0123456789abcdef nothing\n",
        "nd_0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde/\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        clear();
        assert_true(run(2, plus_two) == 3);
        write_index(texts[i], "w");
        assert_true(run(2, plus_two) == 3);
        write_index(texts[i], "a");
        int before = count_objects();
        assert_true(run(2, plus_two) == 3);
        assert_int_equal(count_objects(), before);
    }
}

static void test_mistakes(void **state) {
    (void)state;
    Error error = {0};
    static const Text wrong[] = {{"nd_k0", "this is not C;"}};
    const char *module;
    CgDefinitions d = definitions(1, wrong);
    clear();
    assert_int_equal(mkdir("./wrong", 0700), 0);
    RtCompiling work = {arena, &compiler, "-O1 -fPIC", "./wrong", false};
    assert_false(rt_objects_build(&work, &d, &module, &error));
    assert_non_null(strstr(error.message, "cannot compile the generated code"));
    assert_int_equal(count_objects(), 0);
}

/* It takes what is there, and leaves nothing that a module proper would take. */
static void test_drafts(void **state) {
    (void)state;
    static const Text first[] = {{"nd_k0", "*x += 1;"}},
                      both[] = {{"nd_k0", "*x += 1;"}, {"nd_k1", "nd_k0(x); *x *= 10;"}};
    clear();
    assert_true(run_as(2, both, true) == 20);
    assert_int_equal(count_objects(), 0);
    assert_true(run(1, first) == 2);
    assert_int_equal(count_objects(), 1);
    assert_true(run_as(2, both, true) == 20);
    assert_int_equal(count_objects(), 1);
    CgDefinitions d = definitions(2, both);
    RtCompiling work = {arena, &compiler, "-O1 -fPIC", NULL, true};
    assert_in_range(rt_objects_left(&work, &d).bytes, strlen(d.list[1].text), 2 * strlen(d.list[1].text));
    assert_true(run(2, both) == 20);
    assert_int_equal(rt_objects_left(&work, &d).bytes, 0);
    assert_int_equal(rt_objects_left(&work, &d).functions, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_names_do_not_matter),
        cmocka_unit_test(test_what_is_called_matters),
        cmocka_unit_test(test_two_objects_have_it),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
