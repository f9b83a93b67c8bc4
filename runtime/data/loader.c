/* loader.c: batches made ahead of time by background threads.
 *
 * A ring of SLOTS slots; batch b goes to slot b mod SLOTS, once the caller has moved past the batch that was in it: so
 * much memory and no more is used, whatever the number of threads. Workers take a few images at a time, batch after
 * batch, each image to its place in the slot; who makes the last one closes the gaps that broken images left, and mixes
 * what is to be mixed. What a batch holds depends on its number only, so it does not matter which worker does what, and
 * when. */
#include "runtime/data/data.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORKERS = 16, SLOTS = 3, GRAIN = 4 };

typedef struct Slot {
    Batch batch;
    bool *good;       /* image by image, of those that were wanted */
    MixedBatch mixed; /* room for it, with mixing: batch trades images and labels with it */
    int64_t done;     /* images that were made or found broken; guarded by the lock */
    int64_t ready;    /* number of the batch it holds, -1: none */
} Slot;

struct Loader {
    LoaderOptions options;
    Augment augment;
    int64_t *order; /* images of the round */
    int64_t batch_count;
    Slot slots[SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    int64_t next_fill;  /* batch that workers are at */
    int64_t next_image; /* of it: the next one to be taken */
    int64_t next_give;  /* next batch that the caller gets */
    int filling;        /* workers at work */
    uint32_t epoch;
    bool closing;
    Error failure; /* the first image that could not be made, though it is not broken */
    FILE *notes;   /* of the thread that made it: workers tell there of broken pictures */
    int worker_count;
    pthread_t workers[MAX_WORKERS];
};

static size_t image_bytes(const LoaderOptions *o) {
    const Dataset *d = o->data;
    return (size_t)d->height * (size_t)d->width * (size_t)d->channels * (o->f64 ? sizeof(double) : sizeof(float));
}

static int64_t images_in(const LoaderOptions *o, int64_t number) {
    int64_t left = o->count - number * o->batch;
    return left < o->batch ? left : o->batch;
}

/* Some images of a batch, for one worker. */
typedef struct LoaderShare {
    int64_t number, first, count;
    uint32_t epoch;
} LoaderShare;

static void fill_share(Loader *loader, Slot *slot, const LoaderShare *share, Error *error) {
    const LoaderOptions *o = &loader->options;
    for (int64_t at = share->first; at < share->first + share->count; at++) {
        int64_t image = loader->order[share->number * o->batch + at];
        slot->batch.labels[at] = o->data->labels[image];
        slot->good[at] = augment_image(&loader->augment, o->data, image, o->seed, share->epoch, o->f64,
                                       (char *)slot->batch.images + (size_t)at * image_bytes(o), error);
    }
}

/* Good images move up to where broken ones would be. */
static void close_gaps(const LoaderOptions *o, Slot *slot, int64_t wanted) {
    size_t bytes = image_bytes(o);
    int64_t count = 0;
    for (int64_t at = 0; at < wanted; at++) {
        if (!slot->good[at])
            continue;
        if (count < at) {
            memcpy((char *)slot->batch.images + (size_t)count * bytes, (char *)slot->batch.images + (size_t)at * bytes,
                   bytes);
            slot->batch.labels[count] = slot->batch.labels[at];
        }
        count++;
    }
    slot->batch.count = count;
}

static bool mixes(const LoaderOptions *o) {
    return o->mix.mixup > 0 || o->mix.cutmix > 0;
}

/* What is mixed changes places with what it is made of. */
static void mix_slot(const LoaderOptions *o, Slot *slot, const LoaderShare *share) {
    MixedBatch *m = &slot->mixed;
    void *images = slot->batch.images;
    int32_t *labels = slot->batch.labels;
    m->count = slot->batch.count;
    m->images = images;
    m->labels = labels;
    mix_batch(&o->mix, o->augment->options, o->seed, share->epoch, (uint32_t)share->number, m);
    slot->batch.images = m->mixed, m->mixed = images;
    slot->batch.labels = m->mixed_labels, m->mixed_labels = labels;
}

/* All images are there. No other worker is at the slot any more. */
static void finish_batch(const LoaderOptions *o, Slot *slot, const LoaderShare *share) {
    close_gaps(o, slot, images_in(o, share->number));
    slot->batch.position = share->number * o->batch;
    if (mixes(o))
        mix_slot(o, slot, share);
}

/* The slot of the batch being used by the caller (next_give - 1) is not free yet. */
static bool may_fill(const Loader *loader) {
    int64_t in_use = loader->next_give > 0 ? loader->next_give - 1 : 0;
    return loader->next_fill < loader->batch_count && loader->next_fill < in_use + SLOTS;
}

static LoaderShare take_share(Loader *loader) {
    LoaderShare share = {
        .number = loader->next_fill, .first = loader->next_image, .count = GRAIN, .epoch = loader->epoch};
    int64_t wanted = images_in(&loader->options, share.number);
    if (share.first == 0)
        loader->slots[share.number % SLOTS].done = 0;
    if (share.count > wanted - share.first)
        share.count = wanted - share.first;
    loader->next_image += share.count;
    if (loader->next_image == wanted) {
        loader->next_fill++;
        loader->next_image = 0;
    }
    loader->filling++;
    return share;
}

static void finish_share(Loader *loader, Slot *slot, const LoaderShare *share) {
    slot->done += share->count;
    bool is_last = slot->done == images_in(&loader->options, share->number);
    if (is_last) {
        pthread_mutex_unlock(&loader->lock);
        finish_batch(&loader->options, slot, share);
        pthread_mutex_lock(&loader->lock);
        slot->ready = share->number;
    }
    loader->filling--;
    if (is_last || loader->filling == 0)
        pthread_cond_broadcast(&loader->changed);
}

static void *work(void *argument) {
    Loader *loader = argument;
    diag_notes_redirected = loader->notes;
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->closing && !may_fill(loader))
            pthread_cond_wait(&loader->changed, &loader->lock);
        if (loader->closing)
            break;
        LoaderShare share = take_share(loader);
        Slot *slot = &loader->slots[share.number % SLOTS];
        pthread_mutex_unlock(&loader->lock);
        Error error = {ERROR_NONE, ""};
        fill_share(loader, slot, &share, &error);
        pthread_mutex_lock(&loader->lock);
        if (error.kind && !loader->failure.kind)
            loader->failure = error;
        finish_share(loader, slot, &share);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* What a slot needs besides when images are mixed. */
static bool allocate_mixed(const LoaderOptions *o, Slot *slot, size_t images) {
    size_t count = (size_t)o->batch, number = o->f64 ? sizeof(double) : sizeof(float);
    MixedBatch *m = &slot->mixed;
    m->f64 = o->f64;
    m->mixed = aligned_alloc(64, images);
    m->mixed_labels = malloc(count * sizeof(int32_t));
    m->partners = malloc(count * sizeof(int64_t));
    m->targets = slot->batch.targets = malloc(count * (size_t)o->augment->options->classes * number);
    return m->mixed && m->mixed_labels && m->partners && m->targets;
}

static bool allocate_slot(const LoaderOptions *o, Slot *slot) {
    size_t bytes = ((size_t)o->batch * image_bytes(o) + 63) / 64 * 64;
    slot->ready = -1;
    slot->batch.images = aligned_alloc(64, bytes);
    slot->batch.labels = malloc((size_t)o->batch * sizeof(int32_t));
    slot->good = malloc((size_t)o->batch * sizeof(bool));
    return slot->batch.images && slot->batch.labels && slot->good && (!mixes(o) || allocate_mixed(o, slot, bytes));
}

static void free_slot(Slot *slot) {
    free(slot->batch.images);
    free(slot->batch.labels);
    free(slot->good);
    free(slot->mixed.mixed);
    free(slot->mixed.mixed_labels);
    free(slot->mixed.partners);
    free(slot->mixed.targets);
}

static bool allocate(Loader *loader, Error *error) {
    const LoaderOptions *o = &loader->options;
    loader->order = malloc((size_t)o->count * sizeof(int64_t));
    if (!loader->order)
        return error_set(error, ERROR_MACHINE, "no memory for the order of %lld images", (long long)o->count);
    for (int64_t i = 0; i < SLOTS; i++)
        if (!allocate_slot(o, &loader->slots[i]))
            return error_set(error, ERROR_MACHINE, "no memory for a batch of %lld images", (long long)o->batch);
    return true;
}

int loader_threads(const Dataset *data, int program_threads) {
    return data->slow ? program_threads : 1 + program_threads / 8;
}

Loader *loader_create(const LoaderOptions *options, Error *error) {
    Loader *loader = calloc(1, sizeof(*loader));
    if (!loader) {
        error_set(error, ERROR_MACHINE, "no memory for a data loader");
        return NULL;
    }
    loader->options = *options;
    loader->augment = *options->augment;
    loader->notes = diag_notes();
    loader->batch_count = (options->count + options->batch - 1) / options->batch;
    int wanted = options->threads < 1 ? 1 : options->threads > MAX_WORKERS ? MAX_WORKERS : options->threads;
    loader->next_fill = loader->batch_count; /* nothing to do before loader_start */
    loader->next_give = loader->batch_count;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->changed, NULL);
    bool ok = allocate(loader, error);
    for (; ok && loader->worker_count < wanted; loader->worker_count++) {
        int code = pthread_create(&loader->workers[loader->worker_count], NULL, work, loader);
        if (code != 0) {
            ok = error_set(error, ERROR_MACHINE, "no thread for the data loader: %s", strerror(code));
            break;
        }
    }
    if (ok)
        return loader;
    loader_destroy(loader);
    return NULL;
}

