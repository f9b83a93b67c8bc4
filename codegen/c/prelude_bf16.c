/* prelude_bf16.c: what is behind the rest of prelude_c.c under bf16: images stored so, and what dense loops multiply. */
#include "codegen/c/emit_c.h"

/* Images in bf16, the upper half of a single's bits: rounded to the nearest, of two the even one; smaller than the smallest
 * normal number is zero, as everywhere under bf16 (runtime/device/machine.h): what a multiply-add by one makes of it, where
 * that is an instruction. Not a number is 0x7fff, as GPUs have it, or what the processor's own instruction makes of it. What is
 * stored has been rounded before. ND_PAIRS: below. */
static const char half_types_text[] = "typedef unsigned short uint16_t;\n"
                                      "typedef struct { uint16_t bits; } __attribute__((may_alias)) nd_bf16;\n"
                                      "#if !defined(ND_PAIRS) && defined(__AVX512BF16__)\n"
                                      "#define ND_PAIRS 1\n"
                                      "#endif\n";
static const char half_text[] =
    "ND_INLINE T nd_round_h1(T x) { return nd_round_f1((nd_f1){x})[0]; }\n"
    "ND_INLINE T nd_load_h1(const nd_bf16 *address) { return ((nd_f1)((nd_q1){address->bits} << 16))[0]; }\n"
    "ND_INLINE void nd_store_h1(nd_bf16 *address, T x) { address->bits = (uint16_t)(((nd_q1)(nd_f1){x})[0] >> 16); }\n"
    "#define nd_keep_h1(address, x) nd_store_h1(address, nd_round_h1(x))\n";
static const char half_lanes_text[] =
    "#if @ >= 4 && defined(__AVX512BF16__)\n"
    "typedef uint16_t nd_r@ __attribute__((vector_size(@ * 2 < 16 ? 16 : @ * 2)));\n"
    "ND_INLINE nd_f@ nd_round_f@(nd_f@ x) { nd_r@ half; nd_q@ r; __asm__(\"vcvtneps2bf16 %1, %0\" : \"=v\"(half) : "
    "\"v\"(x)); __asm__(\"vpmovzxwd %1, %0\" : \"=v\"(r) : \"v\"(half)); return (nd_f@)(r << 16); }\n"
    "#else\n"
    "ND_INLINE nd_f@ nd_round_f@(nd_f@ x) {\n"
    "#if @ >= 4 && (defined(__FMA__) && (@ < 16 || defined(__AVX512F__)) || @ == 4 && defined(__aarch64__))\n"
    "    x = nd_mla_f@((nd_f@)((nd_q@){0} + 0x80000000u), x, 1.0f + (nd_f@){0});\n"
    "    nd_q@ bits = (nd_q@)x, none = (nd_q@)(x != x);\n"
    "#else\n"
    "    nd_q@ bits = (nd_q@)x, none = (nd_q@)(x != x);\n"
    "    bits &= (nd_q@)((bits & 0x7f800000u) != 0u) | 0x80000000u;\n"
    "#endif\n"
    "    bits += 0x7fffu + (bits >> 16 & 1u);\n"
    "    return (nd_f@)(((bits & ~none) | (none & 0x7fffffffu)) & 0xffff0000u);\n"
    "}\n"
    "#endif\n";
