/* prelude_c.c: what every emitted C unit begins with: types, vectors, elementwise functions, random numbers.
 *
 * Everything is written once for W lanes ('@' in the templates) and printed for each width that the target has, and for
 * one lane, which the scalar functions use: so a result has the same bits for every vector width. The polynomials use
 * explicit fma, which rounds once everywhere. Under f64, exp and the like come from libm, lane by lane; draws are f32
 * arithmetic always (base/normal.h). */
#include "base/normal.h"
#include "codegen/c/emit_c.h"

static const char types_text[] =
    "typedef signed char int8_t;\n"
    "typedef unsigned char uint8_t;\n"
    "typedef int int32_t;\n"
    "typedef unsigned int uint32_t;\n"
    "typedef __INT64_TYPE__ int64_t;\n"
    "typedef __UINT64_TYPE__ uint64_t;\n"
    "typedef " ND_RUN_TEXT " NdRun;\n"
    "typedef " ND_WORK_TEXT " NdWork;\n"
    "typedef " ND_TEXT(ND_KERNEL_TYPE) ";\n"
                                       "#pragma GCC diagnostic ignored \"-Wpsabi\"\n"
                                       "#define ND_INLINE static inline __attribute__((always_inline, unused))\n"
                                       "#define ND_HIDDEN __attribute__((visibility(\"hidden\")))\n"
                                       "#define ND_INFINITY ((T)__builtin_inf())\n"
                                       "#define ND_NAN ((T)__builtin_nan(\"\"))\n"
                                       "enum { ND_MERGE_SUMS = 17 };\n";

/* nd_f@ f32 lanes, nd_n@ and nd_q@ their bits as signed and unsigned numbers. */
static const char lanes_text[] = "typedef float nd_f@ __attribute__((vector_size(@ * 4)));\n"
                                 "typedef int32_t nd_n@ __attribute__((vector_size(@ * 4)));\n"
                                 "typedef uint32_t nd_q@ __attribute__((vector_size(@ * 4)));\n";

/* Sums of all rows: neighbours are added up first, then neighbouring pairs, and so on, as soon as both are there. sums[l]
 * waits for another sum of as many rows, 2^l; at the end what still waits is added up, fewer rows first. */
#define MERGE_TEXT                                                                                                     \
    "    for (; row & 1; row >>= 1)\n"                                                                                 \
    "        sum = *sums++ + sum;\n"                                                                                   \
    "    *sums = sum;\n"
#define MERGED_TEXT                                                                                                    \
    "    for (; rows >>= 1; sums++)\n"                                                                                 \
    "        if (rows & 1)\n"                                                                                          \
    "            sum = *sums + sum;\n"                                                                                 \
    "    return sum;\n"

/* The vectors of T, unaligned ones in memory, lanes of doubles for sums. */
static const char vector_text[] =
    "typedef T nd_v@ __attribute__((vector_size(@ * sizeof(T))));\n"
    "typedef nd_int nd_m@ __attribute__((vector_size(@ * sizeof(T))));\n"
    "typedef T nd_u@ __attribute__((vector_size(@ * sizeof(T)), aligned(sizeof(T)), may_alias));\n"
    "typedef int32_t nd_i@ __attribute__((vector_size(@ * 4), aligned(4), may_alias));\n"
    "typedef double nd_w@ __attribute__((vector_size(@ * 8)));\n"
    "#define nd_load_u@(address) ((nd_v@)*(const nd_u@ *)(address))\n"
    "#define nd_load_i@(address) __builtin_convertvector(*(const nd_i@ *)(address), nd_v@)\n"
    "#define nd_load_b@(address) __builtin_convertvector(nd_bytes_n@(address), nd_v@)\n"
    "#define nd_store_u@(address, value) (*(nd_u@ *)(address) = (nd_u@)(value))\n"
    "#define nd_store_i@(address, value) (*(nd_i@ *)(address) = __builtin_convertvector(value, nd_i@))\n"
    "#define nd_store_b@(address, value) nd_put_bytes_n@(address, __builtin_convertvector(value, nd_n@))\n"
    "#define nd_widen_v@(x) __builtin_convertvector(x, nd_w@)\n"
    "#define nd_narrow_v@(x) __builtin_convertvector(x, nd_v@)\n"
    "ND_INLINE void nd_merge_v@(nd_w@ *sums, int64_t row, nd_w@ sum) {\n" MERGE_TEXT "}\n"
    "ND_INLINE nd_w@ nd_merged_v@(const nd_w@ *sums, int64_t rows) {\n"
    "    for (; !(rows & 1); rows >>= 1)\n"
    "        sums++;\n"
    "    nd_w@ sum = *sums++;\n" MERGED_TEXT "}\n"
    "#define nd_splat_v@(x) ((T)(x) - (nd_v@){0})\n"
    "ND_INLINE nd_v@ nd_blend_v@(nd_m@ mask, nd_v@ a, nd_v@ b) { return (nd_v@)(((nd_m@)a & mask) | ((nd_m@)b & "
    "~mask)); }\n"
    "ND_INLINE nd_v@ nd_gt_v@(nd_v@ a, nd_v@ b) { return (nd_v@)((nd_m@)(a > b) & (nd_m@)nd_splat_v@(1)); }\n"
    "ND_INLINE nd_v@ nd_select_v@(nd_v@ c, nd_v@ a, nd_v@ b) { return nd_blend_v@((nd_m@)(c != 0), a, b); }\n"
    "ND_INLINE nd_v@ nd_select_gt_v@(nd_v@ l, nd_v@ r, nd_v@ a, nd_v@ b) { return nd_blend_v@((nd_m@)(l > r), a, b); "
    "}\n"
    "ND_INLINE nd_v@ nd_abs_v@(nd_v@ a) { return (nd_v@)((nd_m@)a & ND_NO_SIGN); }\n"
    "ND_INLINE void nd_argmax_v@(nd_v@ *best, nd_v@ *where, nd_v@ x, T position) {\n"
    "    nd_m@ larger = (nd_m@)(x > *best);\n"
    "    *best = nd_blend_v@(larger, x, *best);\n"
    "    *where = nd_blend_v@(larger, nd_splat_v@(position), *where);\n"
    "}\n";

