/* method_list.c: the methods that texts define, as a table: name, parameters and defaults, clauses, and what the text says about
 * them. A comment at the top of a paragraph, lines without a blank one between, is about every method that the paragraph
 * defines; its first sentence is taken. */
#include "frontend/method_list.h"

#include "base/scan.h"
#include "frontend/sema.h"

#include <ctype.h>
#include <string.h>

/* ---- what a comment says ---- */

static const char *line_before(const char *text, const char *line) {
    const char *end = line - 1;
    while (end > text && end[-1] != '\n')
        end--;
    return end;
}

static bool is_blank(const char *line) {
    const char *end = scan_skip_blanks(line);
    return !*end || *end == '\n' || *end == '\r';
}

static const char *paragraph_of(const SourceFile *file, uint32_t number) {
    const char *line = file->text;
    for (uint32_t i = 1; i < number && strchr(line, '\n'); i++)
        line = strchr(line, '\n') + 1;
    while (line > file->text && !is_blank(line_before(file->text, line)))
        line = line_before(file->text, line);
    return line;
}

/* The lines of a comment that begin at `line`, as one. */
static const char *comment_at(Arena *arena, const char *line) {
    Str words = str_create(arena);
    str_add(&words, "");
    for (; *(line = scan_skip_blanks(line)) == '#'; line += *line == '\n') {
        line = scan_skip_blanks(line + 1);
        size_t length = strcspn(line, "\r\n");
        str_add(&words, words.length ? " " : "");
        str_add_bytes(&words, line, length);
        line += length + (line[length] == '\r');
    }
    return words.data;
}

/* Up to a full stop before a blank and what is no small letter: "et al., 2021" and "i.e. this" go on. */
static const char *first_sentence(Arena *arena, const char *words) {
    const char *end = words;
    while (*end && !(*end == '.' && (!end[1] || (end[1] == ' ' && !islower((unsigned char)end[2])))))
        end++;
    return arena_strndup(arena, words, (size_t)(end - words));
}

/* ---- the table ---- */

/* A cell of a table in Markdown: a '|' would end it. */
static void add_cell(Str *out, const char *text) {
    for (; *text; text++)
        str_addf(out, *text == '|' ? "\\%c" : "%c", *text);
}

/* The kinds of its clauses, each once. What follows `keep` are words of it. */
static void add_clauses(Arena *arena, Str *out, const Ast *clauses) {
    StrMap seen = str_map_create(arena);
    for (int i = 0, words; i < clauses->count;) {
        const char *kind = clauses->kids[i]->name;
        if (!str_map_get(&seen, kind))
            str_addf(out, "%s`%s`", seen.count ? ", " : "", kind);
        str_map_set(&seen, kind, clauses->kids[i]);
        if (str_equal(kind, "keep"))
            keep_read(arena, clauses, &i, &words, diag_create(arena, NULL));
        else
            i++;
    }
}

static void add_method(Arena *arena, Str *out, const Ast *method) {
    Str head = str_create(arena);
    str_add(&head, method->name);
    if (method->kids[0])
        ast_print_params(method->kids[0], &head);
    str_add(out, "| `");
    add_cell(out, head.data);
    str_add(out, "` | ");
    add_clauses(arena, out, method->kids[1]);
    str_add(out, " | ");
    add_cell(out, first_sentence(arena, comment_at(arena, paragraph_of(method->span.file, method->span.line))));
    str_add(out, " |\n");
}

void method_list(Arena *arena, const Ast *text, Str *out) {
    for (int i = 0; i < text->count; i++)
        if (text->kids[i]->kind == AST_method)
            add_method(arena, out, text->kids[i]);
}
