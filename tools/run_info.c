/* run_info.c: `ndarts-run info`: what this program and this machine have. */
#include "tools/ndarts_run.h"

#include "base/installed.h"
#include "runtime/device/cache_folder.h"
#include "runtime/device/compiler.h"
#include "runtime/device/cudnn.h"
#include "runtime/device/device.h"
#include "runtime/device/machine.h"
#include "runtime/device/nvrtc.h"

#include <unistd.h>

static void print_machine(void) {
    char name[256];
    machine_processor_name(name, sizeof name);
    printf("processor   %s\n", name);
    printf("cores       %d\n", machine_core_count());
    printf("vectors     %d bytes\n", machine_vector_bytes());
    printf("memory      %.1f GiB\n", (double)machine_memory_bytes() / (1 << 30));
}

static void print_compiler(Arena *arena) {
    RtCompiler compiler;
    Error error = {ERROR_NONE, ""};
    if (rt_compiler_find(arena, &compiler, &error))
        printf("compiler    %s: %s\n", compiler.args[0], compiler.version);
    else
        printf("compiler    none (%s)\n", error.message);
    printf("options     %s\n", rt_compiler_options(arena, machine_vector_bytes()));
}

static void print_backends(Arena *arena) {
    const char *nvrtc = cg_nvrtc_version(arena);
    printf("backends    cpu, cuda\n");
    printf("nvrtc       %s\n", nvrtc ? nvrtc : "not installed (package cuda-nvrtc)");
    printf("cudnn       %s\n", cudnn_describe(arena));
    printf("cuda        %s\n", rt_device_describe_cuda(arena));
}

static void print_library(Arena *arena) {
    const char *path = installed_library(arena);
    printf("library     %s%s\n", access(path, F_OK) == 0 ? "" : "none; looked in ", path);
}

bool run_info(const Options *o, Error *error) {
    (void)error;
    printf("ndarts      %s\n", NDARTS_VERSION);
    print_machine();
    print_compiler(o->arena);
    print_backends(o->arena);
    printf("cache       %s\n", rt_cache_describe(o->arena));
    print_library(o->arena);
    return true;
}
