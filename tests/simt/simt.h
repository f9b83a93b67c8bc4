/* simt.h: put in front of emitted CUDA source (g++ -include simt.h), it makes a C++ program of it that the emulator
 * runs. It includes nothing: the source defines int64_t and the like itself, as NVRTC's users must, and the system's
 * headers would define them otherwise. simt.cpp runs the threads, simt_host.h is the side of who launches kernels. */
#pragma once

/* ---- qualifiers ---- */
#define __global__
#define __launch_bounds__(...)
#define __device__
#define __constant__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
/* Shared memory lies in sections named after lines, so that the emulator finds a kernel's, to poison it before each
 * block. */
#define SIMT_TEXT(line) #line
#define SIMT_SECTION(line) "simt_shared_" SIMT_TEXT(line)
#define __shared__ static __attribute__((section(SIMT_SECTION(__LINE__)), used))
/* Dynamic shared memory: the emitted source asks for it by this macro, which its own prelude defines otherwise. */
#define ND_DYNAMIC_SHARED(name) unsigned char *const name = simt_dynamic_shared

/* ---- who am I ---- */
struct simt_index {
    unsigned x, y, z;
};
extern "C" simt_index simt_thread_index, simt_block_index, simt_block_dim, simt_grid_dim;
extern "C" unsigned char *simt_dynamic_shared;
#define threadIdx simt_thread_index
#define blockIdx simt_block_index
#define blockDim simt_block_dim
#define gridDim simt_grid_dim
#define warpSize 32

/* ---- barriers and what warps do together ---- */
/* The lanes of mask each bring a slot; the last to come runs the function on all of them. */
typedef void simt_warp_function(void *const slots[32], unsigned mask);
extern "C" void simt_barrier();
extern "C" void simt_warp(unsigned mask, void *slot, simt_warp_function *run);
extern "C" unsigned simt_lane();

static inline void __syncthreads() {
    simt_barrier();
}
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    simt_warp(mask, nullptr, nullptr);
}
static inline unsigned __activemask() {
    return 0xffffffffu;
}
static inline void __threadfence() {
}
static inline void __threadfence_block() {
}

template <class V> struct simt_exchange {
    V in, out;
    int from;
};
/* The value of a lane outside of the mask is anything: here, bytes of ones. */
template <class V> static void simt_exchange_run(void *const slots[32], unsigned mask) {
    for (int lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1))
            continue;
        auto *own = (simt_exchange<V> *)slots[lane];
        if (mask >> own->from & 1)
            own->out = ((simt_exchange<V> *)slots[own->from])->in;
        else
            __builtin_memset(&own->out, 0xff, sizeof own->out);
    }
}
template <class V> static V simt_shuffle(unsigned mask, V value, int from) {
    simt_exchange<V> slot = {value, value, from};
    simt_warp(mask, &slot, simt_exchange_run<V>);
    return slot.out;
}
template <class V> static V __shfl_sync(unsigned mask, V value, int from, int width = 32) {
    int lane = (int)simt_lane();
    return simt_shuffle(mask, value, (lane & -width) + (from & (width - 1)));
}
template <class V> static V __shfl_xor_sync(unsigned mask, V value, int bits, int width = 32) {
    int lane = (int)simt_lane(), from = lane ^ bits;
    return simt_shuffle(mask, value, (from & -width) == (lane & -width) ? from : lane);
}
template <class V> static V __shfl_down_sync(unsigned mask, V value, int distance, int width = 32) {
    int lane = (int)simt_lane(), from = lane + distance;
    return simt_shuffle(mask, value, (lane & (width - 1)) + distance < width ? from : lane);
}
template <class V> static V __shfl_up_sync(unsigned mask, V value, int distance, int width = 32) {
    int lane = (int)simt_lane(), from = lane - distance;
    return simt_shuffle(mask, value, (lane & (width - 1)) >= distance ? from : lane);
}

