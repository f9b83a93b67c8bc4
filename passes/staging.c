/* staging.c: order and stages; see staging.h.
 *
 * Sorting within a group, for a device that wants many steps at once, and for several ranks. depth(n) = the number of
 * changes between images and once on the longest path that leads to n inside the group. Order by depth is an order of
 * execution (depth never falls along an edge of the graph), and brings all candidates of an edge into the same few stages.
 * One processor does one candidate after the other, as the text has them: that costs twice the barriers, but what waits at
 * each is a quarter, and more of it is still in the cache behind it (search step of 8 cells, C = 16, batch 16, one thread:
 * 0.448 s instead of 0.481). Between ranks a barrier is a message, for which the earlier one waits. A sum has the same bits
 * in either order, so ranks have those of one process.
 *
 * Numbering. What choices are made of (ir/conditions.h) comes first of all: whoever runs the graph looks at them before the
 * rest. Then what depends on parameters alone (softmax of the alphas, transposed weights, folded batch norms), so that
 * nothing has to wait for it later. The other nodes are taken in order. One of the images joins the open
 * images stage, unless it needs something computed once that is still waiting: then the open stage is closed, all that
 * waits becomes one or more once stages, and a new images stage opens. So what nothing waits for (updates, running
 * statistics) collects until somebody has to wait anyway; what must be exchanged with other ranks, and all behind it, until
 * somebody waits for such. Exchanges that no image is waiting for (gradients of weights) collect until they are worth a
 * message, which is under way while images are computed; what is behind them comes at the end. Among what is computed once,
 * a level of many elements is a stage of its own, whose nodes are independent; small levels share a stage that one thread
 * does in order. */
#include "passes/staging.h"
#include "base/saturate.h"

#include <string.h>

enum {
    PARALLEL_WORK = 16384, /* elements from which waking the other threads pays */
    LEAST_SENT = 16384     /* numbers from which a message pays that no image is waiting for */
};

bool staging_is_images(const IrNode *n) {
    return ir_type_has_dim(&n->type, IR_DIM_N) || ir_type_has_dim(&n->type, IR_DIM_K);
}

bool staging_is_edge(const char *tag) {
    return tag && strstr(tag, "._ops.");
}

static size_t pass_length(const char *tag) {
    const char *end = tag ? strchr(tag, '/') : NULL;
    return end ? (size_t)(end - tag) : 0;
}

bool staging_same_pass(const char *tag, const char *other) {
    size_t length = pass_length(tag);
    return length == pass_length(other) && (length == 0 || memcmp(tag, other, length) == 0);
}

static bool same_tag(const char *a, const char *b) {
    return a == b || (a && b && str_equal(a, b));
}

/* ---- groups ---- */

static bool uses_group(const IrNode *n, const int *groups, int group) {
    for (int i = 0; i < n->input_count; i++) {
        if (groups[n->inputs[i]->id] == group && !ir_is(n->inputs[i], OP_GIVEN)) {
            return true;
        }
    }
    return false;
}

int *staging_find_groups(IrGraph *g, Arena *arena) {
    int *groups = ARENA_ARRAY(arena, int, g->next_id);
    int group = 0;
    const char *tag = g->first ? g->first->tag : NULL;
    for (IrNode *n = g->first; n; n = n->next) {
        bool joins = ir_is(n, OP_GIVEN) || same_tag(n->tag, tag) ||
                     ((ir_is_light(n) || ir_is(n, OP_LAZY)) && staging_is_edge(tag) && !staging_is_edge(n->tag) &&
                      uses_group(n, groups, group));
        if (!joins) {
            group++;
            tag = n->tag;
        }
        groups[n->id] = group;
    }
    return groups;
}

/* ---- sorting ---- */

static int depth_in_group(const IrNode *n, const int *groups, const int *depths) {
    int depth = 0;
    for (int i = 0; i < n->input_count; i++) {
        const IrNode *x = n->inputs[i];
        if (groups[x->id] == groups[n->id] && !ir_is(x, OP_GIVEN)) {
            int own = depths[x->id] + (staging_is_images(x) != staging_is_images(n));
            depth = own > depth ? own : depth;
        }
    }
    return depth;
}

