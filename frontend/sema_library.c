/* sema_library.c: what a name stands for, in texts of the library and in those of others. */
#include "frontend/lower.h"
#include "frontend/sema.h"

#include "base/scan.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool real_folder(const char *path, char folder[PATH_MAX]) {
    char *slash = realpath(path, folder) ? strrchr(folder, '/') : NULL;
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

/* By its name, which stays when files go; else by where links lead. */
bool sema_is_of_library(const char *library, const SourceFile *file) {
    char real[PATH_MAX], folder[PATH_MAX];
    const char *slash = strrchr(file->path, '/');
    if (library && slash && str_starts_with(file->path, library) && file->path + strlen(library) == slash)
        return true;
    return library && realpath(library, real) && real_folder(file->path, folder) && str_equal(folder, real);
}

/* "WORD NAME" at the beginning of a line: definitions of the library's texts stand there, and nothing else does. */
static bool defines(const char *text, const char *name) {
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *behind = scan_skip_word(line);
        if (behind != line && scan_word_is(scan_skip_blanks(behind), name))
            return true;
    }
    return false;
}

/* Whether one of the texts is called so: then an import of the name would find that one. */
static bool is_taken(const Program *program, const char *file) {
    for (int i = 0; i < program->text_count; i++) {
        const char *path = program->texts[i]->span.file->path, *slash = strrchr(path, '/');
        if (str_equal(slash ? slash + 1 : path, file))
            return true;
    }
    return false;
}

static int is_text(const struct dirent *entry) {
    const char *end = strrchr(entry->d_name, '.');
    return end && str_equal(end, ".nd");
}

const char *sema_library_hint(Arena *arena, const Program *program, const char *name) {
    enum { MOST_BYTES = 1 << 20 };
    struct dirent **files;
    const char *hint = "";
    int count = program->library ? scandir(program->library, &files, is_text, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        Error ignored = {ERROR_NONE, ""};
        const char *path = arena_printf(arena, "%s/%s", program->library, files[i]->d_name);
        bool looked_at = !*hint && !is_taken(program, files[i]->d_name);
        const SourceFile *file = looked_at ? source_read_text(arena, path, MOST_BYTES, true, &ignored) : NULL;
        if (file && defines(file->text, name))
            hint = arena_printf(arena, "; the library has it: import \"%s\"", files[i]->d_name);
        free(files[i]);
    }
    if (count >= 0)
        free(files);
    return hint;
}

const Ast *sema_find_definition(const StrMap *globals, const char *library, const Ast *name) {
    const Ast *definition = str_map_get(globals, name->name);
    if (!definition || definition->span.file == name->span.file || !builtin_find(name->name))
        return definition;
    bool hidden = sema_is_of_library(library, name->span.file) && !sema_is_of_library(library, definition->span.file);
    return hidden ? NULL : definition;
}
