/* json.c: the few ways in which JSON is made. */
#include "base/json.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *bytes) {
    Arena *arena = str_is_utf8(bytes) ? NULL : arena_create();
    json_t *string = json_string(arena ? str_utf8(arena, bytes) : bytes);
    arena_destroy(arena);
    return string;
}

const char *json_bytes(Arena *arena, const char *text) {
    return text ? str_bytes(arena, text) : NULL;
}

json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_read(const char *path, Error *error) {
    if (file_is_missing(path))
        return NULL;
    Arena *arena = arena_create();
    json_error_t where;
    SourceFile *file = source_read(arena, path, error);
    json_t *value = file ? json_loadb(file->text, file->size, 0, &where) : NULL;
    if (file && !value)
        error_set(error, ERROR_INPUT, "%s:%d: no JSON: %s", path, where.line, where.text);
    arena_destroy(arena);
    return value;
}

void json_add(json_t *object, const char *key, json_t *value) {
    Arena *arena = str_is_utf8(key) ? NULL : arena_create();
    if (json_object_set_new(object, arena ? str_utf8(arena, key) : key, value) != 0)
        bug("no JSON can be made of the member '%s'", key);
    arena_destroy(arena);
}

void json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0)
        bug("no JSON can be made of element %zu", json_array_size(array));
}

const char *json_print(Arena *arena, const json_t *value, size_t flags) {
    char *text = json_dumps(value, flags);
    if (!text)
        bug("the JSON cannot be printed");
    const char *copy = arena_strdup(arena, text);
    free(text);
    return copy;
}

static void add_members(Str *s, const json_t *object) {
    const char *key, *between = "";
    json_t *member;
    json_object_foreach((json_t *)object, key, member) {
        json_t *name = json_string(key);
        str_addf(s, "%s%s: ", between, json_print(s->arena, name, JSON_ENCODE_ANY));
        json_decref(name);
        json_add_line(s, member);
        between = ", ";
    }
}

void json_add_line(Str *s, const json_t *value) {
    if (json_is_object(value)) {
        str_add(s, "{");
        add_members(s, value);
        str_add(s, "}");
    } else if (json_is_array(value)) {
        str_add(s, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            str_add(s, i ? ", " : "");
            json_add_line(s, json_array_get(value, i));
        }
        str_add(s, "]");
    } else if (json_is_real(value)) {
        str_add_double(s, json_real_value(value));
    } else {
        str_add(s, json_print(s->arena, value, JSON_ENCODE_ANY));
    }
}
