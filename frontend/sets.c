/* sets.c: --set NAME=VALUE. NAME is a dotted path or the end of exactly one: "C" for "network.C", "weights.lr" for
 * "search.weights.lr". VALUE is an expression; a word stands for itself where a word is expected. */
#include "frontend/lower.h"

#include <string.h>

/* "0,1" */
static bool is_decimal_comma(const char *text) {
    static const char digits[] = "0123456789";
    size_t before = strspn(text, digits), after = text[before] == ',' ? strspn(text + before + 1, digits) : 0;
    return before && after && !text[before + 1 + after];
}

bool sets_parse(Arena *arena, const char *const *texts, int count, Sets *sets, Diag *diag) {
    int before = diag_count_errors(diag);
    sets->count = 0;
    sets->items = ARENA_ARRAY(arena, SetValue, count + 1);
    for (int i = 0; i < count; i++) {
        SourceFile *file = ARENA_NEW(arena, SourceFile);
        *file = (SourceFile){"--set", texts[i], strlen(texts[i])};
        const char *equal = strchr(texts[i], '=');
        if (!equal || equal == texts[i] || !equal[1]) {
            diag_error(diag, (Span){0}, "--set takes NAME=VALUE, not '%s'", texts[i]);
            continue;
        }
        SetValue set = {.text = texts[i], .name = arena_strndup(arena, texts[i], (size_t)(equal - texts[i]))};
        /* Blanks for the name, so that columns in messages are those of the whole argument. */
        char *blanked = arena_strdup(arena, texts[i]);
        memset(blanked, ' ', (size_t)(equal + 1 - texts[i]));
        file->text = blanked;
        int mistakes = diag_count_errors(diag);
        set.value = ast_parse_expression(arena, file, diag);
        if (diag_count_errors(diag) > mistakes && is_decimal_comma(equal + 1))
            diag_note(diag, (Span){0}, "numbers have a point: %.*s.%s", (int)strcspn(equal + 1, ","), equal + 1,
                      strchr(equal, ',') + 1);
        file->text = texts[i];
        if (set.value)
            sets->items[sets->count++] = set;
    }
    return diag_count_errors(diag) == before;
}

static bool names_key(const char *name, const char *key) {
    size_t a = strlen(name), b = strlen(key);
    return a == b ? str_equal(name, key) : a < b && key[b - a - 1] == '.' && str_equal(key + b - a, name);
}

static const char *last_part(const char *key) {
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

static void report_unknown(Arena *arena, const SetValue *set, const char *const *keys, int key_count, Diag *diag) {
    const char **names = ARENA_ARRAY(arena, const char *, 2 * key_count + 1);
    for (int i = 0; i < key_count; i++) {
        names[2 * i] = keys[i];
        names[2 * i + 1] = last_part(keys[i]);
    }
    const char *near = diag_suggest(set->name, names, (size_t)(2 * key_count));
    int count = 0;
    for (int i = 0; i < key_count && !near; i++)
        if (str_starts_with(keys[i], "network."))
            names[count++] = last_part(keys[i]);
    diag_error(diag, (Span){0}, "--set %s: there is no parameter '%s'%s%s", set->text, set->name,
               near ? "" : " in this text",
               near ? arena_printf(arena, "; did you mean '%s'?", near)
                    : diag_choices(arena, set->name, names, (size_t)count));
}

bool sets_resolve(Arena *arena, Sets *sets, const char *const *keys, int key_count, Diag *diag) {
    int before = diag_count_errors(diag);
    for (int i = 0; i < sets->count; i++) {
        SetValue *set = &sets->items[i];
        Str found = str_create(arena);
        int matches = 0;
        for (int k = 0; k < key_count; k++) {
            if (!names_key(set->name, keys[k]))
                continue;
            if (str_equal(set->name, keys[k])) {
                matches = 1;
                set->key = keys[k];
                break;
            }
            str_addf(&found, "%s'%s'", matches ? ", " : "", keys[k]);
            set->key = keys[k];
            matches++;
        }
        if (matches == 0)
            report_unknown(arena, set, keys, key_count, diag);
        if (matches > 1) {
            diag_error(diag, (Span){0}, "--set %s: '%s' could be any of %s", set->text, set->name, found.data);
            set->key = NULL; /* so that its value is not held against one of them */
        }
    }
    return diag_count_errors(diag) == before;
}

bool lower_override(Lower *l, const char *section, const char *name, Value *value) {
    const char *key = arena_printf(l->arena, "%s.%s", section, name);
    for (int i = l->sets->count - 1; i >= 0; i--) {
        const SetValue *set = &l->sets->items[i];
        if (!set->key || !str_equal(set->key, key))
            continue;
        *value = lower_eval(l, lower_frame(l, NULL, NULL, set->value->span), set->value);
        return true;
    }
    return false;
}