/* The instructions that C has no operator for; with a loop where the target (or the width) lacks them. Philox
 * (base/hash.c), counter (element, image, stream, step), is dearest: elements with even and with odd numbers are in the
 * low halves of 64-bit lanes, where one instruction gives the whole product and what the high halves hold does not
 * matter. The first two rounds multiply words that are the same for all lanes, and only two words of the last are
 * needed. Every step waits for the one before it, so n vectors (at most 4) go side by side. */
static const char instructions_text[] =
    "#if %s\n"
    "ND_INLINE nd_f@ nd_fma_f@(nd_f@ a, nd_f@ b, nd_f@ c) { __asm__(\"vfmadd213ps %%2, %%1, %%0\" : \"+v\"(a) : "
    "\"v\"(b), \"v\"(c)); return a; }\n"
    "ND_INLINE nd_f@ nd_mla_f@(nd_f@ sum, nd_f@ a, nd_f@ b) { __asm__(\"vfmadd231ps %%2, %%1, %%0\" : \"+v\"(sum) : "
    "\"v\"(a), \"v\"(b)); return sum; }\n"
    "ND_INLINE nd_f@ nd_sqrt_f@(nd_f@ a) { nd_f@ r; __asm__(\"vsqrtps %%1, %%0\" : \"=v\"(r) : \"v\"(a)); return r; }\n"
    "ND_INLINE nd_f@ nd_max_f@(nd_f@ a, nd_f@ b) { nd_f@ r; __asm__(\"vmaxps %%2, %%1, %%0\" : \"=v\"(r) : \"v\"(a), "
    "\"v\"(b)); return r; }\n"
    "ND_INLINE nd_f@ nd_min_f@(nd_f@ a, nd_f@ b) { nd_f@ r; __asm__(\"vminps %%2, %%1, %%0\" : \"=v\"(r) : \"v\"(a), "
    "\"v\"(b)); return r; }\n"
    "typedef uint64_t nd_p@ __attribute__((vector_size(@ * 4)));\n"
    "ND_INLINE nd_p@ nd_mul_p@(nd_p@ a, nd_p@ b) { nd_p@ r; __asm__(\"vpmuludq %%2, %%1, %%0\" : \"=v\"(r) : \"v\"(a), "
    "\"v\"(b)); return r; }\n"
    "ND_INLINE void nd_philox_halves_q@(nd_p@ (*out)[2], int n, uint64_t seed, uint32_t step, uint32_t image, "
    "uint32_t stream, const nd_p@ *element) {\n"
    "    nd_p@ zero = {0}, m0 = zero + 0xD2511F53u, m2 = zero + 0xCD9E8D57u, c0[8], c1[8], c2[8], c3[8];\n"
    "    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);\n"
    "    uint64_t same = (uint64_t)stream * 0xCD9E8D57u;\n"
    "    uint32_t first = (uint32_t)(same >> 32) ^ image ^ key0, second = (uint32_t)same;\n"
    "    same = (uint64_t)first * 0xD2511F53u;\n"
    "#pragma GCC unroll 8\n"
    "    for (int j = 0; j < n; j++) {\n"
    "        nd_p@ p0 = nd_mul_p@(element[j], m0), p2 = nd_mul_p@((p0 >> 32) ^ (step ^ key1), m2);\n"
    "        c0[j] = (p2 >> 32) ^ (second ^ (key0 + 0x9E3779B9u));\n"
    "        c1[j] = p2;\n"
    "        c2[j] = p0 ^ ((uint32_t)(same >> 32) ^ (key1 + 0xBB67AE85u));\n"
    "        c3[j] = zero + (uint32_t)same;\n"
    "    }\n"
    "    key0 += 0x9E3779B9u;\n"
    "    key1 += 0xBB67AE85u;\n"
    "#pragma GCC unroll 7\n"
    "    for (int round = 2; round < 9; round++) {\n"
    "        key0 += 0x9E3779B9u;\n"
    "        key1 += 0xBB67AE85u;\n"
    "#pragma GCC unroll 8\n"
    "        for (int j = 0; j < n; j++) {\n"
    "            nd_p@ p0 = nd_mul_p@(c0[j], m0), p2 = nd_mul_p@(c2[j], m2);\n"
    "            c0[j] = (p2 >> 32) ^ c1[j] ^ key0;\n"
    "            c1[j] = p2;\n"
    "            c2[j] = (p0 >> 32) ^ c3[j] ^ key1;\n"
    "            c3[j] = p0;\n"
    "        }\n"
    "    }\n"
    "#pragma GCC unroll 8\n"
    "    for (int j = 0; j < n; j++) {\n"
    "        out[j][1] = nd_mul_p@(c2[j], m2);\n"
    "        out[j][0] = (out[j][1] >> 32) ^ c1[j] ^ (key0 + 0x9E3779B9u);\n"
    "    }\n"
    "}\n"
    "ND_INLINE void nd_philox_q@(nd_q@ (*out)[2], int n, const NdRun *run, uint32_t stream, int64_t image, const nd_q@ "
    "*element) {\n"
    "    nd_p@ halves[8][2], elements[8];\n"
    "    uint32_t where = (uint32_t)(run->image_base + (uint64_t)image);\n"
    "#pragma GCC unroll 4\n"
    "    for (int j = 0; j < n; j++) {\n"
    "        elements[2 * j] = (nd_p@)element[j];\n"
    "        elements[2 * j + 1] = (nd_p@)element[j] >> 32;\n"
    "    }\n"
    "    nd_philox_halves_q@(halves, 2 * n, run->seed, (uint32_t)run->step, where, stream, elements);\n"
    "#pragma GCC unroll 4\n"
    "    for (int j = 0; j < n; j++)\n"
    "        for (int i = 0; i < 2; i++)\n"
    "            out[j][i] = (nd_q@)((halves[2 * j][i] & 0xffffffffu) | (halves[2 * j + 1][i] << 32));\n"
    "}\n"
    "#else\n"
    "#if @ == 4 && defined(__aarch64__)\n"
    "ND_INLINE nd_f@ nd_mla_f@(nd_f@ sum, nd_f@ a, nd_f@ b) { __asm__(\"fmla %%0.4s, %%1.4s, %%2.4s\" : \"+w\"(sum) : "
    "\"w\"(a), \"w\"(b)); return sum; }\n"
    "ND_INLINE nd_f@ nd_fma_f@(nd_f@ a, nd_f@ b, nd_f@ c) { return nd_mla_f@(c, a, b); }\n"
    "ND_INLINE nd_f@ nd_sqrt_f@(nd_f@ a) { nd_f@ r; __asm__(\"fsqrt %%0.4s, %%1.4s\" : \"=w\"(r) : \"w\"(a)); return "
    "r; "
    "}\n"
    "#else\n"
    "ND_INLINE nd_f@ nd_fma_f@(nd_f@ a, nd_f@ b, nd_f@ c) { for (int i = 0; i < @; i++) a[i] = __builtin_fmaf(a[i], "
    "b[i], c[i]); return a; }\n"
    "ND_INLINE nd_f@ nd_mla_f@(nd_f@ sum, nd_f@ a, nd_f@ b) { return nd_fma_f@(a, b, sum); }\n"
    "ND_INLINE nd_f@ nd_sqrt_f@(nd_f@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_sqrtf(a[i]); return a; }\n"
    "#endif\n"
    "ND_INLINE nd_f@ nd_max_f@(nd_f@ a, nd_f@ b) { for (int i = 0; i < @; i++) a[i] = a[i] > b[i] ? a[i] : b[i]; "
    "return a; }\n"
    "ND_INLINE nd_f@ nd_min_f@(nd_f@ a, nd_f@ b) { for (int i = 0; i < @; i++) a[i] = a[i] < b[i] ? a[i] : b[i]; "
    "return a; }\n"
    "ND_INLINE nd_q@ nd_mulhi_q@(nd_q@ a, uint32_t factor) { for (int i = 0; i < @; i++) a[i] = "
    "(uint32_t)((uint64_t)a[i] * factor >> 32); return a; }\n"
    "ND_INLINE void nd_philox_one_q@(nd_q@ out[2], const NdRun *run, uint32_t stream, int64_t image, nd_q@ element) "
    "{\n"
    "    uint32_t key0 = (uint32_t)run->seed, key1 = (uint32_t)(run->seed >> 32);\n"
    "    nd_q@ zero = {0}, c0 = element, c1 = zero + (uint32_t)(run->image_base + (uint64_t)image), c2 = zero + "
    "stream, c3 = zero + (uint32_t)run->step;\n"
    "    for (int round = 0; round < 10; round++) {\n"
    "        nd_q@ h0 = nd_mulhi_q@(c0, 0xD2511F53u), l0 = c0 * 0xD2511F53u, h2 = nd_mulhi_q@(c2, 0xCD9E8D57u), l2 = "
    "c2 * 0xCD9E8D57u;\n"
    "        c0 = h2 ^ c1 ^ key0;\n"
    "        c1 = l2;\n"
    "        c2 = h0 ^ c3 ^ key1;\n"
    "        c3 = l0;\n"
    "        key0 += 0x9E3779B9u;\n"
    "        key1 += 0xBB67AE85u;\n"
    "    }\n"
    "    out[0] = c0;\n"
    "    out[1] = c1;\n"
    "}\n"
    "ND_INLINE void nd_philox_q@(nd_q@ (*out)[2], int n, const NdRun *run, uint32_t stream, int64_t image, const nd_q@ "
    "*element) { for (int j = 0; j < n; j++) nd_philox_one_q@(out[j], run, stream, image, element[j]); }\n"
    "#endif\n";