struct simt_vote {
    bool in;
    unsigned out;
};
static void simt_vote_run(void *const slots[32], unsigned mask) {
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1)
            votes |= (unsigned)((simt_vote *)slots[lane])->in << lane;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1)
            ((simt_vote *)slots[lane])->out = votes;
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    simt_vote slot = {predicate != 0, 0};
    simt_warp(mask, &slot, simt_vote_run);
    return slot.out;
}
static inline int __any_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate) {
    return __ballot_sync(mask, predicate) == mask;
}

/* ---- atomics: one thread runs at a time, so they are plain ---- */
template <class V, class W> static V atomicAdd(V *address, W value) {
    V old = *address;
    *address = (V)(old + value);
    return old;
}
template <class V, class W> static V atomicMax(V *address, W value) {
    V old = *address;
    *address = old < (V)value ? (V)value : old;
    return old;
}
template <class V, class W> static V atomicMin(V *address, W value) {
    V old = *address;
    *address = (V)value < old ? (V)value : old;
    return old;
}
static inline unsigned atomicInc(unsigned *address, unsigned most) {
    unsigned old = *address;
    *address = old >= most ? 0 : old + 1;
    return old;
}
template <class V, class W> static V atomicExch(V *address, W value) {
    V old = *address;
    *address = (V)value;
    return old;
}
template <class V, class W> static V atomicCAS(V *address, W compare, W value) {
    V old = *address;
    if (old == (V)compare)
        *address = (V)value;
    return old;
}

/* ---- vectors; aligned as on the device, which the build for the sanitizer checks ---- */
#define SIMT_VECTOR2(name, type, alignment)                                                                            \
    struct alignas(alignment) name {                                                                                   \
        type x, y;                                                                                                     \
    };                                                                                                                 \
    static inline name make_##name(type x, type y) {                                                                   \
        return {x, y};                                                                                                 \
    }
#define SIMT_VECTOR4(name, type, alignment)                                                                            \
    struct alignas(alignment) name {                                                                                   \
        type x, y, z, w;                                                                                               \
    };                                                                                                                 \
    static inline name make_##name(type x, type y, type z, type w) {                                                   \
        return {x, y, z, w};                                                                                           \
    }
SIMT_VECTOR2(uchar2, unsigned char, 2)
SIMT_VECTOR2(float2, float, 8)
SIMT_VECTOR2(int2, int, 8)
SIMT_VECTOR2(uint2, unsigned, 8)
SIMT_VECTOR2(double2, double, 16)
SIMT_VECTOR4(uchar4, unsigned char, 4)
SIMT_VECTOR4(float4, float, 16)
SIMT_VECTOR4(int4, int, 16)
SIMT_VECTOR4(uint4, unsigned, 16)

template <class V> static inline V __ldg(const V *address) {
    return *address;
}

