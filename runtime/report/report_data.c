/* report_data.c: reads what a run left behind. */
#include "runtime/report/report.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/json.h"
#include "runtime/loops/genotype.h"
#include "runtime/loops/metrics.h"

#include <math.h>
#include <string.h>

/* The page goes without the file, and says so, as stderr does. */
static void note_unread(Arena *arena, ReportRun *run, const Error *error) {
    if (!error->kind)
        return;
    fprintf(stderr, "warning: %s; the report goes without it\n", error->message);
    ARENA_PUSH(arena, run->unread, run->unread_count, run->unread_capacity, arena_strdup(arena, error->message));
}

static const IrModule *load_module(Arena *arena, ReportRun *run) {
    const char *path = arena_printf(arena, "%s/network.ir", run->folder);
    Error error = {0};
    const IrModule *module = file_is_missing(path) ? NULL : rt_text_load(arena, path, NULL, 0, &error);
    note_unread(arena, run, &error);
    return module;
}

static json_t *load_lines(Arena *arena, ReportRun *run, const char *name) {
    Error error = {0};
    json_t *lines = metrics_load(arena, arena_printf(arena, "%s/%s", run->folder, name), &error);
    note_unread(arena, run, &error);
    return lines;
}

/* What the page is made of later. */
static void try_file(Arena *arena, ReportRun *run, const char *name) {
    Error error = {0};
    const char *path = arena_printf(arena, "%s/%s", run->folder, name);
    if (!file_is_missing(path))
        source_read(arena, path, &error);
    note_unread(arena, run, &error);
}

static json_t *load_result(Arena *arena, ReportRun *run) {
    Error error = {0};
    json_t *result = json_read(arena_printf(arena, "%s/result.json", run->folder), &error);
    note_unread(arena, run, &error);
    return result;
}

bool report_load(Arena *arena, const char *folder, ReportRun *run, Error *error) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    *run = (ReportRun){.folder = arena_strndup(arena, folder, length)};
    run->name = run->folder;
    const char *path = arena_printf(arena, "%s/run.json", run->folder);
    if (!file_expect_kind(folder, file_kind_at(folder), FILE_folder, "the folder of a run", error))
        return false;
    Error unread = {0};
    run->run = json_read(path, &unread);
    if (unread.kind)
        return error_set(error, unread.kind, "there is no run in '%s': %s", folder, unread.message);
    if (!json_is_object(run->run))
        return error_set(error, ERROR_INPUT, "there is no run in '%s': '%s' is not there, or no object", folder, path);
    run->metrics = load_lines(arena, run, "metrics.jsonl");
    run->timing = load_lines(arena, run, "timing.jsonl");
    run->alphas = load_lines(arena, run, "alphas.jsonl");
    run->result = load_result(arena, run);
    run->module = load_module(arena, run);
    try_file(arena, run, "genotype.nd");
    try_file(arena, run, "normal.svg");
    try_file(arena, run, "reduce.svg");
    return true;
}

void report_look_up(Arena *arena, const BenchTable *table, ReportRun *run) {
    Error error = {0};
    if (run->alphas && !lookup_search(arena, table, run->folder, &run->lookup, &error))
        run->lookup.count = 0;
    note_unread(arena, run, &error);
}

void report_free(ReportRun *run) {
    json_decref(run->run);
    json_decref(run->metrics);
    json_decref(run->timing);
    json_decref(run->alphas);
    json_decref(run->result);
}

/* What is wrong with the text is said by whoever compiles it. */
const IrModule *report_found(Arena *arena, const ReportRun *run) {
    const char *path = arena_printf(arena, "%s/genotype.nd", run->folder);
    FILE *before = diag_redirected, *nowhere = file_is_missing(path) ? NULL : fopen("/dev/null", "w");
    Error ignored = {0};
    if (!nowhere)
        return NULL;
    diag_redirected = nowhere;
    const IrModule *module = rt_text_load(arena, path, NULL, 0, &ignored);
    diag_redirected = before;
    fclose(nowhere);
    return module;
}

const char *report_drawn_cell(Arena *arena, const ReportRun *run, const char *name) {
    const char *path = arena_printf(arena, "%s/%s.svg", run->folder, name);
    Error ignored = {0};
    SourceFile *file = file_is_missing(path) ? NULL : source_read(arena, path, &ignored);
    return file ? strstr(file->text, "<svg") : NULL;
}

