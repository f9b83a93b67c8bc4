/* cuda_api.c: finds libcudart and its functions when the program runs. */
#include "runtime/device/cuda_api.h"

#include "base/library.h"

#include <stdlib.h>
#include <string.h>

static const char install_runtime[] =
    "install the CUDA toolkit 12.8 or later (package cuda-cudart, or `pip install nvidia-cuda-runtime`) and let "
    "LD_LIBRARY_PATH name its folder; --device=cpu needs none of it";

/* In version 12 those with these parameters have other names, and others have theirs. */
static void find_newer(CudaApi *api) {
    CudaApi newer = {0};
    if (library_find(api->library, "cudaStreamGetCaptureInfo_v3", &newer.StreamGetCaptureInfo))
        api->StreamGetCaptureInfo = newer.StreamGetCaptureInfo;
    if (library_find(api->library, "cudaStreamUpdateCaptureDependencies_v2", &newer.StreamUpdateCaptureDependencies))
        api->StreamUpdateCaptureDependencies = newer.StreamUpdateCaptureDependencies;
}

static bool find_functions(CudaApi *api, const char **missing) {
    const struct {
        const char *name;
        void *function;
        bool needed;
    } functions[] = {
#define CUDA_FUNCTION(name, parameters, needed) {"cuda" #name, &api->name, needed},
        CUDA_FUNCTIONS(CUDA_FUNCTION)
#undef CUDA_FUNCTION
            {"cudaGetErrorString", &api->GetErrorString, true}};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (!library_find(api->library, functions[i].name, functions[i].function) && functions[i].needed && !*missing)
            *missing = functions[i].name;
    }
    find_newer(api);
    return *missing == NULL;
}

bool cuda_api_load(CudaApi *api, Error *error) {
    memset(api, 0, sizeof *api);
    setenv("CUDA_MODULE_LOADING", "EAGER", 0); /* a kernel that is loaded at its first launch cannot be captured */
    api->library = library_open("cudart", 13, 12);
    if (!api->library)
        return error_set(error, ERROR_MACHINE, "the CUDA runtime (libcudart) is not installed; %s", install_runtime);
    const char *missing = NULL;
    bool complete = find_functions(api, &missing);
    if (api->RuntimeGetVersion)
        api->RuntimeGetVersion(&api->version);
    return complete || error_set(error, ERROR_MACHINE, "the CUDA runtime %d.%d is too old: it lacks %s; %s",
                                 api->version / 1000, api->version % 1000 / 10, missing, install_runtime);
}

bool cuda_api_count_devices(const CudaApi *api, int *count, Error *error) {
    *count = 0;
    int status = api->GetDeviceCount(count);
    if (status == CUDA_SUCCESS && *count > 0)
        return true;
    *count = 0;
    if (status == CUDA_INSUFFICIENT_DRIVER)
        return error_set(error, ERROR_MACHINE,
                         "there is no NVIDIA driver, or it is older than the CUDA runtime %d.%d; install the driver of "
                         "that version or later, or use --device=cpu",
                         api->version / 1000, api->version % 1000 / 10);
    return error_set(error, ERROR_MACHINE, "no GPU was found (%s); use --device=cpu",
                     status == CUDA_SUCCESS || status == CUDA_NO_DEVICE ? "the driver sees no device"
                                                                        : api->GetErrorString(status));
}

bool cuda_api_arch(const CudaApi *api, int device, Arena *arena, const char **arch, Error *error) {
    int major = 0, minor = 0;
    bool ok = cuda_check(api, api->DeviceGetAttribute(&major, CUDA_ATTRIBUTE_MAJOR, device),
                         "asking for the GPU's kind", error) &&
              cuda_check(api, api->DeviceGetAttribute(&minor, CUDA_ATTRIBUTE_MINOR, device),
                         "asking for the GPU's kind", error);
    *arch = arena_printf(arena, "sm_%d%d", major, minor);
    return ok;
}

bool cuda_api_has_graphs(const CudaApi *api) {
    return api->StreamBeginCapture && api->StreamEndCapture && api->GraphInstantiateWithFlags && api->GraphLaunch &&
           api->GraphExecDestroy && api->GraphDestroy;
}

/* The name is the first field of cudaDeviceProp, whose size differs from version to version: room for many of it. */
const char *cuda_api_device_name(const CudaApi *api, int device, Arena *arena) {
    int (*get_properties)(void *, int);
    if (!library_find(api->library, "cudaGetDeviceProperties_v2", &get_properties) &&
        !library_find(api->library, "cudaGetDeviceProperties", &get_properties))
        return "CUDA device";
    char *properties = arena_alloc(arena, 16384);
    if (get_properties(properties, device) != CUDA_SUCCESS)
        return "CUDA device";
    return arena_strndup(arena, properties, strnlen(properties, 255));
}

bool cuda_check(const CudaApi *api, int status, const char *what, Error *error) {
    return status == CUDA_SUCCESS || error_set(error, ERROR_MACHINE, "%s: %s", what, api->GetErrorString(status));
}
