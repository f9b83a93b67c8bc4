/* diag.c: printing messages with the line they are about, and the ends a program can come to. */
#include "base/diag.h"

#include "base/file.h"
#include "base/str.h"
#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DIAG_MAX_ERRORS = 50, TAB_WIDTH = 4, SHOWN_WIDTH = 160 };

struct Diag {
    Arena *arena;
    FILE *out;
    int errors;
    bool muted; /* the last error was one too many; its notes are not shown either */
    bool holding;
    int held_count, held_capacity;
    struct Held *held;
};

/* A message that is kept back. */
typedef struct Held {
    Span span;
    const char *kind, *text;
} Held;

Span span_join(Span first, Span last) {
    if (!first.file)
        return last;
    if (last.file == first.file) {
        first.end_line = last.end_line;
        first.end_col = last.end_col;
    }
    return first;
}

Diag *diag_create(Arena *arena, FILE *out) {
    Diag *diag = ARENA_NEW(arena, Diag);
    diag->arena = arena;
    diag->out = out;
    return diag;
}

int diag_count_errors(const Diag *diag) {
    return diag->errors;
}

bool diag_is_full(const Diag *diag) {
    return diag->errors > DIAG_MAX_ERRORS;
}

/* The text of a line (from 1) without its end; NULL when the file has no such line. */
static const char *find_line(const SourceFile *file, uint32_t line, size_t *length) {
    const char *start = file->text, *end = file->text + file->size;
    for (uint32_t i = 1; i < line; i++) {
        start = memchr(start, '\n', (size_t)(end - start));
        if (!start)
            return NULL;
        start++;
    }
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    if (!stop)
        stop = end;
    if (stop > start && stop[-1] == '\r')
        stop--;
    *length = (size_t)(stop - start);
    return start;
}

static bool is_utf8_tail(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Appends the character at `at` to the shown line, and returns its bytes; *width: the columns that it takes. Tabs
 * become spaces up to the next stop; what is no UTF-8, or cannot be seen, is shown by its number. */
static size_t add_shown(Str *shown, size_t column, const char *at, const char *end, size_t *width) {
    uint32_t code = 0;
    size_t length = unicode_decode(at, end, &code), before = shown->length;
    if (length && code != '\t' && !unicode_is_unseen(code)) {
        str_add_bytes(shown, at, length);
        *width = (size_t)unicode_columns(code);
        return length;
    }
    if (length && code == '\t')
        str_addf(shown, "%*s", (int)(TAB_WIDTH - column % TAB_WIDTH), "");
    else
        str_addf(shown, length ? "<U+%04X>" : "<%02x>", length ? code : (unsigned char)*at);
    *width = shown->length - before;
    return length ? length : 1;
}

/* Part of a very long line: from is where to begin so that byte caret is in sight. */
static size_t choose_start(const char *line, size_t length, size_t caret) {
    if (length <= SHOWN_WIDTH || caret < SHOWN_WIDTH / 2)
        return 0;
    size_t from = caret - SHOWN_WIDTH / 4;
    while (from < caret && is_utf8_tail(line[from]))
        from++;
    return from;
}

/* The line of the span, and below it a caret at its beginning and tildes up to its end. */
static void print_line(Diag *diag, Span span) {
    size_t length = 0, column = 0;
    const char *line = find_line(span.file, span.line, &length);
    if (!line || span.col == 0 || span.col > length + 1)
        return;
    size_t caret = span.col - 1, end = span.end_line > span.line ? length : span.end_col ? span.end_col - 1 : 0;
    size_t from = choose_start(line, length, caret);
    size_t to = length > from + SHOWN_WIDTH ? from + SHOWN_WIDTH : length;
    Str shown = str_create(diag->arena), marks = str_create(diag->arena);
    if (from) {
        str_add(&shown, "...");
        str_add(&marks, "   ");
    }
    for (size_t i = from, width, next; i < to; i = next) {
        next = i + add_shown(&shown, column, line + i, line + length, &width);
        bool begins = caret >= i && caret < next, marked = begins || (i > caret && i < end);
        for (size_t k = 0; k < width; k++)
            str_add(&marks, begins && !k ? "^" : marked ? "~" : " ");
        column += width;
    }
    if (caret >= to)
        str_add(&marks, "^");
    while (marks.length && marks.data[marks.length - 1] == ' ')
        marks.data[--marks.length] = '\0';
    fprintf(diag->out, "    %s%s\n    %s\n", shown.data, to < length ? "..." : "", marks.data);
}

static void print_text(Diag *diag, Span span, const char *kind, const char *text) {
    if (span.file && span.line)
        fprintf(diag->out, "%s:%u:%u: ", span.file->path, span.line, span.col);
    else if (span.file)
        fprintf(diag->out, "%s: ", span.file->path);
    fprintf(diag->out, "%s: %s\n", kind, text);
    if (span.file && span.line)
        print_line(diag, span);
}

static void print_message(Diag *diag, Span span, const char *kind, const char *format, va_list args) {
    if (!diag->out)
        return;
    const char *text = arena_vprintf(diag->arena, format, args);
    if (diag->holding)
        ARENA_PUSH(diag->arena, diag->held, diag->held_count, diag->held_capacity, ((Held){span, kind, text}));
    else
        print_text(diag, span, kind, text);
}

bool diag_is_read(const Diag *diag) {
    return diag->out != NULL;
}

void diag_hold(Diag *diag) {
    diag->holding = true;
}

void diag_release(Diag *diag, Span span, const char *reason) {
    diag->holding = false;
    if (reason)
        diag_error(diag, span, "%s", reason);
    for (int i = 0; i < diag->held_count; i++)
        print_text(diag, diag->held[i].span, reason ? "note" : diag->held[i].kind, diag->held[i].text);
    diag->held_count = 0;
}

void diag_error(Diag *diag, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    diag->errors++;
    if (diag->errors <= DIAG_MAX_ERRORS)
        print_message(diag, span, "error", format, args);
    else if (!diag->muted && diag->out)
        fputs("note: more errors follow; the first 50 are shown\n", diag->out);
    diag->muted = diag->errors > DIAG_MAX_ERRORS;
    va_end(args);
}

void diag_warning(Diag *diag, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!diag->muted)
        print_message(diag, span, "warning", format, args);
    va_end(args);
}