void loader_destroy(Loader *loader) {
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->closing = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->worker_count; i++)
        pthread_join(loader->workers[i], NULL);
    for (int64_t i = 0; i < SLOTS; i++)
        free_slot(&loader->slots[i]);
    free(loader->order);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

int64_t loader_batch_count(const Loader *loader) {
    return loader->batch_count;
}

static void set_order(Loader *loader, uint32_t epoch, uint32_t round) {
    const LoaderOptions *o = &loader->options;
    for (int64_t i = 0; i < o->count; i++)
        loader->order[i] = o->first + i;
    if (o->shuffle_stream)
        data_shuffle(loader->order, o->count, o->shuffle_stream, o->seed, epoch, round);
}

void loader_start(Loader *loader, uint32_t epoch, uint32_t round, int64_t first_batch) {
    pthread_mutex_lock(&loader->lock);
    loader->next_fill = loader->batch_count; /* no new work while the old round is wound up */
    while (loader->filling > 0)
        pthread_cond_wait(&loader->changed, &loader->lock);
    for (int64_t i = 0; i < SLOTS; i++)
        loader->slots[i].ready = -1;
    set_order(loader, epoch, round);
    loader->epoch = epoch;
    loader->next_fill = first_batch;
    loader->next_image = 0;
    loader->next_give = first_batch;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
}

const Batch *loader_next(Loader *loader, Error *error) {
    pthread_mutex_lock(&loader->lock);
    const Batch *batch = NULL;
    while (!(batch && batch->count) && !loader->failure.kind && loader->next_give < loader->batch_count) {
        int64_t number = loader->next_give++;
        Slot *slot = &loader->slots[number % SLOTS];
        pthread_cond_broadcast(&loader->changed); /* the batch before this one is free */
        while (slot->ready != number)
            pthread_cond_wait(&loader->changed, &loader->lock);
        batch = &slot->batch;
    }
    bool failed = loader->failure.kind != ERROR_NONE;
    if (failed)
        error_set(error, loader->failure.kind, "%s", loader->failure.message);
    pthread_mutex_unlock(&loader->lock);
    return batch && batch->count && !failed ? batch : NULL;
}
