/* bench_table.c: reads a table of architectures. A cell may stand in "..." with "" for a quote; a line is a row, also of quoted
 * cells; empty lines mean nothing. The text has nothing in it that a terminal would not show. */
#include "runtime/report/bench_table.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/gzip.h"
#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 26, MOST_ROWS = 1 << 20, MOST_SETS = 64 };
static const char what[] = "a table of architectures (CSV, also .gz)";

typedef struct TableReader {
    Arena *arena;
    const char *path;
    char *next; /* line */
    int64_t line;
    int count;
    char *cells[1 + MOST_SETS];
    BenchTable *table;
    Error *error;
} TableReader;

/* ---- lines and cells ---- */

/* Cuts the next line that is not empty off; NULL: there is none. */
static char *next_line(TableReader *r) {
    while (*r->next) {
        char *line = r->next;
        size_t length = strcspn(line, "\n");
        r->next += length + (line[length] == '\n');
        r->line++;
        length -= length && line[length - 1] == '\r';
        line[length] = '\0';
        if (length)
            return line;
    }
    return NULL;
}

/* Of a cell that begins with a quote, in place. What follows it: "" or ",..."; NULL: something else. */
static char *unquote(char *cell) {
    char *to = cell, *at = cell + 1;
    for (; *at && (*at != '"' || at[1] == '"'); at++) {
        at += *at == '"';
        *to++ = *at;
    }
    bool closed = *at == '"' && (!at[1] || at[1] == ',');
    *to = '\0';
    return closed ? at + 1 : NULL;
}

static bool cut_line(TableReader *r, char *line) {
    r->count = 0;
    for (char *at = line; at;) {
        if (r->count == 1 + MOST_SETS)
            return error_set(r->error, ERROR_INPUT, "%s:%lld: more than %d columns", r->path, (long long)r->line,
                             1 + MOST_SETS);
        char *cell = at, *end = *cell == '"' ? unquote(cell) : cell + strcspn(cell, ",");
        if (!end)
            return error_set(r->error, ERROR_INPUT, "%s:%lld: the quotes of cell %d do not end it", r->path,
                             (long long)r->line, r->count + 1);
        at = *end ? end + 1 : NULL;
        *end = '\0';
        r->cells[r->count++] = cell;
    }
    return true;
}

/* ---- heading and rows ---- */

static bool check_names(const TableReader *r) {
    for (int i = 1; i < r->count; i++) {
        if (!*r->cells[i])
            return error_set(r->error, ERROR_INPUT, "%s:%lld: column %d has no name", r->path, (long long)r->line,
                             i + 1);
        for (int k = 0; k < i; k++)
            if (str_equal(r->cells[i], r->cells[k]))
                return error_set(r->error, ERROR_INPUT, "%s:%lld: two columns are called '%s'", r->path,
                                 (long long)r->line, r->cells[i]);
    }
    return true;
}

static bool read_heading(TableReader *r) {
    char *line = next_line(r);
    if (!line)
        return error_set(r->error, ERROR_INPUT, "%s: empty; %s begins with a heading: architecture,cifar10,...",
                         r->path, what);
    if (!cut_line(r, line))
        return false;
    if (!str_equal(r->cells[0], "architecture"))
        return error_set(
            r->error, ERROR_INPUT,
            "%s:%lld: the first column of %s is called architecture, as in  architecture,cifar10; found '%.40s'",
            r->path, (long long)r->line, what, r->cells[0]);
    if (r->count == 1)
        return error_set(r->error, ERROR_INPUT, "%s:%lld: no column of accuracies follows, as in  architecture,cifar10",
                         r->path, (long long)r->line);
    if (!check_names(r))
        return false;
    const char **sets = ARENA_ARRAY(r->arena, const char *, r->count);
    r->table->set_count = r->count - 1;
    memcpy(sets, r->cells + 1, sizeof *sets * (size_t)r->table->set_count);
    r->table->sets = sets;
    return true;
}

static bool read_accuracy(const TableReader *r, int set, double *accuracy) {
    const char *cell = r->cells[1 + set];
    char *end;
    *accuracy = strtod(cell, &end);
    bool plain = *cell && strspn(cell, "0123456789.eE+- ") == strlen(cell) && !end[strspn(end, " ")];
    return (plain && *accuracy >= 0 && *accuracy <= 100) ||
           error_set(r->error, ERROR_INPUT,
                     "%s:%lld: '%.40s' in the column %s is no accuracy in percent, from 0 to 100", r->path,
                     (long long)r->line, cell, r->table->sets[set]);
}

