/* report.c: one HTML page about one or several runs, with everything in it. */
#include "runtime/report/report.h"

#include "base/file.h"
#include "base/json.h"

#include <string.h>

typedef struct Folders {
    const char **items;
    int count, capacity;
} Folders;

/* A training of several seeds stands for its seeds. */
static bool add_folder(Arena *arena, const char *folder, Folders *all, Error *error) {
    json_t *summary = json_read(arena_printf(arena, "%s/summary.json", folder), error);
    if (error->kind)
        return false;
    json_t *seeds = json_object_get(summary, "seeds");
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_int_t seed = json_integer_value(json_object_get(json_array_get(seeds, i), "seed"));
        const char *path = arena_printf(arena, "%s/seed-%lld", folder, (long long)seed);
        if (!file_is_missing(path))
            ARENA_PUSH(arena, all->items, all->count, all->capacity, path);
    }
    if (json_array_size(seeds) == 0)
        ARENA_PUSH(arena, all->items, all->count, all->capacity, folder);
    json_decref(summary);
    return true;
}

/* "seed-0", or "a/seed-0" when others are called so too. */
static void shorten_names(Arena *arena, ReportRun *runs, int count) {
    for (int i = 0; i < count; i++) {
        const char *slash = strrchr(runs[i].folder, '/'), *name = slash && slash[1] ? slash + 1 : runs[i].folder;
        bool unique = true;
        for (int k = 0; k < count; k++) {
            const char *other = strrchr(runs[k].folder, '/');
            unique &= k == i || !str_equal(other ? other + 1 : runs[k].folder, name);
        }
        runs[i].name = str_utf8(arena, unique ? name : runs[i].folder);
    }
}

bool report_write(Arena *arena, const ReportOptions *o, const char **written, Error *error) {
    Folders all = {0};
    const BenchTable *table = o->table ? bench_table_read(arena, o->table, error) : NULL;
    bool ok = table || !o->table;
    for (int i = 0; ok && i < o->count; i++)
        ok = add_folder(arena, o->folders[i], &all, error);
    ReportRun *runs = ARENA_ARRAY(arena, ReportRun, all.count);
    int loaded = 0;
    for (; ok && loaded < all.count; loaded++)
        ok = report_load(arena, all.items[loaded], &runs[loaded], error);
    for (int i = 0; ok && table && i < loaded; i++)
        report_look_up(arena, table, &runs[i]);
    if (ok) {
        shorten_names(arena, runs, all.count);
        const char *page = report_page(arena, runs, all.count, table);
        const char *out = o->out ? o->out : arena_printf(arena, "%s/report.html", o->folders[0]);
        if (!o->out)
            file_guard_folder(o->folders[0]);
        ok = file_write_atomic(out, page, strlen(page), error);
        *written = out;
    }
    for (int i = 0; i < loaded; i++)
        report_free(&runs[i]);
    return ok;
}
