/* str.c: growable text, and a hash map (open addressing, linear probing) that remembers the order of insertion. */
#include "base/str.h"

#include "base/format.h"
#include "base/hash.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Str str_create(Arena *arena) {
    return (Str){.arena = arena, .data = arena_alloc(arena, 64), .capacity = 64};
}

/* Room for count more bytes and the zero byte at the end. */
static void str_reserve(Str *s, size_t count) {
    size_t capacity = s->capacity;
    while (capacity - s->length <= count)
        capacity *= 2;
    if (capacity == s->capacity)
        return;
    s->data = arena_grow(s->arena, s->data, s->length, capacity);
    s->capacity = capacity;
}

void str_add_bytes(Str *s, const char *bytes, size_t count) {
    if (!count)
        return;
    str_reserve(s, count);
    memcpy(s->data + s->length, bytes, count);
    s->length += count;
    s->data[s->length] = '\0';
}

void str_add_template(Str *s, const char *text, int number) {
    for (; *text; text++) {
        if (*text == '@')
            str_addf(s, "%d", number);
        else
            str_add_bytes(s, text, 1);
    }
}

void str_add(Str *s, const char *text) {
    str_add_bytes(s, text, strlen(text));
}

void str_addf(Str *s, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = format_text(s->data + s->length, s->capacity - s->length, format, args);
    if (length > 0 && (size_t)length >= s->capacity - s->length) {
        str_reserve(s, (size_t)length);
        format_text(s->data + s->length, (size_t)length + 1, format, again);
    }
    s->length += length > 0 ? (size_t)length : 0;
    va_end(again);
    va_end(args);
}

const char *str_hash(const Str *s) {
    char *digest = arena_alloc(s->arena, 65);
    hash_sha256_hex(s->data, s->length, digest);
    return digest;
}

/* A decimal of at most 15 digits survives %.15g unchanged, so fewer need not be tried, but for the subnormals, which
 * have less than 15 digits to tell apart. */
