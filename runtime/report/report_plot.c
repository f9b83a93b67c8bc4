/* report_plot.c: pictures for the report, drawn by other programs: curves by gnuplot, cells by Graphviz. */
#include "base/quote.h"
#include "runtime/report/draw.h"
#include "runtime/report/report.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- gnuplot ---- */

static void add_data(Str *s, int id, const ReportSeries *series) {
    str_addf(s, "$d%d << EOD\n", id);
    for (int i = 0; i < series->count; i++) {
        double x = series->x ? series->x[i] : i + 1;
        if (isfinite(x) && isfinite(series->y[i]))
            str_addf(s, "%.9g %.9g\n", x, series->y[i]);
        else
            str_addf(s, "%d NaN\n", i + 1);
    }
    str_add(s, "EOD\n");
}

static int longest(const ReportPlot *plot) {
    int count = 1;
    for (int i = 0; i < plot->series_count; i++)
        count = plot->series[i].count > count ? plot->series[i].count : count;
    return count;
}

static bool has_points(const ReportPlot *plot) {
    for (int i = 0; i < plot->series_count; i++)
        for (int k = 0; k < plot->series[i].count; k++)
            if (isfinite(plot->series[i].y[k]))
                return true;
    return false;
}

/* Between the marks of the y axis. */
static const char *y_step(const ReportPlot *plot) {
    double range = plot->top - plot->bottom;
    if (plot->whole)
        return "1";
    return range <= 0 ? "autofreq" : range > 0.5 ? "0.2" : range > 0.2 ? "0.1" : "0.05";
}

static void add_x_axis(Str *s, const ReportPlot *plot) {
    int epochs = longest(plot);
    str_add(s, "\nset xlabel ");
    quote_gnuplot(s, plot->x_title ? plot->x_title : "epoch");
    str_addf(s, " font ',10' offset 0,0.4\nset xtics %s\nset xrange ",
             !plot->x_title && epochs <= 8 ? "1" : "autofreq");
    if (plot->x_title)
        str_add(s, "[*:*]");
    else
        str_addf(s, "[%g:%g]", epochs > 1 ? 1.0 : 0.5, epochs > 1 ? epochs : 1.5);
}

static void add_plot(Str *s, int first, const ReportPlot *plot) {
    str_addf(s, "%s\nset ytics %s\nset title ", plot->series_count > 1 && !plot->no_key ? "set key" : "unset key",
             y_step(plot));
    quote_gnuplot(s, plot->title);
    add_x_axis(s, plot);
    str_add(s, "\nset yrange ");
    if (plot->top > plot->bottom)
        str_addf(s, "[%g:%g]\nplot ", plot->bottom, plot->top);
    else if (!has_points(plot)) /* gnuplot would draw none of the plots */
        str_add(s, "[0:1]\nplot ");
    else
        str_addf(s, "[%s:*]\nplot ", plot->from_zero ? "0" : "*");
    for (int i = 0; i < plot->series_count; i++) {
        const ReportSeries *series = &plot->series[i];
        str_addf(s, "%s$d%d using 1:2 with %s ", i ? ", " : "", first + i,
                 series->count <= 1 ? "points pt 7"
                 : series->x        ? "linespoints lw 1 pt 7 ps 0.4"
                                    : "lines lw 2");
        if (series->colour)
            str_addf(s, "lc rgb '%s' ", series->colour);
        str_add(s, "title ");
        quote_gnuplot(s, series->title);
    }
    str_add(s, "\n");
}

static const char *plot_script(Arena *arena, const ReportPlot *plots, int count, int columns, int width, int height) {
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9",
                                          "#e69f00", "#808080", "#a0622d", "#7a4bc0", "#c22f3d"};
    Str s = str_create(arena);
    str_addf(&s, "set encoding utf8\nset terminal svg size %d,%d noenhanced font 'sans-serif,12'\n", width, height);
    for (int i = 0; i < (int)(sizeof(colours) / sizeof(colours[0])); i++)
        str_addf(&s, "set linetype %d lc rgb '%s'\n", i + 1, colours[i]);
    str_add(&s, "set key bmargin center horizontal samplen 1.5 width -1 font ',10'\nset border 3 lc rgb '#777777'\n"
                "set grid lt 1 lw 0.5 lc rgb '#cccccc'\nset tics nomirror out scale 0.5 font ',10'\n");
    int id = 0;
    for (int p = 0; p < count; p++)
        for (int i = 0; i < plots[p].series_count; i++)
            add_data(&s, id++, &plots[p].series[i]);
    if (count > 1)
        str_addf(&s, "set multiplot layout %d,%d\n", (count + columns - 1) / columns, columns);
    id = 0;
    for (int p = 0; p < count; p++) {
        add_plot(&s, id, &plots[p]);
        id += plots[p].series_count;
    }
    return s.data;
}

const char *report_draw(Arena *arena, const ReportPlot *plots, int count, int columns, int width, int height) {
    return draw_svg(arena, "gnuplot --default-settings", plot_script(arena, plots, count, columns, width, height));
}

/* ---- Graphviz ---- */

const char *report_draw_dot(Arena *arena, const char *dot) {
    return draw_svg(arena, "dot -Tsvg -Gbgcolor=transparent", dot);
}