static const char half_vector_text[] =
    "typedef uint16_t nd_h@ __attribute__((vector_size(@ * 2), aligned(2), may_alias));\n"
    "#define nd_round_h@ nd_round_f@\n"
    "#if @ >= 4 && defined(__AVX2__) && (@ < 16 || defined(__AVX512F__))\n"
    "ND_INLINE nd_f@ nd_load_h@(const nd_bf16 *address) { nd_q@ r; __asm__(\"vpmovzxwd %1, %0\" : \"=v\"(r) : "
    "\"m\"(*(const nd_h@ *)address)); return (nd_f@)(r << 16); }\n"
    "#else\n"
    "ND_INLINE nd_f@ nd_load_h@(const nd_bf16 *address) { return (nd_f@)(__builtin_convertvector(*(const nd_h@ "
    "*)address, nd_q@) << 16); }\n"
    "#endif\n"
    "#if @ >= 4 && defined(__AVX512BF16__)\n"
    "ND_INLINE void nd_store_h@(nd_bf16 *address, nd_f@ x) { nd_r@ half; __asm__(\"vcvtneps2bf16 %1, %0\" : "
    "\"=v\"(half) : \"v\"(x)); __builtin_memcpy(address, &half, @ * 2); }\n"
    "#define nd_keep_h@ nd_store_h@\n"
    "#elif @ >= 4 && defined(__AVX512F__) && (@ == 16 || defined(__AVX512VL__))\n"
    "ND_INLINE void nd_store_h@(nd_bf16 *address, nd_f@ x) { __asm__(\"vpmovdw %1, %0\" : \"=m\"(*(nd_h@ *)address) "
    ": \"v\"((nd_q@)x >> 16)); }\n"
    "#elif @ == 8 && defined(__AVX2__)\n"
    "ND_INLINE void nd_store_h@(nd_bf16 *address, nd_f@ x) { nd_q@ r = (nd_q@)x >> 16; __asm__(\"vpackusdw %1, %1, "
    "%1\\n\\tvpermq $8, %1, %1\\n\\tvmovdqu %x1, %0\" : \"=m\"(*(nd_h@ *)address), \"+x\"(r)); }\n"
    "#elif @ == 4 && defined(__AVX2__)\n"
    "ND_INLINE void nd_store_h@(nd_bf16 *address, nd_f@ x) { nd_q@ r = (nd_q@)x >> 16; __asm__(\"vpackusdw %1, %1, "
    "%1\\n\\tvmovq %1, %0\" : \"=m\"(*(nd_h@ *)address), \"+x\"(r)); }\n"
    "#else\n"
    "ND_INLINE void nd_store_h@(nd_bf16 *address, nd_f@ x) { *(nd_h@ *)address = __builtin_convertvector((nd_q@)x >> "
    "16, nd_h@); }\n"
    "#endif\n"
    "#ifndef nd_keep_h@\n"
    "#define nd_keep_h@(address, x) nd_store_h@(address, nd_round_h@(x))\n"
    "#endif\n";

/* What dense loops multiply under bf16: two neighbours along the sum side by side, so that one instruction does both (ND_PAIRS),
 * or rounded singles, which take turns (ND_TURNS); either way so many elements (nd_part) lie in as many places, and either
 * way the second of two is added first, then the first, each with a rounding of its own, as that instruction does it.
 * Of singles the macros give that of turn e.
 *
 *     two neighbours in one row           nd_two_at(at, e)
 *     an element of two rows              nd_two_of(at, element, row, e)   row: elements from the first row to the second
 *     a vector of two rows                nd_pair_of_v@(at, element, row, e), nd_put_pair_v@(at, element, row, first, second)
 *     likewise, of rows in memory         nd_mix_rows_v@(at, element, row, from)
 *     a vector, rounded, in one row       nd_put_part_v@(at, vector)
 *     sum + two products                  nd_dot_v@(sum, two, pair) */
static const char pairs_text[] =
    "#if ND_PAIRS\n"
    "enum { ND_TURNS = 1 };\n"
    "typedef nd_bf16 nd_part;\n"
    "typedef uint32_t nd_two;\n"
    "typedef uint32_t __attribute__((aligned(2), may_alias)) nd_stored_two;\n"
    "typedef nd_two nd_pair_v1;\n"
    "#define nd_two_at(at, e) (*(const nd_stored_two *)(at))\n"
    "#define nd_two_of(at, element, row, e) nd_two_at((at) + 2 * (element), e)\n"
    "ND_INLINE T nd_upper_half(nd_two two) { return ((nd_f1)((nd_q1){two & 0xffff0000u}))[0]; }\n"
    "ND_INLINE T nd_lower_half(nd_two two) { return ((nd_f1)((nd_q1){two << 16}))[0]; }\n"
    "ND_INLINE T nd_dot_v1(T sum, nd_two a, nd_pair_v1 b) { return nd_fma(nd_lower_half(a), nd_lower_half(b), "
    "nd_fma(nd_upper_half(a), nd_upper_half(b), sum)); }\n"
    "#define nd_put_part_v1 nd_keep_h1\n"
    "ND_INLINE void nd_put_pair_v1(nd_part *at, int64_t element, int64_t row, T first, T second) { "
    "nd_put_part_v1(at + 2 * element, first); nd_put_part_v1(at + 2 * element + 1, second); }\n"
    "ND_INLINE void nd_mix_rows_v1(nd_part *at, int64_t element, int64_t row, const nd_part *from) { at[2 * element] = "
    "from[element]; at[2 * element + 1] = from[row + element]; }\n"
    "#else\n"
    "enum { ND_TURNS = 2 };\n"
    "typedef T nd_part;\n"
    "typedef T nd_two;\n"
    "typedef T nd_pair_v1;\n"
    "#define nd_two_at(at, e) ((at)[e])\n"
    "#define nd_two_of(at, element, row, e) ((at)[(e) * (row) + (element)])\n"
    "#define nd_dot_v1(sum, a, b) nd_fma(a, b, sum)\n"
    "#define nd_put_part_v1(at, x) (*(at) = nd_round_h1(x))\n"
    "#define nd_put_pair_v1(at, element, row, first, second) ((at)[element] = nd_round_h1(first), "
    "(at)[(row) + (element)] = nd_round_h1(second))\n"
    "#endif\n"
    "#define nd_pair_of_v1 nd_two_of\n";
