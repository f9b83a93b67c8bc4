/* report_classes.c: what images of each class are taken for: of few classes a table of numbers, whose colours are the
 * share of their row (blue: right, orange: wrong); of more a picture of the same; of very many only the worst classes.
 */
#include "base/quote.h"
#include "runtime/loops/classwise.h"
#include "runtime/report/html.h"
#include "runtime/report/report.h"

#include <math.h>

enum { MOST_NUMBERS = 20, MOST_DRAWN = 300, MOST_WORST = 10, SIDE = 600, MARGIN = 24 };

static const char *class_name(Arena *arena, const Classwise *c, int i) {
    return c->names ? c->names[i] : arena_printf(arena, "class %d", i);
}

static const char *accuracy_text(Arena *arena, const Classwise *c, int i) {
    return c->images[i] ? arena_printf(arena, "%.2f %%", 100 * classwise_accuracy(c, i)) : "-";
}

static int64_t count_at(const Classwise *c, int label, int predicted) {
    return c->confusion[(int64_t)label * c->classes + predicted];
}

static double share_at(const Classwise *c, int label, int predicted) {
    return c->images[label] ? (double)count_at(c, label, predicted) / (double)c->images[label] : 0;
}

/* ---- few classes ---- */

static void add_count(Str *s, const Classwise *c, int label, int predicted) {
    if (count_at(c, label, predicted) == 0)
        str_add(s, "<td></td>");
    else
        str_addf(s, "<td class=\"%s\" style=\"--share: %.3f\">%lld</td>", label == predicted ? "true" : "false",
                 share_at(c, label, predicted), (long long)count_at(c, label, predicted));
}

static void add_numbers(Arena *arena, Str *s, const Classwise *c) {
    str_add(s, "<div class=\"wide\"><table class=\"confusion\">\n<tr><th></th>");
    for (int i = 0; i < c->classes; i++) {
        str_add(s, "<th class=\"name\">");
        quote_xml(s, class_name(arena, c, i));
        str_add(s, "</th>");
    }
    str_add(s, "<th>images</th><th>accuracy</th></tr>\n");
    for (int i = 0; i < c->classes; i++) {
        str_add(s, "<tr><th>");
        quote_xml(s, class_name(arena, c, i));
        str_add(s, "</th>");
        for (int k = 0; k < c->classes; k++)
            add_count(s, c, i, k);
        html_add_cell(s, arena_printf(arena, "%lld", (long long)c->images[i]));
        html_add_cell(s, accuracy_text(arena, c, i));
        str_add(s, "</tr>\n");
    }
    str_add(s, "</table></div>\n");
}

/* ---- more ---- */

static void add_axes(Str *s, int side) {
    str_addf(s, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#777777\"/>\n", MARGIN,
             MARGIN, side, side);
    str_addf(s, "<text x=\"%d\" y=\"%d\">predicted class</text>\n", MARGIN, MARGIN - 8);
    str_addf(s, "<text transform=\"translate(%d %d) rotate(-90)\" text-anchor=\"end\">true class</text>\n", MARGIN - 8,
             MARGIN);
}

static const char *draw_matrix(Arena *arena, const Classwise *c) {
    int cell = SIDE / c->classes > 2 ? SIDE / c->classes : 2, side = cell * c->classes;
    Str s = str_create(arena);
    str_addf(&s,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
             "font-size=\"12\">\n",
             side + MARGIN + 1, side + MARGIN + 1);
    for (int i = 0; i < c->classes; i++)
        for (int k = 0; k < c->classes; k++)
            if (count_at(c, i, k))
                str_addf(&s, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" opacity=\"%.2f\"/>\n",
                         MARGIN + k * cell, MARGIN + i * cell, cell, cell, i == k ? "#0072b2" : "#d55e00",
                         0.2 + 0.8 * share_at(c, i, k));
    add_axes(&s, side);
    str_add(&s, "</svg>\n");
    return s.data;
}

static void add_worst(Arena *arena, Str *s, const Classwise *c) {
    int worst[MOST_WORST], count = classwise_worst(c, MOST_WORST, worst);
    str_addf(s,
             "<div><h4>the %d worst of %d classes</h4>\n<table>\n<tr><th>class</th><th class=\"n\">images</th><th "
             "class=\"n\">accuracy</th><th>most often taken for</th></tr>\n",
             count, c->classes);
    for (int i = 0; i < count; i++) {
        int mistaken = classwise_mistaken(c, worst[i]);
        str_add(s, "<tr><td>");
        quote_xml(s, class_name(arena, c, worst[i]));
        str_add(s, "</td>");
        html_add_cell(s, arena_printf(arena, "%lld", (long long)c->images[worst[i]]));
        html_add_cell(s, accuracy_text(arena, c, worst[i]));
        str_add(s, "<td>");
        if (mistaken >= 0) {
            quote_xml(s, class_name(arena, c, mistaken));
            str_addf(s, " (%lld)", (long long)count_at(c, worst[i], mistaken));
        }
        str_add(s, "</td></tr>\n");
    }
    str_add(s, "</table></div>\n");
}

static void add_heading(Arena *arena, Str *s, const Classwise *c, const char *images) {
    double balanced = classwise_balanced(c);
    str_addf(s, "<h3>What the classes are taken for: %s%s</h3>\n", images,
             isnan(balanced) ? "" : arena_printf(arena, "; balanced accuracy %.2f %%", 100 * balanced));
    str_add(s, "<p>A row for each true class, a column for each class that its images were taken for.</p>\n");
}

void report_add_classes(Arena *arena, Str *s, const ReportRun *run) {
    const json_t *test = json_object_get(run->result, "test"), *last = json_object_get(run->result, "last");
    const char *data = json_string_value(json_object_get(run->result, "data"));
    const Classwise *c = classwise_from_json(arena, test ? test : last);
    if (!c)
        return;
    add_heading(arena, s, c,
                test                              ? "test images, weights of the best epoch"
                : data && str_equal(data, "test") ? "test images, after the last epoch"
                                                  : "held-out training images, after the last epoch");
    if (c->classes <= MOST_NUMBERS && c->confusion) {
        add_numbers(arena, s, c);
        return;
    }
    str_add(s, "<div class=\"columns\">\n");
    if (c->confusion && c->classes <= MOST_DRAWN)
        html_add_picture(s, draw_matrix(arena, c), "confusion matrix", "");
    add_worst(arena, s, c);
    str_add(s, "</div>\n");
}
