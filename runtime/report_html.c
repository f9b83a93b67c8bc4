/* report_html.c: the page of `ndarts-run report`. Everything is in the one file: styles, and pictures as data URLs, so
 * that identifiers inside of different SVG documents do not meet. In dark mode pictures are inverted and their hues
 * turned back. */
#include "runtime/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root { color-scheme: light dark; }\n"
    "body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;\n"
    "       color: #1a1a1a; background: #ffffff; }\n"
    "h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #cccccc; }\n"
    "h3 { font-size: 1.05rem; } img { max-width: 100%; height: auto; display: block; }\n"
    "table { border-collapse: collapse; font-size: .92rem; } .wide { overflow-x: auto; }\n"
    "th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #dddddd; vertical-align: top; "
    "}\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }\n"
    ".columns { display: flex; flex-wrap: wrap; gap: 1rem 3rem; } .missing { color: #777777; }\n"
    "summary { cursor: pointer; margin: .6rem 0; } code { font-size: .92em; overflow-wrap: anywhere; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  body { color: #e6e6e6; background: #161616; } h2 { border-color: #444444; } th, td { border-color: #333333; }\n"
    "  img { filter: invert(1) hue-rotate(180deg); }\n"
    "}\n";

/* ---- pieces ---- */

static void add_escaped(Str *s, const char *text) {
    for (; *text; text++) {
        if (*text == '<')
            str_add(s, "&lt;");
        else if (*text == '>')
            str_add(s, "&gt;");
        else if (*text == '&')
            str_add(s, "&amp;");
        else if (*text == '"')
            str_add(s, "&quot;");
        else
            str_add_bytes(s, text, 1);
    }
}

/* A picture, or what to install for it. */
static void add_picture(Str *s, const char *svg, const char *description, const char *program) {
    if (!svg) {
        str_addf(s, "<p class=\"missing\">No picture of the %s: %s is not installed, or failed.</p>\n", description,
                 program);
        return;
    }
    str_add(s, "<img alt=\"");
    add_escaped(s, description);
    str_add(s, "\" src=\"data:image/svg+xml,");
    for (const char *c = svg; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr(" =/.,-_;()'", *c))
            str_add_bytes(s, *c == ' ' ? "%20" : c, *c == ' ' ? 3 : 1);
        else
            str_addf(s, "%%%02X", (unsigned char)*c);
    }
    str_add(s, "\">\n");
}

static void add_row(Str *s, const char *name, const char *value) {
    str_add(s, "<tr><th>");
    add_escaped(s, name);
    str_add(s, "</th><td><code>");
    add_escaped(s, value);
    str_add(s, "</code></td></tr>\n");
}

/* Strings without quotes, anything else as JSON. */
static const char *value_text(Arena *arena, const json_t *value) {
    if (json_is_string(value))
        return json_string_value(value);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    const char *copy = arena_strdup(arena, text ? text : "");
    free(text);
    return copy;
}

static void add_table(Arena *arena, Str *s, const char *title, json_t *object) {
    const char *key;
    json_t *value;
    str_addf(s, "<div><h3>%s</h3>\n<table>\n", title);
    json_object_foreach(object, key, value) add_row(s, key, value_text(arena, value));
    str_add(s, "</table></div>\n");
}

static void add_cell(Str *s, const char *text) {
    str_add(s, "<td class=\"n\">");
    add_escaped(s, text);
    str_add(s, "</td>");
}

/* Thousands apart: 5,547,124. */
static const char *grouped(Arena *arena, json_int_t value) {
    char *digits = arena_printf(arena, "%lld", (long long)value);
    Str out = str_create(arena);
    size_t length = strlen(digits);
    for (size_t i = 0; i < length; i++)
        str_addf(&out, "%s%c", i && (length - i) % 3 == 0 ? "," : "", digits[i]);
    return out.data;
}

static const char *percent(Arena *arena, const json_t *accuracy) {
    return json_is_number(accuracy) ? arena_printf(arena, "%.2f %%", 100 * json_number_value(accuracy)) : "";
}

/* ---- all runs beside each other ---- */

static double total_seconds(const ReportRun *run) {
    double sum = 0;
    for (size_t i = 0; i < json_array_size(run->timing); i++)
        sum += json_number_value(json_object_get(json_array_get(run->timing, i), "seconds"));
    return sum;
}

static const json_t *last_line(const ReportRun *run) {
    size_t count = json_array_size(run->metrics);
    return count ? json_array_get(run->metrics, count - 1) : NULL;
}

