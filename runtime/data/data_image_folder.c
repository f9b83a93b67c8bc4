/* data_image_folder.c: a tree of pictures as a data set: one folder per class, sorted by name as torchvision's ImageFolder
 * does. Pictures are decoded when a batch needs them, by the loader's threads; one that is broken is skipped, counted
 * and named, once. */
#include "runtime/data/data.h"

#include "base/arena.h"
#include "base/hash.h"
#include "runtime/data/image.h"
#include "runtime/data/picture_tree.h"
#include "runtime/data/picture_tree_look.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMED = 1000 };

typedef struct ImageFolder {
    Arena *arena;
    PictureTree tree;
    int side;             /* of the short side before the middle is cut out */
    pthread_mutex_t lock; /* guards the next two */
    bool *broken;
    int64_t broken_count;
} ImageFolder;

/* One order for all time, in which any part of the pictures has some of every class: what limit, split and hold_out
 * take from the front and the back. */
static void mix_classes(PictureTree *f) {
    uint32_t stream = draw_stream_hash("image_folder.order");
    for (size_t i = f->count; i-- > 1;) {
        PhiloxBlock r = philox_4x32_10((PhiloxBlock){{(uint32_t)i, 0, stream, 0}}, 0);
        size_t j = (size_t)(((uint64_t)r.word[0] << 32 | r.word[1]) % (i + 1));
        const char *path = f->paths[i];
        int32_t label = f->labels[i];
        f->paths[i] = f->paths[j], f->labels[i] = f->labels[j];
        f->paths[j] = path, f->labels[j] = label;
    }
}

/* Advice that works: a training learns as many classes as there are, a test part may have empty ones. */
static bool check_count(const PictureTree *t, const DataOptions *o, DataPart part, Error *error) {
    if (t->class_count == o->classes)
        return true;
    const char *what = arena_printf(
        t->arena, "%s: found %d folders of classes (%s); the network has %d classes", t->root, t->class_count,
        picture_tree_list(t->arena, (const char *const *)t->classes, (size_t)t->class_count), o->classes);
    if (part == DATA_train)
        return error_set(error, ERROR_INPUT, "%s (--set classes=%d)", what, t->class_count);
    return error_set(error, ERROR_INPUT, "%s; there must be a folder for each, which may be empty", what);
}

static bool find_pictures(ImageFolder *f, const DataOptions *o, DataPart part, Error *error) {
    PictureTree *t = &f->tree;
    bool test = part == DATA_test;
    if (!picture_tree_find(f->arena, o->path, test, t, error) || !check_count(t, o, part, error) ||
        !picture_tree_read(t, test, error))
        return false;
    if (t->whole && test)
        fprintf(diag_notes(), "note: '%s' has no folder val or test: all of its pictures are taken\n", t->path);
    if (!test)
        mix_classes(t);
    return true;
}

static bool has_test(const DataOptions *options) {
    return picture_tree_has_test(options->path);
}

/* ---- pictures ---- */

static void note_broken(ImageFolder *f, int64_t index, const char *why) {
    pthread_mutex_lock(&f->lock);
    bool first = !f->broken[index];
    f->broken[index] = true;
    f->broken_count += first;
    if (first && f->broken_count <= MOST_NAMED)
        fprintf(diag_notes(), "warning: skipped: %s\n", why);
    pthread_mutex_unlock(&f->lock);
}

static bool load_picture(const Dataset *data, int64_t index, Image *image, Error *error) {
    ImageFolder *f = data->source;
    Error broken = {ERROR_NONE, ""};
    bool good = image_read(f->tree.paths[index], image, &broken, error);
    if (good && image_is_too_long(image, f->side)) {
        good = error_set(&broken, ERROR_INPUT, "%s: too large to be resized", f->tree.paths[index]);
        image_free(image);
    }
    if (broken.kind)
        note_broken(f, index, broken.message);
    return good;
}

static void close_folder(void *source) {
    ImageFolder *f = source;
    if (f->broken_count)
        fprintf(diag_notes(), "warning: %s: %lld of %zu images were broken and skipped\n", f->tree.root,
                (long long)f->broken_count, f->tree.count);
    pthread_mutex_destroy(&f->lock);
    arena_destroy(f->arena);
}

static bool read_set(const DataOptions *o, DataPart part, Dataset *data, Error *error) {
    Arena *arena = arena_create();
    ImageFolder *f = ARENA_NEW(arena, ImageFolder);
    *f = (ImageFolder){.arena = arena, .side = data_side(o)};
    pthread_mutex_init(&f->lock, NULL);
    data->source = f;
    data->close = close_folder;
    if (o->channels != IMAGE_CHANNELS && o->channels != 1)
        return error_set(error, ERROR_INPUT,
                         "pictures have 3 channels, or 1 when they are made grey; the network takes %d", o->channels);
    if (!data_check_side(o, error) || !find_pictures(f, o, part, error))
        return false;
    int64_t count = (int64_t)f->tree.count;
    f->broken = ARENA_ARRAY(arena, bool, count);
    memset(f->broken, 0, sizeof(bool) * (size_t)count);
    data->count = part == DATA_train && o->limit > 0 && o->limit < count ? o->limit : count;
    data->height = o->height;
    data->width = o->width;
    data->channels = o->channels;
    data->classes = o->classes;
    data->class_names = (const char *const *)f->tree.classes;
    data->names = (const char *const *)f->tree.paths;
    data->root = f->tree.root;
    data->load = load_picture;
    data->slow = true;
    data->labels = malloc(sizeof(int32_t) * (size_t)count);
    if (!data->labels)
        return error_set(error, ERROR_MACHINE, "no memory for %lld labels", (long long)count);
    memcpy(data->labels, f->tree.labels, sizeof(int32_t) * (size_t)count);
    return true;
}

const DataFormat data_image_folder = {.read = read_set, .has_test = has_test, .look = picture_tree_look};
