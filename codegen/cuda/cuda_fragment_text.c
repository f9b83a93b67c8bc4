/* cuda_fragment_text.c: the functions that cuda_fragment.c's kernels call: from four terms of a lane, of two rows or a column, to
 * the words that mma.sync takes, and their products.
 *
 * Terms 0 and 1 of a lane are words w and w + 4 of the first step of eight, 2 and 3 those of the second; with bf16, where
 * a word has two, all four are one step. */
#include "codegen/cuda/cuda.h"

/* a = big + small, up to a part in 2^22 and more: big is a rounded to 11 bits, small what is left, rounded likewise. big * big + big *
 * small + small * big is added up, smallest first. Before sm_80 a "tf32" is all of a float (emit_cuda.c): big is a. */
static const char f32_text[] =
    "struct nd_rows { uint32_t word[16]; };\n"
    "struct nd_columns { uint4 step[2]; };\n"
    "ND_FN void nd_split(float a, uint32_t *big, uint32_t *small) {\n"
    "    *big = nd_to_tf32(a);\n"
    "    *small = nd_to_tf32(a - __uint_as_float(*big));\n"
    "}\n"
    "ND_FN nd_rows nd_take_rows(const float *low, const float *high) {\n"
    "    nd_rows u;\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 4; i++) {\n"
    "        uint32_t *const to = u.word + i / 2 * 8 + i % 2 * 2;\n"
    "        nd_split(low[i], to, to + 4);\n"
    "        nd_split(high[i], to + 1, to + 5);\n"
    "    }\n"
    "    return u;\n"
    "}\n"
    "ND_FN nd_columns nd_take_columns(const float *a) {\n"
    "    nd_columns v;\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 2; i++) {\n"
    "        nd_split(a[2 * i], &v.step[i].x, &v.step[i].z);\n"
    "        nd_split(a[2 * i + 1], &v.step[i].y, &v.step[i].w);\n"
    "    }\n"
    "    return v;\n"
    "}\n"
    "ND_FN void nd_put_columns(uint32_t *at, const float *a) {\n"
    "    const nd_columns v = nd_take_columns(a);\n"
    "    ((uint4 *)at)[threadIdx.x % 32] = v.step[0];\n"
    "    ((uint4 *)at)[threadIdx.x % 32 + 32] = v.step[1];\n"
    "}\n"
    "ND_FN nd_columns nd_get_columns(const uint32_t *at) {\n"
    "    nd_columns v;\n"
    "    v.step[0] = ((const uint4 *)at)[threadIdx.x % 32];\n"
    "    v.step[1] = ((const uint4 *)at)[threadIdx.x % 32 + 32];\n"
    "    return v;\n"
    "}\n"
    "ND_FN void nd_multiply(float c[4], const nd_rows &u, const nd_columns &v) {\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 2; i++) {\n"
    "        const uint32_t big[2] = {v.step[i].x, v.step[i].y}, small[2] = {v.step[i].z, v.step[i].w};\n"
    "        if (!ND_WHOLE_TF32) {\n"
    "            nd_mma_tf32(c, u.word + i * 8, small);\n"
    "            nd_mma_tf32(c, u.word + i * 8 + 4, big);\n"
    "        }\n"
    "        nd_mma_tf32(c, u.word + i * 8, big);\n"
    "    }\n"
    "}\n";

static const char tf32_text[] =
    "struct nd_rows { uint32_t word[8]; };\n"
    "typedef uint4 nd_columns;\n"
    "ND_FN nd_rows nd_take_rows(const float *low, const float *high) {\n"
    "    nd_rows u;\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 4; i++) {\n"
    "        u.word[2 * i] = nd_to_tf32(low[i]);\n"
    "        u.word[2 * i + 1] = nd_to_tf32(high[i]);\n"
    "    }\n"
    "    return u;\n"
    "}\n"
    "ND_FN nd_columns nd_take_columns(const float *a) {\n"
    "    return make_uint4(nd_to_tf32(a[0]), nd_to_tf32(a[1]), nd_to_tf32(a[2]), nd_to_tf32(a[3]));\n"
    "}\n"
    "ND_FN void nd_multiply(float c[4], const nd_rows &u, const nd_columns &v) {\n"
    "    const uint32_t first[2] = {v.x, v.y}, second[2] = {v.z, v.w};\n"
    "    nd_mma_tf32(c, u.word, first);\n"
    "    nd_mma_tf32(c, u.word + 4, second);\n"
    "}\n";

static const char bf16_text[] =
    "struct nd_rows { uint32_t word[4]; };\n"
    "typedef uint2 nd_columns;\n"
    "ND_FN uint32_t nd_pair(float a, float b) { return nd_to_bf16(a) | (uint32_t)nd_to_bf16(b) << 16; }\n"
    "ND_FN nd_rows nd_take_rows(const float *low, const float *high) {\n"
    "    nd_rows u;\n"
    "    _Pragma(\"unroll\") for (int i = 0; i < 2; i++) {\n"
    "        u.word[2 * i] = nd_pair(low[2 * i], low[2 * i + 1]);\n"
    "        u.word[2 * i + 1] = nd_pair(high[2 * i], high[2 * i + 1]);\n"
    "    }\n"
    "    return u;\n"
    "}\n"
    "ND_FN nd_columns nd_take_columns(const float *a) { return make_uint2(nd_pair(a[0], a[1]), nd_pair(a[2], a[3])); "
    "}\n"
    "ND_FN void nd_multiply(float c[4], const nd_rows &u, const nd_columns &v) {\n"
    "    const uint32_t both[2] = {v.x, v.y};\n"
    "    nd_mma_bf16(c, u.word, both);\n"
    "}\n";

/* Of tf32 and bf16: a lane's words of a column are one access. */
static const char columns_text[] =
    "ND_FN void nd_put_columns(uint32_t *at, const float *a) { ((nd_columns *)at)[threadIdx.x % 32] = "
    "nd_take_columns(a); }\n"
    "ND_FN nd_columns nd_get_columns(const uint32_t *at) { return ((const nd_columns *)at)[threadIdx.x % 32]; }\n";

/* What the eight lanes of the same columns have, in all of them. */
static const char sum_text[] =
    "ND_FN nd_v4 nd_sum_rows(nd_v4 a) {\n"
    "    _Pragma(\"unroll\") for (int distance = 4; distance < 32; distance *= 2)\n"
    "        a += nd_make_v4(__shfl_xor_sync(~0u, a.x, distance), __shfl_xor_sync(~0u, a.y, distance), "
    "__shfl_xor_sync(~0u, a.z, distance),\n"
    "                        __shfl_xor_sync(~0u, a.w, distance));\n"
    "    return a;\n"
    "}\n";

void cuda_add_fragments(Str *out, const CgOptions *options) {
    if (options->precision == PRECISION_f64)
        return;
    str_add(out, options->precision == PRECISION_f32    ? f32_text
                 : options->precision == PRECISION_tf32 ? tf32_text
                                                        : bf16_text);
    if (options->precision != PRECISION_f32)
        str_add(out, columns_text);
    str_add(out, sum_text);
}
