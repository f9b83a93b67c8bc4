/* emulator.cpp: the emulator's own tests: kernels with barriers, shuffles, votes and atomics give what a device gives,
 * in every order of the threads; and what is wrong with a kernel is found. */
#include "simt_host.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

int wrong;

void expect(bool holds, const char *what) {
    if (holds)
        return;
    printf("FAILED: %s\n", what);
    wrong++;
}

const char *const source = R"(
#ifndef ND_DYNAMIC_SHARED
#define ND_DYNAMIC_SHARED(name) extern __shared__ unsigned char name[]
#endif
extern "C" __global__ void sum_block(const float *x, float *y)
{
    __shared__ float part[128];
    part[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads(); /* barrier */
        if (threadIdx.x < half)
            part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        y[blockIdx.x] = part[0];
}
extern "C" __global__ void reverse(const float *x, float *y)
{
    __shared__ float tile[96];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads(); /* barrier */
    y[threadIdx.x] = tile[95 - threadIdx.x];
}
extern "C" __global__ void sum_warp(const float *x, float *y)
{
    float v = x[threadIdx.x];
    for (int bit = 16; bit > 0; bit /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, bit);
    if (threadIdx.x % 32 == 0)
        y[threadIdx.x / 32] = v;
}
extern "C" __global__ void scan_warp(const float *x, float *y)
{
    float v = x[threadIdx.x];
    for (int distance = 1; distance < 32; distance *= 2) {
        float other = __shfl_up_sync(0xffffffffu, v, distance);
        if (threadIdx.x % 32 >= distance)
            v += other;
    }
    y[threadIdx.x] = v;
}
extern "C" __global__ void count_positive(const float *x, int *y)
{
    unsigned votes = __ballot_sync(0xffffffffu, x[threadIdx.x] > 0);
    if (threadIdx.x % 32 == 0)
        atomicAdd(y, __popc(votes));
}
extern "C" __global__ void uneven(const float *x, float *y)
{
    if (threadIdx.x < 17)
        __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void half_warp(const float *x, float *y)
{
    float v = x[threadIdx.x];
    if (threadIdx.x % 32 < 16)
        v = __shfl_sync(0xffffffffu, v, 0);
    y[threadIdx.x] = v;
}
extern "C" __global__ void vectors(const float4 *x, float *y)
{
    __shared__ float4 tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float4 v = tile[63 - threadIdx.x];
    ((float2 *)y)[2 * threadIdx.x] = make_float2(v.w, v.z);
    ((float2 *)y)[2 * threadIdx.x + 1] = make_float2(v.y, v.x);
}
extern "C" __global__ void neighbours(const float *x, float *y)
{
    float v = x[threadIdx.x];
    float below = __shfl_down_sync(0xffffffffu, v, 3), first = __shfl_sync(0xffffffffu, v, 0, 8);
    int all = __all_sync(0xffffffffu, v > -100), any = __any_sync(0xffffffffu, v > 48);
    __syncwarp();
    y[threadIdx.x] = below + 1000 * first + 1e6f * (all + 2 * any);
}
extern "C" __global__ void histogram(const float *x, int *y)
{
    int n = (int)x[blockIdx.x * blockDim.x + threadIdx.x];
    atomicMax(y, n);
    atomicMin(y + 1, n);
    atomicAdd((float *)y + 2, 1.0f);
    atomicCAS(y + 3, 0, 7);
    atomicExch(y + 4, n * 0 + 9);
}
/* y: the result, a counter, each block's sum. The last block that comes adds up all sums, in their order. */
extern "C" __global__ void merge_last(const float *x, float *y)
{
    __shared__ bool last;
    if (threadIdx.x < 2) {
        float sum = 0;
        for (int i = 0; i < 32; i++)
            sum += x[blockIdx.x * 64 + threadIdx.x * 32 + i];
        y[2 + 2 * blockIdx.x + threadIdx.x] = sum;
    }
    __syncthreads(); /* before the fence */
    if (threadIdx.x == 0) {
        __threadfence(); /* of the writer */
        last = atomicAdd((unsigned *)y + 1, 1u) == gridDim.x - 1;
        __threadfence(); /* of the reader */
    }
    __syncthreads(); /* behind the counter */
    if (last && threadIdx.x == 0) {
        float sum = 0;
        for (unsigned b = 0; b < 2 * gridDim.x; b++)
            sum += y[2 + b];
        y[0] = sum;
    }
}
extern "C" __global__ void dynamic(const float *x, float *y)
{
    ND_DYNAMIC_SHARED(bytes);
    float *tile = (float *)bytes;
    float before = tile[threadIdx.x];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = before != before ? tile[(threadIdx.x + 1) % 64] : -1.0f;
}
)";

SimtModule *build(const std::string &text, const char *options = "") {
    char path[] = "/tmp/simt-test-XXXXXX", log[4096];
    close(mkstemp(path));
    if (!simt_build(text.c_str(), options, path, log, sizeof log)) {
        printf("FAILED to build:\n%s\n", log);
        return nullptr;
    }
    SimtModule *module = simt_module_open(path);
    unlink(path);
    if (!module)
        printf("FAILED to open: %s\n", simt_message());
    return module;
}

bool launch(SimtModule *module, const char *name, unsigned blocks, unsigned threads, const void *x, void *y,
            size_t shared = 0) {
    const unsigned grid[3] = {blocks, 1, 1}, block[3] = {threads, 1, 1};
    void *arguments[] = {&x, &y};
    return simt_launch(simt_module_kernel(module, name), grid, block, arguments, shared);
}

float input(int i) {
    return (float)((i * 37) % 101) - 50;
}

/* Each result with its own loop. */
void check_results(SimtModule *module) {
    std::vector<float> x(512), y(512);
    for (int i = 0; i < 512; i++)
        x[i] = input(i);
    auto total = [&](int begin, int end) {
        float sum = 0;
        for (int i = begin; i < end; i++)
            sum += x[i];
        return sum;
    };
    expect(launch(module, "sum_block", 4, 128, x.data(), y.data()), "sum_block runs");
    for (int b = 0; b < 4; b++)
        expect(y[b] == total(128 * b, 128 * b + 128), "sum_block");
    expect(launch(module, "reverse", 1, 96, x.data(), y.data()), "reverse runs");
    for (int i = 0; i < 96; i++)
        expect(y[i] == x[95 - i], "reverse");
    expect(launch(module, "sum_warp", 1, 96, x.data(), y.data()), "sum_warp runs");
    for (int w = 0; w < 3; w++)
        expect(y[w] == total(32 * w, 32 * w + 32), "sum_warp");
    expect(launch(module, "scan_warp", 1, 64, x.data(), y.data()), "scan_warp runs");
    for (int i = 0; i < 64; i++)
        expect(y[i] == total(i / 32 * 32, i + 1), "scan_warp");
    int count = 0, positive = 0;
    expect(launch(module, "count_positive", 1, 256, x.data(), &count), "count_positive runs");
    for (int i = 0; i < 256; i++)
        positive += x[i] > 0;
    expect(count == positive, "count_positive");
    expect(launch(module, "dynamic", 1, 64, x.data(), y.data(), 256), "dynamic runs");
    for (int i = 0; i < 64; i++)
        expect(y[i] == x[(i + 1) % 64], "dynamic shared memory, NaN at first");
}

/* What the sum of the first values is, made by blocks together; y is zero at first. */
bool sums_right(SimtModule *module, const char *name, unsigned blocks, unsigned threads, int values) {
    std::vector<float> x(512), y(32, 0.0f);
    float total = 0;
    for (int i = 0; i < 512; i++)
        x[i] = input(i);
    for (int i = 0; i < values; i++)
        total += x[i];
    return launch(module, name, blocks, threads, x.data(), y.data()) && y[0] == total;
}

void check_blocks(SimtModule *module) {
    std::vector<float> x(512), y(512);
    int counts[5] = {-1000, 1000, 0, 0, 0};
    for (int i = 0; i < 512; i++)
        x[i] = input(i);
    expect(launch(module, "vectors", 1, 64, x.data(), y.data()), "vectors runs");
    for (int i = 0; i < 256; i++)
        expect(y[i] == x[(63 - i / 4) * 4 + 3 - i % 4], "vectors");
    expect(launch(module, "neighbours", 1, 64, x.data(), y.data()), "neighbours runs");
    for (int i = 0; i < 64; i++) {
        float most = *std::max_element(x.begin() + i / 32 * 32, x.begin() + i / 32 * 32 + 32);
        float below = i % 32 + 3 < 32 ? x[i + 3] : x[i];
        expect(y[i] == below + 1000 * x[i / 8 * 8] + 1e6f * (float)(1 + 2 * (most > 48)), "neighbours");
    }
    expect(launch(module, "histogram", 2, 64, x.data(), counts), "histogram runs");
    float number;
    memcpy(&number, &counts[2], sizeof number);
    expect(counts[0] == (int)*std::max_element(x.begin(), x.begin() + 128) &&
               counts[1] == (int)*std::min_element(x.begin(), x.begin() + 128) && number == 128 && counts[3] == 7 &&
               counts[4] == 9,
           "histogram");
    expect(sums_right(module, "merge_last", 7, 64, 448), "merge_last");
}

void check_faults(SimtModule *module) {
    std::vector<float> x(512, 1.0f), y(512);
    expect(!launch(module, "uneven", 1, 64, x.data(), y.data()), "a barrier that not all threads reach is found");
    expect(strstr(simt_message(), "17 of 64 threads wait at a barrier") != nullptr, simt_message());
    expect(!launch(module, "half_warp", 1, 64, x.data(), y.data()), "a shuffle that not all lanes reach is found");
    expect(strstr(simt_message(), "lanes wait for others of their warp") != nullptr, simt_message());
    expect(!launch(module, "reverse", 1, 2048, x.data(), y.data()), "too many threads are refused");
}

/* The result of a kernel that lacks a line is wrong in some order, by order or by poison. */
void check_missing(const std::string &kernel, const std::string &line, std::function<bool(SimtModule *)> right) {
    std::string text = source;
    for (size_t at; (at = text.find(line)) != std::string::npos;)
        text.erase(at, line.size());
    SimtModule *module = build(text);
    if (!module) {
        wrong++;
        return;
    }
    int found = 0;
    for (int order = 0; order < SIMT_ORDER_COUNT; order++) {
        simt_set_order((SimtOrder)order);
        for (int try_number = 0; try_number < 8; try_number++)
            found += !right(module);
    }
    expect(found > 0, (kernel + " without \"" + line + "\" is found").c_str());
    simt_set_order(SIMT_ascending);
    simt_module_close(module);
}

bool reversed(SimtModule *module) {
    std::vector<float> x(96), y(96);
    for (int i = 0; i < 96; i++)
        x[i] = input(i);
    if (!launch(module, "reverse", 1, 96, x.data(), y.data()))
        return false;
    std::reverse(x.begin(), x.end());
    return x == y;
}

/* The order of memory between blocks is what only the executor of PTX knows. */
void check_fences() {
    for (const char *line : {"__threadfence(); /* of the writer */", "__syncthreads(); /* before the fence */",
                             "__threadfence(); /* of the reader */", "__syncthreads(); /* behind the counter */"})
        check_missing("merge_last", line, [](SimtModule *m) { return sums_right(m, "merge_last", 7, 64, 448); });
}

/* Of "vectors": a warp's load of 16 bytes a thread takes 16 sectors and, of shared memory, 4 turns; half of the sectors
 * of each store stay for the other. */
void check_counts(SimtModule *module) {
    const unsigned grid[3] = {3, 1, 1}, block[3] = {64, 1, 1};
    alignas(32) float x[256] = {0}, y[256];
    const void *addresses[] = {x, y};
    void *arguments[] = {&addresses[0], &addresses[1]};
    std::map<std::string, double> warps;
    SimtCount count;
    expect(simt_count(simt_module_kernel(module, "vectors"), grid, block, arguments, 0, 1, 2, &count),
           "vectors counted");
    for (int i = 0; i < simt_class_count(); i++)
        warps[simt_class_name(i)] = count.warps[i];
    expect(count.blocks == 1 && warps["load_global"] == 2 && warps["store_global"] == 4, "accesses of global memory");
    expect(warps["load_shared"] == 2 && warps["store_shared"] == 2 && warps["sync"] == 2, "of shared memory");
    expect(warps["float"] == 0 && warps["tensor"] == 0 && warps["atomic"] == 0, "what a copy has none of");
    expect(count.bytes == 2048 && count.wavefronts == 16, "bytes and turns");
    expect(count.sectors == 32 + 64, "sectors");
}

} // namespace

int main() {
    SimtModule *module = build(source);
    if (!module)
        return 1;
    for (int order = 0; order < SIMT_ORDER_COUNT; order++) {
        simt_set_order((SimtOrder)order);
        check_results(module);
        check_blocks(module);
    }
    simt_set_order(SIMT_ascending);
    expect(simt_barrier_count() > 0, "barriers are counted");
    check_faults(module);
    const std::string barrier = "__syncthreads(); /* barrier */";
    check_missing("reverse", barrier, reversed);
    check_missing("sum_block", barrier, [](SimtModule *m) { return sums_right(m, "sum_block", 1, 128, 128); });
    if (getenv("SIMT_PTX")) {
        check_fences();
        check_counts(module);
    }
    printf("emulator: %d wrong\n", wrong);
    return wrong != 0;
}
