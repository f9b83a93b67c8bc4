/* json.h: JSON that is written whole. Jansson leaves out a member that it cannot make (a string that is no UTF-8, a
 * number that is not finite, no memory) and says so in a result that is easily dropped; these do not return without
 * having done it. Reading is Jansson's own. */
#ifndef NDARTS_BASE_JSON_H
#define NDARTS_BASE_JSON_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

#include <jansson.h>

/* A string of any bytes, as file systems have them, by str_utf8. */
json_t *json_text(const char *bytes);
/* The bytes of such a string (json_string_value); NULL for NULL. */
const char *json_bytes(Arena *arena, const char *text);
/* A number, or null when it is not finite, which JSON cannot say. */
json_t *json_number(double value);

/* What a file holds. NULL when there is none, or with an error: it cannot be read, or is no JSON. */
json_t *json_read(const char *path, Error *error);

/* Add a member, whose name is escaped as a text is, or an element; they take the value. */
void json_add(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);
/* The text of value; flags are Jansson's. */
const char *json_print(Arena *arena, const json_t *value, size_t flags);
/* Adds the text of value on one line, numbers in as few digits as say them exactly. */
void json_add_line(Str *s, const json_t *value);

#endif