static double number_or_nan(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

ReportSeries report_series(Arena *arena, const json_t *lines, const char *key, const char *title) {
    int count = (int)json_array_size(lines);
    double *y = ARENA_ARRAY(arena, double, count + 1);
    for (int i = 0; i < count; i++)
        y[i] = number_or_nan(json_object_get(json_array_get(lines, (size_t)i), key));
    return (ReportSeries){.title = title, .count = count, .y = y};
}

static json_t *weight_row(const ReportRun *run, int epoch, const char *alphas, int edge) {
    json_t *rows = json_object_get(json_array_get(run->alphas, (size_t)epoch), alphas);
    return json_array_get(rows, (size_t)edge);
}

ReportSeries report_bridged_series(Arena *arena, const json_t *lines, const char *key, const char *title) {
    ReportSeries series = report_series(arena, lines, key, title);
    double *y = ARENA_ARRAY(arena, double, series.count + 1);
    for (int i = 0, last = -1; i < series.count; i++) {
        y[i] = series.y[i];
        for (int k = last + 1; !isnan(y[i]) && last >= 0 && k < i; k++)
            y[k] = y[last] + (y[i] - y[last]) * (k - last) / (i - last);
        last = isnan(y[i]) ? last : i;
    }
    series.y = y;
    return series;
}

/* Node i of a cell has an edge from every earlier state. */
static const char *edge_name(Arena *arena, const DeriveSpace *space, int edge) {
    int node = 0, first = 0;
    while (edge >= first + space->inputs + node)
        first += space->inputs + node++;
    return arena_printf(arena, "s%d to s%d", edge - first, space->inputs + node);
}

static ReportPlot edge_plot(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas,
                            int edge) {
    int epochs = (int)json_array_size(run->alphas), candidates = space->edges[edge].count;
    ReportPlot plot = {.title = edge_name(arena, space, edge),
                       .bottom = 1,
                       .no_key = true,
                       .series_count = candidates,
                       .series = ARENA_ARRAY(arena, ReportSeries, candidates)};
    for (int c = 0; c < candidates; c++) {
        double *y = ARENA_ARRAY(arena, double, epochs + 1);
        for (int e = 0; e < epochs; e++) {
            y[e] = number_or_nan(json_array_get(weight_row(run, e, alphas, edge), (size_t)c));
            plot.top = y[e] > plot.top ? y[e] : plot.top;
            plot.bottom = y[e] < plot.bottom ? y[e] : plot.bottom;
        }
        const char *operation = space->edges[edge].operations[c];
        plot.series[c] =
            (ReportSeries){.title = operation, .count = epochs, .y = y, .colour = genotype_operation_colour(operation)};
    }
    return plot;
}

ReportPlot *report_edges(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas) {
    ReportPlot *plots = ARENA_ARRAY(arena, ReportPlot, space->edge_count);
    double bottom = 1, top = 0;
    for (int e = 0; e < space->edge_count; e++) {
        plots[e] = edge_plot(arena, run, space, alphas, e);
        bottom = plots[e].bottom < bottom ? plots[e].bottom : bottom;
        top = plots[e].top > top ? plots[e].top : top;
    }
    for (int e = 0; e < space->edge_count; e++) {
        plots[e].bottom = floor(20 * bottom) / 20;
        plots[e].top = ceil(20 * top) / 20;
    }
    return plots;
}

int report_alphas(Arena *arena, const ReportRun *run, const char *const **names, DeriveSpace **spaces) {
    Error ignored = {0};
    if (!run->alphas || !run->module || json_array_size(run->alphas) == 0)
        return 0;
    int count;
    *names = genotype_alpha_names(run->module, &count);
    *spaces = ARENA_ARRAY(arena, DeriveSpace, count);
    for (int i = 0; i < count; i++) {
        if (!derive_space_from_module(arena, run->module, (*names)[i], &(*spaces)[i], &ignored) ||
            !weight_row(run, 0, (*names)[i], (*spaces)[i].edge_count - 1))
            return i;
    }
    return count;
}

/* Of that epoch; NULL: edges have none. */
static const double *edge_weights(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas,
                                  int epoch) {
    const char *betas = genotype_beta_name(arena, run->module, alphas);
    double *weights = betas ? ARENA_ARRAY(arena, double, space->edge_count + 1) : NULL;
    for (int e = 0; betas && e < space->edge_count; e++)
        weights[e] = number_or_nan(weight_row(run, epoch, betas, e));
    return weights;
}

static int skips_after(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas, int epoch) {
    int width = derive_count_columns(space);
    double *values = ARENA_ARRAY(arena, double, space->edge_count *width);
    for (int e = 0; e < space->edge_count; e++)
        for (int c = 0; c < width; c++)
            values[e * width + c] = number_or_nan(json_array_get(weight_row(run, epoch, alphas, e), (size_t)c));
    const DeriveWeights weights = {
        .of_candidates = values, .of_edges = edge_weights(arena, run, space, alphas, epoch), .stride = width};
    GenotypeCell cell = derive_cell(arena, space, &weights);
    return genotype_count_skips(&cell);
}

ReportSeries report_skips(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas,
                          const char *title) {
    int epochs = (int)json_array_size(run->alphas);
    double *y = ARENA_ARRAY(arena, double, epochs + 1);
    for (int e = 0; e < epochs; e++)
        y[e] = skips_after(arena, run, space, alphas, e);
    return (ReportSeries){.title = title, .count = epochs, .y = y};
}
