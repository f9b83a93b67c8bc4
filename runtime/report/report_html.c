/* report_html.c: the page of `ndarts-run report`. Everything is in the one file: styles, and pictures as data URLs, so
 * that identifiers inside of different SVG documents do not meet. In dark mode pictures are inverted and their hues
 * turned back. */
#include "base/file.h"
#include "base/json.h"
#include "base/quote.h"
#include "runtime/loops/genotype.h"
#include "runtime/report/html.h"
#include "runtime/report/report.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const char style[] =
    ":root { color-scheme: light dark; }\n"
    "body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;\n"
    "       color: #1a1a1a; background: #ffffff; }\n"
    "h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 3rem; border-bottom: 1px solid #cccccc; }\n"
    "h3 { font-size: 1.05rem; margin: 1.8rem 0 .6rem; } h4 { font-size: .92rem; margin: .8rem 0 .2rem; }\n"
    "img { max-width: 100%; height: auto; display: block; }\n"
    "table { border-collapse: collapse; font-size: .92rem; } .wide { overflow-x: auto; }\n"
    "th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #dddddd; vertical-align: top; }\n"
    "td th, td:last-child, th:last-child { padding-right: 0; } tr.all td { font-weight: bold; }\n"
    ".group th { font-weight: normal; color: #666666; } .group { max-width: 30rem; }\n"
    "td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }\n"
    ".columns { display: flex; flex-wrap: wrap; gap: .5rem 3rem; align-items: flex-start; } .missing { color: #777777; "
    "}\n"
    ".legend { color: #1a1a1a; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .4rem 0; }\n"
    ".legend b { display: inline-block; width: 1.6em; height: .25em; margin-right: .4em; vertical-align: middle; }\n"
    ".confusion th, .confusion td { text-align: right; vertical-align: bottom; padding: .15rem .5rem; "
    "font-variant-numeric: tabular-nums; }\n"
    ".confusion .name { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; }\n"
    ".confusion .true { background: rgb(0 114 178 / calc(var(--share) * 55%)); }\n"
    ".confusion .false { background: rgb(213 94 0 / calc(15% + var(--share) * 50%)); }\n"
    "summary { cursor: pointer; margin: 1.4rem 0 .6rem; font-weight: bold; }\n"
    "code { font-size: .92em; } p code, h3 code, .group code { overflow-wrap: anywhere; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  body { color: #e6e6e6; background: #161616; } h2 { border-color: #444444; } th, td { border-color: #333333; }\n"
    "  .group th { color: #999999; } img, .legend { filter: invert(1) hue-rotate(180deg); }\n"
    "}\n";

/* ---- pieces ---- */

static void add_row(Str *s, const char *name, const char *value) {
    str_add(s, "<tr><th>");
    quote_xml(s, name);
    str_add(s, "</th><td><code>");
    quote_xml(s, value);
    str_add(s, "</code></td></tr>\n");
}

/* Strings without quotes, lists without brackets, anything else as JSON. */
static const char *value_text(Arena *arena, const json_t *value) {
    if (!value) /* of a run.json that does not say */
        return "";
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_array(value)) {
        Str list = str_create(arena);
        str_add(&list, "");
        for (size_t i = 0; i < json_array_size(value); i++)
            str_addf(&list, "%s%s", i ? ", " : "", value_text(arena, json_array_get(value, i)));
        return list.data;
    }
    return json_print(arena, value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
}

static void begin_group(Str *s, const char *title) {
    str_add(s, "<div class=\"group\"><h4>");
    quote_xml(s, title);
    str_add(s, "</h4>\n<table>\n");
}