static const char pairs_vector_text[] =
    "#if ND_PAIRS\n"
    "typedef nd_q@ nd_pair_v@;\n"
    "typedef uint32_t nd_stored_pair_v@ __attribute__((vector_size(@ * 4), aligned(2), may_alias));\n"
    "#define nd_pair_of_v@(at, element, row, e) ((nd_pair_v@)*(const nd_stored_pair_v@ *)((at) + 2 * (element)))\n"
    "#define nd_put_part_v@ nd_keep_h@\n"
    "#if @ == 16 && defined(__AVX512BF16__)\n"
    "ND_INLINE void nd_mix_rows_v@(nd_part *at, int64_t element, int64_t row, const nd_part *from) {\n"
    "    nd_q@ both, order = nd_count_q@ * 0x10001u + (@u << 16);\n"
    "    __asm__(\"vmovdqu64 %1, %t0\\n\\tvinserti64x4 $1, %2, %0, %0\\n\\tvpermw %0, %3, %0\" : \"=&v\"(both) : "
    "\"m\"(*(const nd_h@ *)(from + element)), \"m\"(*(const nd_h@ *)(from + row + element)), \"v\"(order));\n"
    "    *(nd_stored_pair_v@ *)(at + 2 * element) = both;\n"
    "}\n"
    "#else\n"
    "#define nd_mix_rows_v@(at, element, row, from) (*(nd_stored_pair_v@ *)((at) + 2 * (element)) = "
    "(nd_q@)nd_load_h@((from) + (row) + (element)) | (nd_q@)nd_load_h@((from) + (element)) >> 16)\n"
    "#endif\n"
    "#if @ >= 4 && defined(__AVX512BF16__)\n"
    "ND_INLINE void nd_put_pair_v@(nd_part *at, int64_t element, int64_t row, nd_v@ first, nd_v@ second) {\n"
    "    nd_q@ both, order = nd_count_q@ * 0x10001u + (@u << 16);\n"
    "    __asm__(\"vcvtne2ps2bf16 %1, %2, %0\" : \"=v\"(both) : \"v\"(first), \"v\"(second));\n"
    "    __asm__(\"vpermw %0, %1, %0\" : \"+v\"(both) : \"v\"(order));\n"
    "    *(nd_stored_pair_v@ *)(at + 2 * element) = both;\n"
    "}\n"
    "ND_INLINE nd_v@ nd_dot_v@(nd_v@ sum, nd_two a, nd_pair_v@ b) { __asm__(\"vdpbf16ps %2, %1, %0\" : \"+v\"(sum) : "
    "\"v\"((nd_q@){0} + a), \"v\"(b)); return sum; }\n"
    "#else\n"
    "#define nd_put_pair_v@(at, element, row, first, second) (*(nd_stored_pair_v@ *)((at) + 2 * (element)) = "
    "(nd_q@)nd_round_h@(second) | (nd_q@)nd_round_h@(first) >> 16)\n"
    "ND_INLINE nd_v@ nd_dot_v@(nd_v@ sum, nd_two two, nd_pair_v@ b) {\n"
    "    nd_q@ a = (nd_q@){0} + two;\n"
    "    sum = nd_mla_f@(sum, (nd_f@)(a & 0xffff0000u), (nd_f@)(b & 0xffff0000u));\n"
    "    return nd_mla_f@(sum, (nd_f@)(a << 16), (nd_f@)(b << 16));\n"
    "}\n"
    "#endif\n"
    "#else\n"
    "typedef nd_v@ nd_pair_v@;\n"
    "#define nd_pair_of_v@(at, element, row, e) nd_load_u@((at) + (e) * (row) + (element))\n"
    "#define nd_dot_v@(sum, a, b) nd_mla_v@(sum, nd_splat_v@(a), b)\n"
    "#define nd_put_part_v@(at, x) nd_store_u@(at, nd_round_h@(x))\n"
    "#define nd_put_pair_v@(at, element, row, first, second) (nd_store_u@((at) + (element), nd_round_h@(first)), "
    "nd_store_u@((at) + (row) + (element), nd_round_h@(second)))\n"
    "#endif\n";

void cg_c_add_prelude_bf16(Str *out, int max_width) {
    str_add(out, half_types_text);
    for (int width = 1; width <= max_width; width *= 2) {
        str_add_template(out, half_lanes_text, width);
        if (width > 1)
            str_add_template(out, half_vector_text, width);
    }
    str_add(out, half_text);
    str_add(out, pairs_text);
    for (int width = 2; width <= max_width; width *= 2)
        str_add_template(out, pairs_vector_text, width);
}
