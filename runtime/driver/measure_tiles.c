/* measure_tiles.c: times the loops of a text's convolutions with every tile that is worth trying, one loop
 * alone, its operands in cache, by the processor's time; what is faster than the compiler's own choice by more than the
 * noise is written to the table (tiles.h). Every tile must give the same bits. */
#include "runtime/driver/measure_tiles.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/scratch.h"
#include "base/str.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/compiler.h"
#include "runtime/device/machine.h"
#include "runtime/device/tiles.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void LoopFunction(const void *x, const void *y, void *z, int64_t from, int64_t to, int64_t first);

typedef struct Tune {
    Arena *arena;
    const RtProgramOptions *options;
    CgOptions cg;
    RtTiles tiles;
    int loop_count; /* of the text */
    const CgLoop *loops;
    int first[1 << 12]; /* of each loop: its first candidate */
    int tried_count, tried_capacity;
    CgLoop *tried; /* candidates of all loops, side by side */
    LoopFunction *const *functions;
    void *library;
} Tune;

/* ---- loops and candidates ---- */

static bool find_loops(Tune *t, Error *error) {
    RtProgramOptions o = *t->options;
    const char *path = o.tune;
    if (path && file_is_missing(path))
        t->tiles.path = path;
    else if (!rt_tiles_read(t->arena, path, &t->tiles, error))
        return false;
    if (!t->tiles.path)
        return error_set(error, ERROR_INPUT, "no place for the table: set XDG_CONFIG_HOME, or give --tune FILE");
    o.tune = NULL;
    const CgOutput *output = rt_text_generate(t->arena, &o, &cg_target_c, &t->cg, error);
    if (!output)
        return false;
    t->loops = output->loops;
    t->loop_count = output->loop_count;
    return t->loop_count < (int)(sizeof t->first / sizeof *t->first) - 1 ||
           error_set(error, ERROR_INPUT, "%s has more loops than can be tuned", o.path);
}

/* The compiler's own choice first. */
static void add_candidates(Tune *t, const CgLoop *loop, const CgTiles *compiled_in) {
    CoreTile tiles[CG_MAX_CANDIDATES], own = cg_tiles_find(compiled_in, loop->key);
    int count = cg_loop_candidates(loop, tiles);
    CgLoop one = *loop;
    one.shape.tile = own;
    ARENA_PUSH(t->arena, t->tried, t->tried_count, t->tried_capacity, one);
    for (int i = 0; i < count; i++) {
        one.shape.tile = tiles[i];
        if (memcmp(&tiles[i], &own, sizeof own) != 0)
            ARENA_PUSH(t->arena, t->tried, t->tried_count, t->tried_capacity, one);
    }
}

static bool compile_candidates(Tune *t, Error *error) {
    enum { LOOPS_PER_UNIT = 40 };
    RtCompiler compiler;
    CgOptions cg = t->cg;
    cg.unit_count = 1 + t->tried_count / LOOPS_PER_UNIT;
    const CgOutput *output = cg_generate_loops(t->arena, t->tried, t->tried_count, &cg);
    Scratch scratch;
    const char *path, *place = rt_cache_folder(t->arena, error);
    if (!place || !rt_compiler_find(t->arena, &compiler, error) ||
        !scratch_make(t->arena, arena_printf(t->arena, "%s/tune", place), &scratch, error))
        return false;
    RtCompiling work = {t->arena, &compiler, rt_compiler_options(t->arena, cg.vector_bytes), scratch.folder, false};
    bool ok = rt_build_in_folder(&work, output, &path, error);
    t->library = ok ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    scratch_remove(&scratch);
    if (ok && !t->library)
        return error_set(error, ERROR_MACHINE, "the loops do not load: %s", dlerror());
    t->functions = ok ? dlsym(t->library, "nd_loops") : NULL;
    return ok;
}

/* ---- timing ---- */

typedef struct Operands {
    size_t result_bytes;
    char *x, *y, *z, *expected;
} Operands;

