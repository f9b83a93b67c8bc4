/* settings.c: holds settings against their table, and against each other. */
#include "ir/settings.h"
#include "ir/schedules.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const SettingRow setting_rows[SETTING_COUNT] = {
#define SECTION(...)
#define SECTION_END(...)
#define SECTION_AGAIN(...)
#define SECTION_AGAIN_END(...)
#define SETTING(member, field, key, type, allowed, otherwise, meaning)                                                 \
    {key, SETTING_##type, false, allowed, otherwise, meaning, offsetof(Settings, member.field)},
#define FACT(member, field, key, type, otherwise, meaning)                                                             \
    {key, SETTING_##type, true, "", otherwise, meaning, offsetof(Settings, member.field)},
#include "ir/settings.def"
#undef SECTION
#undef SECTION_END
#undef SECTION_AGAIN
#undef SECTION_AGAIN_END
#undef SETTING
#undef FACT
};

const SettingRow *setting_row(const char *key) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!setting_rows[i].is_fact && str_equal(setting_rows[i].key, key))
            return &setting_rows[i];
    return NULL;
}

const char *setting_type_name(SettingType type) {
    static const char *const names[] = {
        "an integer", "a number", "true or false", "a name or a string", "a schedule", "balanced or a list of numbers",
        "names"};
    return names[type];
}

/* ---- intervals ---- */

typedef struct Interval {
    double low, high;
    bool with_low, with_high;
} Interval;

/* "[0,1)" */
static Interval read_interval(const char *text) {
    Interval i = {.with_low = text[0] == '['};
    char *end;
    i.low = strtod(text + 1, &end);
    i.high = strtod(end + 1, &end);
    i.with_high = *end == ']';
    return i;
}

static bool holds(const Interval *i, double value) {
    return (i->with_low ? value >= i->low : value > i->low) && (i->with_high ? value <= i->high : value < i->high);
}

/* "0 to 0.5", "at least 0 and below 1", "above 0 and at most 1"; "at least 0" when nothing is larger than the end. */
static const char *describe(Arena *arena, const Interval *i) {
    if (i->high >= (double)INT64_MAX)
        return arena_printf(arena, "at least %.15g", i->low);
    return i->with_low && i->with_high
               ? arena_printf(arena, "%.15g to %.15g", i->low, i->high)
               : arena_printf(arena, "%s %.15g and %s %.15g", i->with_low ? "at least" : "above", i->low,
                              i->with_high ? "at most" : "below", i->high);
}

/* 2^63 - 1 is no double: no int64_t is above it. */
static const char *range_mistake(Arena *arena, const SettingRow *row, const IrAttr *value) {
    Interval interval = read_interval(row->allowed);
    bool integer = value->kind == ATTR_int;
    double number = integer ? (double)value->i : value->f;
    if (holds(&interval, number))
        return NULL;
    Str text = str_create(arena);
    str_addf(&text, "'%s' is ", row->key);
    if (integer)
        str_addf(&text, "%lld", (long long)value->i);
    else
        str_addf(&text, "%.15g", number);
    str_addf(&text, "; expected %s", describe(arena, &interval));
    return text.data;
}

/* ---- words ---- */