void diag_note(Diag *diag, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!diag->muted)
        print_message(diag, span, "note", format, args);
    va_end(args);
}

enum { SUGGEST_MAX = 64 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t rows[3][SUGGEST_MAX + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = a[i - 1] == b[j - 1];
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], older[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *diag_suggest(const char *name, const char *const *candidates, size_t count) {
    const char *best = NULL;
    size_t length = strlen(name), best_distance = length / 3 + 1;
    if (length > SUGGEST_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, candidates[i]) == 0)
            return candidates[i];
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        /* Every character that one has more than the other is an insertion. */
        if (other > SUGGEST_MAX || (other > length ? other - length : length - other) >= best_distance)
            continue;
        size_t distance = edit_distance(name, length, candidates[i], other);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

const char *diag_choices(Arena *arena, const char *name, const char *const *candidates, size_t count) {
    enum { MOST_LISTED = 40 };
    const char *near = diag_suggest(name, candidates, count);
    if (near)
        return arena_printf(arena, "; did you mean '%s'?", near);
    Str list = str_create(arena);
    str_add(&list, "");
    for (size_t i = 0; i < count && i < MOST_LISTED; i++)
        str_addf(&list, "%s%s",
                 i == 0          ? (count == 1 ? "; known is " : "; known are ")
                 : i + 1 < count ? ", "
                                 : " and ",
                 candidates[i]);
    if (count > MOST_LISTED)
        str_addf(&list, " and %zu more", count - MOST_LISTED);
    return list.data;
}

_Thread_local FILE *diag_redirected = NULL, *diag_notes_redirected;

FILE *diag_stream(void) {
    return diag_redirected ? diag_redirected : stderr;
}

FILE *diag_notes(void) {
    return diag_notes_redirected ? diag_notes_redirected : diag_stream();
}

_Thread_local void (*bug_hook)(FILE *out) = NULL;

void bug_at(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: bug: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    void (*hook)(FILE *) = bug_hook;
    bug_hook = NULL; /* a bug inside the hook must not run it again */
    if (hook)
        hook(stderr);
    fflush(NULL);
    abort();
}

static SourceFile *make_source(Arena *arena, const char *path, const char *text, size_t size) {
    SourceFile *file = ARENA_NEW(arena, SourceFile);
    size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *file = (SourceFile){.path = arena_strdup(arena, path), .text = text + mark, .size = size - mark};
    return file;
}

SourceFile *source_read(Arena *arena, const char *path, Error *error) {
    size_t size;
    const char *text = file_read(arena, path, &size, error);
    return text ? make_source(arena, path, text, size) : NULL;
}

SourceFile *source_read_text(Arena *arena, const char *path, size_t most, bool regular, Error *error) {
    size_t size;
    const char *text = file_read_text(arena, path, most, regular, &size, error);
    return text ? make_source(arena, path, text, size) : NULL;
}

bool diag_unknown(Arena *arena, const char *what, const char *name, const char *const *known, int count, Error *error) {
    return error_set(error, ERROR_INPUT, "unknown %s '%s'%s", what, name,
                     diag_choices(arena, name, known, (size_t)count));
}

bool diag_fail(const Diag *diag, const char *path, Error *error) {
    int mistakes = diag_count_errors(diag);
    return error_set(error, ERROR_INPUT, "%s: %d mistake%s", path, mistakes, mistakes == 1 ? "" : "s");
}