/* Moves the nodes first, ..., last, in order of their depth, to before `end`. */
static void sort_run(IrNode *first, IrNode *end, int deepest, const int *depths, Arena *arena) {
    int count = 0;
    for (IrNode *n = first; n != end; n = n->next) {
        count++;
    }
    IrNode **nodes = ARENA_ARRAY(arena, IrNode *, count);
    count = 0;
    for (IrNode *n = first; n != end; n = n->next) {
        nodes[count++] = n;
    }
    for (int depth = 0; depth <= deepest; depth++) {
        for (int i = 0; i < count; i++) {
            if (depths[nodes[i]->id] == depth && nodes[i]->op != OP_input) {
                ir_node_move_before(nodes[i], end);
            }
        }
    }
}

/* An assignment must stay behind all that read the old value: it waits for as many barriers as they do. */
static void delay_assignments(IrNode *first, IrNode *end, int *depths) {
    for (IrNode *n = first; n != end; n = n->next) {
        const char *name = ir_param_written(n);
        for (IrNode *reader = first; name && reader != n; reader = reader->next) {
            for (int i = 0; i < reader->input_count; i++) {
                const char *read = ir_param_read(reader->inputs[i]);
                if (read && str_equal(read, name) && depths[reader->id] > depths[n->id]) {
                    depths[n->id] = depths[reader->id];
                }
            }
        }
    }
}

void staging_sort_groups(IrGraph *g, Arena *arena) {
    ir_graph_number(g);
    int *groups = staging_find_groups(g, arena);
    int *depths = ARENA_ARRAY(arena, int, g->next_id);
    for (IrNode *first = g->first, *end; first; first = end) {
        int deepest = 0;
        for (end = first; end && groups[end->id] == groups[first->id]; end = end->next) {
            depths[end->id] = depth_in_group(end, groups, depths);
            deepest = depths[end->id] > deepest ? depths[end->id] : deepest;
        }
        if (deepest > 0 && staging_is_edge(first->tag)) {
            delay_assignments(first, end, depths);
            sort_run(first, end, deepest, depths, arena);
        }
    }
}

/* ---- reading through inlined nodes ---- */

void staging_visit_loads(IrNode *n, StagingVisit *visit, void *data) {
    for (int i = 0; i < n->input_count; i++) {
        IrNode *x = n->inputs[i];
        if (x->inlined) {
            staging_visit_loads(x, visit, data);
        } else {
            visit(data, n, x);
        }
    }
}

/* By node id: depends on parameters alone. */
static bool *find_parameter_only(PassContext *ctx, IrGraph *g) {
    ir_graph_number(g);
    bool *only = ARENA_ARRAY(ctx->arena, bool, g->next_id);
    for (IrNode *n = g->first; n; n = n->next) {
        bool given = ir_is(n, OP_SOURCE) && !ir_param_read(n);
        bool holds = !staging_is_images(n) && !given && !ir_is(n, OP_EFFECT);
        for (int i = 0; i < n->input_count; i++) {
            holds = holds && only[n->inputs[i]->id];
        }
        only[n->id] = holds;
    }
    return only;
}

bool *staging_find_prepared(PassContext *ctx, IrGraph *g) {
    bool *only = find_parameter_only(ctx, g);
    bool fixed = ctx->kind == GRAPH_infer || ctx->kind == GRAPH_eval;
    return fixed ? only : ARENA_ARRAY(ctx->arena, bool, g->next_id);
}

/* ---- stages ---- */