/* The best accuracy after any epoch. */
static const char *best_accuracy(Arena *arena, const ReportRun *run) {
    ReportSeries s = report_series(arena, run->metrics, "valid_accuracy", "");
    double best = -1;
    for (int i = 0; i < s.count; i++)
        best = s.y[i] > best ? s.y[i] : best;
    return best >= 0 ? arena_printf(arena, "%.2f %%", 100 * best) : "";
}

/* What the accuracies after the epochs are of. */
static const char *data_words(const ReportRun *run) {
    const char *data = json_string_value(json_object_get(last_line(run), "valid_data"));
    return !data                     ? "second part of the training images"
           : str_equal(data, "test") ? "test images"
                                     : "held-out training images";
}

static void add_overview_row(Arena *arena, Str *s, const ReportRun *run) {
    json_t *network = json_object_get(run->run, "network");
    str_add(s, "<tr><th>");
    add_escaped(s, run->name);
    str_add(s, "</th><td>");
    add_escaped(s, value_text(arena, json_object_get(run->run, "command")));
    str_add(s, "</td><td><code>");
    add_escaped(s, value_text(arena, json_object_get(run->run, "text")));
    str_add(s, "</code></td>");
    add_cell(s, value_text(arena, json_object_get(run->run, "seed")));
    add_cell(s, arena_printf(arena, "%zu", json_array_size(run->metrics)));
    str_add(s, "<td>");
    add_escaped(s, data_words(run));
    str_add(s, "</td>");
    add_cell(s, percent(arena, json_object_get(last_line(run), "valid_accuracy")));
    add_cell(s, best_accuracy(arena, run));
    add_cell(s, percent(arena, json_object_get(json_object_get(run->result, "test"), "accuracy")));
    add_cell(s, grouped(arena, json_integer_value(json_object_get(network, "parameters"))));
    add_cell(s, grouped(arena, json_integer_value(json_object_get(network, "macs"))));
    add_cell(s, arena_printf(arena, "%.0f s", total_seconds(run)));
    str_add(s, "</tr>\n");
}

static void add_overview(Arena *arena, Str *s, const ReportRun *runs, int count) {
    str_add(s, "<div class=\"wide\"><table>\n<tr><th>run</th><th>command</th><th>text</th><th class=\"n\">seed</th>"
               "<th class=\"n\">epochs</th><th>accuracy of</th><th class=\"n\">last</th><th class=\"n\">best</th>"
               "<th class=\"n\">test, best epoch</th><th class=\"n\">parameters</th><th class=\"n\">multiply-adds</th>"
               "<th class=\"n\">time</th></tr>\n");
    for (int i = 0; i < count; i++)
        add_overview_row(arena, s, &runs[i]);
    str_add(s, "</table></div>\n");
}

static void add_comparison(Arena *arena, Str *s, const ReportRun *runs, int count) {
    static const char *const keys[] = {"valid_accuracy", "train_loss"};
    static const char *const titles[] = {"accuracy on images that are not trained on", "training loss"};
    ReportPlot plots[2];
    for (int p = 0; p < 2; p++) {
        plots[p] =
            (ReportPlot){.title = titles[p], .series_count = count, .series = ARENA_ARRAY(arena, ReportSeries, count)};
        for (int i = 0; i < count; i++)
            plots[p].series[i] = report_series(arena, runs[i].metrics, keys[p], runs[i].name);
    }
    str_add(s, "<h2>Comparison</h2>\n");
    add_picture(s, report_draw(arena, plots, 2, 1, 1100, 640), "curves of all runs", "gnuplot");
}

/* ---- one run ---- */

static void add_curves(Arena *arena, Str *s, const ReportRun *run, bool search) {
    const json_t *m = run->metrics;
    ReportSeries loss[] = {report_series(arena, m, "train_loss", "training"),
                           report_series(arena, m, "valid_loss", "validation"),
                           report_series(arena, m, "alphas_loss", "alphas")};
    ReportSeries accuracy[] = {report_series(arena, m, "train_accuracy", "training"),
                               report_series(arena, m, "valid_accuracy", "validation"),
                               report_series(arena, m, "alphas_accuracy", "alphas")};
    ReportSeries rate = report_series(arena, m, "lr", "rate"), norm = report_series(arena, m, "grad_norm", "norm"),
                 entropy = report_series(arena, m, "alphas_entropy", "entropy"),
                 drop = report_series(arena, m, "drop_path", "drop path"),
                 speed = report_series(arena, run->timing, "images_per_second", "images/s");
    ReportPlot plots[] = {
        {"loss", NULL, false, search ? 3 : 2, loss},
        {"accuracy", NULL, false, search ? 3 : 2, accuracy},
        {"learning rate", NULL, true, 1, &rate},
        {"norm of the gradient", NULL, true, 1, &norm},
        {search ? "entropy of the alphas" : "probability of drop path", NULL, !search, 1, search ? &entropy : &drop},
        {"images per second", NULL, true, 1, &speed}};
    str_add(s, "<h3>Curves</h3>\n");
    add_picture(s, report_draw(arena, plots, 6, 2, 1100, 840), "loss, accuracy, rate, gradient, speed", "gnuplot");
}

