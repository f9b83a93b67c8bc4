/* cuda_waits.c: which groups have last written and read each byte; see cuda_waits.h. */
#include "codegen/cuda_waits.h"

#include <string.h>

/* Bytes of a place that one group has written last. Of those that have read them since, one of the highest level, and
 * whether there are others of that level. Segments of a place are sorted and disjoint. */
typedef struct Segment {
    int64_t begin, end;
    CudaDraft *writer, *reader;
    bool more_readers;
} Segment;

typedef struct Place {
    int count, capacity;
    Segment *segments;
} Place;

struct CudaMemory {
    Arena *arena;
    const CgOptions *options;
    Place places[PLACE_prepared + 1];
};

CudaDraft *cuda_draft_root(CudaDraft *draft) {
    while (draft->joined)
        draft = draft->joined;
    return draft;
}

CudaMemory *cuda_memory_create(Arena *arena, const CgOptions *options) {
    CudaMemory *memory = ARENA_NEW(arena, CudaMemory);
    *memory = (CudaMemory){.arena = arena, .options = options};
    return memory;
}

static void buffer_bytes(const CudaMemory *m, const CgBuffer *buffer, int64_t *begin, int64_t *end) {
    IrType type = buffer->type;
    if (buffer->place == PLACE_private)
        type.dim[0] = 1;
    *begin = buffer->offset;
    *end = buffer->offset + cg_type_bytes(m->options, &type);
}

/* The first segment that ends behind `at`. */
static int find_segment(const Place *place, int64_t at) {
    int low = 0, high = place->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (place->segments[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- waiting ---- */

static void wait_for(CudaWaits *waits, CudaDraft *draft, bool more) {
    if (!draft)
        return;
    draft = cuda_draft_root(draft);
    if (draft->level < waits->level)
        return;
    if (draft->level > waits->level)
        *waits = (CudaWaits){.level = draft->level};
    waits->more = waits->more || more;
    for (int i = 0; i < waits->count; i++)
        if (waits->drafts[i] == draft)
            return;
    if (waits->count == WAITS_MOST)
        waits->more = true;
    else
        waits->drafts[waits->count++] = draft;
}

void cuda_memory_find_waits(const CudaMemory *m, const CgStep *step, CudaWaits *waits) {
    *waits = (CudaWaits){0};
    for (int i = 0; i < step->buffer_count; i++) {
        int64_t begin, end;
        const CgBuffer *buffer = step->buffers[i];
        if (buffer->place == PLACE_input)
            continue;
        const Place *place = &m->places[buffer->place];
        buffer_bytes(m, buffer, &begin, &end);
        for (int s = find_segment(place, begin); s < place->count && place->segments[s].begin < end; s++) {
            wait_for(waits, place->segments[s].writer, false);
            if (i == 0)
                wait_for(waits, place->segments[s].reader, place->segments[s].more_readers);
        }
    }
}

/* ---- noting ---- */

static void insert_segment(CudaMemory *m, Place *place, int at, Segment segment) {
    ARENA_PUSH(m->arena, place->segments, place->count, place->capacity, segment);
    memmove(&place->segments[at + 1], &place->segments[at], sizeof segment * (size_t)(place->count - 1 - at));
    place->segments[at] = segment;
}

/* Makes `at` a border between segments. */
static void split_segment(CudaMemory *m, Place *place, int64_t at) {
    int i = find_segment(place, at);
    if (i == place->count || place->segments[i].begin >= at)
        return;
    Segment rest = place->segments[i];
    place->segments[i].end = rest.begin = at;
    insert_segment(m, place, i + 1, rest);
}

static void note_write(CudaMemory *m, Place *place, int64_t begin, int64_t end, CudaDraft *draft) {
    split_segment(m, place, begin);
    split_segment(m, place, end);
    int first = find_segment(place, begin), last = first;
    while (last < place->count && place->segments[last].begin < end)
        last++;
    if (last < place->count)
        memmove(&place->segments[first], &place->segments[last], sizeof(Segment) * (size_t)(place->count - last));
    place->count -= last - first;
    insert_segment(m, place, first, (Segment){begin, end, draft, NULL, false});
}

static void add_reader(Segment *s, CudaDraft *draft) {
    CudaDraft *old = s->reader ? cuda_draft_root(s->reader) : NULL;
    if (old && old->level > draft->level)
        return;
    s->more_readers = old && old->level == draft->level && (s->more_readers || old != draft);
    s->reader = draft;
}

/* What nobody has written (inputs, parameters) gets its segment here. */
static void note_read(CudaMemory *m, Place *place, int64_t begin, int64_t end, CudaDraft *draft) {
    split_segment(m, place, begin);
    split_segment(m, place, end);
    int64_t at = begin;
    for (int i = find_segment(place, begin); at < end; i++) {
        bool gap = i == place->count || place->segments[i].begin > at;
        int64_t limit = i == place->count || place->segments[i].begin > end ? end : place->segments[i].begin;
        if (gap)
            insert_segment(m, place, i, (Segment){at, limit, NULL, NULL, false});
        add_reader(&place->segments[i], draft);
        at = place->segments[i].end;
    }
}

/* buffers[0] is the result. */
void cuda_memory_note(CudaMemory *m, const CgStep *step, CudaDraft *draft) {
    for (int i = step->buffer_count - 1; i >= 0; i--) {
        int64_t begin, end;
        const CgBuffer *buffer = step->buffers[i];
        if (buffer->place == PLACE_input)
            continue;
        buffer_bytes(m, buffer, &begin, &end);
        (i == 0 ? note_write : note_read)(m, &m->places[buffer->place], begin, end, draft);
    }
}
