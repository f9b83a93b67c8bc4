/* draw.c: a text goes to a program by its standard input, the picture comes back by its standard output. */
#include "runtime/report/draw.h"

#include "base/process.h"
#include "base/str.h"

#include <string.h>

/* From its <svg> element on: what comes before names a document type elsewhere. */
const char *draw_svg(Arena *arena, const char *program, const char *text) {
    int count;
    const char **argv = str_split_words(arena, program, &count);
    Str out = str_create(arena);
    str_add(&out, "");
    Error ignored = {ERROR_NONE, ""}; /* without a picture the text says what is there */
    return process_run(argv, text, &out, &ignored) ? strstr(out.data, "<svg") : NULL;
}