/* Indices are bytes in memory. gcc takes generic conversions apart, lane by lane. */
static const char bytes_text[] = "typedef uint8_t nd_b@ __attribute__((vector_size(@), aligned(1), may_alias));\n"
                                 "#if @ >= 4 && defined(__AVX2__) && (@ < 16 || defined(__AVX512F__))\n"
                                 "ND_INLINE nd_n@ nd_bytes_n@(const uint8_t *address) { nd_n@ r; __asm__(\"vpmovzxbd "
                                 "%1, %0\" : \"=v\"(r) : \"m\"(*(const nd_b@ *)address)); return r; }\n"
                                 "#else\n"
                                 "ND_INLINE nd_n@ nd_bytes_n@(const uint8_t *address) { return "
                                 "__builtin_convertvector(*(const nd_b@ *)address, nd_n@); }\n"
                                 "#endif\n"
                                 "#if @ >= 4 && defined(__AVX512F__) && (@ == 16 || defined(__AVX512VL__))\n"
                                 "ND_INLINE void nd_put_bytes_n@(uint8_t *address, nd_n@ x) { __asm__(\"vpmovdb %1, "
                                 "%0\" : \"=m\"(*(nd_b@ *)address) : \"v\"(x)); }\n"
                                 "#else\n"
                                 "ND_INLINE void nd_put_bytes_n@(uint8_t *address, nd_n@ x) { *(nd_b@ *)address = "
                                 "__builtin_convertvector(x, nd_b@); }\n"
                                 "#endif\n";

