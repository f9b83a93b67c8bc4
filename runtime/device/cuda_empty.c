/* cuda_empty.c: compiles, loads and times the empty kernel. */
#include "runtime/device/cuda_empty.h"

#include "runtime/device/nvrtc.h"

#include <string.h>

/* The two instructions are those of sm_90 and later. */
static const char source[] = "extern \"C\" __global__ void nd_empty()\n{\n}\n"
                             "extern \"C\" __global__ void nd_early()\n{\n"
                             "#if __CUDA_ARCH__ >= 900\n"
                             "    asm volatile(\"griddepcontrol.launch_dependents;\");\n"
                             "    asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");\n"
                             "#endif\n}\n";

bool cuda_empty_open(const CudaApi *api, const char *arch, CudaEmpty *empty, Error *error) {
    Arena *arena = arena_create();
    void *cubin = NULL;
    size_t size;
    *empty = (CudaEmpty){NULL, NULL, NULL};
    bool ok = cg_nvrtc_compile(arena, source, arch, NVRTC_cubin, &cubin, &size, error) &&
              cuda_check(api, api->LibraryLoadData(&empty->library, cubin, NULL, NULL, 0, NULL, NULL, 0),
                         "loading an empty kernel", error) &&
              cuda_check(api, api->LibraryGetKernel(&empty->kernel, empty->library, "nd_empty"),
                         "loading an empty kernel", error) &&
              cuda_check(api, api->LibraryGetKernel(&empty->early, empty->library, "nd_early"),
                         "loading an empty kernel", error);
    arena_destroy(arena);
    if (!ok)
        cuda_empty_close(api, empty);
    return ok;
}

void cuda_empty_close(const CudaApi *api, CudaEmpty *empty) {
    if (empty->library)
        api->LibraryUnload(empty->library);
    *empty = (CudaEmpty){NULL, NULL, NULL};
}

/* Milliseconds; negative: it cannot be launched. */
static float time_once(const CudaApi *api, const CudaEmpty *empty, void *stream, void *begin, void *end) {
    CudaDim one = {1, 1, 1};
    float milliseconds = -1;
    api->EventRecord(begin, stream);
    bool ok = api->LaunchKernel(empty->kernel, one, one, NULL, 0, stream) == CUDA_SUCCESS;
    api->EventRecord(end, stream);
    ok = ok && api->StreamSynchronize(stream) == CUDA_SUCCESS &&
         api->EventElapsedTime(&milliseconds, begin, end) == CUDA_SUCCESS;
    return ok ? milliseconds : -1;
}

double cuda_empty_seconds(const CudaApi *api, const CudaEmpty *empty, void *stream) {
    enum { TIMES = 20 };
    void *begin = NULL, *end = NULL;
    double best = -1;
    if (!api->EventElapsedTime || api->EventCreateWithFlags(&begin, 0) != CUDA_SUCCESS)
        return 0;
    if (api->EventCreateWithFlags(&end, 0) == CUDA_SUCCESS) {
        for (int i = 0; i < TIMES; i++) {
            double seconds = 1e-3 * (double)time_once(api, empty, stream, begin, end);
            best = seconds >= 0 && (best < 0 || seconds < best) ? seconds : best;
        }
        api->EventDestroy(end);
    }
    api->EventDestroy(begin);
    return best < 0 ? 0 : best;
}
