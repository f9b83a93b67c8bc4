/* predict_pictures.c: files of pictures through a network: each is made to the network's size and normalised as the
 * images of its data are for evaluation, a batch at a time. A broken one is named and skipped. */
#include "runtime/data/predict_pictures.h"
#include "base/file_kind.h"
#include "base/str.h"
#include "runtime/data/data.h"
#include "runtime/data/net_data.h"
#include "runtime/driver/predict.h"

#include <math.h>
#include <string.h>

typedef struct Pictures {
    Arena *arena;
    RtProgram *program;
    const PicturesOptions *o;
    DataOptions options;
    Augment augment;
    const char **names; /* of the classes, or NULL */
    Tensor images;      /* the batch, N x C x H x W */
    const char **paths; /* of its pictures */
    double *scratch;
    int64_t broken;
    float *logits; /* of all good pictures */
    int64_t done;
} Pictures;

/* ---- names of classes ---- */

/* One name a line; empty lines at the end do not count. */
static bool read_names(Pictures *p, Error *error) {
    const char *path = p->o->class_names;
    if (!path)
        return true;
    SourceFile *file = source_read(p->arena, path, error);
    FileKind kind = file ? file_kind(file->text, file->size) : FILE_unknown;
    if (!file || (!file_kind_is_text(kind) && !file_expect_kind(path, kind, FILE_text, "names, one a line", error)))
        return false;
    int count = 0, capacity = 0, named = 0;
    const char *mark = "\xef\xbb\xbf"; /* of the byte order, which editors put in front */
    for (const char *at = file->text + (str_starts_with(file->text, mark) ? 3 : 0); *at;) {
        size_t length = strcspn(at, "\r\n");
        const char *name = str_bytes(p->arena, arena_strndup(p->arena, at, length));
        ARENA_PUSH(p->arena, p->names, count, capacity, name);
        named = length ? count : named;
        at += length;
        at += *at == '\r' && at[1] == '\n' ? 2 : *at != 0;
    }
    return named == p->options.classes || error_set(error, ERROR_INPUT, "%s names %d classes, one a line; %s has %d",
                                                    path, named, p->o->net, p->options.classes);
}

/* ---- a batch of pictures ---- */

/* Into the next place of the batch; a broken one is named. */
static bool read_picture(Pictures *p, const char *path, int64_t *count, Error *error) {
    const DataOptions *o = &p->options;
    size_t pixels = (size_t)o->height * (size_t)o->width, channels = (size_t)o->channels;
    Error broken = {ERROR_NONE, ""};
    Image image;
    bool good = image_read(path, &image, &broken, error);
    if (good && image_is_too_long(&image, data_side(o)))
        good = error_set(&broken, ERROR_INPUT, "%s: too large to be resized", path);
    good = good && augment_picture(&p->augment, &image, p->scratch, error);
    image_free(&image);
    if (!good && !broken.kind)
        return false;
    if (!good) {
        fprintf(diag_notes(), "warning: skipped: %s\n", broken.message);
        p->broken++;
        return true;
    }
    p->paths[*count] = path;
    double *to = (double *)p->images.data + (size_t)(*count)++ * pixels * channels;
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < pixels; i++)
            *to++ = p->scratch[i * channels + c];
    }
    return true;
}

/* ---- the best classes ---- */

/* The softmax of one image's logits; the largest first, of equal ones the first. */
static int find_best(const float *logits, int classes, ClassGuess *best) {
    double largest = -INFINITY, sum = 0;
    int count = 0;
    for (int i = 0; i < classes; i++)
        largest = fmax(largest, (double)logits[i]);
    for (int i = 0; i < classes; i++)
        sum += exp((double)logits[i] - largest);
    for (int i = 0; i < classes; i++) {
        ClassGuess guess = {i, NULL, exp((double)logits[i] - largest) / sum};
        int at = count;
        for (; at > 0 && best[at - 1].probability < guess.probability; at--) {
            if (at < PREDICT_BEST)
                best[at] = best[at - 1];
        }
        if (at < PREDICT_BEST)
            best[at] = guess;
        count += count < PREDICT_BEST;
    }
    return count;
}

/* ---- all of them ---- */

static void show_best(const Pictures *p, int64_t count, const float *logits) {
    for (int64_t i = 0; i < count; i++, logits += p->options.classes) {
        ClassGuess best[PREDICT_BEST];
        int found = find_best(logits, p->options.classes, best);
        for (int k = 0; p->names && k < found; k++)
            best[k].name = p->names[best[k].number];
        p->o->show(p->o->context, p->paths[i], best, found);
    }
}

/* The logits go behind those of the batches before. */
static bool run_batch(Pictures *p, int64_t count, Error *error) {
    float *numbers = p->logits + p->done * p->options.classes;
    p->images.shape[0] = count;
    p->done += count;
    if (!predict_logits(p->program, &p->images, numbers, error))
        return false;
    show_best(p, count, numbers);
    return true;
}

static bool run_all(Pictures *p, Error *error) {
    const PicturesOptions *list = p->o;
    int64_t batch = rt_program_batch(p->program), count = 0;
    for (int i = 0; i < list->count; i++) {
        if (!read_picture(p, list->paths[i], &count, error))
            return false;
        if (count == 0 || (count < batch && i + 1 < list->count))
            continue;
        if (!run_batch(p, count, error))
            return false;
        count = 0;
    }
    if (p->broken)
        fprintf(diag_notes(), "warning: %lld of %d pictures were broken and skipped\n", (long long)p->broken,
                list->count);
    return p->done > 0 || error_set(error, ERROR_INPUT, "none of the pictures can be read");
}

static void make_room(Pictures *p) {
    const DataOptions *o = &p->options;
    Arena *arena = p->arena;
    int64_t batch = rt_program_batch(p->program);
    p->images = (Tensor){.name = "pictures", .type = TENSOR_f64, .rank = 4};
    const int64_t shape[] = {batch, o->channels, o->height, o->width};
    memcpy(p->images.shape, shape, sizeof shape);
    p->images.data = arena_alloc(arena, sizeof(double) * (size_t)tensor_count(&p->images));
    p->scratch = arena_alloc(arena, sizeof(double) * (size_t)(o->channels * o->height * o->width));
    p->paths = ARENA_ARRAY(arena, const char *, batch);
    p->logits = ARENA_ARRAY(arena, float, (int64_t)p->o->count * o->classes);
}

bool predict_pictures(Arena *arena, RtProgram *program, const PicturesOptions *o, Tensor *logits, Error *error) {
    Pictures p = {.arena = arena, .program = program, .o = o};
    if (!net_data_options(arena, program, GRAPH_infer, o->net, o->data, "image_folder", &p.options, error) ||
        !read_names(&p, error))
        return false;
    if (p.options.channels != 1 && p.options.channels != IMAGE_CHANNELS)
        return error_set(error, ERROR_INPUT, "pictures have 1 or 3 channels; %s takes %d", o->net, p.options.channels);
    augment_prepare(&p.options, false, &p.augment);
    make_room(&p);
    bool ok = run_all(&p, error);
    *logits = (Tensor){.name = "logits", .type = TENSOR_f32, .rank = 2, .shape = {p.done, p.options.classes}};
    logits->data = p.logits;
    return ok;
}
