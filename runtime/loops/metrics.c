/* metrics.c: metrics.jsonl, alphas.jsonl and timing.jsonl. A line is written and synced at once; a line that a full
 * disk cut short is dropped by metrics_trim. */
#include "runtime/loops/metrics.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "passes/derive.h"
#include "passes/evaluate_graph.h"
#include "runtime/loops/genotype.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool append_text(const char *path, const char *line, Error *error) {
    int descriptor = file_open_append(path, error);
    if (descriptor < 0)
        return false;
    FILE *file = fdopen(descriptor, "a");
    bool ok = file && fputs(line, file) >= 0 && fputc('\n', file) != EOF && fflush(file) == 0;
    ok = ok && (fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP);
    int code = errno;
    if ((file ? fclose(file) : close(descriptor)) != 0 && ok) {
        ok = false;
        code = errno;
    }
    return ok ? true : error_set(error, ERROR_MACHINE, "%s: cannot write: %s", path, strerror(code));
}

/* Takes line. */
static const char *line_text(Arena *arena, json_t *line) {
    Str s = str_create(arena);
    json_add_line(&s, line);
    json_decref(line);
    return s.data;
}

bool metrics_append_line(const char *path, json_t *line, Error *error) {
    Arena *arena = arena_create();
    bool ok = append_text(path, line_text(arena, line), error);
    arena_destroy(arena);
    return ok;
}

static json_t *epoch_json(const EpochMetrics *m) {
    json_t *line = json_pack("{s:I, s:I, s:I, s:b}", "epoch", (json_int_t)m->epoch, "steps", (json_int_t)m->steps,
                             "alphas_updates", (json_int_t)m->alphas_updates, "frozen", (int)m->frozen);
    json_add(line, "lr", json_number(m->lr));
    json_add(line, "alphas_lr", json_number(m->alphas_lr));
    json_add(line, "train_loss", json_number(m->train_loss));
    json_add(line, "train_accuracy", json_number(m->train_accuracy));
    json_add(line, "grad_norm", json_number(m->grad_norm));
    json_add(line, "alphas_loss", json_number(m->alphas_loss));
    json_add(line, "alphas_accuracy", json_number(m->alphas_accuracy));
    json_add(line, "valid_loss", json_number(m->valid_loss));
    json_add(line, "valid_accuracy", json_number(m->valid_accuracy));
    json_add(line, "alphas_entropy", json_number(m->alphas_entropy));
    if (isfinite(m->eigenvalue))
        json_add(line, "eigenvalue", json_number(m->eigenvalue));
    for (int i = 0; i < METRICS_OBJECTIVES; i++)
        if (isfinite(m->expected[i]))
            json_add(line, metrics_objectives[i].key, json_number(m->expected[i]));
    if (m->stopped_by) {
        json_add(line, "stopped_by", json_text(m->stopped_by));
        json_add(line, "genotype_of", json_integer((json_int_t)m->genotype_of));
    }
    return line;
}

static json_t *train_json(const TrainMetrics *m) {
    json_t *line = json_pack("{s:I, s:I}", "epoch", (json_int_t)m->epoch, "steps", (json_int_t)m->steps);
    json_add(line, "lr", json_number(m->lr));
    json_add(line, "drop_path", json_number(m->drop_path));
    json_add(line, "train_loss", json_number(m->train_loss));
    json_add(line, "train_accuracy", json_number(m->train_accuracy));
    json_add(line, "grad_norm", json_number(m->grad_norm));
    json_add(line, "valid_data", json_text(m->valid_data));
    json_add(line, "valid_loss", json_number(m->valid_loss));
    json_add(line, "valid_accuracy", json_number(m->valid_accuracy));
    json_add(line, "valid_accuracy5", json_number(m->valid_accuracy5));
    json_add(line, "best_epoch", json_integer((json_int_t)m->best_epoch));
    json_add(line, "best_accuracy", json_number(m->best_accuracy));
    return line;
}

const MetricsObjective metrics_objectives[METRICS_OBJECTIVES] = {
    {"expected/latency", "latency_ms", "search.objective.latency.target", "latency ", "ms", "expected latency, ms"},
    {"expected/memory", "memory_mb", "search.objective.memory.target", "memory ", "MB",
     "expected weights and values, MB"},
    {"expected/macs", "macs_m", "search.objective.macs.target", "", "M multiply-adds",
     "expected multiply-adds, millions"}};

bool metrics_append(const char *path, const EpochMetrics *metrics, Error *error) {
    return metrics_append_line(path, epoch_json(metrics), error);
}

