/* metrics.c: metrics.jsonl, alphas.jsonl and timing.jsonl. A line is written and synced at once; a line that a full
 * disk cut short is dropped by metrics_trim. */
#include "runtime/metrics.h"

#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool append_line(const char *path, const char *line, Error *error) {
    FILE *file = fopen(path, "a");
    if (!file)
        return error_set(error, ERROR_MACHINE, "%s: %s", path, strerror(errno));
    bool ok = fputs(line, file) >= 0 && fputc('\n', file) != EOF && fflush(file) == 0;
    int code = errno;
    if (ok && fsync(fileno(file)) != 0 && errno != EINVAL && errno != ENOTSUP) {
        ok = false;
        code = errno;
    }
    if (fclose(file) != 0 && ok) {
        ok = false;
        code = errno;
    }
    return ok ? true : error_set(error, ERROR_MACHINE, "%s: cannot write: %s", path, strerror(code));
}

/* JSON knows no NaN and no infinity. */
static void add_number(Str *s, double value) {
    if (isfinite(value))
        str_add_double(s, value);
    else
        str_add(s, "null");
}

static void add_member(Str *s, const char *name, double value) {
    str_addf(s, ", \"%s\": ", name);
    add_number(s, value);
}

bool metrics_append(const char *path, const EpochMetrics *m, Error *error) {
    Arena *arena = arena_create();
    Str s = str_create(arena);
    str_addf(&s, "{\"epoch\": %lld, \"steps\": %lld, \"alphas_updates\": %lld, \"frozen\": %s", (long long)m->epoch,
             (long long)m->steps, (long long)m->alphas_updates, m->frozen ? "true" : "false");
    add_member(&s, "lr", m->lr);
    add_member(&s, "alphas_lr", m->alphas_lr);
    add_member(&s, "train_loss", m->train_loss);
    add_member(&s, "train_accuracy", m->train_accuracy);
    add_member(&s, "grad_norm", m->grad_norm);
    add_member(&s, "alphas_loss", m->alphas_loss);
    add_member(&s, "alphas_accuracy", m->alphas_accuracy);
    add_member(&s, "valid_loss", m->valid_loss);
    add_member(&s, "valid_accuracy", m->valid_accuracy);
    add_member(&s, "alphas_entropy", m->alphas_entropy);
    str_add(&s, "}");
    bool ok = append_line(path, s.data, error);
    arena_destroy(arena);
    return ok;
}

bool metrics_append_train(const char *path, const TrainMetrics *m, Error *error) {
    Arena *arena = arena_create();
    Str s = str_create(arena);
    str_addf(&s, "{\"epoch\": %lld, \"steps\": %lld", (long long)m->epoch, (long long)m->steps);
    add_member(&s, "lr", m->lr);
    add_member(&s, "drop_path", m->drop_path);
    add_member(&s, "train_loss", m->train_loss);
    add_member(&s, "train_accuracy", m->train_accuracy);
    add_member(&s, "grad_norm", m->grad_norm);
    str_addf(&s, ", \"valid_data\": \"%s\"", m->valid_data);
    add_member(&s, "valid_loss", m->valid_loss);
    add_member(&s, "valid_accuracy", m->valid_accuracy);
    add_member(&s, "valid_accuracy5", m->valid_accuracy5);
    str_addf(&s, ", \"best_epoch\": %lld", (long long)m->best_epoch);
    add_member(&s, "best_accuracy", m->best_accuracy);
    str_add(&s, "}");
    bool ok = append_line(path, s.data, error);
    arena_destroy(arena);
    return ok;
}

bool metrics_append_timing(const char *path, int64_t epoch, double seconds, double images_per_second, Error *error) {
    char line[160];
    snprintf(line, sizeof(line), "{\"epoch\": %lld, \"seconds\": %.3f, \"images_per_second\": %.1f}", (long long)epoch,
             seconds, images_per_second);
    return append_line(path, line, error);
}

