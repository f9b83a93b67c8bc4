/* base_diag.c: whole messages, caret included; suggestions; errors; reading sources. */
#include "base/diag.h"
#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What is printed lands in printed once finish() was called. */
typedef struct Printer {
    Arena *arena;
    FILE *out;
    char *printed;
    size_t size;
    Diag *diag;
} Printer;

static void printer_begin(Printer *p) {
    p->arena = arena_create();
    p->out = open_memstream(&p->printed, &p->size);
    p->diag = diag_create(p->arena, p->out);
}

static void printer_expect(Printer *p, const char *expected) {
    fflush(p->out);
    assert_string_equal(p->printed, expected);
}

static void printer_end(Printer *p) {
    fclose(p->out);
    free(p->printed);
    arena_destroy(p->arena);
}

static void expect_error(const char *text, uint32_t line, uint32_t col, uint32_t end_line, uint32_t end_col,
                         const char *expected) {
    Printer p;
    SourceFile file = {.path = "a.nd", .text = text, .size = strlen(text)};
    printer_begin(&p);
    diag_error(p.diag, (Span){&file, line, col, end_line, end_col}, "wrong '%s'", "x");
    assert_int_equal(diag_count_errors(p.diag), 1);
    printer_expect(&p, expected);
    printer_end(&p);
}

static void test_caret(void **state) {
    (void)state;
    expect_error("one\n    s2 = sepconv(s1)\n", 2, 10, 2, 17,
                 "a.nd:2:10: error: wrong 'x'\n        s2 = sepconv(s1)\n             ^~~~~~~\n");
    expect_error("one", 1, 1, 1, 2, "a.nd:1:1: error: wrong 'x'\n    one\n    ^\n");
    expect_error("one\r\ntwo", 1, 3, 1, 4, "a.nd:1:3: error: wrong 'x'\n    one\n      ^\n");
    /* at the end of the line, of the file, and on an empty line */
    expect_error("one\n", 1, 4, 1, 4, "a.nd:1:4: error: wrong 'x'\n    one\n       ^\n");
    expect_error("one\n", 2, 1, 2, 1, "a.nd:2:1: error: wrong 'x'\n    \n    ^\n");
    expect_error("", 1, 1, 1, 1, "a.nd:1:1: error: wrong 'x'\n    \n    ^\n");
    /* over several lines: to the end of the first */
    expect_error("abc def\nghi", 1, 5, 2, 3, "a.nd:1:5: error: wrong 'x'\n    abc def\n        ^~~\n");
    /* a place that is not in the text shows no line */
    expect_error("one", 7, 1, 7, 2, "a.nd:7:1: error: wrong 'x'\n");
    expect_error("one", 1, 9, 1, 10, "a.nd:1:9: error: wrong 'x'\n");
}

static void test_tabs_and_utf8(void **state) {
    (void)state;
    expect_error("\tx = y\tz", 1, 6, 1, 7, "a.nd:1:6: error: wrong 'x'\n        x = y   z\n            ^\n");
    expect_error("a\tb", 1, 2, 1, 4, "a.nd:1:2: error: wrong 'x'\n    a   b\n     ^~~~\n");
    expect_error("\"\xc3\xa9\" no", 1, 6, 1, 8, "a.nd:1:6: error: wrong 'x'\n    \"\xc3\xa9\" no\n        ^~\n");
    expect_error("a\x1b[b", 1, 4, 1, 5, "a.nd:1:4: error: wrong 'x'\n    a<U+001B>[b\n              ^\n");
    /* a wide character, a mark above a letter, a byte that is none */
    expect_error("\xe4\xb8\xad x", 1, 5, 1, 6, "a.nd:1:5: error: wrong 'x'\n    \xe4\xb8\xad x\n       ^\n");
    expect_error("e\xcc\x81 x", 1, 5, 1, 6, "a.nd:1:5: error: wrong 'x'\n    e\xcc\x81 x\n      ^\n");
    expect_error("\xe9 \xc2\xa0x", 1, 3, 1, 5, "a.nd:1:3: error: wrong 'x'\n    <e9> <U+00A0>x\n         ^~~~~~~~\n");
}

static void test_long_line_is_cut(void **state) {
    (void)state;
    char text[5001];
    memset(text, 'a', 5000);
    text[5000] = 0;
    text[2999] = 'X';
    Printer p;
    SourceFile file = {.path = "a.nd", .text = text, .size = 5000};
    printer_begin(&p);
    diag_error(p.diag, (Span){&file, 1, 3000, 1, 3001}, "long");
    fflush(p.out);
    assert_true(p.size < 500);
    char *x = strchr(p.printed, 'X'), *caret = strchr(p.printed, '^');
    assert_non_null(x);
    assert_non_null(caret);
    char *line = strchr(p.printed, '\n') + 1, *below = strchr(line, '\n') + 1;
    assert_int_equal(x - line, caret - below);
    printer_end(&p);
}