static float make_pair(double number) {
    float single = (float)number;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits = (bits & 0xffff0000u) | bits >> 16;
    memcpy(&single, &bits, sizeof bits);
    return single;
}

/* Numbers from -1 to 1; under bf16 in either half of a single, since loops may read pairs. */
static void *make_numbers(Arena *arena, int64_t count, CgPrecision precision) {
    enum { SLACK = 64 }; /* vectors may end beyond what is needed */
    char *memory = arena_alloc(arena, (size_t)(count + SLACK) * (precision == PRECISION_f64 ? 8 : 4) + 64);
    void *aligned = memory + (64 - (uintptr_t)memory % 64) % 64;
    for (int64_t i = 0; i < count; i++) {
        double number = (double)((uint64_t)i * 2654435761u >> 8 & 0xffff) / 32768.0 - 1;
        if (precision == PRECISION_f64)
            ((double *)aligned)[i] = number;
        else
            ((float *)aligned)[i] = precision == PRECISION_bf16 ? make_pair(number) : (float)number;
    }
    return aligned;
}

/* From the first to the last that a window touches. Rows may have been joined to one. */
static int64_t source_elements(const CoreWindow *s) {
    int64_t rows = (s->height - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0];
    int64_t columns = (s->width - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
    return rows * s->row_pitch + columns * s->pixel_pitch;
}

static Operands make_operands(Arena *arena, const CgLoop *loop, CgPrecision precision) {
    const CoreWindow *s = &loop->shape;
    bool gradient = loop->kind == LOOP_depthwise_gradient || loop->kind == LOOP_dense_gradient;
    bool dense = loop->kind == LOOP_dense || loop->kind == LOOP_dense_gradient;
    int64_t weights = s->kernel[0] * s->kernel[1] * s->channels * (dense ? s->in_channels : 1);
    int64_t results = gradient ? weights : s->height * s->width * s->channels;
    Operands o = {.result_bytes = (size_t)results * (precision == PRECISION_f64 ? 8 : 4)};
    o.x = make_numbers(arena, source_elements(s), precision);
    o.y = make_numbers(arena, gradient ? (s->height - 1) * s->dy_row_pitch + s->width * s->dy_pixel_pitch : weights,
                       precision);
    o.z = make_numbers(arena, results, precision);
    o.expected = make_numbers(arena, results, precision);
    return o;
}

static double time_calls(LoopFunction *function, const Operands *o, const CgLoop *loop, int calls) {
    double begin = clock_read(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < calls; i++)
        function(o->x, o->y, o->z, 0, loop->shape.height, 1);
    return (clock_read(CLOCK_THREAD_CPUTIME_ID) - begin) / calls;
}

static void check_bits(const Tune *t, int number, int base, const Operands *o) {
    const CgLoop *loop = &t->tried[number];
    t->functions[number](o->x, o->y, o->z, 0, loop->shape.height, 1);
    if (number == base)
        memcpy(o->expected, o->z, o->result_bytes);
    else if (memcmp(o->expected, o->z, o->result_bytes) != 0)
        bug("the tile %d x %d of '%s' changes the result", loop->shape.tile.length, loop->shape.tile.width, loop->key);
}

/* In turns, so that what slows the machine down for a while slows all of them; the least of each counts. */
static int find_fastest(const Tune *t, int first, int end, const Operands *o, int calls, double *seconds) {
    enum { ROUNDS = 7 };
    int best = first;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = first; i < end; i++) {
            double took = time_calls(t->functions[i], o, &t->tried[i], calls);
            if (round == 0 || took < seconds[i])
                seconds[i] = took;
        }
    for (int i = first; i < end; i++)
        best = seconds[i] < seconds[best] ? i : best;
    return best;
}

/* Of many that are alike one looks better by chance: the fastest has to be better than the compiler's own once more, by
 * more than the noise in most rounds. */