bool setting_has_word(const SettingRow *row, const char *word) {
    size_t length = strlen(word);
    for (const char *at = row->allowed; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (length && strncmp(at, word, length) == 0 && (at[length] == '|' || !at[length]))
            return true;
    return false;
}

/* "cosine, constant, linear", and the words themselves, for a suggestion */
static const char *list_words(Arena *arena, const char *words, const char **names, size_t most, size_t *count) {
    Str list = str_create(arena);
    *count = 0;
    while (*words && *count < most) {
        size_t length = strcspn(words, "|");
        names[*count] = arena_strndup(arena, words, length);
        str_addf(&list, "%s%s", *count ? ", " : "", names[*count]);
        words += length + (words[length] == '|');
        ++*count;
    }
    return list.data;
}

static const char *word_mistake(Arena *arena, const SettingRow *row, const char *word) {
    const char *names[16];
    size_t count;
    const char *list = list_words(arena, row->allowed, names, 16, &count), *near = diag_suggest(word, names, count);
    return near ? arena_printf(arena, "'%s' is one of %s, not '%s'; did you mean '%s'?", row->key, list, word, near)
                : arena_printf(arena, "'%s' is one of %s, not '%s'", row->key, list, word);
}

/* ---- one value ---- */

static const char *kind_name(const IrAttr *value) {
    static const char *const names[] = {"an integer", "a number", "true or false", "a string", "integers", "symbols"};
    return names[value->kind];
}

const char *setting_mistake(Arena *arena, const SettingRow *row, const IrAttr *value) {
    static const IrAttrKind kinds[] = {ATTR_int,    ATTR_float,  ATTR_bool,   ATTR_string,
                                       ATTR_string, ATTR_string, ATTR_symbols};
    bool integer = value->kind == ATTR_int && row->type == SETTING_real;
    if (value->kind != kinds[row->type] && !integer)
        return arena_printf(arena, "'%s' is %s, not %s", row->key, setting_type_name(row->type), kind_name(value));
    if (value->kind == ATTR_int || value->kind == ATTR_float)
        return range_mistake(arena, row, value);
    Schedule schedule;
    if (row->type == SETTING_schedule && schedule_parse(value->s, &schedule))
        return NULL;
    bool wrong = row->type == SETTING_word ? row->allowed[0] && !setting_has_word(row, value->s)
                                           : row->type == SETTING_schedule && !setting_has_word(row, value->s);
    return !wrong            ? NULL
           : row->allowed[0] ? word_mistake(arena, row, value->s)
                             : arena_printf(arena, "'%s' is a schedule written out, not '%s'", row->key, value->s);
}

void settings_check_values(const IrModule *module, Diag *diag) {
    for (int i = 0; i < module->setting_count; i++) {
        const IrSetting *setting = &module->settings[i];
        const SettingRow *row = setting_row(setting->key);
        const char *mistake = row ? setting_mistake(module->arena, row, &setting->value) : NULL;
        if (mistake)
            diag_error(diag, setting->span, "%s", mistake);
    }
}

/* ---- for people ---- */

static const char *allowed_text(Arena *arena, const SettingRow *row) {
    const char *names[16];
    size_t count;
    bool words = (row->type == SETTING_word || row->type == SETTING_schedule) && row->allowed[0];
    return words             ? list_words(arena, row->allowed, names, 16, &count)
           : row->allowed[0] ? row->allowed
                             : setting_type_name(row->type);
}

void settings_print_table(FILE *out) {
    static const char *const types[] = {"int", "real", "bool", "word", "schedule", "weights", "symbols"};
    Arena *arena = arena_create();
    fprintf(out, "| key | type | allowed | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < SETTING_COUNT; i++) {
        const SettingRow *row = &setting_rows[i];
        const char *otherwise = row->otherwise[0] == '=' ? row->otherwise + 2 : row->otherwise;
        if (!row->is_fact)
            fprintf(out, "| `%s` | %s | %s | %s | %s |\n", row->key, types[row->type], allowed_text(arena, row),
                    otherwise[0] ? otherwise : "none", row->meaning);
    }
    arena_destroy(arena);
}

/* ---- rules ---- */

/* What a text leaves out has its default, which is none of its mistakes: the rule holds then. */
static const IrSetting *find(const IrModule *module, const char *key) {
    for (int i = 0; i < module->setting_count; i++)
        if (str_equal(module->settings[i].key, key))
            return &module->settings[i];
    return NULL;
}

static double number_of(const IrSetting *setting) {
    return setting->value.kind == ATTR_float ? setting->value.f : (double)setting->value.i;
}

/* The first is at most the second. */
static void check_order(const IrModule *module, Diag *diag, const char *first, const char *second) {
    const IrSetting *a = find(module, first), *b = find(module, second);
    if (a && b && number_of(a) > number_of(b) && number_of(b) > 0) /* area.1 = 0: none */
        diag_error(diag, a->span, "'%s' is %.15g, more than '%s', which is %.15g; one of them has to change", first,
                   number_of(a), second, number_of(b));
}

static void check_side(const IrModule *module, Diag *diag, const char *key, double times) {
    const IrSetting *side = find(module, key), *h = find(module, "input.height"), *w = find(module, "input.width");
    if (!side || !h || !w)
        return;
    double height = number_of(h), width = number_of(w), most = times * fmax(height, width);
    if (height > 0 && width > 0 && number_of(side) > most)
        diag_error(diag, side->span, "'%s' is %.15g; with images of %.15g x %.15g it is at most %.15g", key,
                   number_of(side), height, width, most);
}

void settings_check_rules(const IrModule *module, Diag *diag) {
    static const char *const pairs[][2] = {{"train.warm_up", "train.epochs"},
                                           {"search.frozen_epochs", "search.epochs"},
                                           {"data.area.0", "data.area.1"},
                                           {"data.ratio.0", "data.ratio.1"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        check_order(module, diag, pairs[i][0], pairs[i][1]);
    check_side(module, diag, "data.crop", 1);
    check_side(module, diag, "data.cutout", 2); /* from there on nothing is left, wherever its middle is */
}
