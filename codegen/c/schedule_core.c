/* schedule_core.c: prints the inner loops of the fast C schedules.
 *
 * Depthwise: a tile of up to 16 columns in registers; each source vector is loaded once per kernel row and multiplied
 * into every column whose window holds it. Dense: positions x vectors of output channels in registers, source elements
 * broadcast. Gradients: the kernel's taps (depthwise) or input x output channels (dense) in registers, walking the
 * image. Additions go in row-major order of (kh, kw, i) for outputs and of (h, w) for gradients, whatever the tile or
 * vector width, with fused multiply-adds, so every width gives the same bits. Of bf16 pairs the second is added before the
 * first.
 *
 * What lies where (elements; H, W of the output, C channels, I input channels, s stride, d dilation, KH, KW taps):
 *     source   [.., .., C or I]   (h * s + kh * d) * row_pitch + (w * s + kw * d) * pixel_pitch + c
 *     weight   [KH, KW, C]        (kh * KW + kw) * C + c                 depthwise; flipped: KH - 1 - kh, KW - 1 - kw
 *              [KH, KW, I, C]     ((kh * KW + kw) * I + i) * C + c       dense
 *     result   [H, W, C]          (h * W + w) * C + c
 *     dy       [H, W, C]          h * dy_row_pitch + w * dy_pixel_pitch + c
 *     gradient                    as weight
 *     a[j], a[j][v]               column w + j of a tile, vector v of its channels
 *     g[j][v]                     input channel i + j, vector v of the output channels */
#include "codegen/c/schedule_core.h"

#include "codegen/stages/print_c.h"

enum { MAX_SEGMENTS = 1024 };

