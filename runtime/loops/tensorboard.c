/* tensorboard.c: an event file is a sequence of records (TFRecord): length, its checksum, an Event as protobuf, its
 * checksum. The first event names the format; then there is one per epoch, whose step is the epoch's number. The
 * times of epochs that were run earlier are worked out from how long they took. */
#include "runtime/loops/tensorboard.h"

#ifndef NDARTS_HAVE_PROTOBUF_C

bool tensorboard_available(Error *error) {
    return error_set(error, ERROR_MACHINE,
                     "--tensorboard: this ndarts was built without protobuf-c, which writes events");
}

bool tensorboard_write_all(const char *folder, Error *error) {
    (void)folder;
    return tensorboard_available(error);
}

bool tensorboard_append_last(const char *folder, Error *error) {
    (void)folder;
    return tensorboard_available(error);
}

#else

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "runtime/loops/metrics.h"

#include "tensorboard.pb-c.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

bool tensorboard_available(Error *error) {
    (void)error;
    return true;
}

/* ---- records ---- */

static void add_little_endian(Str *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++, value >>= 8)
        str_add_bytes(out, &(char){(char)(value & 0xff)}, 1);
}

/* "Masked", as TFRecord has it: data that holds checksums would else have predictable ones. */
static void add_checksum(Str *out, const void *data, size_t size) {
    uint32_t crc = hash_crc32c(data, size);
    add_little_endian(out, (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u), 4);
}

static void add_event(Str *out, const Tensorboard__Event *event) {
    size_t size = tensorboard__event__get_packed_size(event), start = out->length;
    uint8_t *bytes = arena_alloc(out->arena, size);
    tensorboard__event__pack(event, bytes);
    add_little_endian(out, size, 8);
    add_checksum(out, out->data + start, 8);
    str_add_bytes(out, (const char *)bytes, size);
    add_checksum(out, bytes, size);
}

static double now(void) {
    struct timeval time;
    gettimeofday(&time, NULL);
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

static void add_head(Str *out, double time) {
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = time;
    event.what_case = TENSORBOARD__EVENT__WHAT_FILE_VERSION;
    event.file_version = (char[]){"brain.Event:2"};
    add_event(out, &event);
}

/* ---- scalars ---- */

/* train_loss is loss/train: TensorBoard shows what is before the slash as one section. */
static char *tag_of(Arena *arena, const char *key) {
    static const struct {
        const char *suffix, *section;
    } sections[] = {{"_loss", "loss"}, {"_accuracy", "accuracy"}, {"_accuracy5", "accuracy5"}, {"_lr", "rate"}};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (str_ends_with(key, sections[i].suffix))
            return arena_printf(arena, "%s/%.*s", sections[i].section, (int)(strlen(key) - strlen(sections[i].suffix)),
                                key);
    }
    return str_equal(key, "lr") ? arena_strdup(arena, "rate/weights") : arena_printf(arena, "training/%s", key);
}

typedef struct Values {
    Arena *arena;
    Tensorboard__Summary__Value **items;
    size_t count, capacity;
} Values;

/* Counters are integers in these lines, and what is no number is null: all else is a curve. */
static void add_values(Values *values, json_t *line) {
    const char *key;
    json_t *number;
    json_object_foreach(line, key, number) {
        if (!json_is_real(number) || str_equal(key, "seconds"))
            continue;
        Tensorboard__Summary__Value *value = ARENA_NEW(values->arena, Tensorboard__Summary__Value);
        tensorboard__summary__value__init(value);
        value->tag = tag_of(values->arena, key);
        value->value_case = TENSORBOARD__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
        value->simple_value = (float)json_real_value(number);
        ARENA_PUSH(values->arena, values->items, values->count, values->capacity, value);
    }
}

static void add_epoch(Str *out, json_t *metrics, json_t *timing, double time) {
    Values values = {.arena = out->arena};
    add_values(&values, metrics);
    add_values(&values, timing);
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    summary.n_value = values.count;
    summary.value = values.items;
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    event.wall_time = time;
    event.step = json_integer_value(json_object_get(metrics, "epoch"));
    event.what_case = TENSORBOARD__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    add_event(out, &event);
}

/* ---- files ---- */

static const char *path_of(Arena *arena, const char *folder, const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

static json_int_t epoch_of(const json_t *line) {
    return json_integer_value(json_object_get(line, "epoch"));
}

/* The line of the same epoch; NULL: there is none, as its end was lost. */
static json_t *timing_of(const json_t *timing, const json_t *metrics) {
    for (size_t i = 0; i < json_array_size(timing); i++)
        if (epoch_of(json_array_get(timing, i)) == epoch_of(metrics))
            return json_array_get(timing, i);
    return NULL;
}

static double seconds_of(const json_t *line) {
    return json_number_value(json_object_get(line, "seconds"));
}

bool tensorboard_write_all(const char *folder, Error *error) {
    Arena *arena = arena_create();
    Error unread = {ERROR_NONE, ""};
    json_t *metrics = metrics_load(arena, path_of(arena, folder, "metrics.jsonl"), &unread);
    json_t *timing = metrics_load(arena, path_of(arena, folder, "timing.jsonl"), &unread);
    Str out = str_create(arena);
    double time = now();
    for (size_t i = 0; i < json_array_size(metrics); i++)
        time -= seconds_of(timing_of(timing, json_array_get(metrics, i)));
    add_head(&out, time);
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        json_t *line = json_array_get(metrics, i), *took = timing_of(timing, line);
        add_epoch(&out, line, took, time += seconds_of(took));
    }
    bool ok = unread.kind ? error_set(error, unread.kind, "%s", unread.message)
                          : file_write_atomic(path_of(arena, folder, TENSORBOARD_FILE), out.data, out.length, error);
    json_decref(metrics);
    json_decref(timing);
    arena_destroy(arena);
    return ok;
}

static bool append(const char *path, const Str *out, Error *error) {
    int descriptor = file_open_append(path, error);
    if (descriptor < 0)
        return false;
    FILE *file = fdopen(descriptor, "ab");
    bool ok = file && fwrite(out->data, 1, out->length, file) == out->length;
    ok = file && fclose(file) == 0 && ok;
    return ok || error_set(error, ERROR_MACHINE, "%s: cannot write: %s", path, strerror(errno));
}

bool tensorboard_append_last(const char *folder, Error *error) {
    Arena *arena = arena_create();
    Error unread = {ERROR_NONE, ""};
    json_t *metrics = metrics_load_last(arena, path_of(arena, folder, "metrics.jsonl"), &unread);
    json_t *timing = metrics_load_last(arena, path_of(arena, folder, "timing.jsonl"), &unread);
    Str out = str_create(arena);
    add_epoch(&out, metrics, timing, now());
    bool ok = unread.kind ? error_set(error, unread.kind, "%s", unread.message)
                          : append(path_of(arena, folder, TENSORBOARD_FILE), &out, error);
    json_decref(metrics);
    json_decref(timing);
    arena_destroy(arena);
    return ok;
}

#endif
