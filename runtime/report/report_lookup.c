/* report_lookup.c: what a table of architectures says about the genotypes of searches: curves of the accuracies over the epochs, and
 * the numbers of what was found. */
#include "base/quote.h"
#include "runtime/report/html.h"
#include "runtime/report/report.h"

#include <math.h>

static ReportSeries series_of(Arena *arena, const Lookup *lookup, int set, const char *title) {
    double *y = ARENA_ARRAY(arena, double, lookup->count + 1);
    for (int e = 0; e < lookup->count; e++)
        y[e] = lookup->epochs[e].row ? lookup->epochs[e].row->accuracies[set] : NAN;
    return (ReportSeries){.title = title, .count = lookup->count, .y = y};
}

static bool is_looked_up(const ReportRun *run) {
    return run->lookup.count > 0;
}

/* A plot for each set of images, a curve in it for each search. */
static void add_curves(Arena *arena, Str *s, const BenchTable *table, const ReportRun *runs, int count) {
    enum { COLUMNS = 3, HEIGHT = 270 };
    int rows = (table->set_count + COLUMNS - 1) / COLUMNS;
    ReportPlot *plots = ARENA_ARRAY(arena, ReportPlot, table->set_count);
    for (int i = 0; i < table->set_count; i++) {
        plots[i] = (ReportPlot){.title = arena_printf(arena, "accuracy on %s, %%", table->sets[i]),
                                .series = ARENA_ARRAY(arena, ReportSeries, count)};
        for (int k = 0; k < count; k++)
            if (is_looked_up(&runs[k]))
                plots[i].series[plots[i].series_count++] = series_of(arena, &runs[k].lookup, i, runs[k].name);
    }
    html_add_picture(s, report_draw(arena, plots, table->set_count, COLUMNS, 1180, HEIGHT * rows),
                     "accuracy of the genotype by the table", "gnuplot");
}

static void add_title(Str *s, const char *level, const BenchTable *table) {
    str_addf(s, "<%s>The genotype after every epoch, in <code>", level);
    quote_xml(s, table->path);
    str_addf(s, "</code></%s>\n", level);
}

static const char *numbers(Arena *arena, const BenchTable *table, const BenchRow *row, int set) {
    return row ? arena_printf(arena, "%.2f %%, rank %lld", row->accuracies[set],
                              (long long)bench_table_rank(table, row, set))
               : "not in the table";
}

/* The best of any epoch. */
static const BenchRow *best_row(const Lookup *lookup, int set) {
    const BenchRow *best = NULL;
    for (int e = 0; e < lookup->count; e++) {
        const BenchRow *row = lookup->epochs[e].row;
        best = row && (!best || row->accuracies[set] > best->accuracies[set]) ? row : best;
    }
    return best;
}

static void add_numbers(Arena *arena, Str *s, const BenchTable *table, const Lookup *lookup) {
    str_addf(
        s,
        "<div class=\"wide\"><table>\n<tr><th>data set</th><th class=\"n\">found, epoch %lld</th><th class=\"n\">best "
        "epoch</th>"
        "<th class=\"n\">best of the %zu</th></tr>\n",
        (long long)lookup->found->epoch + 1, table->rows.count);
    for (int i = 0; i < table->set_count; i++) {
        str_add(s, "<tr><th>");
        quote_xml(s, table->sets[i]);
        str_add(s, "</th>");
        html_add_cell(s, numbers(arena, table, lookup->found->row, i));
        html_add_cell(s, numbers(arena, table, best_row(lookup, i), i));
        html_add_cell(s, arena_printf(arena, "%.2f %%", bench_table_best(table, i)->accuracies[i]));
        str_add(s, "</tr>\n");
    }
    str_add(s, "</table></div>\n<p>Found: <code>");
    quote_xml(s, lookup->found->architecture);
    str_add(s, "</code></p>\n");
}

void report_add_lookup(Arena *arena, Str *s, const BenchTable *table, const ReportRun *run) {
    if (!is_looked_up(run))
        return;
    add_title(s, "h3", table);
    add_curves(arena, s, table, run, 1);
    add_numbers(arena, s, table, &run->lookup);
    if (run->lookup.missing)
        str_addf(s, "<p class=\"missing\">Gaps: %d of %d genotypes are not in the table.</p>\n", run->lookup.missing,
                 run->lookup.count);
}

void report_add_lookups(Arena *arena, Str *s, const BenchTable *table, const ReportRun *runs, int count) {
    int found = 0;
    for (int i = 0; i < count; i++)
        found += is_looked_up(&runs[i]);
    if (found < 2)
        return;
    add_title(s, "h3", table);
    add_curves(arena, s, table, runs, count);
}