bool metrics_append_train(const char *path, const TrainMetrics *metrics, Error *error) {
    return metrics_append_line(path, train_json(metrics), error);
}

const char *metrics_line(Arena *arena, const EpochMetrics *metrics) {
    return line_text(arena, epoch_json(metrics));
}

const char *metrics_train_line(Arena *arena, const TrainMetrics *metrics) {
    return line_text(arena, train_json(metrics));
}

bool metrics_append_timing(const char *path, int64_t epoch, double seconds, double images_per_second, Error *error) {
    double rate = isfinite(images_per_second) ? images_per_second : 0; /* an epoch without a measurable time */
    json_t *line = json_pack("{s:I}", "epoch", (json_int_t)epoch);
    json_add(line, "seconds", json_number(round(seconds * 1e3) / 1e3));
    json_add(line, "images_per_second", json_number(round(rate * 10) / 10));
    return metrics_append_line(path, line, error);
}

/* An alpha parameter as weights: a row per edge, with as many as the edge has candidates. */
typedef struct AlphaWeights {
    int64_t rows, width;   /* width: of the parameter, whose rows are as long as the longest */
    int64_t *counts;       /* per row */
    const double *weights; /* rows x width */
} AlphaWeights;

/* Of a parameter that is no row for each edge of the space: the softmax of its rows. */
static const double *softmax_rows(Arena *arena, const double *values, int64_t rows, int64_t width) {
    double *weights = ARENA_ARRAY(arena, double, rows *width + 1);
    for (int64_t r = 0; r < rows; r++)
        evaluate_softmax(values + r * width, width, weights + r * width);
    return weights;
}

