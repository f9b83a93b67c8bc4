/* picture_tree.c: walks over a folder of pictures.
 *
 *     PATH/train/CLASS/any/where/picture.jpg      parts, each with the same classes; or
 *     PATH/CLASS/any/where/picture.jpg            classes alone: all of them are both parts
 *
 * Classes are known by name: their numbers are those of the training part, whichever part is read. A folder is a class
 * with all that is below it. Links are followed, but no folder is read twice: one that is met again, or lies above, is
 * named and left out, and in two classes it is a mistake. */
#include "runtime/data/picture_tree.h"

#include "base/file.h"
#include "runtime/data/image.h"
#include "runtime/data/picture_tree_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 32, MOST_LISTED = 8, MOST_COMPLAINTS = 20, ABOVE = -1 };

const char *picture_tree_list(Arena *arena, const char *const *names, size_t count) {
    Str list = str_create(arena);
    for (size_t i = 0; i < count && i < MOST_LISTED; i++)
        str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    if (count > MOST_LISTED)
        str_addf(&list, " and %zu more", count - MOST_LISTED);
    return list.data;
}

/* ---- parts ---- */

/* How near a folder's name is to a part's: 0 is the best, -1 none. */
static int part_rank(const char *name, bool test) {
    static const char *const names[2][5] = {{"train", "training"}, {"val", "valid", "validation", "test", "testing"}};
    for (int i = 0; i < 5 && names[test][i]; i++) {
        if (strcasecmp(name, names[test][i]) == 0)
            return i;
    }
    return -1;
}

static bool has_folders(Arena *arena, const char *path) {
    FolderList list;
    Error unread = {ERROR_NONE, ""};
    return folder_list(arena, path, &list, &unread) && list.folders.count > 0;
}

/* The folder of a part, or NULL. One that holds no folders is no part: it may be a class of that name. */
static const char *find_part(Arena *arena, const char *path, const FolderNames *folders, bool test) {
    const char *best = NULL;
    for (size_t i = 0; i < folders->count; i++) {
        int rank = part_rank(folders->items[i], test);
        const char *part = arena_printf(arena, "%s/%s", path, folders->items[i]);
        if (rank >= 0 && (!best || rank < part_rank(strrchr(best, '/') + 1, test)) && has_folders(arena, part))
            best = part;
    }
    return best;
}

/* Only folders with the names of parts, which hold no folders themselves. */
static bool only_parts(const FolderNames *folders) {
    size_t parts = 0;
    for (size_t i = 0; i < folders->count; i++)
        parts += part_rank(folders->items[i], false) >= 0 || part_rank(folders->items[i], true) >= 0;
    return parts == folders->count;
}

static bool no_classes(Arena *arena, const char *path, const FolderNames *folders, Error *error) {
    if (folders->count == 0)
        return error_set(error, ERROR_INPUT,
                         "%s: no folders of classes in it; expected %s/CLASS/picture.jpg, a folder for each class",
                         path, path);
    return error_set(error, ERROR_INPUT,
                     "%s: no folders of classes in %s; expected %s/%s/CLASS/picture.jpg, a folder for each class", path,
                     picture_tree_list(arena, folders->items, folders->count), path, folders->items[0]);
}

static bool take_classes(PictureTree *t, const char *from, Error *error) {
    FolderList list;
    if (!folder_list(t->arena, from, &list, error))
        return false;
    t->classes = list.folders.items;
    t->class_count = (int)list.folders.count;
    for (int i = 0; i < t->class_count; i++) {
        if (strpbrk(t->classes[i], "\r\n"))
            return error_set(error, ERROR_INPUT, "%s: a folder whose name has a line break cannot be a class: '%s'",
                             from, t->classes[i]);
    }
    return list.folders.count > 0 || no_classes(t->arena, from, &list.folders, error);
}