/* Horner steps of the coefficients in base/normal.h, as text. */
#define LOG_STEP(c) "    p = nd_fma_f@(p, f, " #c " - (nd_f@){0});\n"
#define SIN_STEP(c) "    q = nd_fma_f@(q, x, " #c " - (nd_f@){0});\n"
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* clang-format off */
/* base/normal.h explains the draws; the counter is (element, image, stream, step). */
static const char draws_text[] =
    "ND_INLINE nd_f@ nd_normal_log_f@(nd_f@ u) {\n"
    "    nd_q@ bits = (nd_q@)u + " TEXT(NORMAL_LOG_BIAS) ";\n"
    "    nd_f@ e = __builtin_convertvector((nd_n@)(bits >> 23) - 127, nd_f@);\n"
    "    nd_f@ f = (nd_f@)((bits & 0x7fffffu) + " TEXT(NORMAL_LOG_HALF) ") - 1.0f, p = {0};\n"
    NORMAL_LOG_COEFFICIENTS(LOG_STEP)
    "    return nd_fma_f@(e, " TEXT(NORMAL_LN2) " - (nd_f@){0}, nd_fma_f@(f * f, p, f));\n"
    "}\n"
    "ND_INLINE nd_f@ nd_uniform_of_f@(const nd_q@ *word) {\n"
    "    return __builtin_convertvector((nd_n@)(word[0] >> 8), nd_f@) * 0x1p-24f;\n"
    "}\n"
    "ND_INLINE nd_f@ nd_normal_of_f@(const nd_q@ *word) {\n"
    "    nd_f@ u1 = __builtin_convertvector((nd_n@)((word[0] >> 8) + 1), nd_f@) * 0x1p-24f;\n"
    "    nd_f@ u2 = __builtin_convertvector((nd_n@)(word[1] >> 8), nd_f@) * 0x1p-24f - 0.5f;\n"
    "    nd_f@ w = (nd_f@)((nd_n@)u2 & 0x7fffffff) - 0.25f, x = w * w, q = {0};\n"
    NORMAL_SIN_COEFFICIENTS(SIN_STEP)
    "    return nd_sqrt_f@(nd_normal_log_f@(u1) * -2.0f) * (w * q);\n"
    "}\n"
    "ND_INLINE nd_f@ nd_uniform_f@(const NdRun *run, int64_t stream, int64_t image, nd_q@ element) {\n"
    "    nd_q@ words[1][2];\n"
    "    nd_philox_q@(words, 1, run, (uint32_t)stream, image, &element);\n"
    "    return nd_uniform_of_f@(words[0]);\n"
    "}\n"
    "ND_INLINE nd_f@ nd_normal_f@(const NdRun *run, int64_t stream, int64_t image, nd_q@ element) {\n"
    "    nd_q@ words[1][2];\n"
    "    nd_philox_q@(words, 1, run, (uint32_t)stream, image, &element);\n"
    "    return nd_normal_of_f@(words[0]);\n"
    "}\n";

