/* loader.c: batches made ahead of time by background threads.
 *
 * A ring of slots; batch b goes to slot b mod SLOTS. Workers take batch numbers in order and may fill a slot as soon as
 * the caller has moved past the batch that was in it. What a batch holds depends on its number only, so the order in
 * which workers finish does not matter. */
#include "runtime/data.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORKERS = 16, EXTRA_SLOTS = 2 };

typedef struct Slot {
    Batch batch;
    int64_t ready; /* number of the batch it holds, -1: none */
} Slot;

struct Loader {
    LoaderOptions options;
    Augment augment;
    int64_t *order; /* images of the round */
    int64_t batch_count, slot_count;
    Slot *slots;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    int64_t next_fill; /* next batch that a worker takes */
    int64_t next_give; /* next batch that the caller gets */
    int filling;       /* workers at work */
    uint32_t epoch;
    bool closing;
    int worker_count;
    pthread_t workers[MAX_WORKERS];
};

static size_t image_bytes(const LoaderOptions *o) {
    const Dataset *d = o->data;
    return (size_t)d->height * (size_t)d->width * (size_t)d->channels * (o->f64 ? sizeof(double) : sizeof(float));
}

static void fill_slot(Loader *loader, Slot *slot, int64_t number, uint32_t epoch) {
    const LoaderOptions *o = &loader->options;
    int64_t position = number * o->batch;
    slot->batch.position = position;
    slot->batch.count = 0;
    int64_t wanted = o->count - position < o->batch ? o->count - position : o->batch;
    for (int64_t i = 0; i < wanted; i++) {
        int64_t image = loader->order[position + i], at = slot->batch.count;
        slot->batch.labels[at] = o->data->labels[image];
        slot->batch.count += augment_image(&loader->augment, o->data, image, o->seed, epoch, o->f64,
                                           (char *)slot->batch.images + (size_t)at * image_bytes(o));
    }
}

/* The slot of the batch being used by the caller (next_give - 1) is not free yet. */
static bool may_fill(const Loader *loader) {
    int64_t in_use = loader->next_give > 0 ? loader->next_give - 1 : 0;
    return loader->next_fill < loader->batch_count && loader->next_fill < in_use + loader->slot_count;
}

static void *work(void *argument) {
    Loader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->closing && !may_fill(loader))
            pthread_cond_wait(&loader->changed, &loader->lock);
        if (loader->closing)
            break;
        int64_t number = loader->next_fill++;
        uint32_t epoch = loader->epoch;
        Slot *slot = &loader->slots[number % loader->slot_count];
        loader->filling++;
        pthread_mutex_unlock(&loader->lock);
        fill_slot(loader, slot, number, epoch);
        pthread_mutex_lock(&loader->lock);
        slot->ready = number;
        loader->filling--;
        pthread_cond_broadcast(&loader->changed);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static bool allocate(Loader *loader, Error *error) {
    const LoaderOptions *o = &loader->options;
    loader->order = malloc((size_t)o->count * sizeof(int64_t));
    loader->slots = calloc((size_t)loader->slot_count, sizeof(Slot));
    if (!loader->order || !loader->slots)
        return error_set(error, ERROR_MACHINE, "no memory for the order of %lld images", (long long)o->count);
    for (int64_t i = 0; i < loader->slot_count; i++) {
        Slot *slot = &loader->slots[i];
        slot->ready = -1;
        size_t bytes = (size_t)o->batch * image_bytes(o);
        slot->batch.images = aligned_alloc(64, (bytes + 63) / 64 * 64);
        slot->batch.labels = malloc((size_t)o->batch * sizeof(int32_t));
        if (!slot->batch.images || !slot->batch.labels)
            return error_set(error, ERROR_MACHINE, "no memory for a batch of %lld images", (long long)o->batch);
    }
    return true;
}

Loader *loader_create(const LoaderOptions *options, Error *error) {
    Loader *loader = calloc(1, sizeof(*loader));
    if (!loader) {
        error_set(error, ERROR_MACHINE, "no memory for a data loader");
        return NULL;
    }
    loader->options = *options;
    loader->augment = *options->augment;
    loader->batch_count = (options->count + options->batch - 1) / options->batch;
    int wanted = options->threads < 1 ? 1 : options->threads > MAX_WORKERS ? MAX_WORKERS : options->threads;
    loader->slot_count = wanted + EXTRA_SLOTS;
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
    for (int64_t i = 0; loader->slots && i < loader->slot_count; i++) {
        free(loader->slots[i].batch.images);
        free(loader->slots[i].batch.labels);
    }
    free(loader->slots);
    free(loader->order);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

int64_t loader_batch_count(const Loader *loader) {
    return loader->batch_count;
}

/* Fisher-Yates with 64 drawn bits per swap: counter (element, round, stream, epoch). */
static void shuffle(Loader *loader, uint32_t epoch, uint32_t round) {
    const LoaderOptions *o = &loader->options;
    for (int64_t i = 0; i < o->count; i++)
        loader->order[i] = o->first + i;
    if (!o->shuffle_stream)
        return;
    uint32_t stream = draw_stream_hash(o->shuffle_stream);
    for (int64_t i = o->count - 1; i > 0; i--) {
        PhiloxBlock r = philox_4x32_10((PhiloxBlock){{(uint32_t)i, round, stream, epoch}}, o->seed);
        int64_t j = (int64_t)(((uint64_t)r.word[0] << 32 | r.word[1]) % (uint64_t)(i + 1));
        int64_t kept = loader->order[i];
        loader->order[i] = loader->order[j];
        loader->order[j] = kept;
    }
}

void loader_start(Loader *loader, uint32_t epoch, uint32_t round, int64_t first_batch) {
    pthread_mutex_lock(&loader->lock);
    loader->next_fill = loader->batch_count; /* no new work while the old round is wound up */
    while (loader->filling > 0)
        pthread_cond_wait(&loader->changed, &loader->lock);
    for (int64_t i = 0; i < loader->slot_count; i++)
        loader->slots[i].ready = -1;
    shuffle(loader, epoch, round);
    loader->epoch = epoch;
    loader->next_fill = first_batch;
    loader->next_give = first_batch;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
}

const Batch *loader_next(Loader *loader) {
    pthread_mutex_lock(&loader->lock);
    const Batch *batch = NULL;
    /* A batch whose images are all broken is passed over. */
    while (!(batch && batch->count) && loader->next_give < loader->batch_count) {
        int64_t number = loader->next_give++;
        Slot *slot = &loader->slots[number % loader->slot_count];
        pthread_cond_broadcast(&loader->changed); /* the batch before this one is free */
        while (slot->ready != number)
            pthread_cond_wait(&loader->changed, &loader->lock);
        batch = &slot->batch;
    }
    pthread_mutex_unlock(&loader->lock);
    return batch && batch->count ? batch : NULL;
}
