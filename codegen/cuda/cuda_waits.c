/* cuda_waits.c: which groups have last written and read each byte; see cuda_waits.h. */
#include "codegen/cuda/cuda_waits.h"

#include <string.h>

/* Segments that were one share the end of their lists. */
typedef struct Reader {
    CudaDraft *draft;
    const struct Reader *next;
} Reader;

/* Bytes of a place that one group has written last, and those that have read them since. Segments of a place are sorted
 * and disjoint. */
typedef struct Segment {
    int64_t begin, end;
    CudaDraft *writer;
    const Reader *readers;
} Segment;

typedef struct Place {
    int count, capacity;
    Segment *segments;
} Place;

struct CudaMemory {
    Arena *arena;
    const CgOptions *options;
    Place places[PLACE_prepared + 1];
    int searches;
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

static void wait_for(CudaMemory *m, Arena *arena, CudaWaits *waits, CudaDraft *draft) {
    draft = draft ? cuda_draft_root(draft) : NULL;
    if (!draft || draft->found == m->searches)
        return;
    draft->found = m->searches;
    ARENA_PUSH(arena, waits->all, waits->all_count, waits->all_capacity, draft);
    if (draft->level < waits->level)
        return;
    if (draft->level > waits->level) {
        waits->level = draft->level;
        waits->count = 0;
        waits->more = false;
    }
    if (waits->count == WAITS_MOST)
        waits->more = true;
    else
        waits->drafts[waits->count++] = draft;
}

CudaWaits cuda_memory_find_waits(CudaMemory *m, Arena *arena, const CgStep *step) {
    CudaWaits waits = {0};
    m->searches++;
    for (int i = 0; i < step->buffer_count; i++) {
        int64_t begin, end;
        const CgBuffer *buffer = step->buffers[i];
        if (buffer->place == PLACE_input)
            continue;
        const Place *place = &m->places[buffer->place];
        buffer_bytes(m, buffer, &begin, &end);
        for (int s = find_segment(place, begin); s < place->count && place->segments[s].begin < end; s++) {
            wait_for(m, arena, &waits, place->segments[s].writer);
            for (const Reader *r = place->segments[s].readers; i == 0 && r; r = r->next)
                wait_for(m, arena, &waits, r->draft);
        }
    }
    return waits;
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
    insert_segment(m, place, first, (Segment){begin, end, draft, NULL});
}

static void add_reader(CudaMemory *m, Segment *s, CudaDraft *draft) {
    if (s->readers && s->readers->draft == draft)
        return;
    Reader *reader = ARENA_NEW(m->arena, Reader);
    *reader = (Reader){draft, s->readers};
    s->readers = reader;
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
            insert_segment(m, place, i, (Segment){at, limit, NULL, NULL});
        add_reader(m, &place->segments[i], draft);
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