bool picture_tree_find(Arena *arena, const char *path, bool test, PictureTree *t, Error *error) {
    *t = (PictureTree){.arena = arena, .path = path, .met = str_map_create(arena), .unread = str_map_create(arena)};
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INPUT, "'%s' is no folder", path);
    FolderList list;
    if (!folder_list(arena, path, &list, error))
        return false;
    const char *train = find_part(arena, path, &list.folders, false),
               *other = find_part(arena, path, &list.folders, true);
    if (!train && !other && only_parts(&list.folders))
        return no_classes(arena, path, &list.folders, error);
    if (!train && other && !test)
        return error_set(error, ERROR_INPUT, "%s: expected a folder 'train' in it, beside '%s'", path,
                         strrchr(other, '/') + 1);
    if (train && !other && test)
        return error_set(error, ERROR_INPUT,
                         "%s: expected a folder 'val' or 'test' in it, with folders of the classes of '%s'", path,
                         strrchr(train, '/') + 1);
    t->whole = !train && !other;
    t->root = t->whole ? path : test ? other : train;
    return take_classes(t, train ? train : t->root, error);
}

bool picture_tree_has_test(const char *path) {
    Arena *arena = arena_create();
    Error ignored = {ERROR_NONE, ""}; /* of the training part it is said again */
    FolderList list;
    bool found = folder_list(arena, path, &list, &ignored) && find_part(arena, path, &list.folders, true);
    arena_destroy(arena);
    return found;
}

/* ---- what is found beside pictures ---- */

static void complain(PictureTree *t, const char *path, const char *what, const char *other) {
    if (t->complaints++ < MOST_COMPLAINTS)
        fprintf(diag_notes(), "warning: %s: %s%s\n", path, what, other);
}

typedef struct UnreadKind {
    int64_t count;
    const char *example, *note;
} UnreadKind;

static void note_unread(PictureTree *t, const char *kind, const char *note, const char *path) {
    UnreadKind *found = str_map_get(&t->unread, kind);
    if (!found) {
        found = ARENA_NEW(t->arena, UnreadKind);
        *found = (UnreadKind){0, path, note};
        str_map_set(&t->unread, arena_strdup(t->arena, kind), found);
    }
    found->count++;
}

/* "10 .heic (pics/train/c2/1.heic)", ... */
static const char *describe_unread(const PictureTree *t) {
    Str text = str_create(t->arena);
    for (size_t i = 0; i < t->unread.count; i++) {
        const UnreadKind *kind = t->unread.entries[i].value;
        str_addf(&text, "%s%lld %s (%s%s)", i ? ", " : "", (long long)kind->count, t->unread.entries[i].key,
                 kind->example, kind->note);
    }
    return text.data;
}

static void warn_unread(const PictureTree *t) {
    if (t->unread.count)
        fprintf(diag_notes(), "warning: %s: files that are not read: %s; read are %s\n", t->root, describe_unread(t),
                image_formats());
}

/* ---- the walk ---- */

typedef struct Met {
    int label; /* ABOVE: it holds what is read */
    const char *path;
} Met;

static const char *key_of(Arena *arena, const struct stat *status) {
    return arena_printf(arena, "%llx:%llx", (unsigned long long)status->st_dev, (unsigned long long)status->st_ino);
}

/* The root and what holds it, up to the file system's. */
static void meet_above(PictureTree *t) {
    const char *path = t->root, *last = "";
    struct stat status;
    for (int depth = 0; depth < 4096 && stat(path, &status) == 0;
         depth++, path = arena_printf(t->arena, "%s/..", path)) {
        const char *key = key_of(t->arena, &status);
        if (str_equal(key, last))
            return;
        Met *met = ARENA_NEW(t->arena, Met);
        *met = (Met){ABOVE, path};
        str_map_set(&t->met, key, met);
        last = key;
    }
}

typedef enum Visit { VISIT_go, VISIT_skip, VISIT_fail } Visit;

static Visit visit(PictureTree *t, const char *path, int label, int depth, Error *error) {
    struct stat status;
    if (stat(path, &status) != 0)
        return folder_fail(error, path), VISIT_fail;
    const char *key = key_of(t->arena, &status);
    const Met *before = str_map_get(&t->met, key);
    if (before && before->label != ABOVE && before->label != label) {
        error_set(error, ERROR_INPUT, "%s and %s are the same folder: its pictures cannot be both %s and %s",
                  before->path, path, t->classes[before->label], t->classes[label]);
        return VISIT_fail;
    }
    if (before) {
        complain(t, path,
                 before->label == ABOVE ? "leads back to a folder above it: not followed" : "not read again: it is ",
                 before->label == ABOVE ? "" : before->path);
        return VISIT_skip;
    }
    if (depth > MAX_DEPTH) {
        error_set(error, ERROR_INPUT, "%s: folders more than %d deep in a class", path, MAX_DEPTH);
        return VISIT_fail;
    }
    Met *met = ARENA_NEW(t->arena, Met);
    *met = (Met){label, path};
    str_map_set(&t->met, key, met);
    return VISIT_go;
}

