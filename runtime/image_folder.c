/* image_folder.c: a tree of pictures as a data set: one folder per class, sorted by name as torchvision's ImageFolder
 * does. Pictures are decoded when a batch needs them, by the loader's threads; one that is broken is skipped, counted
 * and named, once. */
#include "runtime/data.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "runtime/image.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 8, MOST_NAMED = 1000 };

typedef struct ImageFolder {
    Arena *arena;
    const char *root;
    int side; /* of the short side before the middle is cut out */
    const char *const *classes;
    const char **paths;
    int32_t *labels;
    size_t count, path_capacity, label_count, label_capacity;
    pthread_mutex_t lock; /* guards the next two */
    bool *broken;
    int64_t broken_count;
} ImageFolder;

/* ---- listing ---- */

typedef struct Names {
    const char **items;
    size_t count, capacity;
} Names;

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

/* What is in a folder, sorted: sub-folders and pictures. Hidden files are none. */
static bool list_folder(Arena *arena, const char *path, Names *folders, Names *pictures, Error *error) {
    DIR *directory = opendir(path);
    if (!directory)
        return error_set(error, ERROR_INPUT, "cannot open the folder '%s': %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *name = arena_strdup(arena, entry->d_name);
        if (is_folder(arena_printf(arena, "%s/%s", path, name)))
            ARENA_PUSH(arena, folders->items, folders->count, folders->capacity, name);
        else if (is_picture(name))
            ARENA_PUSH(arena, pictures->items, pictures->count, pictures->capacity, name);
    }
    closedir(directory);
    if (folders->count)
        qsort(folders->items, folders->count, sizeof *folders->items, compare_names);
    if (pictures->count)
        qsort(pictures->items, pictures->count, sizeof *pictures->items, compare_names);
    return true;
}

static bool add_class(ImageFolder *f, const char *path, int label, int depth, Error *error) {
    Names folders = {0}, pictures = {0};
    if (!list_folder(f->arena, path, &folders, &pictures, error))
        return false;
    for (size_t i = 0; i < pictures.count; i++) {
        const char *whole = arena_printf(f->arena, "%s/%s", path, pictures.items[i]);
        ARENA_PUSH(f->arena, f->paths, f->count, f->path_capacity, whole);
        ARENA_PUSH(f->arena, f->labels, f->label_count, f->label_capacity, label);
    }
    for (size_t i = 0; depth < MAX_DEPTH && i < folders.count; i++) {
        if (!add_class(f, arena_printf(f->arena, "%s/%s", path, folders.items[i]), label, depth + 1, error))
            return false;
    }
    return true;
}

static bool add_classes(ImageFolder *f, const DataOptions *o, Error *error) {
    Names folders = {0}, pictures = {0};
    if (!list_folder(f->arena, f->root, &folders, &pictures, error))
        return false;
    if ((int64_t)folders.count != o->classes)
        return error_set(error, ERROR_INPUT,
                         "%s: found %zu folders of classes; the network has %d classes (--set classes=%zu)", f->root,
                         folders.count, o->classes, folders.count);
    f->classes = folders.items;
    for (size_t i = 0; i < folders.count; i++) {
        if (!add_class(f, arena_printf(f->arena, "%s/%s", f->root, folders.items[i]), (int)i, 0, error))
            return false;
    }
    return f->count > 0 || error_set(error, ERROR_INPUT, "%s: no .jpg, .jpeg or .png in its folders", f->root);
}

/* One order for all time, in which any part of the pictures has some of every class: what limit, split and hold_out
 * take from the front and the back. */
static void mix_classes(ImageFolder *f) {
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

/* PATH/train for training; PATH/val or PATH/test, or a tree that has none of these, for testing. */
static bool find_root(ImageFolder *f, const DataOptions *o, DataPart part, Error *error) {
    static const char *const names[2][2] = {{"train", "train"}, {"val", "test"}};
    for (int i = 0; i < 2; i++) {
        f->root = arena_printf(f->arena, "%s/%s", o->path, names[part == DATA_test][i]);
        if (is_folder(f->root))
            return true;
    }
    f->root = o->path;
    if (!is_folder(o->path))
        return error_set(error, ERROR_INPUT, "there is no folder '%s'", o->path);
    bool has_train = is_folder(arena_printf(f->arena, "%s/train", o->path));
    return (part == DATA_test && !has_train) || error_set(error, ERROR_INPUT, "%s: expected a folder '%s' in it",
                                                          o->path, part == DATA_test ? "val' or 'test" : "train");
}

/* ---- pictures ---- */

static void note_broken(ImageFolder *f, int64_t index, const char *why) {
    pthread_mutex_lock(&f->lock);
    bool first = !f->broken[index];
    f->broken[index] = true;
    f->broken_count += first;
    if (first && f->broken_count <= MOST_NAMED)
        fprintf(stderr, "warning: skipped: %s\n", why);
    pthread_mutex_unlock(&f->lock);
}

static bool load_picture(const Dataset *data, int64_t index, Image *image, Error *error) {
    ImageFolder *f = data->source;
    Error broken = {ERROR_NONE, ""};
    bool good = image_read(f->paths[index], image, &broken, error);
    if (good && image_is_too_long(image, f->side)) {
        good = error_set(&broken, ERROR_INPUT, "%s: too large to be resized", f->paths[index]);
        image_free(image);
    }
    if (broken.kind)
        note_broken(f, index, broken.message);
    return good;
}

static void close_folder(void *source) {
    ImageFolder *f = source;
    if (f->broken_count)
        fprintf(stderr, "warning: %s: %lld of %zu images were broken and skipped\n", f->root,
                (long long)f->broken_count, f->count);
    pthread_mutex_destroy(&f->lock);
    arena_destroy(f->arena);
}

bool data_read_image_folder(const DataOptions *o, DataPart part, Dataset *data, Error *error) {
    Arena *arena = arena_create();
    ImageFolder *f = ARENA_NEW(arena, ImageFolder);
    *f = (ImageFolder){.arena = arena, .side = data_side(o)};
    pthread_mutex_init(&f->lock, NULL);
    data->source = f;
    data->close = close_folder;
    if (o->channels != IMAGE_CHANNELS)
        return error_set(error, ERROR_INPUT, "pictures have 3 channels; the network takes %d", o->channels);
    if (!data_check_side(o, error) || !find_root(f, o, part, error) || !add_classes(f, o, error))
        return false;
    if (part == DATA_train)
        mix_classes(f);
    int64_t count = (int64_t)f->count;
    f->broken = ARENA_ARRAY(arena, bool, count);
    data->count = part == DATA_train && o->limit > 0 && o->limit < count ? o->limit : count;
    data->height = o->height;
    data->width = o->width;
    data->channels = o->channels;
    data->classes = o->classes;
    data->class_names = f->classes;
    data->load = load_picture;
    data->slow = true;
    data->labels = malloc(sizeof(int32_t) * (size_t)count);
    if (!data->labels)
        return error_set(error, ERROR_MACHINE, "no memory for %lld labels", (long long)count);
    memcpy(data->labels, f->labels, sizeof(int32_t) * (size_t)count);
    return true;
}
