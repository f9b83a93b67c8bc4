/* train_result.c: how a training ended, as files and as text. */
#include "runtime/loops/train.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/loops/average.h"

#include <math.h>
#include <string.h>

/* ---- the end of a training ---- */

/* The epochs are all done, and their checkpoint is written; it is not written again, for other weights may be loaded.
 */
static bool check_interrupted(const Train *t, Error *error) {
    if (!loop_interrupted())
        return true;
    return loop_end_interrupted(
        error, "interrupted while the last images were evaluated; all epochs are saved in %s; --resume goes on",
        t->loop.options.out);
}

/* With a hold-out: the only look at the test images, with the weights that the hold-out chose. */
static bool evaluate_test(Train *t, Error *error) {
    Loop *l = &t->loop;
    TensorFile best = {0};
    LoaderOptions o = loop_loader_options(l);
    o.data = &t->test, o.count = t->test.count, o.augment = &l->no_augment;
    if (!safetensors_read(l->arena, loop_file(l, "best.safetensors"), &best, error) ||
        !rt_state_set(l->program, &best, RT_STATE_weights, error))
        return false;
    Loader *loader = loader_create(&o, error);
    Evaluation e = {0};
    Classwise *classes = classwise_create(l->arena, t->test.classes, t->test.class_names);
    bool ok = loader &&
              evaluate_images(l->program, loader, evaluate_alone(l->program), loop_interrupted, classes, &e, error) &&
              check_interrupted(t, error);
    loader_destroy(loader);
    t->result.has_test = true;
    t->result.test_accuracy = e.accuracy;
    t->result.test_accuracy5 = e.accuracy5;
    t->result.test_loss = e.loss;
    t->result.test_images = e.images;
    t->result.test_classes = classes;
    return ok;
}

/* After a resume without a further epoch. */
static bool evaluate_last(Train *t, Error *error) {
    Evaluation e = {0};
    if (!evaluate_images(t->loop.program, t->valid_loader, evaluate_alone(t->loop.program), loop_interrupted,
                         t->valid_classes, &e, error) ||
        !check_interrupted(t, error))
        return false;
    t->result.images = e.images;
    t->result.last_accuracy = e.accuracy;
    t->result.last_loss = e.loss;
    return true;
}

/* The counts by class only in a result of its own: a summary of several would be long. */
static void add_classes(json_t *json, const Classwise *classes, bool whole) {
    if (whole && classes)
        classwise_to_json(classes, json);
}

static json_t *test_json(const TrainResult *r, bool whole) {
    json_t *json = json_pack("{s:I, s:o, s:o, s:o, s:I}", "epoch", (json_int_t)r->best_epoch, "accuracy",
                             json_number(r->test_accuracy), "accuracy5", json_number(r->test_accuracy5), "loss",
                             json_number(r->test_loss), "images", (json_int_t)r->test_images);
    add_classes(json, r->test_classes, whole);
    return json;
}

static json_t *result_json(const TrainResult *r, bool whole) {
    json_t *json = json_pack("{s:I, s:s, s:I, s:I, s:{s:I, s:o, s:o}, s:{s:I, s:o}}", "seed", (json_int_t)r->seed,
                             "data", r->data, "images", (json_int_t)r->images, "epochs", (json_int_t)r->epochs, "last",
                             "epoch", (json_int_t)r->epochs - 1, "accuracy", json_number(r->last_accuracy), "loss",
                             json_number(r->last_loss), "best", "epoch", (json_int_t)r->best_epoch, "accuracy",
                             json_number(r->best_accuracy));
    add_classes(json_object_get(json, "last"), r->last_classes, whole);
    if (r->has_test)
        json_add(json, "test", test_json(r, whole));
    return json;
}

/* A line for each member: indented, a matrix would take one for each number. Takes json. */
static bool write_json(Arena *arena, const char *path, json_t *json, Error *error) {
    Str s = str_create(arena);
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
        str_addf(&s, "%s \"%s\": %s", s.length ? ",\n" : "{\n", key, json_print(arena, value, JSON_ENCODE_ANY));
    str_add(&s, "\n}\n");
    json_decref(json);
    return file_write_atomic(path, s.data, s.length, error);
}

/* null is NaN. */
static double number_at(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NAN : json_number_value(value);
}

bool train_read_result(Arena *arena, const char *path, TrainResult *r, Error *error) {
    SourceFile *file = file_is_missing(path) ? NULL : source_read(arena, path, error);
    json_t *json = file ? json_loadb(file->text, file->size, 0, NULL) : NULL;
    json_t *last = json_object_get(json, "last"), *best = json_object_get(json, "best"),
           *test = json_object_get(json, "test");
    const char *data = json_string_value(json_object_get(json, "data"));
    bool ok = data && json_is_object(last) && json_is_object(best);
    if (ok)
        *r = (TrainResult){.seed = (uint64_t)json_integer_value(json_object_get(json, "seed")),
                           .data = arena_strdup(arena, data),
                           .images = (int64_t)number_at(json, "images"),
                           .epochs = (int64_t)number_at(json, "epochs"),
                           .best_epoch = (int64_t)number_at(best, "epoch"),
                           .best_accuracy = number_at(best, "accuracy"),
                           .last_accuracy = number_at(last, "accuracy"),
                           .last_loss = number_at(last, "loss"),
                           .has_test = json_is_object(test),
                           .test_accuracy = number_at(test, "accuracy"),
                           .test_accuracy5 = number_at(test, "accuracy5"),
                           .test_loss = number_at(test, "loss"),
                           .test_images = (int64_t)number_at(test, "images")};
    json_decref(json);
    return ok;
}