static void end_group(Str *s) {
    str_add(s, "</table></div>\n");
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

static const char *duration(Arena *arena, double seconds) {
    long long whole = (long long)(seconds + 0.5);
    if (whole < 120)
        return arena_printf(arena, "%lld s", whole);
    return whole < 7200 ? arena_printf(arena, "%lld min", (whole + 30) / 60)
                        : arena_printf(arena, "%lld h %02lld min", whole / 3600, whole % 3600 / 60);
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

static const json_t *test_accuracy(const ReportRun *run) {
    return json_object_get(json_object_get(run->result, "test"), "accuracy");
}

static void add_overview_row(Arena *arena, Str *s, const ReportRun *run, bool has_test, bool has_expected) {
    json_t *network = json_object_get(run->run, "network");
    const char *text = value_text(arena, json_object_get(run->run, "text")), *slash = strrchr(text, '/');
    str_add(s, "<tr><th>");
    quote_xml(s, run->name);
    str_add(s, "</th><td>");
    quote_xml(s, value_text(arena, json_object_get(run->run, "command")));
    str_add(s, " <code>");
    quote_xml(s, slash ? slash + 1 : text);
    str_add(s, "</code></td>");
    html_add_cell(s, value_text(arena, json_object_get(run->run, "seed")));
    html_add_cell(s, arena_printf(arena, "%zu", json_array_size(run->metrics)));
    html_add_cell(s, percent(arena, json_object_get(last_line(run), "valid_accuracy")));
    html_add_cell(s, best_accuracy(arena, run));
    str_add(s, "<td>");
    quote_xml(s, data_words(run));
    str_add(s, "</td>");
    if (has_test)
        html_add_cell(s, percent(arena, test_accuracy(run)));
    if (has_expected)
        html_add_cell(s, report_expected(arena, run));
    html_add_cell(s, grouped(arena, json_integer_value(json_object_get(network, "parameters"))));
    html_add_cell(s, grouped(arena, json_integer_value(json_object_get(network, "macs"))));
    html_add_cell(s, duration(arena, total_seconds(run)));
    str_add(s, "</tr>\n");
}

static void add_overview(Arena *arena, Str *s, const ReportRun *runs, int count) {
    bool has_test = false, has_expected = false;
    for (int i = 0; i < count; i++) {
        has_test |= test_accuracy(&runs[i]) != NULL;
        has_expected |= *report_expected(arena, &runs[i]) != 0;
    }
    str_addf(s,
             "<div class=\"wide\"><table>\n<tr><th>run</th><th>command</th><th class=\"n\">seed</th>"
             "<th class=\"n\">epochs</th><th class=\"n\">accuracy</th><th class=\"n\">best</th><th>of the</th>%s%s"
             "<th class=\"n\">parameters</th><th class=\"n\">multiply-adds</th><th class=\"n\">time</th></tr>\n",
             has_test ? "<th class=\"n\">test, best epoch</th>" : "",
             has_expected ? "<th class=\"n\">expected cost</th>" : "");
    for (int i = 0; i < count; i++)
        add_overview_row(arena, s, &runs[i], has_test, has_expected);
    str_add(s, "</table></div>\n");
}

static void add_comparison(Arena *arena, Str *s, const ReportRun *runs, int count, const BenchTable *table) {
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
    html_add_picture(s, report_draw(arena, plots, 2, 2, 1180, 380), "curves of all runs", "gnuplot");
    report_add_trade_offs(arena, s, runs, count);
    if (table)
        report_add_lookups(arena, s, table, runs, count);
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
    ReportPlot plots[] = {{.title = "loss", .series_count = search ? 3 : 2, .series = loss},
                          {.title = "accuracy", .series_count = search ? 3 : 2, .series = accuracy},
                          {.title = search ? "entropy of the alphas" : "probability of drop path",
                           .from_zero = !search,
                           .series_count = 1,
                           .series = search ? &entropy : &drop},
                          {.title = "learning rate", .from_zero = true, .series_count = 1, .series = &rate},
                          {.title = "norm of the gradient", .from_zero = true, .series_count = 1, .series = &norm},
                          {.title = "images per second", .from_zero = true, .series_count = 1, .series = &speed}};
    str_add(s, "<h3>Curves</h3>\n");
    html_add_picture(s, report_draw(arena, plots, 6, 3, 1180, 540), "loss, accuracy, rate, gradient, speed", "gnuplot");
}

static bool has_numbers(const ReportSeries *series) {
    for (int i = 0; i < series->count; i++)
        if (!isnan(series->y[i]))
            return true;
    return false;
}

/* What a search watched, if it did. */
static void add_eigenvalues(Arena *arena, Str *s, const ReportRun *run) {
    ReportSeries eigenvalue = report_bridged_series(arena, run->metrics, "eigenvalue", "eigenvalue");
    ReportPlot plot = {.title = "dominant eigenvalue of the alphas' Hessian", .series_count = 1, .series = &eigenvalue};
    const json_t *last = json_array_get(run->metrics, json_array_size(run->metrics) - 1);
    const json_t *genotype_of = json_object_get(last, "genotype_of");
    if (!has_numbers(&eigenvalue) && !genotype_of)
        return;
    str_add(s, "<h3>Eigenvalues</h3>\n");
    if (json_is_integer(genotype_of))
        str_addf(s, "<p>The search ended early; its genotype is that of epoch %lld.</p>\n",
                 (long long)json_integer_value(genotype_of) + 1);
    if (has_numbers(&eigenvalue))
        html_add_picture(s, report_draw(arena, &plot, 1, 1, 590, 270), "dominant eigenvalue over time", "gnuplot");
}

static const char *cell_word(const char *alphas) {
    const char *word = genotype_cell_name(alphas);
    return str_equal(word, "reduce") ? "reduction" : word;
}

/* Every operation that some edge offers; colours as in the drawings of the cells. */
static void add_legend(Arena *arena, Str *s, const DeriveSpace *space) {
    StrMap shown = str_map_create(arena);
    str_add(s, "<p class=\"legend\">");
    for (int e = 0; e < space->edge_count; e++) {
        for (int c = 0; c < space->edges[e].count; c++) {
            const char *operation = space->edges[e].operations[c], *colour = genotype_operation_colour(operation);
            if (str_map_get(&shown, operation))
                continue;
            str_map_set(&shown, operation, (void *)colour);
            str_addf(s, "<span><b style=\"background: %s\"></b>", colour);
            quote_xml(s, operation);
            str_add(s, "</span>");
        }
    }
    str_add(s, "</p>\n");
}

static void add_edges(Arena *arena, Str *s, const ReportRun *run, const DeriveSpace *space, const char *alphas,
                      bool open) {
    enum { COLUMNS = 4, HEIGHT = 190 };
    int edges = space->edge_count;
    const ReportPlot *plots = report_edges(arena, run, space, alphas);
    str_addf(s, "<details%s><summary>Alphas of the ", open ? " open" : "");
    quote_xml(s, cell_word(alphas));
    str_add(s, " cell over time: softmax weights, a plot for each edge</summary>\n");
    add_legend(arena, s, space);
    html_add_picture(s, report_draw(arena, plots, edges, COLUMNS, 1180, HEIGHT * ((edges + COLUMNS - 1) / COLUMNS)),
                     arena_printf(arena, "alphas of the %s cell", cell_word(alphas)), "gnuplot");
    str_add(s, "</details>\n");
}

static void add_alphas(Arena *arena, Str *s, const ReportRun *run) {
    const char *const *names;
    DeriveSpace *spaces;
    int count = report_alphas(arena, run, &names, &spaces);
    if (count == 0)
        return;
    ReportSeries *skips = ARENA_ARRAY(arena, ReportSeries, count);
    ReportPlot *plots = ARENA_ARRAY(arena, ReportPlot, count);
    for (int i = 0; i < count; i++) {
        skips[i] = report_skips(arena, run, &spaces[i], names[i], "");
        plots[i] = (ReportPlot){.title = arena_printf(arena, "%s cell", cell_word(names[i])),
                                .from_zero = true,
                                .whole = true,
                                .top = 1,
                                .series_count = 1,
                                .series = &skips[i]};
        for (int e = 0; e < skips[i].count; e++)
            plots[i].top = skips[i].y[e] > plots[i].top ? skips[i].y[e] : plots[i].top;
    }
    str_add(s, "<h3>Skip connections in the genotype over time</h3>\n");
    html_add_picture(s, report_draw(arena, plots, count, 2, 1180, 230), "number of skip connections", "gnuplot");
    for (int i = 0; i < count; i++)
        add_edges(arena, s, run, &spaces[i], names[i], i == 0);
}

/* Whether its space has such cells; where that is not known, it may. */
static bool searches_cell(const ReportRun *run, const char *name) {
    int count = 0;
    const char *const *alphas = run->alphas && run->module ? genotype_alpha_names(run->module, &count) : NULL;
    for (int i = 0; i < count; i++)
        if (str_equal(genotype_cell_name(alphas[i]), name))
            return true;
    return run->alphas && !alphas;
}

/* The cells that a search found, or of the network that was trained: drawn here from what they are, since a drawing in
 * the folder is a program of Graphviz that others may have written. */
static void add_cells(Arena *arena, Str *s, const ReportRun *run) {
    static const char *const names[] = {"normal", "reduce"};
    const IrModule *module = run->alphas ? report_found(arena, run) : run->module;
    if (run->alphas && !module && !file_is_missing(arena_printf(arena, "%s/genotype.nd", run->folder)))
        str_add(s, "<p class=\"missing\">genotype.nd cannot be read, or does not compile.</p>\n");
    for (int i = 0; i < 2; i++) {
        const GenotypeCell *cell = module ? genotype_read_cell(arena, module, i == 1) : NULL;
        const char *svg = cell ? report_draw_dot(arena, genotype_dot(arena, names[i], cell)) : NULL;
        bool drawn_before = !svg && (svg = report_drawn_cell(arena, run, names[i]));
        if (!svg && !cell && !searches_cell(run, names[i]))
            continue;
        str_add(s, "<h3>The ");
        quote_xml(s, cell_word(names[i]));
        str_add(s, " cell</h3>\n");
        html_add_picture(s, svg, arena_printf(arena, "%s cell", cell_word(names[i])), "Graphviz");
        if (drawn_before)
            str_add(s, "<p class=\"missing\">As the run drew it: now Graphviz is not installed, or failed.</p>\n");
    }
}

static void add_costs(Arena *arena, Str *s, const ReportRun *run) {
    ReportCost *costs;
    int count = report_costs(arena, run->module, &costs);
    if (count == 0)
        return;
    str_addf(s,
             "<h3>Cost of the operations, for one image%s</h3>\n<div class=\"wide\"><table>\n<tr><th>operation</th>"
             "<th class=\"n\">times</th><th class=\"n\">parameters</th><th class=\"n\">multiply-adds</th>"
             "<th class=\"n\">share</th></tr>\n",
             run->alphas ? ": the supernet, every candidate on every edge" : "");
    double all = (double)costs[count - 1].macs;
    for (int i = 0; i < count; i++) {
        str_add(s, i == count - 1 ? "<tr class=\"all\"><td>" : "<tr><td>");
        quote_xml(s, costs[i].name);
        str_add(s, "</td>");
        html_add_cell(s, costs[i].times ? arena_printf(arena, "%d", costs[i].times) : "");
        html_add_cell(s, grouped(arena, costs[i].parameters));
        html_add_cell(s, grouped(arena, costs[i].macs));
        html_add_cell(s, all > 0 ? arena_printf(arena, "%.1f %%", 100 * (double)costs[i].macs / all) : "");
        str_add(s, "</tr>\n");
    }
    str_add(s, "</table></div>\n");
}

/* What comes before the first dot: "data", or "text" for what has none. */
static const char *group_of(Arena *arena, const char *key) {
    const char *dot = strchr(key, '.');
    return dot ? arena_strndup(arena, key, (size_t)(dot - key)) : "text";
}

static void add_group(Arena *arena, Str *s, json_t *settings, const char *group) {
    const char *key;
    json_t *value;
    begin_group(s, group);
    json_object_foreach(settings, key, value) {
        const char *dot = strchr(key, '.');
        if (str_equal(group_of(arena, key), group))
            add_row(s, dot ? dot + 1 : key, value_text(arena, value));
    }
    end_group(s);
}

/* A table for each group, in the order in which they come first. */
static void add_settings(Arena *arena, Str *s, json_t *settings) {
    StrMap done = str_map_create(arena);
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value) {
        const char *group = group_of(arena, key);
        if (!str_map_get(&done, group))
            add_group(arena, s, settings, group);
        str_map_set(&done, group, value);
    }
}

static void add_number_row(Arena *arena, Str *s, const char *name, const json_t *number) {
    add_row(s, name, grouped(arena, json_integer_value(number)));
}

static void add_sizes(Arena *arena, Str *s, const ReportRun *run) {
    json_t *network = json_object_get(run->run, "network"), *machine = json_object_get(run->run, "machine");
    begin_group(s, "network");
    add_number_row(arena, s, "parameters", json_object_get(network, "parameters"));
    add_number_row(arena, s, "of the auxiliary head", json_object_get(network, "auxiliary_parameters"));
    add_number_row(arena, s, "alphas", json_object_get(network, "alphas"));
    add_number_row(arena, s, "multiply-adds", json_object_get(network, "macs"));
    end_group(s);
    begin_group(s, "machine");
    const char *const keys[] = {"processor", "cores", "device", "threads"};
    for (int i = 0; i < 4; i++)
        add_row(s, keys[i], value_text(arena, json_object_get(machine, keys[i])));
    add_row(s, "memory", arena_printf(arena, "%.1f GiB", json_number_value(json_object_get(machine, "memory_gib"))));
    add_row(s, "time", duration(arena, total_seconds(run)));
    end_group(s);
}

static void add_run(Arena *arena, Str *s, const ReportRun *run, const BenchTable *table) {
    bool search = str_equal(value_text(arena, json_object_get(run->run, "command")), "search");
    str_add(s, "<h2>");
    quote_xml(s, run->name);
    str_add(s, "</h2>\n");
    for (int i = 0; i < run->unread_count; i++) {
        str_add(s, "<p class=\"missing\">Left out: ");
        quote_xml(s, run->unread[i]);
        str_add(s, ".</p>\n");
    }
    if (json_array_size(run->metrics) > 0)
        add_curves(arena, s, run, search);
    else
        str_add(s, "<p class=\"missing\">No epoch is finished yet.</p>\n");
    if (search)
        report_add_objectives(arena, s, run);
    add_eigenvalues(arena, s, run);
    if (table)
        report_add_lookup(arena, s, table, run);
    add_cells(arena, s, run);
    add_alphas(arena, s, run);
    report_add_classes(arena, s, run);
    add_costs(arena, s, run);
    str_add(s, "<h3>Settings, network, machine</h3>\n<div class=\"columns\">\n");
    add_settings(arena, s, json_object_get(run->run, "settings"));
    add_sizes(arena, s, run);
    str_add(s, "</div>\n<p><code>");
    quote_xml(s, value_text(arena, json_object_get(run->run, "text")));
    str_add(s, "</code> by <code>");
    quote_xml(s, value_text(arena, json_object_get(run->run, "identity")));
    str_add(s, "</code></p>\n");
}

const char *report_page(Arena *arena, const ReportRun *runs, int count, const BenchTable *table) {
    Str s = str_create(arena);
    str_add(&s, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<link rel=\"icon\" href=\"data:,\">\n<title>ndarts: ");
    quote_xml(&s, count == 1 ? runs[0].name : arena_printf(arena, "%d runs", count));
    str_addf(&s, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>ndarts: ", style);
    quote_xml(&s, count == 1 ? runs[0].name : arena_printf(arena, "%d runs", count));
    str_add(&s, "</h1>\n");
    add_overview(arena, &s, runs, count);
    if (count > 1)
        add_comparison(arena, &s, runs, count, table);
    for (int i = 0; i < count; i++)
        add_run(arena, &s, &runs[i], table);
    str_add(&s, "</body>\n</html>\n");
    return s.data;
}