static void take_file(PictureTree *t, const char *path, int label) {
    const char *package = NULL, *name = strrchr(path, '/') + 1;
    ImageSuffix suffix = image_suffix(name, &package);
    if (suffix == IMAGE_SUFFIX_read) {
        ARENA_PUSH(t->arena, t->paths, t->count, t->path_capacity, path);
        size_t labelled = t->count - 1;
        ARENA_PUSH(t->arena, t->labels, labelled, t->label_capacity, label);
        t->per_class[label]++;
    } else if (suffix == IMAGE_SUFFIX_left_out)
        note_unread(t, folder_suffix(t->arena, name),
                    arena_printf(t->arena, "; this ndarts was built without %s", package), path);
    else if (!folder_is_quiet(name))
        note_unread(t, folder_suffix(t->arena, name), "", path);
}

static bool add_folder(PictureTree *t, const char *path, int label, int depth, Error *error) {
    Visit how = visit(t, path, label, depth, error);
    FolderList list;
    if (how != VISIT_go)
        return how == VISIT_skip;
    if (!folder_list(t->arena, path, &list, error))
        return false;
    for (size_t i = 0; i < list.files.count; i++)
        take_file(t, arena_printf(t->arena, "%s/%s", path, list.files.items[i]), label);
    for (size_t i = 0; i < list.others.count; i++) {
        const char *package;
        if (image_suffix(list.others.items[i], &package) != IMAGE_SUFFIX_unknown)
            return error_set(error, ERROR_INPUT,
                             "'%s/%s' is no file but a link that leads nowhere, or a pipe: remove it", path,
                             list.others.items[i]);
    }
    for (size_t i = 0; i < list.folders.count; i++) {
        if (!add_folder(t, arena_printf(t->arena, "%s/%s", path, list.folders.items[i]), label, depth + 1, error))
            return false;
    }
    return true;
}

/* ---- classes by name ---- */

static int find_class(const PictureTree *t, const char *name) {
    for (int low = 0, high = t->class_count - 1; low <= high;) {
        int middle = (low + high) / 2, order = strcmp(name, t->classes[middle]);
        if (order == 0)
            return middle;
        order < 0 ? (high = middle - 1) : (low = middle + 1);
    }
    return -1;
}

static const char *empty_classes(const PictureTree *t, size_t *count) {
    const char **names = ARENA_ARRAY(t->arena, const char *, t->class_count);
    *count = 0;
    for (int i = 0; i < t->class_count; i++) {
        if (t->per_class[i] == 0)
            names[(*count)++] = t->classes[i];
    }
    return picture_tree_list(t->arena, names, *count);
}

/* Folders that are no class of training, and classes of training that have none. */
static bool refuse_names(PictureTree *t, const FolderNames *folders, Error *error) {
    const char **extra = ARENA_ARRAY(t->arena, const char *, folders->count + 1);
    const char **missing = ARENA_ARRAY(t->arena, const char *, t->class_count);
    size_t extras = 0, missed = 0;
    for (size_t i = 0; i < folders->count; i++) {
        if (find_class(t, folders->items[i]) < 0)
            extra[extras++] = folders->items[i];
    }
    for (int i = 0; i < t->class_count; i++) {
        bool found = false;
        for (size_t k = 0; k < folders->count && !found; k++)
            found = str_equal(folders->items[k], t->classes[i]);
        if (!found)
            missing[missed++] = t->classes[i];
    }
    return extras == 0 || error_set(error, ERROR_INPUT,
                                    "%s: folders that are no classes of the training pictures: %s%s%s; the classes are "
                                    "those of training by name: rename or remove them",
                                    t->root, picture_tree_list(t->arena, extra, extras), missed ? "; not there: " : "",
                                    missed ? picture_tree_list(t->arena, missing, missed) : "");
}

