/* arithmetic.cpp: instructions that compute a register from registers, lane by lane. Each is a function of values; a
 * table has them by their name without modifiers that change nothing here (.rn, .ftz of operands, .uni). Division, roots
 * and the approximate instructions are the host's, within an ulp or two of the device's. */
#include "program.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

namespace ptx {
namespace {

struct Row {
    Run *same, *wider; /* registers of the types' sizes; any that are wider */
    std::vector<uint8_t> width;
};
typedef std::map<std::string, Row> Table;

/* ---- a function of values, for all lanes ---- */

template <class T> T from_bits(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
/* As many bits as the register has: signed values keep their sign in wider ones. */
template <class T> uint64_t to_bits(T value) {
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
        return (uint64_t)(int64_t)value;
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}

template <auto F> struct Lanes;
template <class D, class... A, D (*F)(A...)> struct Lanes<F> {
    template <size_t... N> static Mask defined(Warp &w, const Instruction &i, std::index_sequence<N...>) {
        return (ALL & ... & w.defined[i.operand[N + 1].number]);
    }
    static void loop(D *__restrict d, Mask mask, const A *...a) {
        if (mask == ALL) {
#pragma GCC ivdep
            for (int l = 0; l < LANES; l++)
                d[l] = F(a[l]...);
        } else {
            for (int l = 0; l < LANES; l++)
                if (mask >> l & 1)
                    d[l] = F(a[l]...);
        }
    }
    template <size_t... N> static void run_same(Warp &w, const Instruction &i, Mask mask, std::index_sequence<N...> n) {
        Mask known = defined(w, i, n);
        loop(w.lanes<D>(i.operand[0]), mask, w.lanes<const A>(i.operand[N + 1])...);
        w.define(i.operand[0], mask, known);
    }
    template <size_t... N> /* rare, so small: in earnest the compiler takes a quarter of this file's time for it */
    [[gnu::cold]] static void run_wider(Warp &w, const Instruction &i, Mask mask, std::index_sequence<N...> n) {
        Mask known = defined(w, i, n);
        for (int l = 0; l < LANES; l++)
            if (mask >> l & 1)
                w.put(i.operand[0], l, to_bits<D>(F(from_bits<A>(w.get(i.operand[N + 1], l))...)));
        w.define(i.operand[0], mask, known);
    }
    static void same(Warp &w, const Instruction &i, Mask mask) {
        run_same(w, i, mask, std::index_sequence_for<A...>());
    }
    static void wider(Warp &w, const Instruction &i, Mask mask) {
        run_wider(w, i, mask, std::index_sequence_for<A...>());
    }
    static Row row() {
        return {same, wider, {sizeof(D), sizeof(A)...}};
    }
};

/* Only what is chosen need be defined. */
template <class T> void choose(Warp &w, const Instruction &i, Mask mask) {
    T *d = w.lanes<T>(i.operand[0]), *a = w.lanes<T>(i.operand[1]), *b = w.lanes<T>(i.operand[2]);
    Mask firsts = w.holds(i.operand[3]);
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            d[l] = firsts >> l & 1 ? a[l] : b[l];
    Mask chosen = (w.defined[i.operand[1].number] & firsts) | (w.defined[i.operand[2].number] & ~firsts);
    w.define(i.operand[0], mask, chosen & w.defined[i.operand[3].number]);
}

/* Parts of a register, from its lowest bits on: mov.b32 a, {b, c} and mov.b32 {b, c}, a. */
void pack(Warp &w, const Instruction &i, Mask mask) {
    Mask known = ALL;
    for (int n = 1; n < i.count; n++)
        known &= w.defined[i.operand[n].number];
    for (int l = 0; l < LANES; l++) {
        uint64_t bits = 0;
        for (int n = i.count - 1; n > 0; n--)
            bits = bits << 8 * i.operand[n].width | w.get(i.operand[n], l);
        if (mask >> l & 1)
            w.put(i.operand[0], l, bits);
    }
    w.define(i.operand[0], mask, known);
}
void unpack(Warp &w, const Instruction &i, Mask mask) {
    const Operand &from = i.operand[i.count - 1];
    Mask known = w.defined[from.number];
    uint64_t bits[LANES];
    for (int l = 0; l < LANES; l++)
        bits[l] = w.get(from, l);
    for (int n = 0; n < i.count - 1; n++) {
        for (int l = 0; l < LANES; l++) {
            if (mask >> l & 1)
                w.put(i.operand[n], l, bits[l]);
            bits[l] >>= 8 * i.operand[n].width & 63;
        }
        w.define(i.operand[n], mask, known);
    }
}

/* ---- values ---- */

template <class T> T add(T a, T b) {
    return (T)(a + b);
}
template <class T> T sub(T a, T b) {
    return (T)(a - b);
}
template <class T> T mul(T a, T b) {
    return (T)(a * b);
}
template <class T> T neg(T a) {
    return (T)-a;
}
template <class T> T absolute(T a) {
    return a < 0 ? (T)-a : a;
}
template <> float absolute(float a) {
    return fabsf(a);
}
template <> double absolute(double a) {
    return fabs(a);
}
/* Of a number and NaN the number. */
template <class T> T smaller(T a, T b) {
    return a != a ? b : b != b ? a : a < b ? a : b;
}
template <class T> T larger(T a, T b) {
    return a != a ? b : b != b ? a : a > b ? a : b;
}
template <class T> T divide(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
        if (b == 0)
            return (T)-1; /* the manual leaves it open */
        if (std::is_signed_v<T> && b == (T)-1)
            return (T)(0 - a);
    }
    return (T)(a / b);
}
template <class T> T remainder_of(T a, T b) {
    return b == 0 || b == (T)-1 ? (b == 0 ? a : std::is_signed_v<T> ? (T)0 : (T)(a % b)) : (T)(a % b);
}
template <class T> T fused(T a, T b, T c) {
    if constexpr (sizeof(T) == 4)
        return __builtin_fmaf(a, b, c);
    else
        return __builtin_fma(a, b, c);
}
template <class T> T root(T a) {
    return std::sqrt(a);
}
template <class T> T reciprocal(T a) {
    return 1 / a;
}
template <class T> T reciprocal_root(T a) {
    return 1 / std::sqrt(a);
}
template <class T> T copy_sign(T a, T b) {
    return std::copysign(b, a);
}
float flush(float a) {
    return fabsf(a) < 1.17549435e-38f ? copysignf(0, a) : a;
}
float power_of_2(float a) {
    return exp2f(a);
}
float power_of_2_flushed(float a) {
    return flush(exp2f(flush(a)));
}
float logarithm_2(float a) {
    return log2f(a);
}
float sine(float a) {
    return sinf(a);
}
float cosine(float a) {
    return cosf(a);
}
float tangent_h(float a) {
    return tanhf(a);
}
/* The next lower, higher or nearer to zero of two neighbours with the exact sum of a product and c between them: the
 * product is exact in double, the sum is s + e. */
float fused_directed(float a, float b, float c, int direction) {
    double p = (double)a * b, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
    float f = (float)s;
    if (!std::isfinite(s) || !std::isfinite(f))
        return f;
    double over = ((double)f - s) - e; /* > 0: f is too large */
    bool down = direction < 0 || (direction == 0 && f > 0);
    if (down && over > 0)
        return nextafterf(f, -INFINITY);
    return !down && over < 0 ? nextafterf(f, INFINITY) : f;
}
float fused_down(float a, float b, float c) {
    return fused_directed(a, b, c, -1);
}
float fused_up(float a, float b, float c) {
    return fused_directed(a, b, c, 1);
}
float fused_to_zero(float a, float b, float c) {
    return fused_directed(a, b, c, 0);
}
template <class T> T saturated(T a) {
    return a > 0 ? (a < 1 ? a : 1) : 0; /* NaN: 0 */
}

/* ---- whole numbers ---- */

template <class T> struct Wide;
template <> struct Wide<uint16_t> { typedef uint32_t type; };
template <> struct Wide<int16_t> { typedef int32_t type; };
template <> struct Wide<uint32_t> { typedef uint64_t type; };
template <> struct Wide<int32_t> { typedef int64_t type; };
template <> struct Wide<uint64_t> { typedef unsigned __int128 type; };
template <> struct Wide<int64_t> { typedef __int128 type; };
template <class T> T mul_high(T a, T b) {
    typedef typename Wide<T>::type W;
    return (T)((W)a * (W)b >> 8 * sizeof(T));
}
template <class T> typename Wide<T>::type mul_wide(T a, T b) {
    typedef typename Wide<T>::type W;
    return (W)((W)a * (W)b);
}
template <class T> T mad_low(T a, T b, T c) {
    return (T)(a * b + c);
}
template <class T> T mad_high(T a, T b, T c) {
    return (T)(mul_high(a, b) + c);
}
template <class T> typename Wide<T>::type mad_wide(T a, T b, typename Wide<T>::type c) {
    return (typename Wide<T>::type)(mul_wide(a, b) + c);
}
template <class T> T both(T a, T b) {
    return (T)(a & b);
}
template <class T> T either(T a, T b) {
    return (T)(a | b);
}
template <class T> T differ(T a, T b) {
    return (T)(a ^ b);
}
template <class T> T inverse(T a) {
    return (T)~a;
}
bool is_not(bool a) {
    return !a;
}
/* Distances beyond the width count as the width. */
template <class T> T shift_left(T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? (T)0 : (T)(a << n);
}
template <class T> T shift_right(T a, uint32_t n) {
    uint32_t most = 8 * sizeof(T) - 1;
    return n > most ? (T)(std::is_signed_v<T> ? a >> most : 0) : (T)(a >> n);
}
uint32_t funnel_left(uint32_t a, uint32_t b, uint32_t n) {
    return (uint32_t)((((uint64_t)b << 32 | a) << (n & 31)) >> 32);
}
uint32_t funnel_right(uint32_t a, uint32_t b, uint32_t n) {
    return (uint32_t)(((uint64_t)b << 32 | a) >> (n & 31));
}
uint32_t funnel_left_clamped(uint32_t a, uint32_t b, uint32_t n) {
    return n >= 32 ? a : funnel_left(a, b, n);
}
uint32_t funnel_right_clamped(uint32_t a, uint32_t b, uint32_t n) {
    return n >= 32 ? b : funnel_right(a, b, n);
}
template <class T> uint32_t ones(T a) {
    return (uint32_t)__builtin_popcountll(a);
}
template <class T> uint32_t leading_zeros(T a) {
    return a ? (uint32_t)__builtin_clzll(a) - (64 - 8 * sizeof(T)) : 8 * sizeof(T);
}
uint32_t reversed(uint32_t a) {
    uint32_t r = 0;
    for (int i = 0; i < 32; i++)
        r |= (a >> i & 1) << (31 - i);
    return r;
}
uint32_t low_bits(uint32_t length) {
    return length >= 32 ? ~0u : (1u << length) - 1;
}
uint32_t insert_bits(uint32_t a, uint32_t b, uint32_t from, uint32_t length) {
    from &= 255;
    uint32_t mask = from >= 32 ? 0 : low_bits(length & 255) << from;
    return (b & ~mask) | (from >= 32 ? 0 : a << from & mask);
}
uint32_t extract_unsigned(uint32_t a, uint32_t from, uint32_t length) {
    from &= 255;
    return from >= 32 ? 0 : a >> from & low_bits(length & 255);
}
int32_t extract_signed(int32_t a, uint32_t from, uint32_t length) {
    from &= 255, length &= 255;
    uint32_t top = from + length > 32 ? 31 : from + length - 1, bits = extract_unsigned((uint32_t)a, from, length);
    bool negative = length && (uint32_t)a >> top & 1;
    return (int32_t)(negative && length < 32 ? bits | ~low_bits(length) : bits);
}
/* The default mode: each of four nibbles chooses a byte of b, a, its highest bit spreads the byte's sign. */
uint32_t choose_bytes(uint32_t a, uint32_t b, uint32_t choice) {
    uint64_t all = (uint64_t)b << 32 | a;
    uint32_t r = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t n = choice >> 4 * i & 15, byte = (uint32_t)(all >> 8 * (n & 7)) & 255;
        r |= (n & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return r;
}
uint32_t any_logic(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
    uint32_t r = 0;
    for (uint32_t i = 0; i < 8; i++)
        if (table >> i & 1)
            r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    return r;
}
/* A, B: the types of the two or four parts of each operand; the sum is the same bits with and without a sign. */
template <class A, class B, int FIRST> uint32_t dot_2(uint32_t a, uint32_t b, uint32_t c) {
    for (int i = 0; i < 2; i++)
        c += (uint32_t)((int32_t)(A)(a >> 16 * i) * (int32_t)(B)(b >> 8 * (FIRST + i)));
    return c;
}
template <class A, class B> uint32_t dot_4(uint32_t a, uint32_t b, uint32_t c) {
    for (int i = 0; i < 4; i++)
        c += (uint32_t)((int32_t)(A)(a >> 8 * i) * (int32_t)(B)(b >> 8 * i));
    return c;
}
template <class T> T same_value(T a) {
    return a;
}

/* ---- comparisons ---- */

template <class T> bool eq(T a, T b) {
    return a == b;
}
template <class T> bool ne(T a, T b) { /* ordered */
    return a < b || a > b;
}
template <class T> bool lt(T a, T b) {
    return a < b;
}
template <class T> bool le(T a, T b) {
    return a <= b;
}
template <class T> bool gt(T a, T b) {
    return a > b;
}
template <class T> bool ge(T a, T b) {
    return a >= b;
}
template <class T> bool numbers(T a, T b) {
    return a == a && b == b;
}
template <class T> bool never(T, T) {
    return false;
}
template <class T, bool (*F)(T, T)> bool unordered(T a, T b) {
    return !numbers(a, b) || F(a, b);
}

/* ---- conversions ---- */

template <class D, class S> D convert(S s) {
    return (D)s;
}
template <class T> T to_even(T a) {
    return std::nearbyint(a);
}
template <class T> T cut(T a) {
    return std::trunc(a);
}
template <class T> T to_floor(T a) {
    return std::floor(a);
}
template <class T> T to_ceiling(T a) {
    return std::ceil(a);
}
/* Saturated; NaN gives 0. */
template <class D, class S, S (*ROUND)(S)> D to_whole(S s) {
    S r = ROUND(s);
    const S below = std::is_signed_v<D> ? -std::ldexp((S)1, 8 * sizeof(D) - 1) : 0;
    const S above = std::ldexp((S)1, 8 * sizeof(D) - (std::is_signed_v<D> ? 1 : 0));
    D most = std::is_signed_v<D> ? (D)(((uint64_t)1 << (8 * sizeof(D) - 1)) - 1) : (D) ~(D)0;
    return r != r ? 0 : r <= below ? (D)(std::is_signed_v<D> ? (D)(most + 1) : 0) : r >= above ? most : (D)r;
}
uint16_t to_bf16(float a) { /* halves to even */
    uint32_t bits = (uint32_t)to_bits(a);
    return (uint16_t)(a != a ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
uint32_t to_two_bf16(float high, float low) {
    return (uint32_t)to_bf16(high) << 16 | to_bf16(low);
}
float from_bf16(uint16_t a) {
    return from_bits<float>((uint64_t)a << 16);
}
uint32_t to_tf32(float a) { /* 10 bits of fraction; halves away from zero */
    uint32_t bits = (uint32_t)to_bits(a);
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}

/* ---- the table ---- */

template <class T> std::string type_name() {
    const char *kind = std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "s" : "u";
    return kind + std::to_string(8 * sizeof(T));
}

template <class T> void add_whole(Table &t) {
    std::string n = "." + type_name<T>();
    t["add" + n] = Lanes<add<T>>::row();
    t["sub" + n] = Lanes<sub<T>>::row();
    t["mul.lo" + n] = Lanes<mul<T>>::row();
    t["mul.hi" + n] = Lanes<mul_high<T>>::row();
    t["mad.lo" + n] = Lanes<mad_low<T>>::row();
    t["mad.hi" + n] = Lanes<mad_high<T>>::row();
    t["div" + n] = Lanes<divide<T>>::row();
    t["rem" + n] = Lanes<remainder_of<T>>::row();
    t["min" + n] = Lanes<smaller<T>>::row();
    t["max" + n] = Lanes<larger<T>>::row();
    t["neg" + n] = Lanes<neg<T>>::row();
    t["abs" + n] = Lanes<absolute<T>>::row();
    t["shr" + n] = Lanes<shift_right<T>>::row();
    if constexpr (sizeof(T) < 8) {
        t["mul.wide" + n] = Lanes<mul_wide<T>>::row();
        t["mad.wide" + n] = Lanes<mad_wide<T>>::row();
    }
    for (auto &c : std::map<std::string, Row>{{"lo", Lanes<lt<T>>::row()},
                                              {"ls", Lanes<le<T>>::row()},
                                              {"hi", Lanes<gt<T>>::row()},
                                              {"hs", Lanes<ge<T>>::row()}})
        t["setp." + c.first + n] = c.second;
}

template <class T> void add_bits(Table &t) {
    std::string n = ".b" + std::to_string(8 * sizeof(T));
    t["and" + n] = Lanes<both<T>>::row();
    t["or" + n] = Lanes<either<T>>::row();
    t["xor" + n] = Lanes<differ<T>>::row();
    t["not" + n] = Lanes<inverse<T>>::row();
    t["shl" + n] = Lanes<shift_left<T>>::row();
    t["shr" + n] = Lanes<shift_right<T>>::row();
    t["setp.eq" + n] = Lanes<eq<T>>::row();
    t["setp.ne" + n] = Lanes<ne<T>>::row();
    if constexpr (sizeof(T) > 2) {
        t["popc" + n] = Lanes<ones<T>>::row();
        t["clz" + n] = Lanes<leading_zeros<T>>::row();
    }
    for (const char *kind : {".b", ".u", ".s", ".f"}) {
        t["selp" + (kind + n.substr(2))] = {choose<T>, nullptr, {sizeof(T), sizeof(T), sizeof(T), 1}};
        t["mov" + (kind + n.substr(2))] = Lanes<same_value<T>>::row();
    }
}

template <class T> void add_compared(Table &t) {
    std::string n = "." + type_name<T>();
    t["setp.eq" + n] = Lanes<eq<T>>::row();
    t["setp.ne" + n] = Lanes<ne<T>>::row();
    t["setp.lt" + n] = Lanes<lt<T>>::row();
    t["setp.le" + n] = Lanes<le<T>>::row();
    t["setp.gt" + n] = Lanes<gt<T>>::row();
    t["setp.ge" + n] = Lanes<ge<T>>::row();
}

template <class T> void add_real(Table &t) {
    std::string n = "." + type_name<T>();
    t["add" + n] = Lanes<add<T>>::row();
    t["sub" + n] = Lanes<sub<T>>::row();
    t["mul" + n] = Lanes<mul<T>>::row();
    t["fma" + n] = t["mad" + n] = Lanes<fused<T>>::row();
    t["neg" + n] = Lanes<neg<T>>::row();
    t["abs" + n] = Lanes<absolute<T>>::row();
    t["min" + n] = Lanes<smaller<T>>::row();
    t["max" + n] = Lanes<larger<T>>::row();
    t["copysign" + n] = Lanes<copy_sign<T>>::row();
    for (const char *how : {"", ".approx", ".full", ".approx.ftz", ".full.ftz"}) {
        t["div" + (how + n)] = Lanes<divide<T>>::row();
        t["sqrt" + (how + n)] = Lanes<root<T>>::row();
        t["rcp" + (how + n)] = Lanes<reciprocal<T>>::row();
        t["rsqrt" + (how + n)] = Lanes<reciprocal_root<T>>::row();
    }
    t["setp.equ" + n] = Lanes<unordered<T, eq<T>>>::row();
    t["setp.neu" + n] = Lanes<unordered<T, ne<T>>>::row();
    t["setp.ltu" + n] = Lanes<unordered<T, lt<T>>>::row();
    t["setp.leu" + n] = Lanes<unordered<T, le<T>>>::row();
    t["setp.gtu" + n] = Lanes<unordered<T, gt<T>>>::row();
    t["setp.geu" + n] = Lanes<unordered<T, ge<T>>>::row();
    t["setp.num" + n] = Lanes<numbers<T>>::row();
    t["setp.nan" + n] = Lanes<unordered<T, never<T>>>::row();
    t["cvt.sat" + n + n] = Lanes<saturated<T>>::row();
    t["cvt.rni" + n + n] = Lanes<to_even<T>>::row();
    t["cvt.rzi" + n + n] = Lanes<cut<T>>::row();
    t["cvt.rmi" + n + n] = Lanes<to_floor<T>>::row();
    t["cvt.rpi" + n + n] = Lanes<to_ceiling<T>>::row();
}

template <class D, class S> void add_conversion(Table &t) {
    std::string n = "." + type_name<D>() + "." + type_name<S>();
    if constexpr (std::is_integral_v<D> && std::is_floating_point_v<S>) {
        t["cvt.rni" + n] = Lanes<to_whole<D, S, to_even<S>>>::row();
        t["cvt.rzi" + n] = Lanes<to_whole<D, S, cut<S>>>::row();
        t["cvt.rmi" + n] = Lanes<to_whole<D, S, to_floor<S>>>::row();
        t["cvt.rpi" + n] = Lanes<to_whole<D, S, to_ceiling<S>>>::row();
    } else {
        t["cvt" + n] = Lanes<convert<D, S>>::row();
    }
}
template <class D, class... S> void add_conversions_to(Table &t) {
    (add_conversion<D, S>(t), ...);
}
template <class... T> void add_conversions(Table &t) {
    (add_conversions_to<T, T...>(t), ...);
}
/* An instruction for each type of an f. */
template <class... T> void add_types(Table &t, int) {
    (add_whole<T>(t), ...);
    (add_compared<T>(t), ...);
}

void add_predicates(Table &t) {
    t["and.pred"] = Lanes<both<bool>>::row();
    t["or.pred"] = Lanes<either<bool>>::row();
    t["xor.pred"] = Lanes<differ<bool>>::row();
    t["not.pred"] = Lanes<is_not>::row();
    t["mov.pred"] = Lanes<same_value<bool>>::row();
}

template <class A2, class A4, class B> void add_dots(Table &t, const std::string &types) {
    t["dp2a.lo." + types] = Lanes<dot_2<A2, B, 0>>::row();
    t["dp2a.hi." + types] = Lanes<dot_2<A2, B, 2>>::row();
    t["dp4a." + types] = Lanes<dot_4<A4, B>>::row();
}

void add_others(Table &t) {
    t["fma.rm.f32"] = Lanes<fused_down>::row();
    t["fma.rp.f32"] = Lanes<fused_up>::row();
    t["fma.rz.f32"] = Lanes<fused_to_zero>::row();
    t["ex2.approx.f32"] = Lanes<power_of_2>::row();
    t["ex2.approx.ftz.f32"] = Lanes<power_of_2_flushed>::row();
    t["lg2.approx.f32"] = t["lg2.approx.ftz.f32"] = Lanes<logarithm_2>::row();
    t["sin.approx.f32"] = t["sin.approx.ftz.f32"] = Lanes<sine>::row();
    t["cos.approx.f32"] = t["cos.approx.ftz.f32"] = Lanes<cosine>::row();
    t["tanh.approx.f32"] = Lanes<tangent_h>::row();
    t["shf.l.wrap.b32"] = Lanes<funnel_left>::row();
    t["shf.r.wrap.b32"] = Lanes<funnel_right>::row();
    t["shf.l.clamp.b32"] = Lanes<funnel_left_clamped>::row();
    t["shf.r.clamp.b32"] = Lanes<funnel_right_clamped>::row();
    t["brev.b32"] = Lanes<reversed>::row();
    t["bfi.b32"] = Lanes<insert_bits>::row();
    t["bfe.u32"] = Lanes<extract_unsigned>::row();
    t["bfe.s32"] = Lanes<extract_signed>::row();
    t["prmt.b32"] = Lanes<choose_bytes>::row();
    t["lop3.b32"] = Lanes<any_logic>::row();
    add_dots<uint16_t, uint8_t, uint8_t>(t, "u32.u32"), add_dots<uint16_t, uint8_t, int8_t>(t, "u32.s32");
    add_dots<int16_t, int8_t, uint8_t>(t, "s32.u32"), add_dots<int16_t, int8_t, int8_t>(t, "s32.s32");
    t["cvt.bf16.f32"] = Lanes<to_bf16>::row();
    t["cvt.bf16x2.f32"] = Lanes<to_two_bf16>::row();
    t["cvt.f32.bf16"] = Lanes<from_bf16>::row();
    t["cvt.rna.tf32.f32"] = Lanes<to_tf32>::row();
}

Table make_table() {
    Table t;
    add_types<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(t, 0);
    add_bits<uint16_t>(t), add_bits<uint32_t>(t), add_bits<uint64_t>(t);
    add_real<float>(t), add_real<double>(t);
    add_compared<float>(t), add_compared<double>(t);
    add_conversions<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, float, double>(t);
    add_predicates(t);
    add_others(t);
    return t;
}

} // namespace

uint64_t Warp::get(const Operand &o, int lane) const {
    uint64_t bits = 0;
    memcpy(&bits, file + o.at + (size_t)o.width * lane, o.width);
    return bits;
}

void Warp::put(const Operand &o, int lane, uint64_t bits) {
    memcpy(file + o.at + (size_t)o.width * lane, &bits, o.width);
}

Run *find_arithmetic(const std::string &name, Instruction *i) {
    static const Table table = make_table();
    if (name == "pack" || name == "unpack")
        return name == "pack" ? pack : unpack;
    auto found = table.find(name);
    if (found == table.end() || found->second.width.size() != i->count)
        return nullptr;
    const Row &row = found->second;
    bool same = true;
    for (int n = 0; n < i->count; n++) {
        uint8_t &width = i->operand[n].width;
        width = width ? width : row.width[n]; /* a literal's */
        if (width < row.width[n])
            return nullptr;
        same = same && width == row.width[n];
    }
    return same ? row.same : row.wider;
}

} // namespace ptx
