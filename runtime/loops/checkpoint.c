/* checkpoint.c: checkpoints, written atomically and read with a checksum.
 * The checksum is the sum of one FNV-1a hash per tensor (name, type, shape, data) and per metadata entry, so it does
 * not depend on their order in the file. Doubles are written in hexadecimal and thus exactly. */
#include "runtime/loops/checkpoint.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "ndarts-checkpoint-1";

/* ---- the metadata as a table: one row per field of Checkpoint ---- */
typedef enum FieldType { FIELD_u64, FIELD_i64, FIELD_double, FIELD_string } FieldType;
typedef struct Field {
    const char *name;
    FieldType type;
    size_t offset;
    bool is_later; /* checkpoints of earlier versions do not have it */
} Field;
#define FIELD(name, type, member)                                                                                      \
    { name, FIELD_##type, offsetof(Checkpoint, member), false }
#define LATER_FIELD(name, type, member)                                                                                \
    { name, FIELD_##type, offsetof(Checkpoint, member), true }
static const Field fields[] = {
    FIELD("seed", u64, seed),
    FIELD("epoch", i64, epoch),
    FIELD("epochs", i64, epochs),
    FIELD("step", i64, step),
    FIELD("global_step", i64, global_step),
    FIELD("alphas_updates", i64, alphas_updates),
    FIELD("sums.loss", double, sums.loss),
    FIELD("sums.alphas_loss", double, sums.alphas_loss),
    FIELD("sums.grad_norm", double, sums.grad_norm),
    FIELD("sums.correct", i64, sums.correct),
    FIELD("sums.images", i64, sums.images),
    FIELD("sums.alphas_correct", i64, sums.alphas_correct),
    FIELD("sums.alphas_images", i64, sums.alphas_images),
    FIELD("sums.steps", i64, sums.steps),
    FIELD("best.epoch", i64, best_epoch),
    FIELD("best.accuracy", double, best_accuracy),
    FIELD("identity", string, identity),
    FIELD("settings", string, settings),
    LATER_FIELD("costs", string, costs),
    LATER_FIELD("batch", i64, batch),
    LATER_FIELD("alphas_batch", i64, alphas_batch),
    LATER_FIELD("data.images", i64, data.images),
    LATER_FIELD("data.classes", i64, data.classes),
    LATER_FIELD("data.hash", u64, data.hash),
    LATER_FIELD("test.images", i64, test.images),
    LATER_FIELD("test.classes", i64, test.classes),
    LATER_FIELD("test.hash", u64, test.hash),
};
enum { FIELD_COUNT = sizeof(fields) / sizeof(fields[0]) };

static void field_print(const Field *field, const Checkpoint *checkpoint, Str *out) {
    const void *at = (const char *)checkpoint + field->offset;
    if (field->type == FIELD_u64)
        str_addf(out, "%" PRIu64, *(const uint64_t *)at);
    else if (field->type == FIELD_i64)
        str_addf(out, "%" PRId64, *(const int64_t *)at);
    else if (field->type == FIELD_double)
        str_addf(out, "%a", *(const double *)at);
    else
        str_add(out, *(const char *const *)at ? *(const char *const *)at : "");
}

static bool field_parse(Arena *arena, const Field *field, const char *text, Checkpoint *checkpoint) {
    void *at = (char *)checkpoint + field->offset;
    char *end = NULL;
    errno = 0;
    if (field->type == FIELD_u64)
        *(uint64_t *)at = strtoull(text, &end, 10);
    else if (field->type == FIELD_i64)
        *(int64_t *)at = strtoll(text, &end, 10);
    else if (field->type == FIELD_double)
        *(double *)at = strtod(text, &end);
    else
        *(const char **)at = json_bytes(arena, text);
    return field->type == FIELD_string || (end != text && *end == '\0' && errno == 0);
}

/* ---- checksum ---- */
static uint64_t hash_tensor(const Tensor *t) {
    uint64_t parts[4 + TENSOR_MAX_RANK] = {hash_string(t->name), (uint64_t)t->type, (uint64_t)t->rank};
    for (int i = 0; i < t->rank; i++)
        parts[3 + i] = (uint64_t)t->shape[i];
    parts[3 + TENSOR_MAX_RANK] = hash_fnv1a(t->data, (size_t)tensor_count(t) * tensor_type_size(t->type));
    return hash_fnv1a(parts, sizeof(parts));
}

uint64_t checkpoint_hash(const TensorFile *tensors) {
    uint64_t sum = 0;
    for (size_t i = 0; i < tensors->count; i++)
        sum += hash_tensor(&tensors->tensors[i]);
    return sum;
}

static uint64_t checksum(const TensorFile *tensors, json_t *metadata) {
    uint64_t sum = hash_string(format_name) + checkpoint_hash(tensors);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        uint64_t parts[2] = {hash_string(key), hash_string(json_string_value(value))};
        if (strcmp(key, "checksum") != 0)
            sum += hash_fnv1a(parts, sizeof(parts));
    }
    return sum;
}

static bool read_fields(Arena *arena, const char *path, json_t *metadata, Checkpoint *checkpoint, Error *error) {
    const char *format = json_string_value(json_object_get(metadata, "format"));
    if (!format || strcmp(format, format_name) != 0)
        return error_set(error, ERROR_INPUT,
                         "%s: not a checkpoint: expected the format '%s' in its metadata, found '%s'", path,
                         format_name, format ? format : "none");
    for (int i = 0; i < FIELD_COUNT; i++) {
        json_t *value = json_object_get(metadata, fields[i].name);
        const char *text = json_string_value(value);
        if (!value && fields[i].is_later)
            continue;
        if (!text || !field_parse(arena, &fields[i], text, checkpoint))
            return error_set(error, ERROR_INPUT, "%s: corrupted checkpoint: the metadata entry '%s' is %s", path,
                             fields[i].name, text ? text : "missing");
    }
    if (!json_object_get(metadata, "batch"))
        checkpoint->batch = checkpoint->alphas_batch = checkpoint->step;
    char expected[32];
    snprintf(expected, sizeof(expected), "%016" PRIx64, checksum(&checkpoint->tensors, metadata));
    const char *found = json_string_value(json_object_get(metadata, "checksum"));
    if (!found || strcmp(found, expected) != 0)
        return error_set(error, ERROR_INPUT, "%s: corrupted checkpoint: its contents have the checksum %s, it says %s",
                         path, expected, found ? found : "nothing");
    return true;
}

/* Of checkpoint->tensors. */
static bool read_metadata(Arena *arena, const char *path, Checkpoint *checkpoint, Error *error) {
    json_error_t where;
    json_t *metadata = json_loads(checkpoint->tensors.metadata ? checkpoint->tensors.metadata : "{}", 0, &where);
    bool ok = metadata ? read_fields(arena, path, metadata, checkpoint, error)
                       : error_set(error, ERROR_INPUT, "%s: corrupted checkpoint: metadata: %s", path, where.text);
    json_decref(metadata);
    return ok;
}

bool checkpoint_read(Arena *arena, const char *path, Checkpoint *checkpoint, Error *error) {
    memset(checkpoint, 0, sizeof(*checkpoint));
    return safetensors_read(arena, path, &checkpoint->tensors, error) && read_metadata(arena, path, checkpoint, error);
}

bool checkpoint_write(const char *path, const Checkpoint *checkpoint, Error *error) {
    Arena *arena = arena_create();
    json_t *metadata = json_object();
    json_add(metadata, "format", json_text(format_name));
    for (int i = 0; i < FIELD_COUNT; i++) {
        Str text = str_create(arena);
        field_print(&fields[i], checkpoint, &text);
        json_add(metadata, fields[i].name, json_text(text.data));
    }
    char sum[32];
    snprintf(sum, sizeof(sum), "%016" PRIx64, checksum(&checkpoint->tensors, metadata));
    json_add(metadata, "checksum", json_text(sum));
    Checkpoint again = {.tensors = checkpoint->tensors}; /* what will be read, should this be needed */
    again.tensors.metadata = json_print(arena, metadata, JSON_COMPACT);
    json_decref(metadata);
    bool ok = read_metadata(arena, path, &again, error) && safetensors_write(path, &again.tensors, error);
    arena_destroy(arena);
    return ok;
}

/* ---- settings ---- */
const char *checkpoint_settings(Arena *arena, const IrModule *module) {
    Str out = str_create(arena);
    IrModule settings_only = *module;
    settings_only.graph_count = 0;
    settings_only.param_count = 0;
    ir_print_module(&settings_only, &out);
    return out.data;
}

IrModule *checkpoint_parse_settings(Arena *arena, const char *path, const char *text, Error *error) {
    SourceFile source = {.path = path, .text = text, .size = strlen(text)};
    SourceFile *kept = ARENA_NEW(arena, SourceFile);
    *kept = source;
    IrModule *module = ir_parse_module(arena, kept, diag_create(arena, diag_stream()));
    if (!module)
        error_set(error, ERROR_INPUT, "%s: corrupted checkpoint: its settings cannot be read", path);
    return module;
}

/* The lines as a map from key to value. */
static StrMap split_settings(Arena *arena, const char *text) {
    StrMap map = str_map_create(arena);
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = arena_strndup(arena, text, length);
        char *equals = str_starts_with(line, "set ") ? strstr(line, " = ") : NULL;
        if (equals) {
            *equals = '\0';
            str_map_set(&map, line + strlen("set "), equals + 3);
        }
        text += length + (text[length] == '\n');
    }
    return map;
}