void metrics_softmax(const double *values, int64_t count, double *weights) {
    double largest = values[0], sum = 0;
    for (int64_t i = 1; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    for (int64_t i = 0; i < count; i++)
        sum += weights[i] = exp(values[i] - largest);
    for (int64_t i = 0; i < count; i++)
        weights[i] /= sum;
}

/* The softmax weights of an alpha parameter, all rows; *rows and *width describe it. */
static double *alpha_weights(const RtProgram *program, const char *name, Arena *arena, int64_t *rows, int64_t *width) {
    Tensor t = rt_param_get(program, name, arena);
    int64_t count = tensor_count(&t);
    *width = t.rank > 0 ? t.shape[t.rank - 1] : 1;
    *rows = *width > 0 ? count / *width : 0;
    double *values = ARENA_ARRAY(arena, double, count), *weights = ARENA_ARRAY(arena, double, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor_get(&t, i);
    for (int64_t r = 0; r < *rows; r++)
        metrics_softmax(values + r * *width, *width, weights + r * *width);
    return weights;
}

static void add_alphas(Str *s, const RtProgram *program, const char *name, Arena *arena) {
    int64_t rows, width;
    double *weights = alpha_weights(program, name, arena, &rows, &width);
    str_addf(s, ", \"%s\": [", name);
    for (int64_t i = 0; i < rows * width; i++) {
        str_add(s, i % width == 0 ? (i ? ", [" : "[") : ", ");
        add_number(s, weights[i]);
        if (i % width == width - 1)
            str_add(s, "]");
    }
    str_add(s, "]");
}

bool metrics_append_alphas(const char *path, int64_t epoch, const RtProgram *program, Error *error) {
    Arena *arena = arena_create();
    Str s = str_create(arena);
    str_addf(&s, "{\"epoch\": %lld", (long long)epoch);
    for (int i = 0; i < rt_param_count(program); i++) {
        if (rt_param_info(program, i)->kind == PARAM_alpha)
            add_alphas(&s, program, rt_param_info(program, i)->name, arena);
    }
    str_add(&s, "}");
    bool ok = append_line(path, s.data, error);
    arena_destroy(arena);
    return ok;
}

double metrics_alphas_entropy(const RtProgram *program) {
    Arena *arena = arena_create();
    double sum = 0;
    int64_t all_rows = 0;
    for (int p = 0; p < rt_param_count(program); p++) {
        if (rt_param_info(program, p)->kind != PARAM_alpha)
            continue;
        int64_t rows, width;
        double *weights = alpha_weights(program, rt_param_info(program, p)->name, arena, &rows, &width);
        for (int64_t i = 0; i < rows * width; i++)
            sum -= weights[i] > 0 ? weights[i] * log(weights[i]) : 0;
        all_rows += rows;
    }
    arena_destroy(arena);
    return all_rows > 0 ? sum / (double)all_rows : 0;
}

/* Whether a line is a whole JSON object of an earlier epoch. */
static bool line_is_earlier(const char *line, size_t length, int64_t epoch) {
    json_t *value = json_loadb(line, length, 0, NULL);
    json_t *number = json_object_get(value, "epoch");
    bool earlier = json_is_integer(number) && json_integer_value(number) < epoch;
    json_decref(value);
    return earlier;
}

bool metrics_trim(const char *path, int64_t epoch, Error *error) {
    if (access(path, F_OK) != 0)
        return true;
    Arena *arena = arena_create();
    SourceFile *file = source_read(arena, path, error);
    bool ok = file != NULL;
    if (ok) {
        Str kept = str_create(arena);
        for (size_t i = 0; i < file->size;) {
            const char *end = memchr(file->text + i, '\n', file->size - i);
            size_t length = end ? (size_t)(end - file->text) - i : file->size - i;
            if (end && line_is_earlier(file->text + i, length, epoch))
                str_add_bytes(&kept, file->text + i, length + 1);
            i += length + 1;
        }
        ok = file_write_atomic(path, kept.data, kept.length, error);
    }
    arena_destroy(arena);
    return ok;
}
