/* draw.c: a text goes to a program by a temporary file, the picture comes back by a pipe. */
#include "runtime/draw.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Output of a command; NULL when it fails. */
static const char *read_command(Arena *arena, const char *command) {
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return NULL;
    Str out = str_create(arena);
    str_add(&out, "");
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof(buffer), pipe)) > 0)
        str_add_bytes(&out, buffer, got);
    return pclose(pipe) == 0 && out.length > 0 ? out.data : NULL;
}

/* From its <svg> element on: what comes before names a document type elsewhere. */
const char *draw_svg(Arena *arena, const char *program, const char *text) {
    char path[] = "/tmp/ndarts-draw-XXXXXX";
    int file = mkstemp(path);
    if (file < 0)
        return NULL;
    bool ok = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    close(file);
    const char *svg = ok ? read_command(arena, arena_printf(arena, "%s '%s' 2>/dev/null", program, path)) : NULL;
    unlink(path);
    return svg ? strstr(svg, "<svg") : NULL;
}