static const char *cell_word(const char *alphas) {
    return str_starts_with(alphas, "alphas_") ? alphas + strlen("alphas_") : alphas;
}

static void add_alphas(Arena *arena, Str *s, const ReportRun *run) {
    enum { COLUMNS = 2 };
    const char *names[2];
    DeriveSpace spaces[2];
    int count = report_alphas(arena, run, names, spaces);
    if (count == 0)
        return;
    ReportSeries skips[2];
    for (int i = 0; i < count; i++)
        skips[i] = report_skips(arena, run, &spaces[i], names[i], arena_printf(arena, "%s cell", cell_word(names[i])));
    ReportPlot plot = {"skip connections in the genotype", NULL, true, count, skips};
    str_add(s, "<h3>Skip connections over time</h3>\n");
    add_picture(s, report_draw(arena, &plot, 1, 1, 800, 300), "number of skip connections", "gnuplot");
    for (int i = 0; i < count; i++) {
        int edges = spaces[i].edge_count;
        ReportPlot *plots = ARENA_ARRAY(arena, ReportPlot, edges);
        for (int e = 0; e < edges; e++)
            plots[e] = report_edge(arena, run, &spaces[i], names[i], e);
        str_addf(
            s,
            "<details%s><summary>Alphas of the %s cell over time (softmax weights, a plot for each edge)</summary>\n",
            i == 0 ? " open" : "", cell_word(names[i]));
        add_picture(s, report_draw(arena, plots, edges, COLUMNS, 1100, 240 * ((edges + COLUMNS - 1) / COLUMNS)),
                    arena_printf(arena, "alphas of the %s cell", cell_word(names[i])), "gnuplot");
        str_add(s, "</details>\n");
    }
}

/* The cells that a search found, or of the network that was trained. */
static void add_cells(Arena *arena, Str *s, const ReportRun *run) {
    static const char *const names[] = {"normal", "reduce"};
    for (int i = 0; i < 2; i++) {
        const char *svg = report_read_cell(arena, run->folder, names[i]);
        const char *dot = run->alphas ? NULL : report_cell_dot(arena, run->module, i == 1);
        if (!svg && !dot && !run->alphas)
            continue;
        str_addf(s, "<h3>The %s cell</h3>\n", i == 0 ? "normal" : "reduction");
        add_picture(s, svg || !dot ? svg : report_draw_dot(arena, dot), arena_printf(arena, "%s cell", names[i]),
                    "Graphviz");
    }
}

static void add_run(Arena *arena, Str *s, const ReportRun *run) {
    bool search = str_equal(value_text(arena, json_object_get(run->run, "command")), "search");
    str_add(s, "<h2>");
    add_escaped(s, run->name);
    str_add(s, "</h2>\n");
    if (json_array_size(run->metrics) > 0)
        add_curves(arena, s, run, search);
    else
        str_add(s, "<p class=\"missing\">No epoch is finished yet.</p>\n");
    add_cells(arena, s, run);
    add_alphas(arena, s, run);
    str_add(s, "<details open><summary>Settings, machine, size</summary>\n<div class=\"columns\">\n");
    add_table(arena, s, "Settings", json_object_get(run->run, "settings"));
    str_add(s, "<div>");
    add_table(arena, s, "Network", json_object_get(run->run, "network"));
    add_table(arena, s, "Machine", json_object_get(run->run, "machine"));
    str_add(s, "<h3>Build</h3><p><code>");
    add_escaped(s, value_text(arena, json_object_get(run->run, "identity")));
    str_add(s, "</code></p></div>\n</div></details>\n");
}

const char *report_page(Arena *arena, const ReportRun *runs, int count) {
    Str s = str_create(arena);
    str_add(&s, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<link rel=\"icon\" href=\"data:,\">\n<title>ndarts: ");
    add_escaped(&s, count == 1 ? runs[0].name : arena_printf(arena, "%d runs", count));
    str_addf(&s, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>ndarts: ", style);
    add_escaped(&s, count == 1 ? runs[0].name : arena_printf(arena, "%d runs", count));
    str_add(&s, "</h1>\n");
    add_overview(arena, &s, runs, count);
    if (count > 1)
        add_comparison(arena, &s, runs, count);
    for (int i = 0; i < count; i++)
        add_run(arena, &s, &runs[i]);
    str_add(&s, "</body>\n</html>\n");
    return s.data;
}