static void print_shortest(char text[40], double value) {
    int first = fabs(value) < 1e-300 ? 1 : 15;
    for (int digits = first; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

void str_add_double(Str *s, double value) {
    char text[40];
    if (isnan(value)) {
        str_add(s, "nan");
    } else if (isinf(value)) {
        str_add(s, value < 0 ? "-inf" : "inf");
    } else {
        print_shortest(text, value);
        str_add(s, text);
        if (!strpbrk(text, ".e"))
            str_add(s, ".0");
    }
}

/* By the table of well-formed sequences in the Unicode standard: nothing overlong, no surrogates, at most U+10FFFF. */
size_t str_utf8_length(const char *text) {
    const unsigned char *b = (const unsigned char *)text;
    if (b[0] < 0x80)
        return b[0] != 0;
    size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    unsigned char low = b[0] == 0xe0   ? 0xa0
                        : b[0] == 0xf0 ? 0x90
                                       : 0x80,
                  high = b[0] == 0xed   ? 0x9f
                         : b[0] == 0xf4 ? 0x8f
                                        : 0xbf;
    if (b[0] < 0xc2 || b[0] > 0xf4 || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (b[i] < 0x80 || b[i] > 0xbf)
            return 0;
    }
    return length;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_hex_byte(const char *text) {
    int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
    return low < 0 ? -1 : high * 16 + low;
}

/* Whether the character at bytes, of `length` bytes, stands for itself. */
static bool is_plain(const char *bytes, size_t length) {
    return length > 0 && !(bytes[0] == '\\' && bytes[1] == 'x');
}

bool str_is_utf8(const char *bytes) {
    for (size_t length; *bytes; bytes += length) {
        if (!is_plain(bytes, length = str_utf8_length(bytes)))
            return false;
    }
    return true;
}

const char *str_utf8(Arena *arena, const char *bytes) {
    Str out = str_create(arena);
    for (size_t length; *bytes; bytes += length) {
        length = str_utf8_length(bytes);
        if (is_plain(bytes, length)) {
            str_add_bytes(&out, bytes, length);
        } else {
            str_addf(&out, "\\x%02x", (unsigned)(unsigned char)*bytes);
            length = 1;
        }
    }
    return out.data;
}

const char *str_bytes(Arena *arena, const char *text) {
    char *bytes = arena_strdup(arena, text), *to = bytes;
    for (; *text; text++) {
        int byte = text[0] == '\\' && text[1] == 'x' ? str_hex_byte(text + 2) : -1;
        *to++ = byte > 0 ? (char)byte : *text;
        text += byte > 0 ? 3 : 0;
    }
    *to = '\0';
    return bytes;
}

void str_add_quoted(Str *s, const char *text) {
    str_add(s, "\"");
    for (size_t length; *text; text += length) {
        unsigned char c = (unsigned char)*text;
        bool is_character = (length = str_utf8_length(text)) > 0;
        length += !is_character;
        if (c == '"' || c == '\\')
            str_addf(s, "\\%c", c);
        else if (c == '\n')
            str_add(s, "\\n");
        else if (c == '\t')
            str_add(s, "\\t");
        else if (c < 0x20 || c == 0x7f || !is_character)
            str_addf(s, "\\x%02x", c);
        else
            str_add_bytes(s, text, length);
    }
    str_add(s, "\"");
}

/* Adds one word without its quotes; where it ends, or NULL. */
static const char *add_word(Str *word, const char *at) {
    char quote = 0;
    for (; *at && (quote || !strchr(" \t\r\n", *at)); at++) {
        bool escapes = *at == '\\' && at[1] && (!quote || (quote == '"' && strchr("\"\\", at[1])));
        if (escapes)
            str_add_bytes(word, ++at, 1);
        else if (quote ? *at == quote : *at == '\'' || *at == '"')
            quote = quote ? 0 : *at;
        else
            str_add_bytes(word, at, 1);
    }
    return quote ? NULL : at;
}

const char **str_split_words(Arena *arena, const char *text, int *count) {
    const char **words = NULL;
    int capacity = 0;
    *count = 0;
    while (*(text += strspn(text, " \t\r\n"))) {
        Str word = str_create(arena);
        str_add(&word, "");
        text = add_word(&word, text);
        if (!text)
            return NULL;
        ARENA_PUSH(arena, words, *count, capacity, word.data);
    }
    ARENA_PUSH(arena, words, *count, capacity, NULL);
    (*count)--;
    return words;
}

bool str_equal(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

bool str_starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

bool str_parse_bytes(const char *text, int64_t *bytes) {
    static const char suffixes[] = "KMG";
    char *end;
    double value = strtod(text, &end), unit = 1;
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    for (const char *at = suffixes; suffix && at <= suffix; at++)
        unit *= 1000;
    end += suffix != NULL;
    *bytes = value > 0 && value * unit < 9e18 ? (int64_t)(value * unit) : 0;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && *bytes > 0;
}

const char *str_file_stem(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot > name ? arena_strndup(arena, name, (size_t)(dot - name)) : name;
}

const char *str_identifier(Arena *arena, const char *text) {
    char *copy = arena_printf(arena, "%s%s", isdigit((unsigned char)text[0]) || !text[0] ? "g" : "", text);
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return copy;
}

StrMap str_map_create(Arena *arena) {
    return (StrMap){.arena = arena};
}

/* Eight bytes at a time: keys may be whole functions. */
static uint64_t hash_key(const char *key) {
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    size_t length = strlen(key);
    uint64_t hash = length, word = 0;
    for (; length >= sizeof word; length -= sizeof word, key += sizeof word) {
        memcpy(&word, key, sizeof word);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, key, length);
    hash = (hash ^ word) * factor;
    return hash ^ hash >> 32;
}

/* The slot that holds key, or the empty one where it belongs. The table is never full. */
static size_t find_slot(const StrMap *map, const char *key, uint64_t hash) {
    size_t mask = map->slot_count - 1, slot = (size_t)hash & mask;
    for (; map->slots[slot]; slot = (slot + 1) & mask) {
        const StrMapEntry *entry = &map->entries[map->slots[slot] - 1];
        if (entry->hash == hash && str_equal(entry->key, key))
            break;
    }
    return slot;
}

/* Keeps the table at most half full. */
static void grow_slots(StrMap *map) {
    map->slot_count = map->slot_count ? 2 * map->slot_count : 16;
    map->slots = ARENA_ARRAY(map->arena, uint32_t, map->slot_count);
    for (size_t i = 0; i < map->count; i++)
        map->slots[find_slot(map, map->entries[i].key, map->entries[i].hash)] = (uint32_t)i + 1;
}

void *str_map_get(const StrMap *map, const char *key) {
    if (!map->count)
        return NULL;
    uint32_t index = map->slots[find_slot(map, key, hash_key(key))];
    return index ? map->entries[index - 1].value : NULL;
}

void str_map_set(StrMap *map, const char *key, void *value) {
    if (2 * (map->count + 1) > map->slot_count)
        grow_slots(map);
    uint64_t hash = hash_key(key);
    size_t slot = find_slot(map, key, hash);
    if (map->slots[slot]) {
        map->entries[map->slots[slot] - 1].value = value;
        return;
    }
    StrMapEntry entry = {.key = arena_strdup(map->arena, key), .value = value, .hash = hash};
    ARENA_PUSH(map->arena, map->entries, map->count, map->capacity, entry);
    map->slots[slot] = (uint32_t)map->count;
}
