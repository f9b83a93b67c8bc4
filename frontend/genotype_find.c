/* genotype_find.c: where in a text genotypes of other programs are, without reading them: one walk over the bytes. */
#include "frontend/genotype_form.h"

#include "base/file_kind.h"
#include "base/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct Walk {
    Arena *arena;
    const SourceFile *source;
    const char *text, *end;
    const char *line_start, *brace; /* brace: the innermost { that is open, or NULL */
    uint32_t line;
    int64_t epoch;
    ForeignList list;
} Walk;

/* ---- what a genotype begins with ---- */

/* `Genotype` `(`, and neither a class of that name nor a longer one. */
static bool begins_call(const Walk *w, const char *p) {
    if (*p != 'G' || !scan_word_is(p, "Genotype") || (p > w->text && scan_is_word(p[-1])) ||
        *scan_skip_space(p + strlen("Genotype")) != '(')
        return false;
    const char *before = p;
    while (before > w->line_start && (before[-1] == ' ' || before[-1] == '\t'))
        before--;
    const char *word = before;
    while (word > w->line_start && scan_is_word(word[-1]))
        word--;
    return !scan_word_is(word, "class") && !scan_word_is(word, "def");
}

/* |op~0| */
static bool begins_string(const char *p) {
    if (*p != '|' || !(isalpha((unsigned char)p[1]) || p[1] == '_'))
        return false;
    const char *after = scan_skip_word(p + 1);
    return *after == '~' && isdigit((unsigned char)after[1]);
}

/* Behind the groups of a string, which a `+` parts, perhaps with blanks around it. */
static const char *skip_string(const char *p) {
    for (;;) {
        while (scan_is_word(*p) || (*p && strchr("|~", *p)))
            p++;
        const char *plus = scan_skip_blanks(p);
        if (*plus != '+')
            return p;
        p = scan_skip_blanks(plus + 1);
    }
}

/* Three brackets, then a number, then a comma: pairs of numbers. */
static bool begins_compact(const Walk *w, const char *p) {
    int brackets = 0;
    if ((*p != '(' && *p != '[') || (p > w->text && scan_is_word(p[-1])))
        return false;
    for (; brackets < 4 && (*p == '(' || *p == '['); p = scan_skip_space(p + 1))
        brackets++;
    while (isdigit((unsigned char)*p))
        p++;
    return brackets == 3 && *scan_skip_space(p) == ',' && isdigit((unsigned char)p[-1]);
}

/* {"normal": [  */
static bool begins_cells(const char *p) {
    if (*p != '{')
        return false;
    p = scan_skip_space(p + 1);
    if ((*p != '"' && *p != '\'') || !scan_word_is(p + 1, "normal"))
        return false;
    p = scan_skip_space(p + strlen("'normal'"));
    const char *value = scan_skip_space(p + 1);
    return *p == ':' && (*value == '[' || *value == '(');
}

/* The key "...:edge_normal_0" of a configuration of NAS-Bench-301. */
static bool is_edge_key(const char *p) {
    static const char key[] = "edge_normal_0";
    return *p == 'e' && strncmp(p, key, strlen(key)) == 0 && (p[strlen(key)] == '"' || p[strlen(key)] == '\'');
}

/* ---- what is said before it ---- */

/* NAME of `NAME = Genotype(`, `NAME = genotypes.Genotype(`. */
static const char *name_before(const Walk *w, const char *p) {
    while (p > w->line_start && (scan_is_word(p[-1]) || p[-1] == '.'))
        p--;
    while (p > w->line_start && strchr(" \t'\"", p[-1]))
        p--;
    if (p == w->line_start || p[-1] != '=')
        return NULL;
    for (p--; p > w->line_start && strchr(" \t", p[-1]); p--)
        ;
    const char *stop = p;
    while (p > w->line_start && scan_is_word(p[-1]))
        p--;
    return p < stop ? arena_strndup(w->arena, p, (size_t)(stop - p)) : NULL;
}

/* "epoch 12", "Epoch: 12", "[epoch=12]", "Epoch [12/50]" */
static void note_epoch(Walk *w, const char *p) {
    if ((*p != 'e' && *p != 'E') || strncasecmp(p, "epoch", 5) != 0 || (p > w->text && isalpha((unsigned char)p[-1])))
        return;
    for (p += 5; *p && strchr(" \t:=#[('\"", *p); p++)
        ;
    if (isdigit((unsigned char)*p))
        w->epoch = strtoll(p, NULL, 10);
}

/* DARTS = DARTS_V2 */
static void note_alias(Walk *w) {
    const char *name = w->line_start, *stop = scan_skip_word(name), *equals = scan_skip_blanks(stop);
    if (stop == name || *equals != '=' || isdigit((unsigned char)*name))
        return;
    const char *other = scan_skip_blanks(equals + 1), *other_stop = scan_skip_word(other),
               *rest = scan_skip_blanks(other_stop);
    if (other_stop > other && (*rest == '\n' || *rest == '\r' || *rest == '#' || !*rest))
        str_map_set(&w->list.aliases, arena_strndup(w->arena, name, (size_t)(stop - name)),
                    arena_strndup(w->arena, other, (size_t)(other_stop - other)));
}

