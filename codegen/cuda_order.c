/* cuda_order.c: the calls of a graph, as they were planned for the CPU (edge after edge, so that little memory is
 * needed), put into an order for a GPU: as many calls side by side as the values allow.
 *
 * A call's level is one more than the highest level of the calls it has to wait for: those that write what it reads,
 * and those that read or write what it overwrites. Memory is compared byte by byte, so values that share memory over
 * time come one after the other. Each level becomes a stage whose calls are independent; the runtime starts those with
 * one kernel together. */
#include "codegen/cuda.h"

#include <string.h>

/* Bytes of a place that were last written and read by calls of these levels. Segments of a place are sorted and
 * disjoint. */
typedef struct Segment {
    int64_t begin, end;
    int written, read;
} Segment;

typedef struct Memory {
    int count, capacity;
    Segment *segments;
} Memory;

typedef struct Order {
    Arena *arena;
    const CgOptions *options;
    Memory places[PLACE_prepared + 1];
    int level_count, level_capacity;
    CgCallStage *levels;
} Order;

static void buffer_bytes(const Order *o, const CgBuffer *buffer, int64_t *begin, int64_t *end) {
    IrType type = buffer->type;
    if (buffer->place == PLACE_private)
        type.dim[0] = 1;
    *begin = buffer->offset;
    *end = buffer->offset + cg_type_bytes(o->options, &type);
}

/* The first segment that ends behind `at`. */
static int find_segment(const Memory *m, int64_t at) {
    int low = 0, high = m->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (m->segments[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The highest level that an access has to wait for. */
static int wait_level(const Memory *m, int64_t begin, int64_t end, bool writes) {
    int level = 0;
    for (int i = find_segment(m, begin); i < m->count && m->segments[i].begin < end; i++) {
        const Segment *s = &m->segments[i];
        if (s->written > level)
            level = s->written;
        if (writes && s->read > level)
            level = s->read;
    }
    return level;
}

static void insert_segment(Order *o, Memory *m, int at, Segment segment) {
    ARENA_PUSH(o->arena, m->segments, m->count, m->capacity, segment);
    memmove(&m->segments[at + 1], &m->segments[at], sizeof segment * (size_t)(m->count - 1 - at));
    m->segments[at] = segment;
}

/* Makes `at` a border between segments. */
static void split_segment(Order *o, Memory *m, int64_t at) {
    int i = find_segment(m, at);
    if (i == m->count || m->segments[i].begin >= at)
        return;
    Segment rest = m->segments[i];
    m->segments[i].end = rest.begin = at;
    insert_segment(o, m, i + 1, rest);
}

static void note_write(Order *o, Memory *m, int64_t begin, int64_t end, int level) {
    split_segment(o, m, begin);
    split_segment(o, m, end);
    int first = find_segment(m, begin), last = first;
    while (last < m->count && m->segments[last].begin < end)
        last++;
    if (last < m->count)
        memmove(&m->segments[first], &m->segments[last], sizeof *m->segments * (size_t)(m->count - last));
    m->count -= last - first;
    insert_segment(o, m, first, (Segment){begin, end, level, 0});
}

/* What nobody has written (inputs, parameters) gets its segment here. */
static void note_read(Order *o, Memory *m, int64_t begin, int64_t end, int level) {
    split_segment(o, m, begin);
    split_segment(o, m, end);
    int64_t at = begin;
    for (int i = find_segment(m, begin); at < end; i++) {
        bool gap = i == m->count || m->segments[i].begin > at;
        int64_t limit = i == m->count || m->segments[i].begin > end ? end : m->segments[i].begin;
        if (gap)
            insert_segment(o, m, i, (Segment){at, limit, 0, 0});
        Segment *s = &m->segments[i];
        s->read = level > s->read ? level : s->read;
        at = s->end;
    }
}

static int call_level(const Order *o, const CgCall *call) {
    int level = 0;
    for (int i = 0; i < call->buffer_count; i++) {
        int64_t begin, end;
        const CgBuffer *buffer = call->buffers[i];
        if (buffer->place == PLACE_input)
            continue;
        buffer_bytes(o, buffer, &begin, &end);
        int wait = wait_level(&o->places[buffer->place], begin, end, i == 0);
        level = wait > level ? wait : level;
    }
    return level + 1;
}

/* buffers[0] is the result. */
static void note_call(Order *o, const CgCall *call, int level) {
    for (int i = call->buffer_count - 1; i >= 0; i--) {
        int64_t begin, end;
        const CgBuffer *buffer = call->buffers[i];
        if (buffer->place == PLACE_input)
            continue;
        buffer_bytes(o, buffer, &begin, &end);
        (i == 0 ? note_write : note_read)(o, &o->places[buffer->place], begin, end, level);
    }
}

static void add_to_level(Order *o, int level, bool prepared, CgCall call) {
    while (o->level_count < level) {
        CgCallStage stage = {.domain = DOMAIN_parallel, .prepared = prepared};
        ARENA_PUSH(o->arena, o->levels, o->level_count, o->level_capacity, stage);
    }
    CgCallStage *stage = &o->levels[level - 1];
    ARENA_PUSH(o->arena, stage->calls, stage->call_count, stage->call_capacity, call);
}

/* Calls of one kernel become neighbours, in their old order. */
static void group_calls(Order *o, CgCallStage *stage, int kernel_count) {
    CgCall *calls = ARENA_ARRAY(o->arena, CgCall, stage->call_count);
    int *first = ARENA_ARRAY(o->arena, int, kernel_count), *next = ARENA_ARRAY(o->arena, int, stage->call_count),
        at = 0;
    for (int i = stage->call_count - 1; i >= 0; i--) {
        next[i] = first[stage->calls[i].kernel];
        first[stage->calls[i].kernel] = i + 1;
    }
    for (int i = 0; i < stage->call_count; i++) {
        int kernel = stage->calls[i].kernel;
        for (int j = first[kernel]; j; j = next[j - 1])
            calls[at++] = stage->calls[j - 1];
        first[kernel] = 0;
    }
    stage->calls = calls;
}

static void order_part(Order *o, const CgCallStage *stages, int count, bool prepared) {
    int base = o->level_count;
    memset(o->places, 0, sizeof o->places);
    for (int i = 0; i < count; i++) {
        for (int j = 0; stages[i].prepared == prepared && j < stages[i].call_count; j++) {
            const CgCall *call = &stages[i].calls[j];
            int level = call_level(o, call);
            note_call(o, call, level);
            add_to_level(o, base + level, prepared, *call);
        }
    }
}

CgCallStage *cg_cuda_order_calls(CgModule *module, const CgCallStage *stages, int *count) {
    Order *o = ARENA_NEW(module->arena, Order);
    *o = (Order){.arena = module->arena, .options = module->options};
    order_part(o, stages, *count, true);
    order_part(o, stages, *count, false);
    for (int i = 0; i < o->level_count; i++)
        group_calls(o, &o->levels[i], module->kernel_count);
    *count = o->level_count;
    return o->levels;
}