typedef struct Numbering {
    PassContext *ctx;
    int stage;        /* the next number */
    int open;         /* the open images stage, -1: none */
    IrNode **waiting; /* computed once, not yet in a stage; ->mark is 1 */
    int waiting_count, waiting_capacity;
    IrNode **order; /* all nodes with a stage, by stage */
    int order_count, order_capacity;
    int *level;         /* by node id, of those that wait */
    bool *behind;       /* by node id: of those that wait, needs an exchange that waits, or is one */
    StrMap read_behind; /* names of parameters that those read */
    bool *late;         /* by node id: no image is waiting for the exchange that it is, or is behind */
    IrNode **apart;     /* late exchanges that are in no message yet */
    int apart_count, apart_capacity;
    IrNode **later; /* what is behind late exchanges */
    int later_count, later_capacity;
    StrMap read_late; /* names of parameters that those read */
} Numbering;

static void place_in_stage(Numbering *s, IrNode *n, int stage) {
    n->stage = stage;
    n->mark = 0;
    ARENA_PUSH(s->ctx->arena, s->order, s->order_count, s->order_capacity, n);
}

static void find_waiting(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    bool *found = data;
    *found = *found || value->mark == 1;
}

/* For staging_visit_loads: whether a value is one of those that wait behind an exchange. */
typedef struct BehindSearch {
    const Numbering *s;
    bool found;
} BehindSearch;

static void find_behind(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    BehindSearch *search = data;
    search->found = search->found || (value->mark == 1 && search->s->behind[value->id]);
}

static bool waits_for_exchange(const Numbering *s, IrNode *n) {
    BehindSearch search = {s, ir_is(n, OP_RANKS)};
    staging_visit_loads(n, find_behind, &search);
    return search.found;
}

/* For staging_visit_loads: names of parameters that are read. */
static void note_read(void *data, IrNode *reader, IrNode *value) {
    StrMap *names = data;
    if (ir_param_read(value))
        str_map_set(names, ir_param_read(value), reader);
}

typedef struct LevelSearch {
    const Numbering *s;
    int level;
} LevelSearch;

static void raise_level(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    LevelSearch *search = data;
    if (value->mark == 1 && search->s->level[value->id] >= search->level) {
        search->level = search->s->level[value->id] + 1;
    }
}

/* The reader of the highest level of each parameter, by its name, for assignments to come after it. */
typedef struct ReaderSearch {
    StrMap *readers;
    IrNode *node;
    const int *level;
} ReaderSearch;

static void note_reader(void *data, IrNode *reader, IrNode *value) {
    (void)reader;
    ReaderSearch *search = data;
    const char *name = ir_param_read(value);
    const IrNode *last = name ? str_map_get(search->readers, name) : NULL;
    if (name && (!last || search->level[last->id] < search->level[search->node->id])) {
        str_map_set(search->readers, name, search->node);
    }
}

static int find_levels(Numbering *s) {
    StrMap readers = str_map_create(s->ctx->arena);
    int levels = 0;
    for (int i = 0; i < s->waiting_count; i++) {
        IrNode *n = s->waiting[i];
        LevelSearch search = {s, 0};
        staging_visit_loads(n, raise_level, &search);
        if (ir_param_written(n)) {
            IrNode *reader = str_map_get(&readers, ir_param_written(n));
            if (reader && s->level[reader->id] >= search.level) {
                search.level = s->level[reader->id] + 1;
            }
        }
        s->level[n->id] = search.level;
        levels = search.level >= levels ? search.level + 1 : levels;
        ReaderSearch note = {&readers, n, s->level};
        staging_visit_loads(n, note_reader, &note);
    }
    return levels;
}

static int64_t work_of(const Numbering *s, const IrNode *n) {
    int64_t chunks = s->ctx->chunks ? s->ctx->chunks : 16;
    int64_t largest = ir_type_count(&n->type, s->ctx->batch, chunks);
    for (int i = 0; i < n->input_count; i++) {
        int64_t count = ir_type_count(&n->inputs[i]->type, s->ctx->batch, chunks);
        largest = count > largest ? count : largest;
    }
    return largest;
}

/* What all ranks must have for the rest is one message: what it adds up is there, in stages over images. */
static void flush_exchanges(Numbering *s) {
    int others = 0;
    for (int i = 0; i < s->waiting_count; i++) {
        if (ir_is(s->waiting[i], OP_RANKS)) {
            place_in_stage(s, s->waiting[i], s->stage);
        } else {
            s->waiting[others++] = s->waiting[i];
        }
    }
    s->stage += others < s->waiting_count;
    s->waiting_count = others;
}