static void test_kinds_and_places(void **state) {
    (void)state;
    Printer p;
    SourceFile file = {.path = "-", .text = "a b\n", .size = 4};
    printer_begin(&p);
    diag_warning(p.diag, (Span){0}, "no place");
    diag_note(p.diag, (Span){.file = &file}, "only a file");
    diag_warning(p.diag, (Span){&file, 1, 3, 1, 4}, "there");
    assert_int_equal(diag_count_errors(p.diag), 0);
    printer_expect(&p, "warning: no place\n-: note: only a file\n-:1:3: warning: there\n    a b\n      ^\n");
    printer_end(&p);
}

static void test_at_most_fifty_errors(void **state) {
    (void)state;
    Printer p;
    printer_begin(&p);
    for (int i = 0; i < 60; i++) {
        diag_error(p.diag, (Span){0}, "number %d", i);
        diag_note(p.diag, (Span){0}, "about %d", i);
    }
    fflush(p.out);
    assert_int_equal(diag_count_errors(p.diag), 60);
    assert_non_null(strstr(p.printed, "error: number 49\nnote: about 49\nnote: more errors follow"));
    assert_null(strstr(p.printed, "number 50"));
    assert_null(strstr(p.printed, "about 50"));
    printer_end(&p);
}

static void test_span_join(void **state) {
    (void)state;
    SourceFile file = {.path = "a", .text = "", .size = 0};
    Span joined = span_join((Span){&file, 1, 2, 1, 3}, (Span){&file, 4, 5, 4, 6});
    assert_int_equal(joined.line, 1);
    assert_int_equal(joined.col, 2);
    assert_int_equal(joined.end_line, 4);
    assert_int_equal(joined.end_col, 6);
    assert_int_equal(span_join((Span){0}, joined).end_col, 6);
    assert_int_equal(span_join(joined, (Span){0}).end_col, 6);
}

static void test_suggest(void **state) {
    (void)state;
    const char *const names[] = {"none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5"};
    assert_string_equal(diag_suggest("sepconv_3x3", names, 5), "sep_conv_3x3");
    assert_string_equal(diag_suggest("sep_conv_5x5", names, 5), "sep_conv_5x5");
    assert_string_equal(diag_suggest("skip_conenct", names, 5), "skip_connect");
    assert_string_equal(diag_suggest("nome", names, 5), "none");
    assert_null(diag_suggest("noodle", names, 5));
    assert_null(diag_suggest("x", names, 5));
    assert_null(diag_suggest("", names, 5));
    assert_null(diag_suggest("sepconv_3x3", names, 0));
    assert_null(
        diag_suggest("a_very_long_name_that_nobody_would_ever_write_in_a_text_but_that_must_not_hurt", names, 5));
}

static void test_first_error_wins(void **state) {
    (void)state;
    Error error = {0};
    assert_false(error_set(&error, ERROR_INPUT, "first %d", 1));
    assert_false(error_set(&error, ERROR_MACHINE, "second"));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, "first 1");
    assert_int_equal(error_report(&(Error){0}), 0);
    Error long_error = {0};
    error_set(&long_error, ERROR_MACHINE, "%5000d", 1);
    assert_int_equal(strlen(long_error.message), sizeof long_error.message - 1);
}

static void print_hook(FILE *out) {
    fprintf(out, "the graph\n");
    bug("inside the hook");
}

/* In a child, with stderr in a pipe: the message, the hook once, then SIGABRT. */
static void test_bug(void **state) {
    (void)state;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        bug_hook = print_hook;
        bug_at("x.c", 12, "no shape for '%s'", "op");
    }
    close(ends[1]);
    char text[300] = {0};
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "x.c:12: bug: no shape for 'op'\nthe graph\n"));
    assert_non_null(strstr(text, "inside the hook"));
}

static void test_source_read(void **state) {
    (void)state;
    Arena *arena = arena_create();
    Error error = {0};
    enum { SIZE = 100000 };
    char *text = arena_alloc(arena, SIZE);
    memset(text, 'n', SIZE);
    for (size_t size = 0; size <= SIZE; size = size * 3 + 1) {
        assert_true(file_write_atomic("source.tmp", text, size, &error));
        SourceFile *file = source_read(arena, "source.tmp", &error);
        assert_non_null(file);
        assert_int_equal(file->size, size);
        assert_memory_equal(file->text, text, size);
        assert_int_equal(file->text[size], 0);
    }
    unlink("source.tmp");
    assert_null(source_read(arena, "source.tmp", &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, "cannot open 'source.tmp': No such file or directory");
    Error folder = {0};
    assert_null(source_read(arena, ".", &folder));
    assert_int_equal(folder.kind, ERROR_INPUT);
    assert_string_equal(folder.message, "cannot read '.': Is a directory");
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caret),
        cmocka_unit_test(test_tabs_and_utf8),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_kinds_and_places),
        cmocka_unit_test(test_at_most_fifty_errors),
        cmocka_unit_test(test_span_join),
        cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_first_error_wins),
        cmocka_unit_test(test_bug),
        cmocka_unit_test(test_source_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
