/* sizes.c: sizes of images that a network can be made for. Nothing tells them; the network is lowered silently at other
 * sizes, from the one given outwards, and what works is named:
 *
 *     net.nd:2:17: error: this network cannot take images of 30 x 30; 28 x 28 and 32 x 32 fit
 *
 * Rows and columns are looked for one by one, with square images; the pair that comes out is tried too. All sizes
 * together may cost so many steps: what is wrong at any size should not take long to say. */
#include "frontend/lower.h"
#include "frontend/sema.h"

enum { FARTHEST = 64, MAX_SIZE = 1 << 14, MAX_STEPS = 500000 };

typedef struct Search {
    const Job *job;
    const Sets *sets;
    int64_t steps;
} Search;

static SetValue size_set(Arena *arena, const char *key, int64_t size) {
    Ast *value = ast_create(arena, AST_int, (Span){0});
    value->integer = size;
    return (SetValue){.text = key, .name = key, .key = key, .value = value};
}

static bool fits(Search *s, int64_t height, int64_t width) {
    if (height < 1 || width < 1 || s->steps > MAX_STEPS)
        return false;
    Arena *arena = s->job->arena;
    Sets sets = {.items = ARENA_ARRAY(arena, SetValue, s->sets->count + 2)};
    for (; sets.count < s->sets->count; sets.count++)
        sets.items[sets.count] = s->sets->items[sets.count];
    sets.items[sets.count++] = size_set(arena, "network.H", height);
    sets.items[sets.count++] = size_set(arena, "network.W", width);
    Lowered done = lower_job(s->job, &sets, diag_create(arena, NULL));
    s->steps += done.steps;
    return done.module != NULL;
}

/* The nearest size of square images that fits, in one direction; `size` itself when it does, 0 when there is none. */
static int64_t nearest(Search *s, int64_t size, int direction) {
    for (int64_t distance = 0; distance <= FARTHEST; distance++)
        if (fits(s, size + direction * distance, size + direction * distance))
            return size + direction * distance;
    return 0;
}

/* " 28 x 28", when it fits. */
static int add_pair(Search *s, int64_t height, int64_t width, int before, Str *text) {
    if (!fits(s, height, width))
        return 0;
    str_addf(text, "%s%lld x %lld", before ? " and " : "", (long long)height, (long long)width);
    return 1;
}

static bool takes_size(const Job *job) {
    const Ast *network = network_template(&job->program->globals, job->network);
    int found = 0;
    for (int i = 0; network && network->kids[0] && i < network->kids[0]->count; i++) {
        const char *name = network->kids[0]->kids[i]->name;
        found += str_equal(name, "H") || str_equal(name, "W");
    }
    return found == 2;
}

/* Where --set gives the extent, or the text the network. */
static Span place_of(const Job *job, const Sets *sets, const char *extent) {
    for (int i = sets->count - 1; i >= 0; i--)
        if (sets->items[i].key && str_equal(sets->items[i].key, extent))
            return sets->items[i].value->span;
    const Ast *network = job->network;
    const Ast *defined = network->kind == AST_name ? str_map_get(&job->program->globals, network->name) : NULL;
    bool called = defined && defined->kind == AST_network && !defined->kids[0] && defined->kids[2]->kind != AST_block;
    return called ? defined->kids[2]->span : network->span;
}

const char *sizes_explain(const Job *job, const Sets *sets, const Lowered *failed, Span *place) {
    int64_t h = failed->height, w = failed->width;
    if (h < 1 || w < 1 || h > MAX_SIZE || w > MAX_SIZE || !takes_size(job))
        return NULL;
    Search s = {.job = job, .sets = sets};
    Str text = str_create(job->arena);
    str_addf(&text, "this network cannot take images of %lld x %lld; ", (long long)h, (long long)w);
    int64_t below[2] = {nearest(&s, h, -1)}, above[2] = {nearest(&s, h, 1)};
    below[1] = h == w ? below[0] : nearest(&s, w, -1);
    above[1] = h == w ? above[0] : nearest(&s, w, 1);
    int found = add_pair(&s, below[0], below[1], 0, &text);
    found += add_pair(&s, above[0], above[1], found, &text);
    str_add(&text, found > 1 ? " fit" : " fits");
    *place = place_of(job, sets, below[0] == h || above[0] == h ? "network.W" : "network.H");
    return found ? text.data : NULL;
}
