/* run_lookup.c: `ndarts-run lookup`: what a table says about an architecture, or about that of every epoch of a search. */
#include "tools/ndarts_run.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/installed.h"
#include "base/json.h"
#include "runtime/exchange/genotype_write.h"
#include "runtime/report/lookup.h"

#include <string.h>

/* ---- what is printed ---- */

static int widest(const BenchTable *table) {
    int width = (int)strlen("data set");
    for (int i = 0; i < table->set_count; i++)
        width = (int)strlen(table->sets[i]) > width ? (int)strlen(table->sets[i]) : width;
    return width;
}

static void print_row(const BenchTable *table, const BenchRow *row) {
    int width = widest(table);
    printf("%s\n", row->architecture);
    int rank = printf("%-*s  accuracy  rank of %zu\n", width, "data set", table->rows.count) - width - 13;
    for (int i = 0; i < table->set_count; i++)
        printf("%-*s  %6.2f %%  %*lld\n", width, table->sets[i], row->accuracies[i], rank,
               (long long)bench_table_rank(table, row, i));
}

/* Columns are as wide as what a set is called, and the numbers. */
static int column(const char *set) {
    int least = (int)strlen("100.00 %"), length = (int)strlen(set);
    return length > least ? length : least;
}

static void print_epochs(const BenchTable *table, const Lookup *lookup) {
    printf("epoch");
    for (int i = 0; i < table->set_count; i++)
        printf("  %*s   rank", column(table->sets[i]), table->sets[i]);
    printf("  architecture (of %zu)\n", table->rows.count);
    for (int e = 0; e < lookup->count; e++) {
        const LookupEpoch *epoch = &lookup->epochs[e];
        printf("%5lld", (long long)epoch->epoch);
        for (int i = 0; i < table->set_count; i++) {
            int width = column(table->sets[i]);
            if (epoch->row)
                printf("  %*.2f %%  %5lld", width - 2, epoch->row->accuracies[i],
                       (long long)bench_table_rank(table, epoch->row, i));
            else
                printf("  %*s      -", width, "-");
        }
        printf("  %s%s\n", str_utf8(table->rows.arena, epoch->architecture), epoch->row ? "" : "  (not in the table)");
    }
    if (lookup->found != &lookup->epochs[lookup->count - 1])
        printf("the search ended early with the genotype of epoch %lld\n", (long long)lookup->found->epoch);
}

/* epoch below 0: of none. row NULL: the table does not have it. */
static void print_json(Arena *arena, const BenchTable *table, int64_t epoch, const char *architecture,
                       const BenchRow *row) {
    json_t *line = json_object(), *sets = row ? json_object() : json_null();
    for (int i = 0; row && i < table->set_count; i++) {
        json_t *set = json_object();
        json_add(set, "accuracy", json_number(row->accuracies[i]));
        json_add(set, "rank", json_integer((json_int_t)bench_table_rank(table, row, i)));
        json_add(sets, table->sets[i], set);
    }
    if (epoch >= 0)
        json_add(line, "epoch", json_integer((json_int_t)epoch));
    json_add(line, "architecture", json_text(architecture));
    json_add(line, "sets", sets);
    json_add(line, "of", json_integer((json_int_t)table->rows.count));
    Str text = str_create(arena);
    json_add_line(&text, line);
    puts(text.data);
    json_decref(line);
}

/* ---- what is looked up ---- */

static bool show_search(const Options *o, const BenchTable *table, const char *folder, Error *error) {
    Lookup lookup;
    if (!lookup_search(o->arena, table, folder, &lookup, error))
        return false;
    for (int e = 0; o->json && e < lookup.count; e++)
        print_json(o->arena, table, lookup.epochs[e].epoch, lookup.epochs[e].architecture, lookup.epochs[e].row);
    if (!o->json)
        print_epochs(table, &lookup);
    if (lookup.missing)
        fprintf(stderr, "warning: %d of %d genotypes are not in '%s'\n", lookup.missing, lookup.count, table->path);
    return true;
}

/* A file with a genotype, as a string. */
static const char *read_string(const Options *o, const char *path, Error *error) {
    const char *text;
    FrontendOptions options = {.library = installed_library(o->arena)};
    Diag *diag = diag_create(o->arena, stderr);
    const GenotypeForm *form = frontend_read_genotype(o->arena, path, &options, &text, diag, error);
    if (!form)
        return diag_fail(diag, path, error), NULL;
    const char *string = genotype_write(o->arena, path, form, GENOTYPE_nb201, error);
    return string ? arena_strndup(o->arena, string, strcspn(string, "\n")) : NULL;
}

static bool show_architecture(const Options *o, const BenchTable *table, const char *name, Error *error) {
    const BenchRow *row = bench_table_find(table, name);
    if (!row)
        return error_set(error, ERROR_INPUT, "the architecture '%.200s' is not in '%s', which has %zu, such as %.200s",
                         name, table->path, table->rows.count, table->rows.entries[0].key);
    if (o->json)
        print_json(o->arena, table, -1, name, row);
    else
        print_row(table, row);
    return true;
}

/* As the table writes it, else a folder, else a file. */
bool run_lookup(const Options *o, Error *error) {
    const char *input = options_input(o);
    if (!input || !o->table)
        return error_set(error, ERROR_INPUT,
                         "lookup needs an architecture or the folder of a search, and --table FILE.csv");
    const BenchTable *table = bench_table_read(o->arena, o->table, error);
    if (!table)
        return false;
    if (!bench_table_find(table, input) && file_kind_at(input) == FILE_folder)
        return show_search(o, table, input, error);
    bool is_file = !bench_table_find(table, input) && (str_equal(input, "-") || !file_is_missing(input));
    const char *name = is_file ? read_string(o, input, error) : input;
    return name && show_architecture(o, table, name, error);
}
