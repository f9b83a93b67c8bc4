/* device.c: reads --device and finds out whether there is a GPU to use. */
#include "runtime/device/device.h"

#include "base/str.h"
#include "runtime/device/cuda_api.h"
#include "runtime/device/cudnn.h"
#include "runtime/device/nvrtc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Can cuda:0 be used? Its name, or NULL with the reason. */
static const char *find_gpu(Arena *arena, Error *reason) {
    CudaApi api;
    int count;
    if (!cuda_api_load(&api, reason) || !cuda_api_count_devices(&api, &count, reason))
        return NULL;
    if (!cg_nvrtc_version(arena)) {
        error_set(reason, ERROR_MACHINE, "NVRTC, which compiles for it, is not installed (package cuda-nvrtc)");
        return NULL;
    }
    return cuda_api_device_name(&api, 0, arena);
}

static void choose_automatically(RtDeviceChoice *choice) {
    Arena *arena = arena_create();
    Error reason = {ERROR_NONE, ""};
    const char *name = find_gpu(arena, &reason);
    *choice = (RtDeviceChoice){name ? &rt_backend_cuda : &rt_backend_cpu, RT_OWN_NUMBER};
    if (name)
        fprintf(diag_stream(), "device: cuda:0, %s\n", name);
    else
        fprintf(diag_stream(), "device: cpu (%s)\n", reason.message);
    arena_destroy(arena);
}

/* "cuda" or "cuda:N" */
static bool parse_number(const char *text, int *number) {
    *number = RT_OWN_NUMBER;
    if (str_equal(text, "cuda"))
        return true;
    if (!str_starts_with(text, "cuda:"))
        return false;
    char *end;
    long value = strtol(text + 5, &end, 10);
    *number = (int)value;
    return text[5] >= '0' && text[5] <= '9' && *end == '\0' && value < 1024;
}

bool rt_device_choose(const char *text, RtDeviceChoice *choice, Error *error) {
    *choice = (RtDeviceChoice){&rt_backend_cpu, 0};
    if (!text || str_equal(text, "cpu"))
        return true;
    if (str_equal(text, "auto")) {
        choose_automatically(choice);
        return true;
    }
    choice->backend = &rt_backend_cuda;
    return parse_number(text, &choice->number) ||
           error_set(error, ERROR_INPUT, "--device %s: expected cpu, cuda, cuda:N or auto", text);
}

const char *rt_device_describe_cuda(Arena *arena) {
    CudaApi api;
    int count;
    Error reason = {ERROR_NONE, ""};
    if (!cuda_api_load(&api, &reason) || !cuda_api_count_devices(&api, &count, &reason))
        return arena_strdup(arena, reason.message);
    const char *nvrtc = cg_nvrtc_version(arena);
    return arena_printf(arena, "%d GPU%s, %s; runtime %d.%d, nvrtc %s", count, count == 1 ? "" : "s",
                        cuda_api_device_name(&api, 0, arena), api.version / 1000, api.version % 1000 / 10,
                        nvrtc ? nvrtc : "not installed");
}

const char *rt_device_toolchain(Arena *arena, const char *text, int vector_bytes, Error *error) {
    RtDeviceChoice choice;
    RtDevice *device = rt_device_choose(text, &choice, error) ? choice.backend->open(choice.number, 1, error) : NULL;
    const char *toolchain = device ? choice.backend->toolchain(device, vector_bytes, arena, error) : NULL;
    if (device)
        choice.backend->close(device);
    return toolchain && choice.backend == &rt_backend_cuda
               ? arena_printf(arena, "%s, %s, cuDNN %s", toolchain, rt_device_describe_cuda(arena),
                              cudnn_describe(arena))
               : toolchain;
}

const char *rt_device_arch(Arena *arena) {
    CudaApi api;
    int count;
    const char *arch = NULL;
    Error ignored = {ERROR_NONE, ""};
    bool found = cuda_api_load(&api, &ignored) && cuda_api_count_devices(&api, &count, &ignored) &&
                 cuda_api_arch(&api, 0, arena, &arch, &ignored);
    return found ? arch : "sm_80";
}
