/* data.h: images from files, augmented and put into batches by background threads.
 * Pixels stay bytes (NHWC) until a batch is made; every random decision is a counter-based draw keyed by the epoch and
 * the image, so a batch is the same for any number of threads and can be made again after a restart. */
#ifndef NDARTS_RUNTIME_DATA_DATA_H
#define NDARTS_RUNTIME_DATA_DATA_H

#include "base/diag.h"
#include "ir/settings.h"
#include "runtime/data/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATA_MAX_CHANNELS = 4 };

/* What an experiment says about its data (the settings data.*). */
typedef struct DataOptions {
    const char *source; /* a row of ir/data_sources.def */
    const char *path;   /* folder with the files; unused by synthetic */
    double split;       /* this part of the training images, from the first, trains the weights; the rest the alphas */
    int64_t limit;      /* only the first so many training images; 0: all */
    int crop;           /* zero padding of the random crop; 0: no crop */
    bool flip;
    int cutout; /* side of the square; 0: none */
    /* Pictures of any size (data_side): the short side before the middle is cut out; 0: what the source does. */
    int resize;
    bool transposed; /* IDX: columns come before rows, as in EMNIST */
    int labels_from; /* IDX: the label of the first class */
    ImageFilter interpolation;
    double area[2], ratio[2]; /* random resized crop: part of the picture's area, width / height; area[1] 0: none */
    double brightness, contrast, saturation; /* colour jitter: factors of 1 - x to 1 + x; 0: none */
    double hue;                              /* turned by -x to x of the circle */
    float mean[DATA_MAX_CHANNELS], std[DATA_MAX_CHANNELS];
    int height, width, channels, classes; /* what the network takes; the files must fit */
} DataOptions;

/* Of the settings data.*, input.* and classes. Mistakes are ERROR_INPUT. */
bool data_options_read(const Settings *settings, DataOptions *options, Error *error);
/* Whether its images are pictures in files, of any size. */
bool data_has_pictures(const DataOptions *options);
/* The short side of a picture before the middle is cut out, for sources whose pictures have any size. */
int data_side(const DataOptions *options);
/* Whether a picture that has the network's size is used as it is: of a folder, unless data.resize says how it is made.
 */
bool data_takes_whole(const DataOptions *options);
bool data_check_side(const DataOptions *options, Error *error); /* that it covers the network's input */

typedef enum DataPart { DATA_train, DATA_test } DataPart;

/* Images in file order. Owns its arrays; data_close frees them. Pictures of another size than the network's, or too
 * many for memory, have no pixels but a function that makes the picture, called by several threads at once: false for a
 * broken one, which it has noted; or, with an error, when it is not the picture's fault (no memory, a disk that fails,
 * a file that went away): no picture is left out for that. */
typedef struct Dataset {
    int64_t count;
    int height, width, channels, classes;
    uint8_t *pixels; /* count x height x width x channels */
    int32_t *labels;
    const char *const *class_names; /* NULL: the source does not say */
    const char *const *names;       /* paths of the files, image by image; NULL: they have none of their own */
    const char *root;               /* the folder that all names begin with */
    const struct Dataset *smaller;  /* the images that load makes to size; NULL: there are none */
    bool (*load)(const struct Dataset *data, int64_t index, Image *image, Error *error); /* NULL: pixels holds them */
    bool slow;    /* load decodes files: worth a thread per core */
    void *source; /* what load needs */
    void (*close)(void *source);
} Dataset;

/* How the images of a source are read: what a file data_FORMAT.c defines, as data_FORMAT. What is NULL has the default.
 */
typedef bool DataReader(const DataOptions *options, DataPart part, Dataset *data, Error *error);
typedef struct DataFormat {
    DataReader *read;
    bool without_files;                                                                /* needs no data.path */
    bool (*has_test)(const DataOptions *options);                                      /* NULL: always */
    void (*look)(const char *path, int64_t *classes, int64_t *height, int64_t *width); /* NULL: nothing is known */
} DataFormat;

/* A missing, truncated or foreign file is ERROR_INPUT, named, with what was expected and found. */
bool data_open(const DataOptions *options, DataPart part, Dataset *data, Error *error);
/* Whether there are test images; options->path must be there. Without them a training can only hold some out. */
bool data_has_test(const DataOptions *options);
void data_close(Dataset *data); /* a zeroed Dataset is allowed */
/* Which images these are, wherever they lie: how many in how many classes, and a hash of labels and pixels; of files
 * labels, names from the root on, and sizes. */
typedef struct DataMark {
    int64_t images, classes;
    uint64_t hash;
} DataMark;
bool data_mark(const Dataset *data, DataMark *mark, Error *error);
/* What the files of a source hold: the number of classes, and the size of the pictures where some that are looked at all
 * have the same, of at most DATA_MOST_SIDE; 0 for what is not known. Says nothing. */
enum { DATA_MOST_SIDE = 224 };
void data_look_at(const char *source, const char *path, int64_t *classes, int64_t *height, int64_t *width);
/* What a run works on, for people: image_folder 'shapes': 400 pictures in 4 classes, 64 x 64 x 3. */
const char *data_summary(Arena *arena, const DataOptions *options, const Dataset *data);