/* What no image is waiting for leaves nevertheless, once it is worth a message: that is under way while images are computed. */
static void send_apart(Numbering *s) {
    int64_t numbers = 0;
    for (int i = 0; i < s->apart_count; i++)
        numbers += ir_type_count(&s->apart[i]->type, 1, 1);
    if (numbers < LEAST_SENT)
        return;
    for (int i = 0; i < s->apart_count; i++)
        place_in_stage(s, s->apart[i], s->stage);
    s->apart_count = 0;
    s->stage++;
}

/* Large levels get stages of their own; runs of small ones share one. */
static void flush_all(Numbering *s) {
    flush_exchanges(s);
    send_apart(s);
    int levels = find_levels(s);
    int64_t *work = ARENA_ARRAY(s->ctx->arena, int64_t, levels);
    for (int i = 0; i < s->waiting_count; i++) {
        int64_t *sum = &work[s->level[s->waiting[i]->id]];
        *sum = saturating_add(*sum, work_of(s, s->waiting[i]));
    }
    bool shared = false;
    for (int level = 0; level < levels; level++) {
        bool large = work[level] >= PARALLEL_WORK;
        s->stage += large && shared;
        for (int i = 0; i < s->waiting_count; i++) {
            if (s->waiting[i]->mark == 1 && s->level[s->waiting[i]->id] == level) {
                place_in_stage(s, s->waiting[i], s->stage);
            }
        }
        s->stage += large;
        shared = !large;
    }
    s->stage += shared;
    s->waiting_count = 0;
}

static void wait(Numbering *s, IrNode *n) {
    ARENA_PUSH(s->ctx->arena, s->waiting, s->waiting_count, s->waiting_capacity, n);
}

/* Of those that wait, what need not wait for an exchange. */
static void flush_before_exchanges(Numbering *s) {
    IrNode **later = ARENA_ARRAY(s->ctx->arena, IrNode *, s->waiting_count);
    int count = 0, now = 0;
    for (int i = 0; i < s->waiting_count; i++) {
        IrNode *n = s->waiting[i];
        if (s->behind[n->id])
            later[count++] = n;
        else
            s->waiting[now++] = n;
    }
    s->waiting_count = now;
    flush_all(s);
    for (int i = 0; i < count; i++)
        wait(s, later[i]);
}

static void close_images(Numbering *s) {
    if (s->open >= 0) {
        s->stage++;
        s->open = -1;
    }
}

static void flush_at_end(Numbering *s) {
    for (int i = 0; i < s->apart_count; i++)
        wait(s, s->apart[i]);
    for (int i = 0; i < s->later_count; i++)
        wait(s, s->later[i]);
    s->apart_count = s->later_count = 0;
    flush_all(s);
}

/* An assignment is behind all that read the old value. */
static void note_behind(Numbering *s, IrNode *n) {
    const char *written = ir_param_written(n);
    s->behind[n->id] = waits_for_exchange(s, n) || (written && str_map_get(&s->read_behind, written));
    if (s->behind[n->id])
        staging_visit_loads(n, note_read, &s->read_behind);
}

/* An exchange that is late, or something that is behind one. */
static bool add_late(Numbering *s, IrNode *n) {
    const char *written = ir_param_written(n);
    bool late = s->late[n->id] || (written && str_map_get(&s->read_late, written));
    if (late && ir_is(n, OP_RANKS)) {
        ARENA_PUSH(s->ctx->arena, s->apart, s->apart_count, s->apart_capacity, n);
    } else if (late) {
        ARENA_PUSH(s->ctx->arena, s->later, s->later_count, s->later_capacity, n);
        staging_visit_loads(n, note_read, &s->read_late);
    }
    return late;
}