static bool is_better(const Tune *t, int own, int best, const Operands *o, int calls, double *seconds) {
    enum { ROUNDS = 16, MOST = 12 };
    const double noise = 0.04;
    int won = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double before = time_calls(t->functions[own], o, &t->tried[own], calls);
        double after = time_calls(t->functions[best], o, &t->tried[best], calls);
        won += after < (1 - noise) * before;
        seconds[own] = before < seconds[own] ? before : seconds[own];
        seconds[best] = after < seconds[best] ? after : seconds[best];
    }
    return won >= MOST && seconds[best] < (1 - noise) * seconds[own];
}

/* The first, which is the compiler's own, when no other is better. */
static int find_best(const Tune *t, int first, int end, double *seconds) {
    const double least_time = 5e-4; /* of a measurement */
    Arena *arena = arena_create();
    Operands o = make_operands(arena, &t->tried[first], t->cg.precision);
    for (int i = first; i < end; i++)
        check_bits(t, i, first, &o);
    int calls = (int)(least_time / (time_calls(t->functions[first], &o, &t->tried[first], 3) + 1e-9)) + 1;
    int best = find_fastest(t, first, end, &o, calls, seconds);
    if (best != first && !is_better(t, first, best, &o, calls, seconds))
        best = first;
    arena_destroy(arena);
    return best;
}

/* ---- the table ---- */

static void set_tile(Tune *t, const char *key, CoreTile tile, bool remove) {
    int i = 0;
    while (i < t->tiles.count && !str_equal(t->tiles.items[i].key, key))
        i++;
    if (remove && i < t->tiles.count)
        t->tiles.items[i] = t->tiles.items[--t->tiles.count];
    else if (i < t->tiles.count)
        t->tiles.items[i].tile = tile;
    else if (!remove)
        ARENA_PUSH(t->arena, t->tiles.items, t->tiles.count, t->tiles.capacity, ((RtTile){key, tile}));
}

/* True when the loop has a tile that is better. */
static bool tune_loop(Tune *t, int number, double *seconds) {
    int first = t->first[number], best = find_best(t, first, t->first[number + 1], seconds);
    const CgLoop *loop = &t->tried[best];
    bool better = best != first;
    set_tile(t, loop->key, loop->shape.tile, !better);
    if (better)
        printf("%-62s %8.2f us -> %8.2f us  %2.0f %%  tile %d x %d\n", loop->key, 1e6 * seconds[first],
               1e6 * seconds[best], 100 * (1 - seconds[best] / seconds[first]), loop->shape.tile.length,
               loop->shape.tile.width);
    fflush(stdout);
    return better;
}

static bool measure(Tune *t, Error *error) {
    if (!find_loops(t, error))
        return false;
    const CgTiles *compiled_in = cg_tiles_create(t->arena);
    for (int i = 0; i < t->loop_count; i++) {
        t->first[i] = t->tried_count;
        add_candidates(t, &t->loops[i], compiled_in);
    }
    t->first[t->loop_count] = t->tried_count;
    fprintf(stderr, "%d loops, %d tiles to try\n", t->loop_count, t->tried_count);
    if (t->loop_count > 0 && !compile_candidates(t, error))
        return false;
    double *seconds = ARENA_ARRAY(t->arena, double, t->tried_count + 1);
    int better = 0;
    for (int i = 0; i < t->loop_count; i++)
        better += tune_loop(t, i, seconds);
    if (!rt_tiles_write(&t->tiles, error))
        return false;
    fprintf(stderr, "%d of %d loops have a better tile; the table is in %s\n", better, t->loop_count, t->tiles.path);
    return true;
}

bool measure_tiles(const RtProgramOptions *options, Error *error) {
    Arena *arena = arena_create();
    Tune *t = ARENA_NEW(arena, Tune);
    t->arena = arena;
    t->options = options;
    bool ok = measure(t, error);
    if (t->library)
        dlclose(t->library);
    arena_destroy(arena);
    return ok;
}