static bool read_row(TableReader *r) {
    BenchTable *t = r->table;
    if (r->count != 1 + t->set_count)
        return error_set(r->error, ERROR_INPUT, "%s:%lld: %d cells, where the heading has %d", r->path,
                         (long long)r->line, r->count, 1 + t->set_count);
    const BenchRow *other = bench_table_find(t, r->cells[0]);
    if (!*r->cells[0])
        return error_set(r->error, ERROR_INPUT, "%s:%lld: no architecture in the first cell", r->path,
                         (long long)r->line);
    if (other)
        return error_set(r->error, ERROR_INPUT, "%s:%lld: '%.200s' is in line %lld too", r->path, (long long)r->line,
                         r->cells[0], (long long)other->line);
    if (t->rows.count == MOST_ROWS)
        return error_set(r->error, ERROR_INPUT, "%s:%lld: more than %d architectures", r->path, (long long)r->line,
                         MOST_ROWS);
    double *accuracies = ARENA_ARRAY(r->arena, double, t->set_count);
    BenchRow *row = ARENA_NEW(r->arena, BenchRow);
    for (int i = 0; i < t->set_count; i++)
        if (!read_accuracy(r, i, &accuracies[i]))
            return false;
    *row = (BenchRow){r->cells[0], r->line, accuracies};
    str_map_set(&t->rows, row->architecture, row);
    return true;
}

/* ---- the file ---- */

/* Nothing but UTF-8 that is seen; at: what is wrong. */
static bool is_shown(const char *at, const char *end, size_t *length) {
    uint32_t code = (unsigned char)*at;
    *length = code < 0x80 ? 1 : unicode_decode(at, end, &code);
    return code == '\t' || code == '\r' || code == '\n' || (code >= ' ' && code < 0x7f) ||
           (*length && !unicode_is_unseen(code));
}

static bool check_text(const char *path, const char *text, size_t size, Error *error) {
    int64_t line = 1;
    size_t length;
    for (const char *at = text, *end = text + size; at < end; at += length) {
        line += *at == '\n';
        if (is_shown(at, end, &length))
            continue;
        Arena *arena = arena_create();
        Str found = str_create(arena);
        unicode_describe(&found, at, end);
        error_set(error, ERROR_INPUT, "%s:%lld: no text: %s", path, (long long)line, found.data);
        arena_destroy(arena);
        return false;
    }
    return true;
}

/* The text, unpacked, without a byte order mark. */
static char *read_text(Arena *arena, const char *path, Error *error) {
    size_t size;
    if (file_kind_at(path) == FILE_folder)
        return file_refuse(path, FILE_folder, what, error), NULL;
    char *text = file_read_text(arena, path, MOST_BYTES, false, &size, error);
    if (text && file_kind(text, size) == FILE_gzip)
        text = gzip_unpack(arena, path, text, size, MOST_BYTES, &size, error);
    if (!text)
        return NULL;
    FileKind kind = file_kind(text, size);
    if (kind != FILE_unknown && kind != FILE_empty && !file_kind_is_text(kind))
        return file_refuse(path, kind, what, error), NULL;
    size_t mark = str_starts_with(text, "\xef\xbb\xbf") ? 3 : 0;
    return check_text(path, text + mark, size - mark, error) ? text + mark : NULL;
}

const BenchTable *bench_table_read(Arena *arena, const char *path, Error *error) {
    BenchTable *table = ARENA_NEW(arena, BenchTable);
    TableReader r = {.arena = arena, .path = path, .table = table, .error = error};
    *table = (BenchTable){.path = path, .rows = str_map_create(arena)};
    r.next = read_text(arena, path, error);
    if (!r.next || !read_heading(&r))
        return NULL;
    for (char *line; (line = next_line(&r));)
        if (!cut_line(&r, line) || !read_row(&r))
            return NULL;
    if (!table->rows.count)
        error_set(error, ERROR_INPUT, "%s: no architecture follows the heading", path);
    return table->rows.count ? table : NULL;
}

/* ---- questions ---- */

const BenchRow *bench_table_find(const BenchTable *table, const char *architecture) {
    return str_map_get(&table->rows, architecture);
}

static const BenchRow *row_at(const BenchTable *table, size_t i) {
    return table->rows.entries[i].value;
}

int64_t bench_table_rank(const BenchTable *table, const BenchRow *row, int set) {
    int64_t rank = 1;
    for (size_t i = 0; i < table->rows.count; i++)
        rank += row_at(table, i)->accuracies[set] > row->accuracies[set];
    return rank;
}

const BenchRow *bench_table_best(const BenchTable *table, int set) {
    const BenchRow *best = row_at(table, 0);
    for (size_t i = 1; i < table->rows.count; i++)
        best = row_at(table, i)->accuracies[set] > best->accuracies[set] ? row_at(table, i) : best;
    return best;
}
