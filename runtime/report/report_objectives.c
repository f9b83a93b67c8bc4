/* report_objectives.c: what the network of a search with objectives is expected to cost, by epoch, beside its targets, and
 * of several searches how accurate they are at what cost. */
#include "runtime/loops/metrics.h"
#include "runtime/report/html.h"
#include "runtime/report/report.h"

#include <math.h>

static const json_t *last_of(const ReportRun *run, const MetricsObjective *row) {
    const json_t *line = json_array_get(run->metrics, json_array_size(run->metrics) - 1);
    return json_object_get(line, row->key);
}

const char *report_expected(Arena *arena, const ReportRun *run) {
    Str words = str_create(arena);
    str_add(&words, "");
    for (int i = 0; i < METRICS_OBJECTIVES; i++) {
        const json_t *value = last_of(run, &metrics_objectives[i]);
        if (json_is_number(value))
            str_addf(&words, "%s%.4g %s", words.length ? ", " : "", json_number_value(value),
                     metrics_objectives[i].unit);
    }
    return words.data;
}

static ReportSeries target_of(Arena *arena, const ReportRun *run, const MetricsObjective *row, int count) {
    double target = run->module ? ir_module_get_float(run->module, row->target, 0) : 0;
    double *y = ARENA_ARRAY(arena, double, count + 1);
    for (int i = 0; i < count; i++)
        y[i] = target > 0 ? target : NAN;
    return (ReportSeries){.title = "target", .count = count, .y = y};
}

void report_add_objectives(Arena *arena, Str *s, const ReportRun *run) {
    ReportPlot plots[METRICS_OBJECTIVES];
    int count = 0;
    for (int i = 0; i < METRICS_OBJECTIVES; i++) {
        if (!json_is_number(last_of(run, &metrics_objectives[i])))
            continue;
        ReportSeries *series = ARENA_ARRAY(arena, ReportSeries, 2);
        series[0] = report_series(arena, run->metrics, metrics_objectives[i].key, "expected");
        series[1] = target_of(arena, run, &metrics_objectives[i], series[0].count);
        plots[count++] =
            (ReportPlot){.title = metrics_objectives[i].title, .from_zero = true, .series_count = 2, .series = series};
    }
    if (!count)
        return;
    str_add(s, "<h3>Objectives</h3>\n");
    html_add_picture(s, report_draw(arena, plots, count, count, 590 * (count > 2 ? 2 : count), 270),
                     "what the network is expected to cost, over time", "gnuplot");
}

/* Where a run has gone: a point for each epoch. */
static ReportSeries path_of(Arena *arena, const ReportRun *run, const MetricsObjective *row) {
    ReportSeries series = report_series(arena, run->metrics, "valid_accuracy", run->name);
    series.x = report_series(arena, run->metrics, row->key, "").y;
    return series;
}

static ReportPlot trade_off(Arena *arena, const ReportRun *runs, int count, const MetricsObjective *row) {
    ReportPlot plot = {.title = "accuracy against expected cost, a point for each epoch", .x_title = row->title};
    plot.series = ARENA_ARRAY(arena, ReportSeries, count);
    for (int i = 0; i < count; i++)
        if (json_is_number(last_of(&runs[i], row)))
            plot.series[plot.series_count++] = path_of(arena, &runs[i], row);
    return plot;
}

void report_add_trade_offs(Arena *arena, Str *s, const ReportRun *runs, int count) {
    ReportPlot plots[METRICS_OBJECTIVES];
    int used = 0;
    for (int i = 0; i < METRICS_OBJECTIVES; i++) {
        ReportPlot plot = trade_off(arena, runs, count, &metrics_objectives[i]);
        if (plot.series_count > 0)
            plots[used++] = plot;
    }
    if (used)
        html_add_picture(
            s, report_draw(arena, plots, used, used > 2 ? 2 : used, used > 1 ? 1180 : 590, 380 * ((used + 1) / 2)),
            "accuracy against cost", "gnuplot");
}