/* The draws of `count` vectors, the first of which begins at an element, each `stride` elements after the one before. */
static const char draw_rows_text[] =
    "#define ND_DRAW_ROW_@(name)                                                                                    \\\n"
    "    static __attribute__((noinline, unused)) void nd_##name##_row_v@(                                          \\\n"
    "        const NdRun *run, int64_t stream, int64_t image, int64_t element, int64_t stride, int64_t count, T *out) { \\\n"
    "        int64_t i = 0;                                                                                         \\\n"
    "        for (; i + 4 <= count; i += 4) {                                                                       \\\n"
    "            nd_q@ elements[4], words[4][2];                                                                    \\\n"
    "            _Pragma(\"GCC unroll 4\")                                                                            \\\n"
    "            for (int j = 0; j < 4; j++)                                                                        \\\n"
    "                elements[j] = (uint32_t)(element + (i + j) * stride) + nd_count_q@;                            \\\n"
    "            nd_philox_q@(words, 4, run, (uint32_t)stream, image, elements);                                    \\\n"
    "            _Pragma(\"GCC unroll 4\")                                                                            \\\n"
    "            for (int j = 0; j < 4; j++)                                                                        \\\n"
    "                nd_store_u@(out + (i + j) * @, __builtin_convertvector(nd_##name##_of_f@(words[j]), nd_v@));   \\\n"
    "        }                                                                                                      \\\n"
    "        for (; i < count; i++)                                                                                 \\\n"
    "            nd_store_u@(out + i * @, nd_##name##_v@(run, stream, image, element + i * stride));                \\\n"
    "    }\n"
    "ND_DRAW_ROW_@(uniform)\n"
    "ND_DRAW_ROW_@(normal)\n";
/* clang-format on */

/* exp: 2^n times a polynomial of degree 6 on [-ln2/2, ln2/2]; results below the smallest normal number are 0.
 * log: as in the draws, for positive numbers. tanh: an odd polynomial below 0.625 (Cephes), else 1 - 2 / (e^2x + 1). */
