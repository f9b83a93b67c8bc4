/* lookup.c: the strings in the genotypes.jsonl of a search, found in a table. */
#include "runtime/report/lookup.h"

#include "base/json.h"
#include "runtime/loops/metrics.h"

static bool read_line(Arena *arena, const BenchTable *table, const char *path, const json_t *line, LookupEpoch *epoch,
                      Error *error) {
    const json_t *number = json_object_get(line, "epoch"), *string = json_object_get(line, "string");
    if (!json_is_integer(number))
        return error_set(error, ERROR_INPUT, "%s: a line does not say of what epoch it is", path);
    if (!json_is_string(string))
        return error_set(error, ERROR_INPUT,
                         "%s: the genotype of epoch %lld has no string: its space is another than that of '%s', whose "
                         "architectures are "
                         "strings of NAS-Bench-201",
                         path, (long long)json_integer_value(number), table->path);
    epoch->epoch = json_integer_value(number);
    epoch->architecture = arena_strdup(arena, json_string_value(string));
    epoch->row = bench_table_find(table, epoch->architecture);
    return true;
}

static bool read_lines(Arena *arena, const BenchTable *table, const char *path, const json_t *lines, Lookup *lookup,
                       Error *error) {
    LookupEpoch *epochs = ARENA_ARRAY(arena, LookupEpoch, json_array_size(lines) + 1);
    *lookup = (Lookup){.epochs = epochs};
    for (size_t i = 0; i < json_array_size(lines); i++) {
        LookupEpoch *epoch = &epochs[lookup->count++];
        if (!read_line(arena, table, path, json_array_get(lines, i), epoch, error))
            return false;
        lookup->missing += !epoch->row;
    }
    if (!lookup->count)
        return error_set(error, ERROR_INPUT, "%s: no genotype yet: no epoch is finished", path);
    return lookup->missing < lookup->count ||
           error_set(error, ERROR_INPUT, "none of the genotypes in %s is in '%s'; that of epoch %lld is %.200s", path,
                     table->path, (long long)epochs[0].epoch, epochs[0].architecture);
}

/* A search that ended early says in its last line of what epoch its genotype is. */
static const LookupEpoch *find_result(Arena *arena, const char *folder, const Lookup *lookup) {
    Error ignored = {0};
    json_t *last = metrics_load_last(arena, arena_printf(arena, "%s/metrics.jsonl", folder), &ignored);
    const json_t *number = json_object_get(last, "genotype_of");
    const LookupEpoch *found = &lookup->epochs[lookup->count - 1];
    for (int e = 0; json_is_integer(number) && e < lookup->count; e++)
        if (lookup->epochs[e].epoch == json_integer_value(number))
            found = &lookup->epochs[e];
    json_decref(last);
    return found;
}

bool lookup_search(Arena *arena, const BenchTable *table, const char *folder, Lookup *lookup, Error *error) {
    const char *path = arena_printf(arena, "%s/genotypes.jsonl", folder);
    json_t *lines = metrics_load(arena, path, error);
    bool ok =
        lines ? read_lines(arena, table, path, lines, lookup, error)
              : error_set(error, ERROR_INPUT,
                          "'%s' has no genotypes.jsonl: it is not the folder of a search, or of an older one", folder);
    json_decref(lines);
    if (ok)
        lookup->found = find_result(arena, folder, lookup);
    return ok;
}