/* Registers that accumulators may take: 32 with 512-bit vectors, else 16, less those for operands. */
static int core_accumulators(const CoreWindow *s) {
    return s->max_width >= 16 ? 24 : 12;
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t chosen(int64_t given, int64_t otherwise) {
    return given > 0 ? given : otherwise;
}

/* Column w + j of the result, a vector that begins at a channel. */
static void print_store(Str *out, const CoreWindow *s, int width, const char *result, int64_t j, const char *channel,
                        const char *value) {
    const char *at =
        arena_printf(out->arena, "(h * %ld + w + %ld) * %ld + %s", (long)s->width, (long)j, (long)s->channels, channel);
    if (s->half)
        str_addf(out, "nd_keep_h%d((nd_bf16 *)%s + %s, %s);\n", width, result, at, value);
    else
        str_addf(out, "*(nd_u%d *)(%s + %s) = %s;\n", width, result, at, value);
}

/* ---- depthwise ---- */

static void print_depthwise_tile(Str *out, const CoreWindow *s, bool flipped, int width, int64_t tile,
                                 const char *source, const char *weight, const char *result) {
    for (int64_t j = 0; j < tile; j++)
        str_addf(out, "nd_v%d a%ld = {0};\n", width, (long)j);
    str_addf(out, "for (long kh = 0; kh < %ld; kh++) {\n", (long)s->kernel[0]);
    str_addf(out, "const T *s = %s + (h * %ld + kh * %ld) * %ld + w * %ld + c;\n", source, (long)s->stride[0],
             (long)s->dilation[0], (long)s->row_pitch, (long)(s->stride[1] * s->pixel_pitch));
    const char *row = flipped ? "(%ld - kh)" : "kh";
    str_addf(out, "const T *k = %s + ", weight);
    if (flipped)
        str_addf(out, "(%ld - kh)", (long)(s->kernel[0] - 1));
    else
        str_add(out, row);
    str_addf(out, " * %ld + c;\n", (long)(s->kernel[1] * s->channels));
    for (int64_t kw = 0; kw < s->kernel[1]; kw++)
        str_addf(out, "const nd_v%d k%ld = *(const nd_u%d *)(k + %ld);\n", width, (long)kw, width,
                 (long)((flipped ? s->kernel[1] - 1 - kw : kw) * s->channels));
    int64_t columns = (tile - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
    for (int64_t x = 0; x < columns; x++) {
        bool loaded = false;
        for (int64_t kw = 0; kw < s->kernel[1]; kw++) {
            int64_t column = x - kw * s->dilation[1];
            if (column < 0 || column % s->stride[1] != 0 || column / s->stride[1] >= tile)
                continue;
            if (!loaded)
                str_addf(out, "{ const nd_v%d v = *(const nd_u%d *)(s + %ld);", width, width,
                         (long)(x * s->pixel_pitch));
            loaded = true;
            str_addf(out, " a%ld = nd_mla_v%d(a%ld, v, k%ld);", (long)(column / s->stride[1]), width,
                     (long)(column / s->stride[1]), (long)kw);
        }
        if (loaded)
            str_add(out, " }\n");
    }
    str_add(out, "}\n");
    for (int64_t j = 0; j < tile; j++)
        print_store(out, s, width, result, j, "c", arena_printf(out->arena, "a%ld", (long)j));
}

void core_print_depthwise(Str *out, const CoreWindow *s, bool flipped, const char *source, const char *weight,
                          const char *result) {
    int offsets[MAX_SEGMENTS], widths[MAX_SEGMENTS];
    int count = cg_c_segments(s->channels, s->max_width, offsets, widths);
    int64_t tile = min64(s->width, chosen(s->tile.length, s->max_width >= 16 ? 16 : 8));
    for (int i = 0; i < count;) {
        int end = i;
        while (end < count && widths[end] == widths[i])
            end++;
        str_addf(out, "for (long c = %d; c < %d; c += %d)\nfor (long h = from; h < to; h++) {\n", offsets[i],
                 offsets[end - 1] + widths[end - 1], widths[i]);
        int64_t full = s->width / tile * tile;
        str_addf(out, "for (long w = 0; w < %ld; w += %ld) {\n", (long)full, (long)tile);
        print_depthwise_tile(out, s, flipped, widths[i], tile, source, weight, result);
        str_add(out, "}\n");
        if (full < s->width) {
            str_addf(out, "{ const long w = %ld;\n", (long)full);
            print_depthwise_tile(out, s, flipped, widths[i], s->width - full, source, weight, result);
            str_add(out, "}\n");
        }
        str_add(out, "}\n");
        i = end;
    }
}

/* ---- dense ---- */

typedef struct VectorGroup {
    int count, offset[CORE_MAX_VECTORS], width[CORE_MAX_VECTORS];
} VectorGroup;

/* Begins the declaration of a pointer to what a dense loop multiplies. */
static void begin_pointer(Str *out, const CoreWindow *s, char name, const char *from) {
    str_addf(out, s->pairs ? "const nd_part *%c = (const nd_part *)%s" : "const T *%c = %s", name, from);
}

/* Two elements along the sum: e counts the turns that they take. */
static void begin_turns(Str *out, const CoreWindow *s) {
    if (s->pairs)
        str_add(out, "for (long e = ND_TURNS - 1; e >= 0; e--) {\n");
}

static void end_turns(Str *out, const CoreWindow *s) {
    if (s->pairs)
        str_add(out, "}\n");
}

/* Vectors NAME0, NAME1, ... of a group's channels, at pointer NAME; pairs: of two rows. */
static void print_vectors(Str *out, const CoreWindow *s, const VectorGroup *group, char name, char pointer,
                          int64_t row) {
    for (int v = 0; v < group->count; v++) {
        int width = group->width[v], offset = group->offset[v];
        if (s->pairs)
            str_addf(out, "const nd_pair_v%d %c%d = nd_pair_of_v%d(%c, %d, %ld, e);\n", width, name, v, width, pointer,
                     offset, (long)row);
        else
            str_addf(out, "const nd_v%d %c%d = *(const nd_u%d *)(%c + %d);\n", width, name, v, width, pointer, offset);
    }
}

/* Multiplies x, which is one element (pairs: two) for all lanes, by those vectors, and adds it to SUM<j>_0, SUM<j>_1, ... */
static void print_products(Str *out, const CoreWindow *s, const VectorGroup *group, char sum, int64_t j, char name,
                           const char *x) {
    str_addf(out, "{ const %s x = %s;", s->pairs ? "nd_two" : "T", x);
    for (int v = 0; v < group->count; v++) {
        if (s->pairs)
            str_addf(out, " %c%ld_%d = nd_dot_v%d(%c%ld_%d, x, %c%d);", sum, (long)j, v, group->width[v], sum, (long)j,
                     v, name, v);
        else
            str_addf(out, " %c%ld_%d = nd_mla_v%d(%c%ld_%d, nd_splat_v%d(x), %c%d);", sum, (long)j, v, group->width[v],
                     sum, (long)j, v, group->width[v], name, v);
    }
    str_add(out, " }\n");
}

/* Cuts the result's channels into groups of at most three vectors (or so many as the tile says), as even as they go. */
static int group_vectors(const CoreWindow *s, VectorGroup *groups) {
    int offsets[MAX_SEGMENTS], widths[MAX_SEGMENTS];
    int count = cg_c_segments(s->channels, s->max_width, offsets, widths);
    int most = (int)min64(chosen(s->tile.width, 3), CORE_MAX_VECTORS);
    int group_count = (count + most - 1) / most, next = 0;
    for (int g = 0; g < group_count; g++) {
        groups[g].count = (count - next + group_count - g - 1) / (group_count - g);
        for (int v = 0; v < groups[g].count; v++, next++) {
            groups[g].offset[v] = offsets[next];
            groups[g].width[v] = widths[next];
        }
    }
    return group_count;
}

static void print_dense_tile(Str *out, const CoreWindow *s, const VectorGroup *group, int64_t tile, const char *source,
                             const char *weight, const char *result) {
    bool window = s->kernel[0] * s->kernel[1] > 1;
    for (int64_t j = 0; j < tile; j++)
        for (int v = 0; v < group->count; v++)
            str_addf(out, "nd_v%d a%ld_%d = {0};\n", group->width[v], (long)j, v);
    if (window)
        str_addf(out, "for (long kh = 0; kh < %ld; kh++) for (long kw = 0; kw < %ld; kw++) {\n", (long)s->kernel[0],
                 (long)s->kernel[1]);
    else
        str_add(out, "{ const long kh = 0, kw = 0;\n");
    begin_pointer(out, s, 's', source);
    str_addf(out, " + (h * %ld + kh * %ld) * %ld + (w * %ld + kw * %ld) * %ld;\n", (long)s->stride[0],
             (long)s->dilation[0], (long)s->row_pitch, (long)s->stride[1], (long)s->dilation[1], (long)s->pixel_pitch);
    begin_pointer(out, s, 'k', weight);
    str_addf(out, " + (kh * %ld + kw) * %ld;\n", (long)s->kernel[1], (long)(s->in_channels * s->channels));
    str_addf(out,
             s->pairs ? "for (long i = 0; i < %ld; i += 2, k += %ld) {\n"
                      : "for (long i = 0; i < %ld; i++, k += %ld) {\n",
             (long)s->in_channels, (long)(s->pairs ? 2 * s->channels : s->channels));
    begin_turns(out, s);
    print_vectors(out, s, group, 'k', 'k', s->channels);
    for (int64_t j = 0; j < tile; j++)
        print_products(out, s, group, 'a', j, 'k',
                       arena_printf(out->arena, s->pairs ? "nd_two_at(s + i + %ld, e)" : "s[i + %ld]",
                                    (long)(j * s->stride[1] * s->pixel_pitch)));
    end_turns(out, s);
    str_add(out, "}\n}\n");
    for (int64_t j = 0; j < tile; j++)
        for (int v = 0; v < group->count; v++)
            print_store(out, s, group->width[v], result, j, arena_printf(out->arena, "%d", group->offset[v]),
                        arena_printf(out->arena, "a%ld_%d", (long)j, v));
}

static int64_t dense_columns(const CoreWindow *s, int vectors) {
    if (s->tile.length > 0)
        return min64(s->width, s->tile.length);
    int64_t tile = min64(s->width, min64(core_accumulators(s) / vectors, 16));
    return tile > 8 && s->width % 8 == 0 && s->width % tile != 0 ? 8 : tile;
}

void core_print_dense(Str *out, const CoreWindow *s, const char *source, const char *weight, const char *result) {
    VectorGroup groups[MAX_SEGMENTS];
    int group_count = group_vectors(s, groups);
    for (int g = 0; g < group_count; g++) {
        int64_t tile = dense_columns(s, groups[g].count), full = s->width / tile * tile;
        str_addf(out, "for (long h = from; h < to; h++) {\nfor (long w = 0; w < %ld; w += %ld) {\n", (long)full,
                 (long)tile);
        print_dense_tile(out, s, &groups[g], tile, source, weight, result);
        str_add(out, "}\n");
        if (full < s->width) {
            str_addf(out, "{ const long w = %ld;\n", (long)full);
            print_dense_tile(out, s, &groups[g], s->width - full, source, weight, result);
            str_add(out, "}\n");
        }
        str_add(out, "}\n");
    }
}

/* ---- gradients of the weights ---- */

static void print_accumulate(Str *out, int width, const char *target, long index, const char *value) {
    str_addf(out, "{ nd_u%d *g = (nd_u%d *)(%s + %ld + c); if (!first) %s += *g; *g = %s; }\n", width, width, target,
             index, value, value);
}

static void print_depthwise_gradient_rows(Str *out, const CoreWindow *s, int width, int64_t row0, int64_t rows,
                                          int64_t tile, const char *source, const char *dy) {
    for (int64_t j = 0; j < tile; j++)
        str_addf(out, "const nd_v%d d%ld = *(const nd_u%d *)(%s + h * %ld + (w + %ld) * %ld + c);\n", width, (long)j,
                 width, dy, (long)s->dy_row_pitch, (long)j, (long)s->dy_pixel_pitch);
    int64_t columns = (tile - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
    for (int64_t r = 0; r < rows; r++) {
        str_addf(out, "{ const T *s = %s + (h * %ld + %ld) * %ld + w * %ld + c;\n", source, (long)s->stride[0],
                 (long)((row0 + r) * s->dilation[0]), (long)s->row_pitch, (long)(s->stride[1] * s->pixel_pitch));
        for (int64_t x = 0; x < columns; x++) {
            bool loaded = false;
            for (int64_t kw = s->kernel[1] - 1; kw >= 0; kw--) {
                int64_t column = x - kw * s->dilation[1];
                if (column < 0 || column % s->stride[1] != 0 || column / s->stride[1] >= tile)
                    continue;
                if (!loaded)
                    str_addf(out, "{ const nd_v%d v = *(const nd_u%d *)(s + %ld);", width, width,
                             (long)(x * s->pixel_pitch));
                loaded = true;
                str_addf(out, " g%ld_%ld = nd_mla_v%d(g%ld_%ld, v, d%ld);", (long)r, (long)kw, width, (long)r, (long)kw,
                         (long)(column / s->stride[1]));
            }
            if (loaded)
                str_add(out, " }\n");
        }
        str_add(out, "}\n");
    }
}

static void print_depthwise_gradient_block(Str *out, const CoreWindow *s, int width, int64_t row0, int64_t rows,
                                           const char *source, const char *dy, const char *gradient) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t kw = 0; kw < s->kernel[1]; kw++)
            str_addf(out, "nd_v%d g%ld_%ld = {0};\n", width, (long)r, (long)kw);
    int64_t tile = min64(s->width, chosen(s->tile.length, 4)), full = s->width / tile * tile;
    str_addf(out, "for (long h = 0; h < %ld; h++) {\nfor (long w = 0; w < %ld; w += %ld) {\n", (long)s->height,
             (long)full, (long)tile);
    print_depthwise_gradient_rows(out, s, width, row0, rows, tile, source, dy);
    str_add(out, "}\n");
    if (full < s->width) {
        str_addf(out, "{ const long w = %ld;\n", (long)full);
        print_depthwise_gradient_rows(out, s, width, row0, rows, s->width - full, source, dy);
        str_add(out, "}\n");
    }
    str_add(out, "}\n");
    for (int64_t r = 0; r < rows; r++)
        for (int64_t kw = 0; kw < s->kernel[1]; kw++) {
            char value[48];
            snprintf(value, sizeof value, "g%ld_%ld", (long)r, (long)kw);
            print_accumulate(out, width, gradient, (long)(((row0 + r) * s->kernel[1] + kw) * s->channels), value);
        }
}

void core_print_depthwise_gradient(Str *out, const CoreWindow *s, const char *source, const char *dy,
                                   const char *gradient) {
    int offsets[MAX_SEGMENTS], widths[MAX_SEGMENTS];
    int count = cg_c_segments(s->channels, s->max_width, offsets, widths);
    int64_t limit = s->max_width >= 16 ? 25 : 10;
    int64_t rows = chosen(s->tile.width, limit / s->kernel[1] > 0 ? limit / s->kernel[1] : 1);
    for (int i = 0; i < count;) {
        int end = i;
        while (end < count && widths[end] == widths[i])
            end++;
        str_addf(out, "for (long c = %d; c < %d; c += %d) {\n", offsets[i], offsets[end - 1] + widths[end - 1],
                 widths[i]);
        for (int64_t row = 0; row < s->kernel[0]; row += rows) {
            str_add(out, "{\n");
            print_depthwise_gradient_block(out, s, widths[i], row, min64(rows, s->kernel[0] - row), source, dy,
                                           gradient);
            str_add(out, "}\n");
        }
        str_add(out, "}\n");
        i = end;
    }
}

static void print_dense_gradient_block(Str *out, const CoreWindow *s, const VectorGroup *group, int64_t block,
                                       const char *source, const char *dy, const char *gradient) {
    for (int64_t j = 0; j < block; j++)
        for (int v = 0; v < group->count; v++)
            str_addf(out, "nd_v%d g%ld_%d = {0};\n", group->width[v], (long)j, v);
    str_addf(out, "for (long h = 0; h < %ld; h++) {\n", (long)s->height);
    int64_t step = s->stride[1] * s->pixel_pitch;
    begin_pointer(out, s, 's', source);
    str_addf(out, " + (h * %ld + kh * %ld) * %ld + kw * %ld", (long)s->stride[0], (long)s->dilation[0],
             (long)s->row_pitch, (long)(s->dilation[1] * s->pixel_pitch));
    str_add(out, s->pairs ? ";\n" : " + i;\n");
    begin_pointer(out, s, 'd', dy);
    str_addf(out, " + h * %ld;\n", (long)s->dy_row_pitch);
    str_addf(out,
             s->pairs ? "for (long w = 0; w < %ld; w += 2, s += %ld, d += %ld) {\n"
                      : "for (long w = 0; w < %ld; w++, s += %ld, d += %ld) {\n",
             (long)s->width, (long)(s->pairs ? 2 * step : step),
             (long)(s->pairs ? 2 * s->dy_pixel_pitch : s->dy_pixel_pitch));
    begin_turns(out, s);
    print_vectors(out, s, group, 'd', 'd', s->dy_pixel_pitch);
    for (int64_t j = 0; j < block; j++)
        print_products(out, s, group, 'g', j, 'd',
                       s->pairs ? arena_printf(out->arena, "nd_two_of(s, i + %ld, %ld, e)", (long)j, (long)step)
                                : arena_printf(out->arena, "s[%ld]", (long)j));
    end_turns(out, s);
    str_add(out, "}\n}\n");
    for (int64_t j = 0; j < block; j++)
        for (int v = 0; v < group->count; v++)
            str_addf(out,
                     "{ nd_u%d *g = (nd_u%d *)(%s + ((kh * %ld + kw) * %ld + i + %ld) * %ld + %d); if (!first) g%ld_%d "
                     "+= *g; *g = g%ld_%d; }\n",
                     group->width[v], group->width[v], gradient, (long)s->kernel[1], (long)s->in_channels, (long)j,
                     (long)s->channels, group->offset[v], (long)j, v, (long)j, v);
}

/* Input channels at a time. */
static int64_t gradient_block(const CoreWindow *s, int vectors) {
    if (s->tile.length > 0)
        return min64(s->in_channels, s->tile.length);
    int64_t block = min64(s->in_channels, core_accumulators(s) / vectors);
    if (s->in_channels % 8 == 0 && block >= 8)
        block = block >= 16 && s->in_channels % 16 == 0 ? 16 : 8;
    return block;
}

void core_print_dense_gradient(Str *out, const CoreWindow *s, const char *source, const char *dy,
                               const char *gradient) {
    VectorGroup groups[MAX_SEGMENTS];
    int group_count = group_vectors(s, groups);
    str_addf(out, "for (long kh = 0; kh < %ld; kh++) for (long kw = 0; kw < %ld; kw++) {\n", (long)s->kernel[0],
             (long)s->kernel[1]);
    for (int g = 0; g < group_count; g++) {
        int64_t block = gradient_block(s, groups[g].count), full = s->in_channels / block * block;
        str_addf(out, "for (long i = 0; i < %ld; i += %ld) {\n", (long)full, (long)block);
        print_dense_gradient_block(out, s, &groups[g], block, source, dy, gradient);
        str_add(out, "}\n");
        if (full < s->in_channels) {
            str_addf(out, "{ const long i = %ld;\n", (long)full);
            print_dense_gradient_block(out, s, &groups[g], s->in_channels - full, source, dy, gradient);
            str_add(out, "}\n");
        }
    }
    str_add(out, "}\n");
}
