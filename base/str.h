/* str.h: growable text and string-keyed maps, both in an arena. */
#ifndef NDARTS_BASE_STR_H
#define NDARTS_BASE_STR_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* Text under construction; data is always terminated by a zero byte. */
typedef struct Str {
    Arena *arena;
    char *data;
    size_t length, capacity;
} Str;

Str str_create(Arena *arena);
void str_add(Str *s, const char *text);
void str_add_bytes(Str *s, const char *bytes, size_t count);
/* The text with the number for every '@'. */
void str_add_template(Str *s, const char *text, int number);
void str_addf(Str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* SHA-256 of the text as 64 hexadecimal digits, in its arena: the name of a cache entry. */
const char *str_hash(const Str *s);
/* The shortest decimal that reads back to the same double; always with '.', 'e', "inf" or "nan" so it reads as a float.
 */
void str_add_double(Str *s, double value);
/* A double-quoted string with \" \\ \n \t and \xHH escapes, the last for control characters and for bytes that are no
 * UTF-8, so that the result is UTF-8 whatever text is. */
void str_add_quoted(Str *s, const char *text);
/* How many bytes the UTF-8 character at text takes, 1 to 4; 0 when there is none (or text is at its end). */
size_t str_utf8_length(const char *text);
/* Any bytes as UTF-8: those that are none are \xHH, and so is a backslash before an 'x' (\x5c), so that str_bytes gives
 * back what there was; any other text stays as it is. str_is_utf8: whether it does. */
const char *str_utf8(Arena *arena, const char *bytes);
const char *str_bytes(Arena *arena, const char *text);
bool str_is_utf8(const char *bytes);
/* The byte that two hexadecimal digits at text stand for, or -1. */
int str_hex_byte(const char *text);

/* The words of a command, with a NULL after them: blanks part them; what is in '...' or "..." and what comes after a
 * backslash is taken as it is (in double quotes a backslash is one unless " or \\ follows). NULL: a quote is not
 * closed. */
const char **str_split_words(Arena *arena, const char *text, int *count);

bool str_equal(const char *a, const char *b);
bool str_starts_with(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/* "1500", "64K", "1.5M", "2G" (thousands, millions, thousand millions): false for anything else, or none at all. */
bool str_parse_bytes(const char *text, int64_t *bytes);

/* The name of a file without folder and suffix: "specs/darts.nd" is "darts". */
const char *str_file_stem(Arena *arena, const char *path);
/* A name of the language made of a text: other characters than letters and digits become '_', and a 'g' stands before a
 * digit or nothing. */
const char *str_identifier(Arena *arena, const char *text);

/* A map from strings to pointers, iterated in insertion order. */
typedef struct StrMapEntry {
    const char *key;
    void *value;
    uint64_t hash; /* of the key */
} StrMapEntry;
typedef struct StrMap {
    Arena *arena;
    StrMapEntry *entries;
    size_t count, capacity;
    uint32_t *slots; /* index + 1 into entries, 0 for empty */
    size_t slot_count;
} StrMap;

StrMap str_map_create(Arena *arena);
void *str_map_get(const StrMap *map, const char *key); /* NULL when absent */
void str_map_set(StrMap *map, const char *key, void *value);

#endif