/* ---- arithmetic ---- */
extern "C" {
float fabsf(float), expf(float), logf(float), sqrtf(float), tanhf(float), sinf(float), cosf(float),
    fmaf(float, float, float);
float fmaxf(float, float), fminf(float, float), floorf(float);
double fabs(double), exp(double), log(double), sqrt(double), tanh(double), sin(double), cos(double),
    fma(double, double, double);
double fmax(double, double), fmin(double, double), floor(double);
}
static inline float cospif(float x) {
    return (float)cos(3.14159265358979323846 * (double)x);
}
static inline float sinpif(float x) {
    return (float)sin(3.14159265358979323846 * (double)x);
}
static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)((unsigned long long)a * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
template <class To, class From> static inline To simt_bits(From from) {
    To to;
    static_assert(sizeof to == sizeof from, "the same bits");
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
static inline double __longlong_as_double(long long bits) {
    return simt_bits<double>(bits);
}
static inline long long __double_as_longlong(double value) {
    return simt_bits<long long>(value);
}
static inline float __int_as_float(int bits) {
    return simt_bits<float>(bits);
}
static inline float __uint_as_float(unsigned bits) {
    return simt_bits<float>(bits);
}
static inline int __float_as_int(float value) {
    return simt_bits<int>(value);
}
static inline unsigned __float_as_uint(float value) {
    return simt_bits<unsigned>(value);
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}

/* ---- tensor cores: what the emitted source says in PTX otherwise. NaN stays NaN, or poison would be rounded away. ---- */
#define ND_EMULATED
static inline unsigned nd_to_tf32(float a) { /* 10 bits of fraction; halves away from zero */
    unsigned bits = __float_as_uint(a);
    return a != a ? bits : (bits + 0x1000u) & ~0x1fffu;
}
static inline unsigned short nd_to_bf16(float a) { /* 7 bits; halves to even */
    unsigned bits = __float_as_uint(a);
    return (unsigned short)(a != a ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
struct simt_product {
    float *c;
    const unsigned *a, *b;
};
/* The 16 x 8 words of a and the 8 x 8 of b out of the lanes that hold them (PTX manual, m16n8k8 of tf32; for bf16 the
 * same words hold two each, m16n8k16). A tf32 with bits beyond its ten is a mistake of who made it. */
template <int EACH> static float simt_term(unsigned word, int part) {
    if (EACH == 1 && word & 0x1fff && (word & 0x7fffffff) <= 0x7f800000)
        return __uint_as_float(0x7fffffff);
    return __uint_as_float(EACH == 1 ? word : part ? word & 0xffff0000u : word << 16);
}
template <int EACH> static void simt_product_run(void *const slots[32], unsigned) {
    auto lane = [&](int l) { return (simt_product *)slots[l]; };
    for (int row = 0; row < 16; row++) {
        for (int column = 0; column < 8; column++) {
            float *sum = &lane(row % 8 * 4 + column / 2)->c[row / 8 * 2 + column % 2];
            for (int k = 0; k < 8 * EACH; k++) {
                int word = k / EACH;
                unsigned a = lane(row % 8 * 4 + word % 4)->a[word / 4 * 2 + row / 8];
                unsigned b = lane(column * 4 + word % 4)->b[word / 4];
                *sum += simt_term<EACH>(a, k % EACH) * simt_term<EACH>(b, k % EACH);
            }
        }
    }
}
static inline void nd_mma_tf32(float c[4], const unsigned a[4], const unsigned b[2]) {
    simt_product slot = {c, a, b};
    simt_warp(0xffffffffu, &slot, simt_product_run<1>);
}
static inline void nd_mma_bf16(float c[4], const unsigned a[4], const unsigned b[2]) {
    simt_product slot = {c, a, b};
    simt_warp(0xffffffffu, &slot, simt_product_run<2>);
}

/* ---- entries: a kernel called with pointers to its arguments, as cudaLaunchKernel has them ---- */
template <int... I> struct simt_numbers {};
template <int N, int... I> struct simt_count : simt_count<N - 1, N - 1, I...> {};
template <int... I> struct simt_count<0, I...> { typedef simt_numbers<I...> type; };
template <class... A, int... I>
static inline void simt_apply(void (*kernel)(A...), void **arguments, simt_numbers<I...>) {
    kernel(*(A *)arguments[I]...);
}
template <class... A> static inline void simt_apply(void (*kernel)(A...), void **arguments) {
    simt_apply(kernel, arguments, typename simt_count<sizeof...(A)>::type());
}
template <class... A> static constexpr int simt_arity(void (*)(A...)) {
    static_assert(((sizeof(A) == 8) && ...), "arguments of 8 bytes, as the host's side passes them");
    return sizeof...(A);
}
#define SIMT_ENTRY(kernel)                                                                                             \
    extern "C" {                                                                                                       \
    extern const int simt_count_##kernel = simt_arity(kernel);                                                         \
    }                                                                                                                  \
    extern "C" void simt_entry_##kernel(void **arguments) {                                                            \
        simt_apply(kernel, arguments);                                                                                 \
    }