/* For the files beside this one: allocates the arrays of count images of the options' shape. */
bool data_allocate(const DataOptions *options, int64_t count, Dataset *data, Error *error);
bool data_report_unknown(const char *source, Error *error); /* false: there is no such source */
bool data_check_label(const DataOptions *options, const char *path, int64_t image, int label, Error *error);
/* Images of side x side x 3 for a network that may take another size: read gets options of that side, and what it reads
 * is resized as pictures are. */
bool data_read_sized(const DataOptions *options, DataPart part, int side, DataReader *read, Dataset *data,
                     Error *error);
/* One image of side x side pixels as STL-10 and SVHN have it: a plane for each colour, column by column. */
void data_turn_planes(const uint8_t *planes, int side, uint8_t *pixels);

/* ---- augmentation (augment.c) ---- */
typedef struct Augment {
    bool enabled; /* false: scale and normalise only, as for evaluation */
    const DataOptions *options;
    double table[DATA_MAX_CHANNELS][256]; /* byte -> (byte / 255 - mean) / std */
} Augment;

/* options must outlive it. */
void augment_prepare(const DataOptions *options, bool enabled, Augment *augment);
/* Writes image `index` of data, height x width x channels floats (doubles when f64), to out. The draws are named
 * "augment.area", "augment.crop", "augment.flip", "augment.color", "augment.cutout" and keyed by (seed, epoch, index).
 * False: a broken image; or, with an error, one that could not be made (Dataset.load). */
bool augment_image(const Augment *augment, const Dataset *data, int64_t index, uint64_t seed, uint32_t epoch, bool f64,
                   void *out, Error *error);
/* A picture that is not of a data set, fitted to the network as those of the options' source are for evaluation, and
 * normalised: height x width x channels doubles. It must not be too long (image_is_too_long). */
bool augment_picture(const Augment *augment, const Image *picture, double *out, Error *error);
/* The part of height x width pixels that a random resized crop takes, as torchvision's RandomResizedCrop chooses it. */
ImageBox augment_area(const DataOptions *options, int height, int width, uint64_t seed, uint32_t epoch, uint32_t image);

/* Fisher-Yates with 64 drawn bits per swap: counter (element, turn, stream, epoch). */
void data_shuffle(int64_t *order, int64_t count, const char *stream, uint64_t seed, uint32_t epoch, uint32_t turn);

/* ---- mixup and cutmix (mixing.c) ---- */
typedef struct MixOptions {
    double mixup,
        cutmix; /* a of Beta(a, a); 0: not that. Where both are there each has half of the batches that are mixed */
    double probability; /* with which a batch is mixed */
} MixOptions;

typedef struct Mix {
    double share; /* of an image that is its own, the rest is its partner's */
    ImageBox box; /* cutmix: what comes from the partner; height 0: all of both, blended */
} Mix;

/* Of a batch, drawn as "augment.mix". */
Mix mix_draw(const MixOptions *options, int height, int width, uint64_t seed, uint32_t epoch, uint32_t batch);
/* The box around (y, x) for a drawn share, and the share that it leaves. */
Mix mix_box(double share, int y, int x, int height, int width);
/* One image of the options' shape, of floats or doubles. out is neither of the others. */
void mix_images(const Mix *mix, const DataOptions *options, bool f64, const void *own, const void *partner, void *out);

/* What is mixed, and where it goes. */
typedef struct MixedBatch {
    int64_t count;
    bool f64;
    const void *images;
    const int32_t *labels;
    void *mixed, *targets; /* images; count x classes */
    int32_t *mixed_labels; /* of each image the class that it has most of */
    int64_t *partners;     /* image by image */
} MixedBatch;
/* Partners are drawn as "shuffle.mix". */
void mix_batch(const MixOptions *mix, const DataOptions *options, uint64_t seed, uint32_t epoch, uint32_t batch,
               const MixedBatch *mixed);

/* ---- batches (loader.c) ---- */

typedef struct LoaderOptions {
    const Dataset *data;
    int64_t first, count; /* the images it walks over */
    int64_t batch;        /* the last batch of a round is smaller when count is no multiple */
    const Augment *augment;
    const char *shuffle_stream; /* name of the draws that order a round; NULL: file order */
    uint64_t seed;
    bool f64;
    int threads;    /* in the background, at least 1 */
    MixOptions mix; /* neither mixup nor cutmix: images are not mixed */
} LoaderOptions;

/* How many threads a program's loader should have: to decode pictures as many as the program has, else one for every
 * eight of them. */
int loader_threads(const Dataset *data, int program_threads);

typedef struct Batch {
    int64_t count;    /* images; fewer than asked for when some are broken, but never 0 */
    int64_t position; /* of its first image in the round */
    void *images;     /* count x height x width x channels, float or double */
    int32_t *labels;
    void *targets; /* count x classes, float or double, of images that are mixed; else NULL */
} Batch;

typedef struct Loader Loader;
/* NULL with ERROR_MACHINE when there is no memory or no thread. data and augment must outlive it. */
Loader *loader_create(const LoaderOptions *options, Error *error);
void loader_destroy(Loader *loader); /* NULL is allowed */
int64_t loader_batch_count(const Loader *loader);
/* Begins one walk over the images at batch first_batch. (epoch, round) choose the order, epoch the augmentation. */
void loader_start(Loader *loader, uint32_t epoch, uint32_t round, int64_t first_batch);
/* The next batch, valid until the next call; NULL after the last one of the round, or, with an error, when an image
 * could not be made though it is not broken. A batch whose images are all broken is passed over, so there may be none.
 */
const Batch *loader_next(Loader *loader, Error *error);

#endif