static void add(Walk *w, ForeignKind kind, const char *p) {
    ForeignGenotype found = {
        .kind = kind, .at = (size_t)(p - w->text), .line = w->line, .name = name_before(w, p), .epoch = w->epoch};
    ARENA_PUSH(w->arena, w->list.items, w->list.count, w->list.capacity, found);
}

/* The byte after what was seen, or p itself. */
static const char *look(Walk *w, const char *p) {
    if (*p == '{' || *p == '}')
        w->brace = *p == '{' ? p : NULL;
    if (begins_call(w, p)) {
        add(w, FOREIGN_call, p);
        return p + strlen("Genotype");
    }
    if (begins_string(p)) {
        add(w, FOREIGN_string, p);
        return skip_string(p);
    }
    if (begins_compact(w, p)) {
        add(w, FOREIGN_compact, p);
        while (*p == '(' || *p == '[')
            p++;
    } else if (begins_cells(p) || (w->brace && is_edge_key(p))) {
        add(w, FOREIGN_dict, *p == '{' ? p : w->brace);
        w->brace = NULL;
    }
    return p;
}

ForeignList genotype_find_all(Arena *arena, const SourceFile *source) {
    Walk w = {.arena = arena, .source = source, .text = source->text, .line = 1, .epoch = -1};
    w.end = source->text + source->size;
    w.line_start = w.text;
    w.list.aliases = str_map_create(arena);
    for (const char *p = w.text; p < w.end;) {
        if (p == w.line_start && *scan_skip_blanks(p) == '#') /* a comment holds no genotype */
            while (p < w.end && *p != '\n')
                p++;
        if (p == w.line_start)
            note_alias(&w);
        note_epoch(&w, p);
        const char *next = p < w.end ? look(&w, p) : p;
        p = next > p ? next : p + 1;
        if (p[-1] == '\n') {
            w.line_start = p;
            w.line++;
        }
    }
    return w.list;
}

bool genotype_is_foreign(const SourceFile *source) {
    Arena *arena = arena_create();
    bool foreign = genotype_find_all(arena, source).count > 0 && !file_defines_something(source->text, source->size);
    arena_destroy(arena);
    return foreign;
}

/* ---- choosing ---- */

/* What the choice asks for is printed with what there is. */
static const ForeignGenotype *refuse(Arena *arena, const SourceFile *source, const ForeignList *list,
                                     const char *wanted, Diag *diag) {
    Str known = str_create(arena);
    enum { SHOWN = 8 };
    for (int i = 0; i < list->count && i < SHOWN; i++) {
        const ForeignGenotype *found = &list->items[i];
        str_addf(&known, "%sline %u%s%s", i ? ", " : "", found->line, found->name ? " " : "",
                 found->name ? found->name : "");
        if (found->epoch >= 0)
            str_addf(&known, " (epoch %lld)", (long long)found->epoch);
    }
    if (list->count > SHOWN)
        str_addf(&known, " and %d more", list->count - SHOWN);
    diag_error(diag, (Span){.file = source}, "no genotype %s; there are: %s", wanted, known.data);
    return NULL;
}

static bool fits(const ForeignGenotype *found, const GenotypeChoice *choice) {
    return (choice->line <= 0 || found->line == (uint64_t)choice->line) &&
           (choice->epoch < 0 || found->epoch == choice->epoch) &&
           (!choice->pick || (found->name && str_equal(found->name, choice->pick)));
}

const ForeignGenotype *genotype_choose(Arena *arena, const SourceFile *source, const ForeignList *list,
                                       const GenotypeChoice *choice, Diag *diag) {
    GenotypeChoice wanted = choice ? *choice : (GenotypeChoice){.epoch = -1};
    for (int i = list->count; wanted.pick && i >= 0 && str_map_get(&list->aliases, wanted.pick); i--)
        wanted.pick = str_map_get(&list->aliases, wanted.pick);
    for (int i = list->count - 1; i >= 0; i--)
        if (fits(&list->items[i], &wanted))
            return &list->items[i];
    const char *what = wanted.pick         ? arena_printf(arena, "is called '%s'", wanted.pick)
                       : wanted.epoch >= 0 ? arena_printf(arena, "is of epoch %lld", (long long)wanted.epoch)
                                           : arena_printf(arena, "begins on line %lld", (long long)wanted.line);
    return refuse(arena, source, list, what, diag);
}

GenotypeForm *genotype_read(Arena *arena, const SourceFile *source, const ForeignGenotype *found, Diag *diag) {
    GenotypeForm *form = found->kind == FOREIGN_string ? genotype_read_nb201(arena, source, found->at, diag)
                                                       : genotype_read_python(arena, source, found->at, diag);
    if (form)
        form->name = found->name;
    return form;
}