bool train_finish(Train *t, Error *error) {
    Loop *l = &t->loop;
    const char *path = loop_file(l, "result.json");
    TrainResult before;
    if (!t->has_last && train_read_result(l->arena, path, &before, error) && before.epochs == l->at.epochs) {
        t->result = before;
        return true;
    }
    if (error->kind)
        return false;
    t->result.seed = l->at.seed;
    t->result.epochs = l->at.epochs;
    t->result.best_epoch = l->at.best_epoch;
    t->result.best_accuracy = l->at.best_accuracy;
    t->result.last_classes = t->valid_classes;
    if (!average_exchange(l->program, error) || !loop_save_weights(l, "weights.safetensors", error) ||
        (!t->has_last && !evaluate_last(t, error)) ||
        (t->loop.settings.train.hold_out > 0 && t->test.count > 0 && !evaluate_test(t, error)))
        return false;
    return !loop_writes(l) || write_json(l->arena, path, result_json(&t->result, true), error);
}

/* ---- for people ---- */

static const char *data_words(const TrainResult *r) {
    return str_equal(r->data, "test") ? "test images" : "held-out training images";
}

void train_print_result(FILE *out, const TrainResult *r) {
    fprintf(out, "last epoch (%lld): %.2f %% of the %lld %s\n", (long long)r->epochs, 100 * r->last_accuracy,
            (long long)r->images, data_words(r));
    fprintf(out, "best epoch (%lld): %.2f %% of the %lld %s%s\n", (long long)r->best_epoch + 1, 100 * r->best_accuracy,
            (long long)r->images, data_words(r), r->has_test ? "" : ", which also chose it");
    if (!r->has_test)
        return;
    Arena *arena = arena_create();
    fprintf(out, "test: %.2f %% of the %lld test images%s, loss %.4f, with the weights of epoch %lld; looked at once\n",
            100 * r->test_accuracy, (long long)r->test_images,
            evaluate_top5_words(arena, ", top-5 ", r->test_accuracy5), r->test_loss, (long long)r->best_epoch + 1);
    arena_destroy(arena);
}

/* Mean and sample deviation; the deviation of one number is not defined. */
typedef struct Spread {
    double mean, deviation;
} Spread;

typedef double ResultNumber(const TrainResult *result);

static double get_last(const TrainResult *r) {
    return r->last_accuracy;
}

static double get_best(const TrainResult *r) {
    return r->best_accuracy;
}

static double get_test(const TrainResult *r) {
    return r->test_accuracy;
}

static Spread spread_of(const TrainResult *results, int count, ResultNumber *number) {
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += number(&results[i]);
    for (int i = 0; i < count; i++)
        squares += (number(&results[i]) - sum / count) * (number(&results[i]) - sum / count);
    return (Spread){sum / count, count > 1 ? sqrt(squares / (count - 1)) : NAN};
}

static json_t *spread_json(Spread s) {
    return json_pack("{s:o, s:o}", "mean", json_number(s.mean), "deviation", json_number(s.deviation));
}

static void print_number(FILE *out, double accuracy) {
    if (isnan(accuracy))
        fprintf(out, " %9s", "-");
    else
        fprintf(out, " %7.2f %%", 100 * accuracy);
}

static void print_row(FILE *out, const char *name, const double *numbers, int count) {
    fprintf(out, "%-10s", name);
    for (int i = 0; i < count; i++)
        print_number(out, numbers[i]);
    fputc('\n', out);
}

bool train_summarize(Arena *arena, const char *folder, const TrainResult *results, int count, FILE *out, Error *error) {
    static ResultNumber *const numbers[] = {get_last, get_best, get_test};
    static const char *const names[] = {"last", "best", "test"};
    int columns = results[0].has_test ? 3 : 2;
    double means[3], deviations[3];
    json_t *json = json_pack("{s:s, s:[]}", "data", results[0].data, "seeds");
    fprintf(out, "accuracy; last and best epoch: on the %s%s\n%-10s", data_words(&results[0]),
            columns == 3 ? "; test: with the weights of the best epoch" : ", which also choose the best", "seed");
    for (int c = 0; c < columns; c++)
        fprintf(out, " %9s", names[c]);
    fputc('\n', out);
    for (int i = 0; i < count; i++) {
        double row[3] = {results[i].last_accuracy, results[i].best_accuracy, results[i].test_accuracy};
        print_row(out, arena_printf(arena, "%llu", (unsigned long long)results[i].seed), row, columns);
        json_append(json_object_get(json, "seeds"), result_json(&results[i], false));
    }
    for (int c = 0; c < columns; c++) {
        Spread s = spread_of(results, count, numbers[c]);
        means[c] = s.mean;
        deviations[c] = s.deviation;
        json_add(json, names[c], spread_json(s));
    }
    print_row(out, "mean", means, columns);
    print_row(out, "deviation", deviations, columns);
    return write_json(arena, arena_printf(arena, "%s/summary.json", folder), json, error);
}