/* TinyImageNet's form: all pictures in one folder, and a text that says what they are. */
static bool read_annotations(PictureTree *t, const char *path, Error *error) {
    size_t size;
    const char *at = file_read(t->arena, path, &size, error);
    const char *end = at ? at + size : NULL;
    for (int line = 1; at && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        char *name = arena_strndup(t->arena, at, (size_t)(stop - at)), *class = strchr(name, '\t');
        at = stop + 1;
        if (name[strspn(name, " \t\r")] == '\0')
            continue;
        if (!class)
            return error_set(error, ERROR_INPUT, "%s: line %d: expected NAME<tab>CLASS", path, line);
        *class ++ = '\0';
        class[strcspn(class, "\t\r")] = '\0';
        int label = find_class(t, class);
        if (label < 0)
            return error_set(error, ERROR_INPUT, "%s: line %d: '%s' is no class of the training pictures", path, line,
                             class);
        const char *picture = arena_printf(t->arena, "%s/images/%s", t->root, name);
        struct stat status;
        if (stat(picture, &status) != 0 || !S_ISREG(status.st_mode))
            return error_set(error, ERROR_INPUT, "%s: line %d: there is no file '%s'", path, line, picture);
        take_file(t, picture, label);
    }
    return at && (t->count > 0 ||
                  error_set(error, ERROR_INPUT,
                            "%s: names no picture; expected a line NAME<tab>CLASS for each of %s/images, or a folder "
                            "for each class in %s",
                            path, t->root, t->root));
}

static const char *annotations_of(PictureTree *t, const FolderNames *folders) {
    if (t->whole) /* then the root may have no slash either */
        return NULL;
    bool alone = folders->count == 1 && str_equal(folders->items[0], "images") && find_class(t, "images") < 0;
    const char *path = arena_printf(t->arena, "%s/%s_annotations.txt", t->root, strrchr(t->root, '/') + 1);
    struct stat status;
    return alone && stat(path, &status) == 0 ? path : NULL;
}

static bool check_classes(PictureTree *t, bool test, Error *error) {
    size_t count;
    const char *empty = empty_classes(t, &count);
    const char *unread = t->unread.count ? arena_printf(t->arena, "; not read: %s", describe_unread(t)) : "";
    if (t->count == 0)
        return error_set(error, ERROR_INPUT, "%s: no pictures%s; read are %s", t->root, unread, image_formats());
    if (count && !test)
        return error_set(error, ERROR_INPUT,
                         "%s: no pictures of the class%s %s%s; put some there or take the folder away", t->root,
                         count > 1 ? "es" : "", empty, unread);
    if (count)
        fprintf(diag_notes(), "warning: %s: no pictures of the class%s %s, which the accuracy says nothing about\n",
                t->root, count > 1 ? "es" : "", empty);
    warn_unread(t);
    return true;
}

bool picture_tree_read(PictureTree *t, bool test, Error *error) {
    FolderList list;
    if (!folder_list(t->arena, t->root, &list, error))
        return false;
    t->per_class = ARENA_ARRAY(t->arena, int64_t, t->class_count);
    memset(t->per_class, 0, sizeof(*t->per_class) * (size_t)t->class_count);
    meet_above(t);
    const char *annotations = test ? annotations_of(t, &list.folders) : NULL;
    if (annotations)
        return read_annotations(t, annotations, error) && check_classes(t, test, error);
    if (!refuse_names(t, &list.folders, error))
        return false;
    size_t loose = 0;
    for (size_t i = 0; i < list.files.count; i++) {
        const char *package;
        loose += image_suffix(list.files.items[i], &package) != IMAGE_SUFFIX_unknown;
    }
    if (loose)
        fprintf(diag_notes(), "warning: %s: %zu pictures are in no folder of a class and not used\n", t->root, loose);
    for (size_t i = 0; i < list.folders.count; i++) {
        const char *name = list.folders.items[i];
        if (!add_folder(t, arena_printf(t->arena, "%s/%s", t->root, name), find_class(t, name), 0, error))
            return false;
    }
    return check_classes(t, test, error);
}
