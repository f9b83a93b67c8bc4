/* memory_picture.c: the values of the whole batch as a picture: stages from left to right, their memory from the bottom
 * up. A value is a rectangle, from the stage that computes it to the last that reads it, at its offset; its colour (or
 * letter) says which part of the network it belongs to. As SVG a line shows how much is alive at each stage: what is
 * between it and the top is lost to gaps. Rectangles too flat to see are left out. */
#include "passes/memory_report.h"

#include "base/quote.h"
#include "passes/plan_memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct Picture {
    PassContext *ctx;
    const IrGraph *graph;
    MemoryPlan plan;
    int stages, backward; /* stage that computes the loss; -1: there is none */
    int64_t top;          /* bytes */
    int owner_count;
    const char **owners; /* in the order of their names, numbers as such */
    StrMap owner_index;  /* name to index + 1 */
} Picture;

static bool is_shown(const MemoryValue *v) {
    return v->node && v->node->place == PLACE_work;
}

static int last_stage(const Picture *p, const MemoryValue *v) {
    return v->last < p->stages ? v->last : p->stages - 1;
}

static int owner_of(const Picture *p, const IrNode *node) {
    return (int)(intptr_t)str_map_get(&p->owner_index, memory_owner(p->ctx->arena, node)) - 1;
}

static void add_owner(Picture *p, const IrNode *node) {
    const char *name = memory_owner(p->ctx->arena, node);
    if (str_map_get(&p->owner_index, name))
        return;
    p->owners[p->owner_count++] = name;
    str_map_set(&p->owner_index, name, p);
}