static void add_node(Numbering *s, IrNode *n) {
    if (!staging_is_images(n)) {
        n->mark = 1;
        if (!add_late(s, n)) {
            note_behind(s, n);
            wait(s, n);
        }
        return;
    }
    bool must_wait = false;
    staging_visit_loads(n, find_waiting, &must_wait);
    if (must_wait) {
        bool for_exchange = waits_for_exchange(s, n);
        close_images(s);
        if (for_exchange)
            flush_all(s);
        else
            flush_before_exchanges(s);
    }
    s->open = s->stage;
    place_in_stage(s, n, s->stage);
}

static void emit(IrNode *n) {
    if (n->mark == 2) {
        return;
    }
    n->mark = 2;
    for (int i = 0; i < n->input_count; i++) {
        if (n->inputs[i]->inlined) {
            emit(n->inputs[i]);
        }
    }
    ir_node_move_before(n, NULL);
}

/* Inputs stay in front, then what is given, then stage by stage, each node behind the inlined ones it is the first to
 * need. */
static void put_in_order(const Numbering *s, IrGraph *g) {
    IrNode **nodes = ARENA_ARRAY(s->ctx->arena, IrNode *, g->next_id);
    int count = 0;
    for (IrNode *n = g->first; n; n = n->next) {
        n->mark = n->op == OP_input ? 2 : 0;
        nodes[count++] = n;
    }
    for (int i = 0; i < count; i++) {
        if (ir_is(nodes[i], OP_GIVEN)) {
            emit(nodes[i]);
        }
    }
    for (int i = 0; i < s->order_count; i++) {
        emit(s->order[i]);
    }
    for (int i = 0; i < count; i++) {
        emit(nodes[i]); /* what nobody reads */
    }
    ir_clear_scratch(g);
}

/* What comes in which round: choices, of which those that depend on parameters alone, parameters, the rest. */
static int round_of(const IrNode *n, const bool *choosing, const bool *parameters) {
    return choosing[n->id] ? (parameters[n->id] ? 0 : 1) : parameters[n->id] ? 2 : 3;
}

/* By node id: exchanges from which no way leads to an image, as those of gradients, and what is behind them. A wide device sends
 * them along with others. Ids must be fresh. */
static bool *find_late(const PassContext *ctx, IrGraph *g) {
    bool *late = ARENA_ARRAY(ctx->arena, bool, g->next_id), *leads = ARENA_ARRAY(ctx->arena, bool, g->next_id);
    if (ctx->wide)
        return late;
    for (IrNode *n = g->last; n; n = n->prev)
        for (int i = 0; i < n->input_count && (leads[n->id] || staging_is_images(n)); i++)
            leads[n->inputs[i]->id] = true;
    for (IrNode *n = g->first; n; n = n->next) {
        late[n->id] = ir_is(n, OP_RANKS) && !leads[n->id];
        for (int i = 0; i < n->input_count && !staging_is_images(n); i++)
            late[n->id] = late[n->id] || late[n->inputs[i]->id];
    }
    return late;
}

void staging_number_stages(PassContext *ctx, IrGraph *g) {
    enum { ROUNDS = 4 };
    bool *parameters = find_parameter_only(ctx, g), *choosing = ir_find_choosing(g, ctx->arena);
    Numbering s = {.ctx = ctx,
                   .open = -1,
                   .level = ARENA_ARRAY(ctx->arena, int, g->next_id),
                   .behind = ARENA_ARRAY(ctx->arena, bool, g->next_id),
                   .read_behind = str_map_create(ctx->arena),
                   .late = find_late(ctx, g),
                   .read_late = str_map_create(ctx->arena)};
    ir_clear_scratch(g);
    for (IrNode *n = g->first; n; n = n->next)
        n->stage = -1;
    for (int round = 0; round < ROUNDS; round++) {
        for (IrNode *n = g->first; n; n = n->next) {
            bool computed = !n->inlined && !ir_is(n, OP_GIVEN);
            if (computed && round_of(n, choosing, parameters) == round)
                add_node(&s, n);
        }
        close_images(&s);
        flush_at_end(&s);
    }
    put_in_order(&s, g);
}
