/* train_setup.c: from a command line to a training that is ready to take its next step. What can be found wrong quickly
 * (text, data, checkpoint file) is looked at before anything is compiled. */
#include "runtime/loops/train.h"

#include "base/file.h"
#include "base/str.h"
#include "runtime/data/class_balance.h"
#include "runtime/driver/recipe.h"
#include "runtime/loops/agree.h"

#include <math.h>
#include <string.h>

static bool check_kind(const Loop *l, Error *error) {
    const char *kind = l->settings.network.kind;
    return settings_are_of(&l->settings, "train") ||
           error_set(error, ERROR_INPUT,
                     "%s describes a %s and has no 'train { ... }'; --recipe NAME says how to train it (%s)",
                     l->options.path, kind ? kind : "network", recipe_list(l->arena));
}

/* ---- data ---- */

/* Test images; with a hold-out there need not be any. */
static bool open_test(Train *t, Error *error) {
    const DataOptions *o = &t->loop.data_options;
    if (data_has_test(o))
        return data_open(o, DATA_test, &t->test, error);
    return t->loop.settings.train.hold_out > 0 ||
           error_set(error, ERROR_INPUT,
                     "%s: no folder 'val' or 'test' with folders of classes to test with; hold_out 0.2 tests with a "
                     "part of the training pictures (--set hold_out=0.2)",
                     o->path);
}

static bool open_data(Train *t, Error *error) {
    Loop *l = &t->loop;
    if (!loop_open_data(l, error) || !open_test(t, error) || !data_mark(&t->test, &l->at.test, error) ||
        !agree_on_images(l->options.ranks, "other images to test with", &l->at.test, error))
        return false;
    int64_t held_out = (int64_t)floor(t->loop.settings.train.hold_out * (double)l->data.count);
    t->train_images = l->data.count - held_out;
    if (t->train_images < 1 || (t->loop.settings.train.hold_out > 0 && held_out < 1))
        return error_set(error, ERROR_INPUT, "train.hold_out %g of %lld training images leaves %lld and %lld",
                         t->loop.settings.train.hold_out, (long long)l->data.count, (long long)t->train_images,
                         (long long)held_out);
    const char *kept = held_out ? arena_printf(l->arena, ", %lld held out", (long long)held_out) : "",
               *test = t->test.count ? arena_printf(l->arena, ", %lld to test with", (long long)t->test.count) : "";
    loop_print_data(l, arena_printf(l->arena, "%lld to train on%s%s", (long long)t->train_images, kept, test));
    t->result.data = held_out ? "hold_out" : "test";
    t->result.images = held_out ? held_out : t->test.count;
    return true;
}

/* OUT/classes.txt, where the data says what its classes are called: for infer --classes. */
static bool write_class_names(const Train *t, Error *error) {
    const Dataset *data = &t->loop.data;
    Str text = str_create(t->loop.arena);
    for (int i = 0; data->class_names && i < data->classes; i++)
        str_addf(&text, "%s\n", str_utf8(text.arena, data->class_names[i]));
    return !data->class_names || !loop_writes(&t->loop) ||
           file_write_atomic(loop_file(&t->loop, "classes.txt"), text.data, text.length, error);
}

static bool open_loaders(Train *t, Error *error) {
    LoaderOptions o = loop_loader_options(&t->loop);
    const TrainSettings *s = &t->loop.settings.train;
    o.count = t->train_images, o.shuffle_stream = "shuffle.train";
    o.mix = (MixOptions){s->mixup, s->cutmix, s->mix_probability};
    t->train_loader = loader_create(&o, error);
    o.mix = (MixOptions){0}, o.shuffle_stream = NULL, o.augment = &t->loop.no_augment;
    if (t->loop.settings.train.hold_out > 0)
        o.first = t->train_images, o.count = t->loop.data.count - t->train_images;
    else
        o.data = &t->test, o.count = t->test.count;
    t->valid_loader = t->train_loader ? loader_create(&o, error) : NULL;
    t->loop.steps = t->valid_loader ? loader_batch_count(t->train_loader) : 0;
    const Dataset *data = t->loop.settings.train.hold_out > 0 ? &t->loop.data : &t->test;
    t->valid_classes = classwise_create(t->loop.arena, data->classes, data->class_names);
    return t->valid_loader != NULL;
}

/* ---- the whole ---- */

/* Lost weights of the best epoch are no result: those of a later one may be. */
static void check_best(Train *t) {
    Loop *l = &t->loop;
    const char *path = loop_file(l, "best.safetensors");
    bool is_needed = l->options.resume && l->at.best_epoch >= 0 && l->at.epoch < l->at.epochs;
    if (!is_needed || !file_is_missing(path))
        return;
    fprintf(diag_notes(),
            "warning: there is no file '%s', with the weights of the best epoch so far (%lld); the best is looked for "
            "among the epochs to come\n",
            path, (long long)l->at.best_epoch + 1);
    l->at.best_epoch = -1;
    l->at.best_accuracy = 0;
}

bool train_open(Train *t, Error *error) {
    static const GraphKind kinds[] = {GRAPH_train, GRAPH_eval};
    Loop *l = &t->loop;
    if (!loop_load_text(l, error) || !check_kind(l, error) ||
        !data_options_read(&l->settings, &l->data_options, error) || !loop_open_folder(l, error))
        return false;
    l->at.seed = l->options.has_seed ? l->options.seed : (uint64_t)l->settings.train.seed;
    l->at.epochs = l->settings.train.epochs;
    l->at.best_epoch = -1;
    if (!loop_read_state(l, error) || !open_data(t, error) || !loop_check_data(l, error) ||
        !loop_open_program(l, kinds, sizeof(kinds) / sizeof(kinds[0]), error) || !loop_set_state(l, error) ||
        !class_weights_set(l->program, &l->settings, &l->data, t->train_images, error) || !open_loaders(t, error))
        return false;
    check_best(t);
    return loop_begin(l, "train", error) && write_class_names(t, error);
}

void train_close(Train *t) {
    loader_destroy(t->train_loader);
    loader_destroy(t->valid_loader);
    loop_close(&t->loop);
    data_close(&t->test);
}