static const char math_text[] =
    "ND_INLINE nd_f@ nd_blend_f@(nd_n@ mask, nd_f@ a, nd_f@ b) { return (nd_f@)(((nd_n@)a & mask) | ((nd_n@)b & "
    "~mask)); }\n"
    "ND_INLINE nd_f@ nd_exp_f@(nd_f@ x0) {\n"
    "    nd_f@ zero = {0}, x = nd_min_f@(nd_max_f@(x0, -87.33654f + zero), 88.8f + zero);\n"
    "    nd_f@ shifted = nd_fma_f@(x, 1.44269504f + zero, 12582912.0f + zero), n = shifted - 12582912.0f;\n"
    "    nd_f@ r = nd_fma_f@(n, -0.693359375f + zero, x);\n"
    "    r = nd_fma_f@(n, 2.12194440e-4f + zero, r);\n"
    "    nd_f@ p = nd_fma_f@(1.9875691500e-4f + zero, r, 1.3981999507e-3f + zero);\n"
    "    p = nd_fma_f@(p, r, 8.3334519073e-3f + zero);\n"
    "    p = nd_fma_f@(p, r, 4.1665795894e-2f + zero);\n"
    "    p = nd_fma_f@(p, r, 1.6666665459e-1f + zero);\n"
    "    p = nd_fma_f@(p, r, 5.0000001201e-1f + zero);\n"
    "    p = nd_fma_f@(p, r * r, r) + 1.0f;\n"
    "    nd_n@ whole = __builtin_convertvector(n, nd_n@), half = whole >> 1;\n"
    "    nd_f@ y = p * (nd_f@)((half + 127) << 23) * (nd_f@)((whole - half + 127) << 23);\n"
    "    y = nd_blend_f@((nd_n@)(x0 < -87.33654f), zero, y);\n"
    "    return nd_blend_f@((nd_n@)(x0 != x0), x0, y);\n"
    "}\n"
    "ND_INLINE nd_f@ nd_log_f@(nd_f@ x) {\n"
    "    nd_f@ zero = {0}, infinity = __builtin_inff() + zero;\n"
    "    nd_f@ y = nd_blend_f@((nd_n@)(x < infinity), nd_normal_log_f@(x), x);\n"
    "    y = nd_blend_f@((nd_n@)(x == 0), -infinity, y);\n"
    "    return nd_blend_f@((nd_n@)(x < 0), __builtin_nanf(\"\") + zero, y);\n"
    "}\n"
    "ND_INLINE nd_f@ nd_sigmoid_f@(nd_f@ x) { return 1.0f / (1.0f + nd_exp_f@(-x)); }\n"
    "ND_INLINE nd_f@ nd_tanh_f@(nd_f@ x) {\n"
    "    nd_f@ zero = {0}, size = (nd_f@)((nd_n@)x & 0x7fffffff), z = x * x;\n"
    "    nd_f@ large = 1.0f - 2.0f / (nd_exp_f@(size + size) + 1.0f);\n"
    "    large = (nd_f@)((nd_n@)large | ((nd_n@)x & (int32_t)0x80000000));\n"
    "    nd_f@ p = nd_fma_f@(-5.70498872745e-3f + zero, z, 2.06390887954e-2f + zero);\n"
    "    p = nd_fma_f@(p, z, -5.37397155531e-2f + zero);\n"
    "    p = nd_fma_f@(p, z, 1.33314422036e-1f + zero);\n"
    "    p = nd_fma_f@(p, z, -3.33332819422e-1f + zero);\n"
    "    return nd_blend_f@((nd_n@)(size < 0.625f), nd_fma_f@(p * z, x, x), large);\n"
    "}\n"
#define FUNCTION(name)                                                                                                 \
    "ND_INLINE nd_f@ nd_" #name "_f@(nd_f@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_" #name                   \
    "f(a[i]); return a; }\n"
#include "ir/functions.def"
#undef FUNCTION
    ;

/* Functions of nd_v@ under f32: nd_v@ and nd_f@ are the same type. */
static const char f32_text[] = "#define nd_max_v@ nd_max_f@\n"
                               "#define nd_min_v@ nd_min_f@\n"
                               "#define nd_sqrt_v@ nd_sqrt_f@\n"
                               "#define nd_fma_v@ nd_fma_f@\n"
                               "#define nd_mla_v@ nd_mla_f@\n"
                               "#define nd_exp_v@ nd_exp_f@\n"
                               "#define nd_log_v@ nd_log_f@\n"
                               "#define nd_tanh_v@ nd_tanh_f@\n"
                               "#define nd_sigmoid_v@ nd_sigmoid_f@\n"