static int compare_names(const void *a, const void *b) {
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_owners(Picture *p) {
    qsort(p->owners, (size_t)p->owner_count, sizeof *p->owners, compare_names);
    for (int i = 0; i < p->owner_count; i++)
        str_map_set(&p->owner_index, p->owners[i], (void *)(intptr_t)(i + 1));
}

static Picture describe(PassContext *ctx, IrGraph *g) {
    Picture p = {.ctx = ctx, .graph = g, .plan = plan_memory_describe(ctx, g), .backward = -1};
    IrNode *loss = ir_graph_find_output(g, "loss");
    p.owners = ARENA_ARRAY(ctx->arena, const char *, p.plan.count + 1);
    p.owner_index = str_map_create(ctx->arena);
    for (int i = 0; i < p.plan.count; i++) {
        const MemoryValue *v = &p.plan.values[i];
        if (v->node && v->first >= p.stages)
            p.stages = v->first + 1;
        if (!is_shown(v))
            continue;
        p.top = v->node->offset + v->bytes > p.top ? v->node->offset + v->bytes : p.top;
        add_owner(&p, v->node);
    }
    sort_owners(&p);
    if (loss && graph_kind_is_training(ctx->kind))
        p.backward = loss->stage;
    return p;
}

static const char *size_text(Arena *arena, int64_t bytes) {
    if (bytes < 10000)
        return arena_printf(arena, "%lld B", (long long)bytes);
    return bytes < 10000000 ? arena_printf(arena, "%.1f kB", (double)bytes / 1e3)
                            : arena_printf(arena, "%.1f MB", (double)bytes / 1e6);
}

/* ---- text ---- */

static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

enum { COLUMNS = 100, ROWS = 24 };

/* Marks the places of the grid whose middle lies in the value's rectangle. */
static void paint(const Picture *p, const MemoryValue *v, char grid[ROWS][COLUMNS + 1], int columns) {
    char letter = letters[owner_of(p, v->node) % (int)(sizeof letters - 1)];
    for (int row = 0; row < ROWS; row++) {
        int64_t offset = (2 * row + 1) * p->top / (2 * ROWS);
        if (offset < v->node->offset || offset >= v->node->offset + v->bytes)
            continue;
        for (int column = 0; column < columns; column++) {
            int stage = (2 * column + 1) * p->stages / (2 * columns);
            if (stage >= v->first && stage <= last_stage(p, v))
                grid[row][column] = letter;
        }
    }
}

void memory_picture_text(PassContext *ctx, IrGraph *g, Str *out) {
    Picture p = describe(ctx, g);
    char grid[ROWS][COLUMNS + 1];
    int columns = p.stages && p.stages < COLUMNS ? COLUMNS / p.stages * p.stages : COLUMNS;
    if (p.top == 0)
        return;
    memset(grid, '.', sizeof grid);
    for (int i = 0; i < p.plan.count; i++)
        if (is_shown(&p.plan.values[i]))
            paint(&p, &p.plan.values[i], grid, columns);
    for (int row = ROWS - 1; row >= 0; row--)
        str_addf(out, "%10s |%.*s\n", size_text(ctx->arena, (row + 1) * p.top / ROWS), columns, grid[row]);
    str_addf(out, "  stages 0 to %d", p.stages - 1);
    if (p.backward >= 0)
        str_addf(out, ", the loss in %d", p.backward);
    for (int i = 0; i < p.owner_count; i++)
        str_addf(out, "%s%c %s", i % 10 ? ", " : "\n  ", letters[i % (int)(sizeof letters - 1)], p.owners[i]);
    str_add(out, "\n");
}

/* ---- SVG ---- */

enum { LEFT = 90, TOP = 40, WIDTH = 1100, HEIGHT = 420, BELOW = 40, LEGEND_ROW = 18, LEGEND_COLUMNS = 8 };

static double x_of(const Picture *p, double stage) {
    return LEFT + WIDTH * stage / p->stages;
}

static double y_of(const Picture *p, double bytes) {
    return TOP + HEIGHT - HEIGHT * bytes / (double)p->top;
}

static const char *colour(Arena *arena, int owner, const char *name) {
    if (str_equal(name, "the rest"))
        return "#bbb";
    return arena_printf(arena, "hsl(%d,%d%%,%d%%)", owner * 47 % 360, 55 + owner % 2 * 20, 50 + owner % 3 * 10);
}

/* The least of 1, 2, 5 times a power of ten that cuts `most` into at most `parts`. */
static double nice_step(double most, int parts) {
    static const double factors[] = {2, 2.5, 2};
    double step = 1;
    for (int i = 0; most / step > parts; i++)
        step *= factors[i % 3];
    return step;
}

static void add_axes(const Picture *p, Str *out) {
    double step = nice_step((double)p->top, 8);
    for (double bytes = 0; bytes <= (double)p->top; bytes += step)
        str_addf(out, "<path class=\"grid\" d=\"M%d %.1fh%d\"/><text class=\"right\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                 LEFT, y_of(p, bytes), WIDTH, LEFT - 6, y_of(p, bytes) + 4, size_text(p->ctx->arena, (int64_t)bytes));
    step = nice_step(p->stages, 15);
    for (double stage = 0; stage < p->stages; stage += step)
        str_addf(out, "<text class=\"middle\" x=\"%.1f\" y=\"%d\">%.0f</text>\n", x_of(p, stage), TOP + HEIGHT + 16,
                 stage);
    if (p->backward >= 0)
        str_addf(out,
                 "<path class=\"loss\" d=\"M%.1f %dv%d\"/><text class=\"middle\" x=\"%.1f\" y=\"%d\">loss</text>\n",
                 x_of(p, p->backward + 0.5), TOP - 4, HEIGHT + 4, x_of(p, p->backward + 0.5), TOP - 8);
}

/* False when it would be too flat to see. */
static bool add_value(const Picture *p, const MemoryValue *v, Str *out) {
    double height = HEIGHT * (double)v->bytes / (double)p->top;
    const IrNode *n = v->node;
    if (height < 0.25)
        return false;
    str_addf(out, "<rect class=\"o%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>", owner_of(p, n),
             x_of(p, v->first), y_of(p, (double)(n->offset + v->bytes)),
             x_of(p, last_stage(p, v) + 1) - x_of(p, v->first), height);
    const char *type = ir_type_string(p->ctx->arena, &n->type), *tag = n->tag ? n->tag : "";
    quote_xml(out, arena_printf(p->ctx->arena, "%%%d %s %s %s: %s, stages %d to %d", n->id, ir_op_info[n->op].name,
                                type, tag, size_text(p->ctx->arena, v->bytes), v->first, last_stage(p, v)));
    str_add(out, "</title></rect>\n");
    return true;
}

static void add_alive(const Picture *p, Str *out) {
    int64_t *change = ARENA_ARRAY(p->ctx->arena, int64_t, p->stages + 1), alive = 0;
    for (int i = 0; i < p->plan.count; i++) {
        const MemoryValue *v = &p->plan.values[i];
        if (!is_shown(v))
            continue;
        change[v->first] += v->bytes;
        change[last_stage(p, v) + 1] -= v->bytes;
    }
    str_add(out, "<path class=\"alive\" d=\"");
    for (int s = 0; s < p->stages; s++) {
        alive += change[s];
        /* A step that goes on in its operand's memory counts twice for one stage. */
        double y = y_of(p, (double)(alive < p->top ? alive : p->top));
        str_addf(out, "%s%.2f %.2fH%.2f", s ? "L" : "M", x_of(p, s), y, x_of(p, s + 1));
    }
    str_add(out, "\"/>\n");
}

static void add_legend(const Picture *p, Str *out) {
    for (int i = 0; i < p->owner_count; i++) {
        int x = LEFT + i % LEGEND_COLUMNS * (WIDTH / LEGEND_COLUMNS);
        int y = TOP + HEIGHT + BELOW + i / LEGEND_COLUMNS * LEGEND_ROW;
        str_addf(out, "<rect class=\"o%d\" x=\"%d\" y=\"%d\" width=\"12\" height=\"12\"/><text x=\"%d\" y=\"%d\">", i,
                 x, y - 10, x + 17, y);
        quote_xml(out, p->owners[i]);
        str_add(out, "</text>\n");
    }
}

static int picture_height(const Picture *p) {
    return TOP + HEIGHT + BELOW + (p->owner_count / LEGEND_COLUMNS + 2) * LEGEND_ROW;
}

static void add_picture(const Picture *p, int y, Str *out) {
    int left_out = 0;
    str_addf(out, "<g id=\"%s\" transform=\"translate(0,%d)\">\n<style>\n", p->graph->name, y);
    for (int i = 0; i < p->owner_count; i++)
        str_addf(out, "#%s .o%d{fill:%s}\n", p->graph->name, i, colour(p->ctx->arena, i, p->owners[i]));
    str_add(out, "</style>\n");
    add_axes(p, out);
    for (int i = 0; i < p->plan.count; i++)
        if (is_shown(&p->plan.values[i]))
            left_out += !add_value(p, &p->plan.values[i], out);
    add_alive(p, out);
    add_legend(p, out);
    str_addf(out, "<text class=\"head\" x=\"%d\" y=\"18\">%s, batch %lld: %s of values; line: alive at a stage", LEFT,
             p->graph->name, (long long)p->ctx->batch, size_text(p->ctx->arena, p->top));
    if (left_out)
        str_addf(out, "; %d small values are not shown", left_out);
    str_add(out, "</text>\n</g>\n");
}

void memory_picture_svg(PassContext *contexts, IrGraph *const *graphs, int count, Str *out) {
    Picture *pictures = ARENA_ARRAY(contexts[0].arena, Picture, count);
    int height = 0, y = 0;
    for (int i = 0; i < count; i++) {
        pictures[i] = describe(&contexts[i], graphs[i]);
        height += picture_height(&pictures[i]);
    }
    str_addf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n",
             LEFT + WIDTH + 30, height, LEFT + WIDTH + 30, height);
    str_add(out,
            "<style>text{font:12px sans-serif;fill:#333}.right{text-anchor:end}.middle{text-anchor:middle}"
            ".head{font-size:15px}rect{stroke:#fff;stroke-width:.25}.grid{stroke:#ddd;fill:none}"
            ".loss{stroke:#000;stroke-dasharray:4 3;fill:none}.alive{stroke:#000;stroke-width:.7;fill:none}</style>\n"
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    for (int i = 0; i < count; i++) {
        if (pictures[i].top > 0)
            add_picture(&pictures[i], y, out);
        y += picture_height(&pictures[i]);
    }
    str_add(out, "</svg>\n");
}
