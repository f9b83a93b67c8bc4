/* runtime_bench_table.c: a table of architectures is read as it is written, or refused with its line; ranks count what is strictly better. */
#include "runtime/report/bench_table.h"

#include "base/file.h"
#include "base/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define FILE_NAME "bench_table_test.csv"

static const BenchTable *read_bytes(Arena *arena, const char *bytes, size_t size, Error *error) {
    *error = (Error){ERROR_NONE, ""};
    assert_true(file_write_atomic(FILE_NAME, bytes, size, error));
    const BenchTable *table = bench_table_read(arena, FILE_NAME, error);
    unlink(FILE_NAME);
    return table;
}

static const BenchTable *read_text(Arena *arena, const char *text, Error *error) {
    return read_bytes(arena, text, strlen(text), error);
}

/* ---- what is read ---- */

static void test_small_table(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    const BenchTable *t = bench_table_read(arena, NDARTS_SOURCE_DIR "/tests/cli/bench_table.csv", &error);
    assert_non_null(t);
    assert_int_equal(t->rows.count, 5);
    assert_int_equal(t->set_count, 3);
    assert_string_equal(t->sets[2], "imagenet16-120");
    static const int64_t ranks[5][3] = {{5, 4, 5}, {3, 3, 3}, {2, 1, 2}, {1, 2, 1}, {3, 4, 3}};
    for (int i = 0; i < 5; i++)
        for (int set = 0; set < 3; set++)
            assert_int_equal(bench_table_rank(t, t->rows.entries[i].value, set), ranks[i][set]);
    assert_true(bench_table_best(t, 1)->accuracies[1] == 73.51);
    assert_int_equal(bench_table_best(t, 0)->line, 5);
    assert_null(bench_table_find(t, "|none~0|"));
    arena_destroy(arena);
}

/* Marks, carriage returns, empty lines, quotes, no line end at the end. */
static void test_spellings(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error;
    const BenchTable *t = read_text(
        arena, "\xef\xbb\xbf\"architecture\",\"a \"\"b\"\", c\",d\r\n\r\n\"x,y\",1e1,\"100\"\r\n\nz,0,.5", &error);
    assert_non_null(t);
    assert_string_equal(t->sets[0], "a \"b\", c");
    const BenchRow *x = bench_table_find(t, "x,y"), *z = bench_table_find(t, "z");
    assert_true(x && x->accuracies[0] == 10 && x->accuracies[1] == 100 && x->line == 3);
    assert_true(z && z->accuracies[0] == 0 && z->accuracies[1] == 0.5 && z->line == 5);
    arena_destroy(arena);
}

/* ---- mistakes ---- */

static void test_mistakes(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ": empty; a table of architectures (CSV, also .gz) begins with a heading: architecture,cifar10,..."},
        {"\n\n", ": empty; a table of architectures (CSV, also .gz) begins with a heading: architecture,cifar10,..."},
        {"arch,a\nx,1\n",
         ":1: the first column of a table of architectures (CSV, also .gz) is called architecture, as in  "
         "architecture,cifar10; found 'arch'"},
        {"architecture\nx\n", ":1: no column of accuracies follows, as in  architecture,cifar10"},
        {"architecture,a,\nx,1,2\n", ":1: column 3 has no name"},
        {"architecture,a,b,a\nx,1,2,3\n", ":1: two columns are called 'a'"},
        {"architecture,a\n", ": no architecture follows the heading"},
        {"architecture,a\nx,1\ny\n", ":3: 1 cells, where the heading has 2"},
        {"architecture,a\nx,1\ny,1,2\n", ":3: 3 cells, where the heading has 2"},
        {"architecture,a\n,1\n", ":2: no architecture in the first cell"},
        {"architecture,a\nx,1\n\nx,2\n", ":4: 'x' is in line 2 too"},
        {"architecture,a\nx,one\n", ":2: 'one' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,\n", ":2: '' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,100.5\n", ":2: '100.5' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,-1\n", ":2: '-1' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,nan\n", ":2: 'nan' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,0x10\n", ":2: '0x10' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\nx,1 2\n", ":2: '1 2' in the column a is no accuracy in percent, from 0 to 100"},
        {"architecture,a\n\"x,1\n", ":2: the quotes of cell 1 do not end it"},
        {"architecture,a\n\"x\"y,1\n", ":2: the quotes of cell 1 do not end it"},
        {"architecture,a\nx,\"\n", ":2: the quotes of cell 2 do not end it"},
        {"architecture,a\nx\033[2J,1\n", ":2: no text: U+001B"},
        {"architecture,a\nx\xff,1\n", ":2: no text: byte 0xff: this is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *arena = arena_create();
        Error error;
        assert_null(read_text(arena, cases[i][0], &error));
        assert_int_equal(error.kind, ERROR_INPUT);
        assert_string_equal(error.message, arena_printf(arena, FILE_NAME "%s", cases[i][1]));
        arena_destroy(arena);
    }
}

static void test_many_columns(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error;
    Str text = str_create(arena);
    str_add(&text, "architecture");
    for (int i = 0; i < 65; i++)
        str_addf(&text, ",a%d", i);
    assert_null(read_text(arena, text.data, &error));
    assert_string_equal(error.message, FILE_NAME ":1: more than 65 columns");
    arena_destroy(arena);
}

/* ---- packed ---- */

/* Of text, twice: gzip's own way to add to a file. */
static void pack(const char *path, const char *text, const char *more) {
    gzFile file = gzopen(path, "wb");
    gzwrite(file, text, (unsigned)strlen(text));
    gzclose(file);
    file = gzopen(path, "ab");
    gzwrite(file, more, (unsigned)strlen(more));
    gzclose(file);
}

static char *packed_bytes(Arena *arena, const char *text, const char *more, size_t *size) {
    Error error = {ERROR_NONE, ""};
    pack(FILE_NAME ".gz", text, more);
    char *bytes = file_read(arena, FILE_NAME ".gz", size, &error);
    unlink(FILE_NAME ".gz");
    assert_non_null(bytes);
    return bytes;
}

static void test_packed(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error;
    size_t size, unpacked;
    char *bytes = packed_bytes(arena, "architecture,a\n", "x,1\n", &size);
    const BenchTable *t = read_bytes(arena, bytes, size, &error);
    assert_true(t && bench_table_find(t, "x"));
    assert_string_equal(gzip_unpack(arena, "p", bytes, size, 19, &unpacked, &error), "architecture,a\nx,1\n");
    assert_int_equal(unpacked, 19);
    assert_null(gzip_unpack(arena, "p", bytes, size, 18, &unpacked, &error));
    assert_string_equal(error.message, "p: more than 18 bytes are packed in it");
    arena_destroy(arena);
}

/* Whatever is cut off or changed, it is refused or says the same; what unpacks to much is refused with little memory. */
static void test_broken(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error;
    size_t size;
    char *bytes = packed_bytes(arena, "architecture,a\n", "x,1\n", &size);
    for (size_t cut = 1; cut < size; cut++) {
        assert_null(read_bytes(arena, bytes, cut, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x10;
        const BenchTable *t = read_bytes(arena, bytes, size, &error);
        assert_true(t ? bench_table_find(t, "x") != NULL : error.kind == ERROR_INPUT);
        bytes[i] ^= 0x10;
    }
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_table), cmocka_unit_test(test_spellings),
                                       cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_many_columns),
                                       cmocka_unit_test(test_packed),      cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
