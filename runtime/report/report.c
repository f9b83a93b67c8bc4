/* report.c: `ndarts-run report OUT...`: one HTML page about one or several runs, with everything in it. */
#include "runtime/report/report.h"

#include "base/json.h"
#include "base/tensor_file.h"

#include <string.h>

typedef struct ReportOptions {
    const char **folders;
    int count, capacity;
    const char *out;
    bool help;
} ReportOptions;

static bool parse_command(Arena *arena, int argc, char **argv, ReportOptions *o, Error *error) {
    for (int i = 1; i < argc; i++) {
        if (str_equal(argv[i], "--help") || str_equal(argv[i], "-h")) {
            o->help = true;
        } else if (str_equal(argv[i], "-o") || str_equal(argv[i], "--output")) {
            if (++i == argc)
                return error_set(error, ERROR_INPUT, "-o needs a value");
            o->out = argv[i];
        } else if (argv[i][0] == '-') {
            return error_set(error, ERROR_INPUT, "unknown option '%s' of report; it has -o PAGE.html", argv[i]);
        } else {
            ARENA_PUSH(arena, o->folders, o->count, o->capacity, argv[i]);
        }
    }
    if (o->count == 0 && !o->help)
        return error_set(error, ERROR_INPUT,
                         "report needs the folders of runs, for example  ndarts-run report runs/fashion_quick");
    return true;
}

/* A training of several seeds stands for its seeds. */
static bool add_folder(Arena *arena, const char *folder, ReportOptions *all, Error *error) {
    json_t *summary = json_read(arena_printf(arena, "%s/summary.json", folder), error);
    if (error->kind)
        return false;
    json_t *seeds = json_object_get(summary, "seeds");
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        json_int_t seed = json_integer_value(json_object_get(json_array_get(seeds, i), "seed"));
        const char *path = arena_printf(arena, "%s/seed-%lld", folder, (long long)seed);
        if (!file_is_missing(path))
            ARENA_PUSH(arena, all->folders, all->count, all->capacity, path);
    }
    if (json_array_size(seeds) == 0)
        ARENA_PUSH(arena, all->folders, all->count, all->capacity, folder);
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

static bool make_report(Arena *arena, const ReportOptions *o, Error *error) {
    ReportOptions all = {0};
    bool ok = true;
    for (int i = 0; ok && i < o->count; i++)
        ok = add_folder(arena, o->folders[i], &all, error);
    ReportRun *runs = ARENA_ARRAY(arena, ReportRun, all.count);
    int loaded = 0;
    for (; ok && loaded < all.count; loaded++)
        ok = report_load(arena, all.folders[loaded], &runs[loaded], error);
    if (ok) {
        shorten_names(arena, runs, all.count);
        const char *page = report_page(arena, runs, all.count);
        const char *out = o->out ? o->out : arena_printf(arena, "%s/report.html", o->folders[0]);
        if (!o->out)
            file_guard_folder(o->folders[0]);
        ok = file_write_atomic(out, page, strlen(page), error);
        if (ok)
            printf("%s\n", out);
    }
    for (int i = 0; i < loaded; i++)
        report_free(&runs[i]);
    return ok;
}

int rt_report_main(int argc, char **argv) {
    Arena *arena = arena_create();
    ReportOptions o = {0};
    Error error = {0};
    bool ok = parse_command(arena, argc, argv, &o, &error);
    if (ok && o.help)
        puts("usage: ndarts-run report OUT... [-o PAGE.html]");
    else if (ok)
        ok = make_report(arena, &o, &error);
    arena_destroy(arena);
    return ok ? 0 : error_report(&error);
}
