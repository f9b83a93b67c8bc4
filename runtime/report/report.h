/* report.h: one HTML page about one or several runs; all below report_write is private to report*.c. */
#ifndef NDARTS_RUNTIME_REPORT_REPORT_H
#define NDARTS_RUNTIME_REPORT_REPORT_H

#include "base/str.h"
#include "passes/derive.h"
#include "runtime/driver/runtime.h"
#include "runtime/report/lookup.h"

#include <jansson.h>

typedef struct ReportOptions {
    const char *const *folders; /* of runs; one of several seeds stands for its seeds */
    int count;
    const char *out;   /* NULL: report.html in the first folder */
    const char *table; /* of architectures, in which the genotypes of searches are looked up; or NULL */
} ReportOptions;

/* *written: the path of the page. */
bool report_write(Arena *arena, const ReportOptions *options, const char **written, Error *error);

/* A folder of results. The json values are NULL when the file is missing, or cannot be read, which is then said. */
typedef struct ReportRun {
    const char *folder, *name;
    json_t *run;                       /* run.json */
    json_t *metrics, *timing, *alphas; /* arrays of the lines */
    json_t *result;                    /* result.json */
    const IrModule *module;            /* network.ir; or NULL */
    Lookup lookup;                     /* of the genotypes, where there is a table; or of none */
    const char **unread;               /* what stood in the way of reading files */
    int unread_count, unread_capacity;
} ReportRun;

/* Numbers to draw; NaN is a gap. */
typedef struct ReportSeries {
    const char *title;
    int count;
    const double *y;
    const double *x;    /* NULL: 1, 2, ...: epochs */
    const char *colour; /* "#rrggbb"; NULL: the next of the usual ones */
} ReportSeries;

typedef struct ReportPlot {
    const char *title;
    const char *x_title; /* of what the series' x are; NULL: of epochs */
    bool from_zero;      /* the y axis begins there */
    int series_count;
    ReportSeries *series;
    bool whole;         /* y counts something */
    bool no_key;        /* what is which is said elsewhere */
    double bottom, top; /* of the y axis; both 0: as the data is */
} ReportPlot;

/* report_plot.c: plots in rows of `columns`, as an SVG document made by gnuplot. NULL when there is no gnuplot, or it
 * fails. */
const char *report_draw(Arena *arena, const ReportPlot *plots, int count, int columns, int width, int height);
/* By Graphviz, without a background of its own. NULL when there is none. */
const char *report_draw_dot(Arena *arena, const char *dot);

/* report_objectives.c: the last "2.31 ms, 3.1 MB" of a search with objectives, else "". */
const char *report_expected(Arena *arena, const ReportRun *run);
/* The curves of it, if there are any. */
void report_add_objectives(Arena *arena, Str *s, const ReportRun *run);
/* The accuracies of all runs against it, if there are any. */
void report_add_trade_offs(Arena *arena, Str *s, const ReportRun *runs, int count);

/* report_cost.c: what the operations of a network cost, by kind, most multiply-adds first; the last row is all.
 * None of a network that calls nothing. */
typedef struct ReportCost {
    const char *name;
    int times; /* in the network, or, of a candidate, on edges of the supernet */
    int64_t parameters, macs;
} ReportCost;
int report_costs(Arena *arena, const IrModule *module, ReportCost **costs);

/* report_data.c */
/* False, with ERROR_INPUT, when there is no run in the folder. */
bool report_load(Arena *arena, const char *folder, ReportRun *run, Error *error);
void report_free(ReportRun *run);
/* The genotypes of a search in the table; what stands in the way of it is said. */
void report_look_up(Arena *arena, const BenchTable *table, ReportRun *run);
/* The network that a search found; NULL when it found none yet, or its text does not compile any more. */
const IrModule *report_found(Arena *arena, const ReportRun *run);
/* FOLDER/NAME.svg, which a search drew; NULL when there is none. */
const char *report_drawn_cell(Arena *arena, const ReportRun *run, const char *name);
/* The member `key` of every line. */
ReportSeries report_series(Arena *arena, const json_t *lines, const char *key, const char *title);
/* The same, with straight lines over gaps between numbers. */
ReportSeries report_bridged_series(Arena *arena, const json_t *lines, const char *key, const char *title);
/* The softmax weights of each edge: a plot with a series for each of its candidates; all of one height. */
ReportPlot *report_edges(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas);
/* The names of the runs' architecture parameters: 0, 1 or 2; their space. */
int report_alphas(Arena *arena, const ReportRun *run, const char *const **names, DeriveSpace **spaces);
/* How many edges of the genotype after each epoch are skip connections. */
ReportSeries report_skips(Arena *arena, const ReportRun *run, const DeriveSpace *space, const char *alphas,
                          const char *title);

/* report_classes.c: what the classes are taken for, by the result of a training; nothing without one. */
void report_add_classes(Arena *arena, Str *s, const ReportRun *run);

/* report_lookup.c: of one search, and of several beside each other; nothing of runs that were not looked up. */
void report_add_lookup(Arena *arena, Str *s, const BenchTable *table, const ReportRun *run);
void report_add_lookups(Arena *arena, Str *s, const BenchTable *table, const ReportRun *runs, int count);

/* report_html.c: the page. table: or NULL. */
const char *report_page(Arena *arena, const ReportRun *runs, int count, const BenchTable *table);

#endif