#define FUNCTION(name) "#define nd_" #name "_v@ nd_" #name "_f@\n"
#include "ir/functions.def"
#undef FUNCTION
                               "#define nd_uniform_v@(run, stream, image, element) nd_uniform_f@(run, stream, image, "
                               "(uint32_t)(element) + nd_count_q@)\n"
                               "#define nd_normal_v@(run, stream, image, element) nd_normal_f@(run, stream, image, "
                               "(uint32_t)(element) + nd_count_q@)\n";

static const char f64_text[] =
    "ND_INLINE nd_v@ nd_max_v@(nd_v@ a, nd_v@ b) { return nd_blend_v@((nd_m@)(a > b), a, b); }\n"
    "ND_INLINE nd_v@ nd_min_v@(nd_v@ a, nd_v@ b) { return nd_blend_v@((nd_m@)(a < b), a, b); }\n"
    "ND_INLINE nd_v@ nd_fma_v@(nd_v@ a, nd_v@ b, nd_v@ c) { for (int i = 0; i < @; i++) a[i] = __builtin_fma(a[i], "
    "b[i], c[i]); return a; }\n"
    "ND_INLINE nd_v@ nd_mla_v@(nd_v@ sum, nd_v@ a, nd_v@ b) { return nd_fma_v@(a, b, sum); }\n"
    "ND_INLINE nd_v@ nd_sqrt_v@(nd_v@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_sqrt(a[i]); return a; }\n"
    "ND_INLINE nd_v@ nd_exp_v@(nd_v@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_exp(a[i]); return a; }\n"
    "ND_INLINE nd_v@ nd_log_v@(nd_v@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_log(a[i]); return a; }\n"
    "ND_INLINE nd_v@ nd_tanh_v@(nd_v@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_tanh(a[i]); return a; }\n"
    "ND_INLINE nd_v@ nd_sigmoid_v@(nd_v@ a) { return 1.0 / (1.0 + nd_exp_v@(-a)); }\n"
#define FUNCTION(name)                                                                                                 \
    "ND_INLINE nd_v@ nd_" #name "_v@(nd_v@ a) { for (int i = 0; i < @; i++) a[i] = __builtin_" #name                   \
    "(a[i]); return a; }\n"
#include "ir/functions.def"
#undef FUNCTION
    "#define nd_uniform_v@(run, stream, image, element) __builtin_convertvector(nd_uniform_f@(run, stream, image, "
    "(uint32_t)(element) + nd_count_q@), nd_v@)\n"
    "#define nd_normal_v@(run, stream, image, element) __builtin_convertvector(nd_normal_f@(run, stream, image, "
    "(uint32_t)(element) + nd_count_q@), nd_v@)\n";

/* Scalar functions: one lane of the above, or libm. The last piece of a vector loop may be a single element. */
static const char scalar_text[] =
    "typedef T nd_v1;\n"
    "typedef T nd_u1;\n"
    "#define nd_splat_v1(x) (x)\n"
    "#define nd_mla_v1(sum, a, b) nd_fma(a, b, sum)\n"
    "ND_INLINE T nd_max(T a, T b) { return a > b ? a : b; }\n"
    "ND_INLINE T nd_min(T a, T b) { return a < b ? a : b; }\n"
    "ND_INLINE T nd_gt(T a, T b) { return a > b ? 1 : 0; }\n"
    "ND_INLINE T nd_select(T c, T a, T b) { return c != 0 ? a : b; }\n"
    "ND_INLINE T nd_select_gt(T l, T r, T a, T b) { return l > r ? a : b; }\n"
    "ND_INLINE double nd_widen(T a) { return a; }\n"
    "ND_INLINE T nd_narrow(double a) { return (T)a; }\n"
    "ND_INLINE void nd_merge(double *sums, int64_t row, double sum) {\n" MERGE_TEXT "}\n"
    "ND_INLINE double nd_merged(const double *sums, int64_t rows) {\n"
    "    for (; !(rows & 1); rows >>= 1)\n"
    "        sums++;\n"
    "    double sum = *sums++;\n" MERGED_TEXT "}\n"
    "ND_INLINE void nd_argmax(T *best, T *where, T x, T position) {\n"
    "    if (x > *best) {\n"
    "        *best = x;\n"
    "        *where = position;\n"
    "    }\n"
    "}\n"
    "ND_INLINE T nd_uniform(const NdRun *run, int64_t stream, int64_t image, int64_t element) { return "
    "nd_uniform_f1(run, stream, image, (nd_q1){(uint32_t)element})[0]; }\n"
    "ND_INLINE T nd_normal(const NdRun *run, int64_t stream, int64_t image, int64_t element) { return "
    "nd_normal_f1(run, stream, image, (nd_q1){(uint32_t)element})[0]; }\n"
    "ND_INLINE T nd_bernoulli(const NdRun *run, int64_t stream, int64_t image, int64_t element, T keep) { return "
    "nd_uniform(run, stream, image, element) < keep ? 1 : 0; }\n";

