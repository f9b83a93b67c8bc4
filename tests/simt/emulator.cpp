/* emulator.cpp: the emulator's own tests: kernels with barriers, shuffles, votes and atomics give what a device gives,
 * in every order of the threads; and what is wrong with a kernel is found. */
#include "simt_host.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
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

void check_faults(SimtModule *module) {
    std::vector<float> x(512, 1.0f), y(512);
    expect(!launch(module, "uneven", 1, 64, x.data(), y.data()), "a barrier that not all threads reach is found");
    expect(strstr(simt_message(), "17 of 64 threads wait at a barrier") != nullptr, simt_message());
    expect(!launch(module, "half_warp", 1, 64, x.data(), y.data()), "a shuffle that not all lanes reach is found");
    expect(strstr(simt_message(), "lanes wait for others of their warp") != nullptr, simt_message());
    expect(!launch(module, "reverse", 1, 2048, x.data(), y.data()), "too many threads are refused");
}

/* The result of a kernel that lacks its barrier is wrong in every order, by order or by poison. */
void check_missing_barrier(const std::string &kernel, unsigned threads,
                           std::function<bool(const float *x, const float *y)> right) {
    std::string text = source;
    for (size_t at; (at = text.find("__syncthreads(); /* barrier */")) != std::string::npos;)
        text.erase(at, strlen("__syncthreads(); /* barrier */"));
    SimtModule *module = build(text);
    if (!module) {
        wrong++;
        return;
    }
    std::vector<float> x(512), y(512);
    for (int i = 0; i < 512; i++)
        x[i] = input(i);
    int found = 0;
    for (int order = 0; order < SIMT_ORDER_COUNT; order++) {
        simt_set_order((SimtOrder)order);
        found += !launch(module, kernel.c_str(), 1, threads, x.data(), y.data()) || !right(x.data(), y.data());
    }
    expect(found > 0, ("the missing barrier of " + kernel + " is found").c_str());
    simt_set_order(SIMT_ascending);
    simt_module_close(module);
}

} // namespace

int main() {
    SimtModule *module = build(source);
    if (!module)
        return 1;
    for (int order = 0; order < SIMT_ORDER_COUNT; order++) {
        simt_set_order((SimtOrder)order);
        check_results(module);
    }
    simt_set_order(SIMT_ascending);
    expect(simt_barrier_count() > 0, "barriers are counted");
    check_faults(module);
    check_missing_barrier("reverse", 96, [](const float *x, const float *y) {
        for (int i = 0; i < 96; i++)
            if (y[i] != x[95 - i])
                return false;
        return true;
    });
    check_missing_barrier("sum_block", 128, [](const float *x, const float *y) {
        float sum = 0;
        for (int i = 0; i < 128; i++)
            sum += x[i];
        return y[0] == sum;
    });
    printf("emulator: %d wrong\n", wrong);
    return wrong != 0;
}
