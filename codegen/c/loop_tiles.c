/* loop_tiles.c: the table of tiles, and the loops that have them. */
#include "codegen/c/loop_tiles.h"

struct CgTiles {
    Arena *arena;
    StrMap tile_of_key; /* CoreTile */
};

/* ---- the table ---- */

CgTiles *cg_tiles_create(Arena *arena) {
    CgTiles *tiles = ARENA_NEW(arena, CgTiles);
    *tiles = (CgTiles){arena, str_map_create(arena)};
#define TILE(key, length, width) cg_tiles_set(tiles, key, (CoreTile){length, width});
#include "codegen/c/loop_tiles.def"
#undef TILE
    return tiles;
}

void cg_tiles_set(CgTiles *tiles, const char *key, CoreTile tile) {
    CoreTile *copy = ARENA_NEW(tiles->arena, CoreTile);
    *copy = tile;
    str_map_set(&tiles->tile_of_key, arena_strdup(tiles->arena, key), copy);
}

CoreTile cg_tiles_find(const CgTiles *tiles, const char *key) {
    const CoreTile *tile = str_map_get(&tiles->tile_of_key, key);
    return tile ? *tile : (CoreTile){0, 0};
}

/* ---- loops ---- */

const char *cg_loop_key(Arena *arena, const CgLoop *loop, CgPrecision precision) {
    static const char *const names[] = {[LOOP_depthwise] = "depthwise",
                                        [LOOP_dense] = "dense",
                                        [LOOP_depthwise_gradient] = "depthwise gradient",
                                        [LOOP_dense_gradient] = "dense gradient"};
    const CoreWindow *s = &loop->shape;
    bool dense = loop->kind == LOOP_dense || loop->kind == LOOP_dense_gradient;
    return arena_printf(arena, "%s %sx%d %lld>%lld %lldx%lld stride %lld dilation %lld width %lld", names[loop->kind],
                        s->pairs                     ? "bf16"
                        : precision == PRECISION_f64 ? "f64"
                                                     : "f32",
                        s->max_width, (long long)(dense ? s->in_channels : s->channels), (long long)s->channels,
                        (long long)s->kernel[0], (long long)s->kernel[1], (long long)s->stride[1],
                        (long long)s->dilation[1], (long long)s->width);
}

const char cg_loop_parameters[] =
    "(const T *restrict x, const T *restrict y, T *restrict z, int64_t from, int64_t to, int64_t first)";

const char *cg_loop_body(Arena *arena, const CgLoop *loop) {
    Str body = str_create(arena);
    bool gradient = loop->kind == LOOP_depthwise_gradient || loop->kind == LOOP_dense_gradient;
    str_add(&body, gradient ? "(void)from, (void)to;\n" : "(void)first;\n");
    switch (loop->kind) {
    case LOOP_depthwise:
        core_print_depthwise(&body, &loop->shape, loop->flipped, "x", "y", "z");
        break;
    case LOOP_dense:
        core_print_dense(&body, &loop->shape, "x", "y", "z");
        break;
    case LOOP_depthwise_gradient:
        core_print_depthwise_gradient(&body, &loop->shape, "x", "y", "z");
        break;
    case LOOP_dense_gradient:
        core_print_dense_gradient(&body, &loop->shape, "x", "y", "z");
        break;
    }
    return body.data;
}

static void enter_loop(CgModule *module, CgLoop loop) {
    if (str_map_get(&module->loop_of_key, loop.key))
        return;
    loop.key = arena_strdup(module->arena, loop.key);
    str_map_set(&module->loop_of_key, loop.key, module);
    ARENA_PUSH(module->arena, module->loops, module->loop_count, module->loop_capacity, loop);
}

/* All that the body depends on, but for the tile, which the key decides. */
static const char *describe_shape(Arena *arena, const CgLoop *loop) {
    const CoreWindow *s = &loop->shape;
    const int64_t numbers[] = {loop->flipped,  s->half,         s->pairs,         s->height,
                               s->in_channels, s->stride[0],    s->dilation[0],   s->row_pitch,
                               s->pixel_pitch, s->dy_row_pitch, s->dy_pixel_pitch};
    Str text = str_create(arena);
    str_add(&text, loop->key);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        str_addf(&text, " %lld", (long long)numbers[i]);
    return text.data;
}

const char *cg_module_add_loop(CgModule *module, CgLoop loop) {
    Arena *arena = arena_create();
    loop.key = cg_loop_key(arena, &loop, module->options->precision);
    loop.shape.tile = cg_tiles_find(module->tiles, loop.key);
    const char *shape = describe_shape(arena, &loop), *name = str_map_get(&module->function_of_shape, shape);
    if (!name) {
        name = cg_module_add_function(module, cg_loop_body(arena, &loop));
        str_map_set(&module->function_of_shape, shape, (void *)(uintptr_t)name);
    }
    enter_loop(module, loop);
    arena_destroy(arena);
    return name;
}

void cg_module_join_loops(CgModule *whole, const CgModule *part) {
    for (int i = 0; i < part->loop_count; i++)
        enter_loop(whole, part->loops[i]);
}

/* ---- candidates ---- */

/* Accumulators that still fit into the registers beside a few operands. */
static int most_registers(const CoreWindow *s) {
    return s->max_width >= 16 ? 28 : 13;
}

static void add_candidate(CoreTile *tiles, int *count, int length, int width) {
    for (int i = 0; i < *count; i++)
        if (tiles[i].length == length && tiles[i].width == width)
            return;
    if (*count < CG_MAX_CANDIDATES)
        tiles[(*count)++] = (CoreTile){length, width};
}

static void add_depthwise(const CoreWindow *s, CoreTile *tiles, int *count) {
    static const int lengths[] = {2, 4, 6, 8, 10, 12, 14, 16, 20, 24};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (lengths[i] <= s->width && lengths[i] + s->kernel[1] <= most_registers(s) + 3)
            add_candidate(tiles, count, lengths[i], 0);
}

/* For each number of vectors: as many columns (or input channels) as there are registers for, fewer, and a divisor. */
static void add_dense(const CoreWindow *s, int64_t extent, CoreTile *tiles, int *count) {
    int registers = most_registers(s);
    int vectors = (int)((s->channels + s->max_width - 1) / s->max_width);
    for (int v = 1; v <= CORE_MAX_VECTORS && v <= vectors; v++) {
        int most = registers / v < extent ? registers / v : (int)extent, divisor = most;
        while (divisor > 1 && extent % divisor != 0)
            divisor--;
        add_candidate(tiles, count, most, v);
        add_candidate(tiles, count, divisor, v);
        for (int length = 16; length >= 4; length -= 4)
            if (length <= most)
                add_candidate(tiles, count, length, v);
    }
}

static void add_depthwise_gradient(const CoreWindow *s, CoreTile *tiles, int *count) {
    for (int length = 1; length <= 8; length *= 2)
        for (int rows = 1; rows <= s->kernel[0]; rows++)
            if (length <= s->width && rows * s->kernel[1] + length <= most_registers(s) + 3)
                add_candidate(tiles, count, length, rows);
}

int cg_loop_candidates(const CgLoop *loop, CoreTile *tiles) {
    int count = 0;
    const CoreWindow *s = &loop->shape;
    add_candidate(tiles, &count, 0, 0);
    if (loop->kind == LOOP_depthwise)
        add_depthwise(s, tiles, &count);
    else if (loop->kind == LOOP_depthwise_gradient)
        add_depthwise_gradient(s, tiles, &count);
    else
        add_dense(s, loop->kind == LOOP_dense ? s->width : s->in_channels, tiles, &count);
    return count;
}