static const char scalar_f32_text[] = "ND_INLINE T nd_abs(T a) { return __builtin_fabsf(a); }\n"
                                      "ND_INLINE T nd_fma(T a, T b, T c) { return __builtin_fmaf(a, b, c); }\n"
                                      "ND_INLINE T nd_sqrt(T a) { return nd_sqrt_f1((nd_f1){a})[0]; }\n"
                                      "ND_INLINE T nd_exp(T a) { return nd_exp_f1((nd_f1){a})[0]; }\n"
                                      "ND_INLINE T nd_log(T a) { return nd_log_f1((nd_f1){a})[0]; }\n"
                                      "ND_INLINE T nd_tanh(T a) { return nd_tanh_f1((nd_f1){a})[0]; }\n"
                                      "ND_INLINE T nd_sigmoid(T a) { return nd_sigmoid_f1((nd_f1){a})[0]; }\n"
#define FUNCTION(name) "ND_INLINE T nd_" #name "(T a) { return __builtin_" #name "f(a); }\n"
#include "ir/functions.def"
#undef FUNCTION
    ;

static const char scalar_f64_text[] = "ND_INLINE T nd_abs(T a) { return __builtin_fabs(a); }\n"
                                      "ND_INLINE T nd_fma(T a, T b, T c) { return __builtin_fma(a, b, c); }\n"
                                      "ND_INLINE T nd_sqrt(T a) { return __builtin_sqrt(a); }\n"
                                      "ND_INLINE T nd_exp(T a) { return __builtin_exp(a); }\n"
                                      "ND_INLINE T nd_log(T a) { return __builtin_log(a); }\n"
                                      "ND_INLINE T nd_tanh(T a) { return __builtin_tanh(a); }\n"
                                      "ND_INLINE T nd_sigmoid(T a) { return 1 / (1 + __builtin_exp(-a)); }\n"
#define FUNCTION(name) "ND_INLINE T nd_" #name "(T a) { return __builtin_" #name "(a); }\n"
#include "ir/functions.def"
#undef FUNCTION
    ;

static void add_counting(Str *out, const char *format, int width) {
    str_addf(out, format, width, width);
    for (int i = 0; i < width; i++)
        str_addf(out, i ? ", %d" : "%d", i);
    str_add(out, "})\n");
}

static void add_lanes(Str *out, int width) {
    const char *available = width == 16  ? "defined(__AVX512F__)"
                            : width >= 4 ? "defined(__AVX2__) && defined(__FMA__)"
                                         : "0";
    str_add_template(out, lanes_text, width);
    add_counting(out, "#define nd_count_q%d ((nd_q%d){", width);
    str_add_template(out, arena_printf(out->arena, instructions_text, available), width);
    str_add_template(out, draws_text, width);
    str_add_template(out, math_text, width);
}

void cg_c_add_prelude(Str *out, const CgOptions *options) {
    bool f64 = options->precision == PRECISION_f64;
    str_add(out, types_text);
    str_add(out, f64 ? "typedef double T;\ntypedef int64_t nd_int;\n#define ND_NO_SIGN 0x7fffffffffffffff\n"
                     : "typedef float T;\ntypedef int32_t nd_int;\n#define ND_NO_SIGN 0x7fffffff\n");
    for (int width = 1; width <= cg_c_max_width(options); width *= 2) {
        add_lanes(out, width);
        if (width == 1)
            continue;
        str_add_template(out, bytes_text, width);
        str_add_template(out, vector_text, width);
        add_counting(out, "#define nd_iota_v%d ((nd_v%d){", width);
        str_add_template(out, f64 ? f64_text : f32_text, width);
        str_add_template(out, draw_rows_text, width);
    }
    str_add(out, scalar_text);
    str_add(out, f64 ? scalar_f64_text : scalar_f32_text);
    if (options->precision == PRECISION_bf16)
        cg_c_add_prelude_bf16(out, cg_c_max_width(options));
}
