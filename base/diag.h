/* diag.h: what is said to a person: mistakes in a text with file:line:col and a caret, failures of the machine, our own
 * bugs.
 *
 *     specs/mine.nd:4:12: error: unknown operation 'sepconv_3x3'; did you mean 'sep_conv_3x3'?
 *         s2 = sepconv_3x3(s1) + skip_connect(s0)
 *              ^~~~~~~~~~~
 */
#ifndef NDARTS_BASE_DIAG_H
#define NDARTS_BASE_DIAG_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A text as read, without a byte order mark before it; path is what the user wrote ("-" for standard input). */
typedef struct SourceFile {
    const char *path;
    const char *text;
    size_t size;
} SourceFile;

/* Part of a text. Lines and columns count from 1, columns in bytes; end_col is one past the last column.
 * A zeroed Span means "no place known". */
typedef struct Span {
    const SourceFile *file;
    uint32_t line, col, end_line, end_col;
} Span;

Span span_join(Span first, Span last);

typedef struct Diag Diag;

/* Messages go to out as they are found; at most 50 errors are printed, the rest is counted. out NULL: only counted. */
Diag *diag_create(Arena *arena, FILE *out);
/* Lower case, no full stop, the offending value named. */
void diag_error(Diag *diag, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(Diag *diag, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_note(Diag *diag, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
int diag_count_errors(const Diag *diag);
/* False: messages are only counted. */
bool diag_is_read(const Diag *diag);
/* Keeps messages back until diag_release, which prints them; all as notes, when it is told the one mistake (reason,
 * else NULL) that they come from. */
void diag_hold(Diag *diag);
void diag_release(Diag *diag, Span span, const char *reason);
/* No more errors will be printed: nobody need look for them. */
bool diag_is_full(const Diag *diag);

/* The candidate that is name in other capitals, or nearest to it by edit distance (at most a third of its length), or
 * NULL. */
const char *diag_suggest(const char *name, const char *const *candidates, size_t count);

/* "; did you mean 'near'?", "; known are a, b and c", or "" when there are none: behind "unknown command 'name'". */
const char *diag_choices(Arena *arena, const char *name, const char *const *candidates, size_t count);
/* ERROR_INPUT with all of that: "unknown command 'name'; did you mean 'near'?" False. */
bool diag_unknown(Arena *arena, const char *what, const char *name, const char *const *known, int count, Error *error);
/* "spec.nd: 2 mistakes", ERROR_INPUT, of those that were told one by one. False. */
bool diag_fail(const Diag *diag, const char *path, Error *error);

/* Where what is said to a person goes while it is found: stderr, unless this thread keeps it for itself. */
extern _Thread_local FILE *diag_redirected;
FILE *diag_stream(void);
/* Likewise what a run tells of itself: progress, notes, warnings; together with the rest unless it has a stream of its
 * own. */
extern _Thread_local FILE *diag_notes_redirected;
FILE *diag_notes(void);

/* Our own mistake: prints file:line and the message, runs the hook (which may print a graph), aborts. */
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void bug_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Of this thread. */
extern _Thread_local void (*bug_hook)(FILE *out);

/* Reads a whole file ("-" is standard input) into the arena, with a zero byte after it. A byte order mark (UTF-8) is
 * left out. */
SourceFile *source_read(Arena *arena, const char *path, Error *error);
/* Likewise a text that a person wrote or a program printed, of at most `most` bytes. regular: only a file, so that
 * nothing is waited for; a pipe or a device may be named on the command line, but not in another text. */
SourceFile *source_read_text(Arena *arena, const char *path, size_t most, bool regular, Error *error);

#endif
