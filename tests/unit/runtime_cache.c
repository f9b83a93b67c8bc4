/* runtime_cache.c: the cache keeps to its size: what was used longest ago goes, what is in use stays. */
#include "runtime/device/cache_entry.h"

#include "base/file.h"
#include "base/scratch.h"
#include "cache_folder.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/cache_prune.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 4000, HOUR = 3600 };
static Arena *arena;

/* "aaaa...a.so" for 'a'. */
static const char *name_of(char letter) {
    char *name = arena_alloc(arena, 64 + 4);
    memset(name, letter, 64);
    strcpy(name + 64, ".so");
    return name;
}

static const char *path_of(const char *name) {
    Error error = {0};
    const char *folder = rt_cache_folder(arena, &error);
    assert_non_null(folder);
    return arena_printf(arena, "%s/%s", folder, name);
}

static bool is_there(const char *name) {
    return access(path_of(name), F_OK) == 0;
}

static void age(const char *name, int hours) {
    struct timespec times[2] = {{.tv_sec = time(NULL) - hours * HOUR}, {.tv_sec = time(NULL) - hours * HOUR}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

/* An entry last used so many hours ago. */
static void add(const char *name, int hours) {
    static const char zeros[SIZE];
    Error error = {0};
    assert_true(file_write_atomic(path_of(name), zeros, SIZE, &error));
    assert_int_equal(chmod(path_of(name), 0644), 0);
    age(name, hours);
}

static int set_up(void **state) {
    (void)state;
    arena = arena_create();
    if (!cache_folder_enter(arena))
        return 1;
    unsetenv("NDARTS_CACHE_SIZE");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    int status = cache_folder_leave(arena);
    arena_destroy(arena);
    return status;
}

static void test_oldest_go_first(void **state) {
    (void)state;
    add(name_of('a'), 3), add(name_of('b'), 5), add(name_of('c'), 4), add(name_of('d'), 2);
    rt_cache_prune(4 * SIZE);
    assert_true(is_there(name_of('b')));
    rt_cache_prune(2 * SIZE + SIZE / 2);
    assert_true(is_there(name_of('a')) && is_there(name_of('d')));
    assert_false(is_there(name_of('b')) || is_there(name_of('c')));
    rt_cache_prune(0);
    assert_true(is_there(name_of('a')));
}

static void test_what_stays(void **state) {
    (void)state;
    add(name_of('e'), 9), add(name_of('f'), 8), add(name_of('0'), 7), add("notes.txt", 10);
    add(name_of('1'), 0);
    int file = rt_cache_open(arena, name_of('e'));
    assert_true(file >= 0);
    age(name_of('e'), 9); /* used since long ago, and still */
    rt_cache_prune(1);
    assert_true(is_there(name_of('e')) && is_there(name_of('1')) && is_there("notes.txt"));
    assert_false(is_there(name_of('f')) || is_there(name_of('0')));
    close(file);
    rt_cache_prune(1);
    assert_false(is_there(name_of('e')));
}

static void test_use_and_new_entries(void **state) {
    (void)state;
    Error error = {0};
    size_t size;
    const char *used = name_of('2'), *unused = name_of('3'), *fresh = name_of('4');
    assert_true(rt_cache_write(used, "use", 3, &error) && rt_cache_write(unused, "not", 3, &error));
    age(used, 6), age(unused, 5);
    assert_non_null(rt_cache_read(arena, used, &size));
    setenv("NDARTS_CACHE_SIZE", "200", 1);
    assert_true(rt_cache_write(fresh, "new", 3, &error));
    assert_true(is_there(used) && is_there(fresh));
    assert_false(is_there(unused));
}

/* What is being made takes room too, and stays while its maker lives. */
static void test_work_counts(void **state) {
    (void)state;
    enum { ROOM = 6 * SIZE };
    Error error = {0};
    Scratch work;
    rt_cache_prune(1); /* '1' of before stays */
    add(name_of('7'), 3), add(name_of('8'), 2);
    assert_true(scratch_make(arena, path_of(name_of('9')), &work, &error));
    const char *file = arena_printf(arena, "%s/unit0.c", work.folder);
    static const char zeros[ROOM];
    assert_true(file_write_atomic(file, zeros, ROOM, &error));
    rt_cache_prune(ROOM + 2 * SIZE + SIZE / 2);
    assert_false(is_there(name_of('7')));
    assert_true(is_there(name_of('8')) && access(file, F_OK) == 0);
    close(work.lock); /* as if its maker were dead */
    rt_cache_prune(0);
    assert_int_not_equal(access(work.folder, F_OK), 0);
    assert_true(is_there(name_of('8')));
}

static void test_limit(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } right[] = {{"", 1000000000}, {"500M", 500000000}, {"0", 0}};
    int64_t bytes;
    Error error = {0};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        setenv("NDARTS_CACHE_SIZE", right[i].text, 1);
        assert_true(rt_cache_limit(&bytes, &error));
        assert_int_equal(bytes, right[i].bytes);
    }
    setenv("NDARTS_CACHE_SIZE", "much", 1);
    assert_false(rt_cache_write(name_of('5'), "x", 1, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, "NDARTS_CACHE_SIZE is 'much'; expected a size such as 500M, or 0 for no limit");
    assert_false(is_there(name_of('5')));
}

static void *write_often(void *name) {
    enum { TIMES = 50 };
    Arena *own = arena_create();
    size_t right = 0, size;
    for (int i = 0; i < TIMES; i++) {
        Error error = {0};
        right += rt_cache_write(name, "entry", 5, &error) && rt_cache_read(own, name, &size) && size == 5;
    }
    arena_destroy(own);
    return right == TIMES ? name : NULL;
}

/* Nets that are opened at the same time are built at the same time. */
static void test_threads_write_the_same_entry(void **state) {
    enum { THREADS = 4 };
    (void)state;
    pthread_t threads[THREADS];
    char *name = (char *)name_of('6');
    unsetenv("NDARTS_CACHE_SIZE");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, name), 0);
    for (int i = 0; i < THREADS; i++) {
        void *right;
        pthread_join(threads[i], &right);
        assert_non_null(right);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_go_first),
        cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_use_and_new_entries),
        cmocka_unit_test(test_work_counts),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_threads_write_the_same_entry),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