/* Where things lie does not matter; what candidates cost is compared by itself (Checkpoint.costs); checkpoints from before the definitions were kept name their file instead, and
 * from before the rest of the space was, have nothing. */
static bool is_compared(const char *key, const char *mine, const char *theirs) {
    bool kept = str_equal(key, "space.definitions") || str_equal(key, "space.around");
    bool older = kept && (!mine || !theirs);
    return !older && !str_equal(key, "data.path") && !str_equal(key, "space.import") &&
           !str_equal(key, "search.objective.latency.fixed");
}

static const char *describe_difference(Arena *arena, const char *key, const char *mine, const char *theirs) {
    enum { SHOWN = 200 };
    if ((mine && strlen(mine) > SHOWN) || (theirs && strlen(theirs) > SHOWN))
        return arena_printf(arena, "%s is not what it is in the checkpoint", key);
    return arena_printf(arena, "%s is %s here, %s in the checkpoint", key, mine ? mine : "not set",
                        theirs ? theirs : "not set");
}

const char *checkpoint_compare_settings(Arena *arena, const char *here, const char *there) {
    StrMap mine = split_settings(arena, here), theirs = split_settings(arena, there);
    for (size_t side = 0; side < 2; side++) {
        const StrMap *walked = side == 0 ? &mine : &theirs;
        for (size_t i = 0; i < walked->count; i++) {
            const char *key = walked->entries[i].key;
            const char *a = str_map_get(&mine, key), *b = str_map_get(&theirs, key);
            if (is_compared(key, a, b) && (!a || !b || !str_equal(a, b)))
                return describe_difference(arena, key, a, b);
        }
    }
    return NULL;
}
