/* nvrtc.c: NVRTC through dlopen. Its C interface is small and stable, so the six functions needed are declared here. */
#include "codegen/nvrtc.h"

#include "base/str.h"

#include <dlfcn.h>
#include <string.h>

typedef struct Program *NvrtcProgram;

typedef struct Nvrtc {
    void *library;
    int (*version)(int *major, int *minor);
    int (*create)(NvrtcProgram *, const char *source, const char *name, int count, const char *const *headers,
                  const char *const *names);
    int (*compile)(NvrtcProgram, int count, const char *const *options);
    int (*destroy)(NvrtcProgram *);
    int (*log_size)(NvrtcProgram, size_t *);
    int (*log)(NvrtcProgram, char *);
    int (*result_size)(NvrtcProgram, size_t *);
    int (*result)(NvrtcProgram, char *);
    const char *(*message)(int);
} Nvrtc;

/* The name a distribution gives it, then where NVIDIA's own installer puts it. */
static void *open_library(void) {
    static const char *const names[] = {"libnvrtc.so.13",
                                        "libnvrtc.so.12",
                                        "libnvrtc.so",
                                        "/usr/local/cuda/lib64/libnvrtc.so.13",
                                        "/usr/local/cuda/lib64/libnvrtc.so.12",
                                        "/usr/local/cuda/lib64/libnvrtc.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library)
            return library;
    }
    return NULL;
}

/* A function pointer by name; POSIX lets dlsym's result be copied into one. */
static bool find(Nvrtc *n, const char *name, void *function) {
    void *address = dlsym(n->library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static bool load(Nvrtc *n, bool ptx, Error *error) {
    n->library = open_library();
    if (!n->library)
        return error_set(error, ERROR_MACHINE,
                         "libnvrtc is not installed; install the CUDA toolkit's NVRTC (package cuda-nvrtc, or `pip "
                         "install nvidia-cuda-nvrtc`) "
                         "and let LD_LIBRARY_PATH name its folder");
    bool complete = find(n, "nvrtcVersion", &n->version) && find(n, "nvrtcCreateProgram", &n->create) &&
                    find(n, "nvrtcCompileProgram", &n->compile) && find(n, "nvrtcDestroyProgram", &n->destroy) &&
                    find(n, "nvrtcGetProgramLogSize", &n->log_size) && find(n, "nvrtcGetProgramLog", &n->log) &&
                    find(n, ptx ? "nvrtcGetPTXSize" : "nvrtcGetCUBINSize", &n->result_size) &&
                    find(n, ptx ? "nvrtcGetPTX" : "nvrtcGetCUBIN", &n->result) &&
                    find(n, "nvrtcGetErrorString", &n->message);
    return complete ||
           error_set(error, ERROR_MACHINE, "libnvrtc is too old: it lacks a function; version 12 or later is needed");
}

const char *cg_nvrtc_version(Arena *arena) {
    Nvrtc n = {0};
    Error error = {0};
    int major, minor;
    if (!load(&n, true, &error) || n.version(&major, &minor))
        return NULL;
    return arena_printf(arena, "%d.%d", major, minor);
}

static const char *read_log(Arena *arena, const Nvrtc *n, NvrtcProgram program) {
    size_t size = 0;
    if (n->log_size(program, &size) || !size)
        return "";
    char *log = arena_alloc(arena, size + 1);
    n->log(program, log);
    return log;
}

/* A virtual architecture gives an empty cubin, so an empty result is an error too. */
static bool read_result(Arena *arena, const Nvrtc *n, NvrtcProgram program, const char *arch, void **bytes,
                        size_t *size, Error *error) {
    if (n->result_size(program, size) || !*size)
        return error_set(error, ERROR_MACHINE, "nvrtc made no code for '%s'; it takes architectures like sm_90", arch);
    *bytes = arena_alloc(arena, *size);
    int status = n->result(program, *bytes);
    return !status || error_set(error, ERROR_MACHINE, "nvrtc: %s", n->message(status));
}

bool cg_nvrtc_compile(Arena *arena, const char *source, const char *arch, bool ptx, void **bytes, size_t *size,
                      Error *error) {
    Nvrtc n = {0};
    NvrtcProgram program;
    if (!load(&n, ptx, error))
        return false;
    int status = n.create(&program, source, "ndarts.cu", 0, NULL, NULL);
    if (status)
        return error_set(error, ERROR_MACHINE, "nvrtc: %s", n.message(status));
    const char *options[] = {arena_printf(arena, "--gpu-architecture=%s", arch), "--std=c++17", "--disable-warnings",
                             "-modify-stack-limit=false"};
    status = n.compile(program, sizeof options / sizeof *options, options);
    bool done = status == 0 && read_result(arena, &n, program, arch, bytes, size, error);
    if (status)
        error_set(error, ERROR_MACHINE, "nvrtc: %s\n%s", n.message(status), read_log(arena, &n, program));
    n.destroy(&program);
    return done;
}