static AlphaWeights alpha_weights(const RtProgram *program, const IrModule *settings, const char *name, Arena *arena) {
    Tensor t = rt_param_get(program, name, arena);
    DeriveSpace space;
    Error ignored = {0};
    int64_t count = tensor_count(&t), width = t.rank > 0 ? t.shape[t.rank - 1] : 1;
    AlphaWeights w = {.rows = width > 0 ? count / width : 0, .width = width};
    bool fits = derive_space_from_module(arena, settings, name, &space, &ignored) && w.rows == space.edge_count &&
                width == derive_count_columns(&space);
    double *values = ARENA_ARRAY(arena, double, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor_get(&t, i);
    w.weights = fits ? derive_weigh(arena, settings, &space, values, (int)width, &ignored) : NULL;
    w.counts = ARENA_ARRAY(arena, int64_t, w.rows);
    for (int64_t r = 0; r < w.rows; r++)
        w.counts[r] = w.weights ? space.edges[r].count : width;
    if (!w.weights)
        w.weights = softmax_rows(arena, values, w.rows, width);
    return w;
}

static json_t *alphas_json(const AlphaWeights *w) {
    json_t *rows = json_array();
    for (int64_t r = 0; r < w->rows; r++) {
        json_t *row = json_array();
        for (int64_t i = 0; i < w->counts[r]; i++)
            json_append(row, json_number(w->weights[r * w->width + i]));
        json_append(rows, row);
    }
    return rows;
}

/* Weights of edges, in their order; NULL: the parameter has weights of candidates. */
static json_t *betas_json(const RtProgram *program, const IrModule *settings, const char *name, Arena *arena) {
    int count;
    const char *const *alphas = genotype_alpha_names(settings, &count);
    for (int i = 0; i < count; i++) {
        const char *betas = genotype_beta_name(arena, settings, alphas[i]);
        DeriveSpace space;
        Error ignored = {0};
        if (!betas || !str_equal(betas, name) ||
            !derive_space_from_module(arena, settings, alphas[i], &space, &ignored))
            continue;
        Tensor t = rt_param_get(program, name, arena);
        double *values = ARENA_ARRAY(arena, double, space.edge_count + 1);
        for (int e = 0; e < space.edge_count; e++)
            values[e] = tensor_get(&t, e);
        const double *weights = derive_edge_weights(arena, &space, values);
        json_t *list = json_array();
        for (int e = 0; e < space.edge_count; e++)
            json_append(list, json_number(weights[e]));
        return list;
    }
    return NULL;
}

bool metrics_append_alphas(const char *path, int64_t epoch, const RtProgram *program, const IrModule *settings,
                           Error *error) {
    Arena *arena = arena_create();
    json_t *line = json_pack("{s:I}", "epoch", (json_int_t)epoch);
    for (int p = 0; p < rt_param_count(program); p++) {
        if (rt_param_info(program, p)->kind != PARAM_alpha)
            continue;
        const char *name = rt_param_info(program, p)->name;
        json_t *betas = betas_json(program, settings, name, arena);
        if (betas) {
            json_add(line, name, betas);
            continue;
        }
        AlphaWeights w = alpha_weights(program, settings, name, arena);
        json_add(line, name, alphas_json(&w));
    }
    arena_destroy(arena);
    return metrics_append_line(path, line, error);
}

/* Of the weights' parts of their sum, which is 1 unless a method weighs otherwise. */
static double row_entropy(const double *weights, int64_t count) {
    double whole = 0, sum = 0;
    for (int64_t i = 0; i < count; i++)
        whole += weights[i];
    for (int64_t i = 0; i < count; i++)
        sum -= weights[i] > 0 ? weights[i] * log(weights[i]) : 0;
    return whole > 0 ? sum / whole + log(whole) : 0;
}

double metrics_alphas_entropy(const RtProgram *program, const IrModule *settings) {
    Arena *arena = arena_create();
    double sum = 0;
    int64_t all_rows = 0;
    for (int p = 0; p < rt_param_count(program); p++) {
        if (rt_param_info(program, p)->kind != PARAM_alpha || rt_param_info(program, p)->rank != 2)
            continue; /* rank 1: weights of edges */
        AlphaWeights w = alpha_weights(program, settings, rt_param_info(program, p)->name, arena);
        for (int64_t r = 0; r < w.rows; r++)
            sum += row_entropy(w.weights + r * w.width, w.counts[r]);
        all_rows += w.rows;
    }
    arena_destroy(arena);
    return all_rows > 0 ? sum / (double)all_rows : 0;
}

/* The epoch that a line is of; -1: it is no whole JSON object. */
static int64_t line_epoch(const char *line, size_t length) {
    json_t *value = json_loadb(line, length, 0, NULL);
    json_t *number = json_object_get(value, "epoch");
    int64_t epoch = json_is_integer(number) ? (int64_t)json_integer_value(number) : -1;
    json_decref(value);
    return epoch;
}

/* The whole lines of epochs before this one; found: the epochs that they are of. */
static Str earlier_lines(Arena *arena, const SourceFile *file, int64_t epoch, int64_t *found) {
    Str kept = str_create(arena);
    bool *seen = ARENA_ARRAY(arena, bool, epoch + 1);
    memset(seen, 0, sizeof(bool) * (size_t)(epoch + 1));
    for (size_t i = 0; i < file->size;) {
        const char *line = file->text + i, *end = memchr(line, '\n', file->size - i);
        size_t length = end ? (size_t)(end - line) : file->size - i;
        int64_t at = end ? line_epoch(line, length) : -1;
        if (at >= 0 && at < epoch) {
            str_add_bytes(&kept, line, length + 1);
            *found += !seen[at];
            seen[at] = true;
        }
        i += length + 1;
    }
    return kept;
}

bool metrics_trim(const char *path, int64_t epoch, int64_t *found, Error *error) {
    *found = 0;
    if (file_is_missing(path))
        return true;
    Arena *arena = arena_create();
    SourceFile *file = source_read(arena, path, error);
    bool ok = file != NULL;
    if (ok) {
        Str kept = earlier_lines(arena, file, epoch, found);
        ok = file_write_atomic(path, kept.data, kept.length, error);
    }
    arena_destroy(arena);
    return ok;
}

json_t *metrics_load(Arena *arena, const char *path, Error *error) {
    SourceFile *file = file_is_missing(path) ? NULL : source_read(arena, path, error);
    if (!file)
        return NULL;
    json_t *lines = json_array();
    for (const char *text = file->text; *text;) {
        size_t length = strcspn(text, "\n");
        json_t *line = json_loadb(text, length, 0, NULL);
        if (json_is_object(line))
            json_append(lines, json_incref(line));
        json_decref(line);
        text += length + (text[length] == '\n');
    }
    return lines;
}

json_t *metrics_load_last(Arena *arena, const char *path, Error *error) {
    SourceFile *file = file_is_missing(path) ? NULL : source_read(arena, path, error);
    size_t end = file ? file->size : 0;
    while (end > 0 && file->text[end - 1] == '\n')
        end--;
    size_t begin = end;
    while (begin > 0 && file->text[begin - 1] != '\n')
        begin--;
    return end > begin ? json_loadb(file->text + begin, end - begin, 0, NULL) : NULL;
}
