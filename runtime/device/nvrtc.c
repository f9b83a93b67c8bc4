/* nvrtc.c: NVRTC through dlopen. Its C interface is small and stable, so the six functions needed are declared here. */
#include "runtime/device/nvrtc.h"

#include "base/library.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_NAME "ndarts.cu"

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

static bool find(const Nvrtc *n, const char *name, void *function) {
    return library_find(n->library, name, function);
}

static bool load(Nvrtc *n, bool ptx, Error *error) {
    n->library = library_open("nvrtc", 13, 12);
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

/* sm_90a is a kind of sm_90. */
const char *cg_nvrtc_refuses(Arena *arena, const char *arch) {
    Nvrtc n = {0};
    Error error = {0};
    int (*get_count)(int *), (*get_numbers)(int *), count = 0, major, minor;
    if (!load(&n, true, &error) || n.version(&major, &minor) || !find(&n, "nvrtcGetNumSupportedArchs", &get_count) ||
        !find(&n, "nvrtcGetSupportedArchs", &get_numbers) || get_count(&count))
        return NULL;
    int *numbers = ARENA_ARRAY(arena, int, count + 1), wanted = str_starts_with(arch, "sm_") ? atoi(arch + 3) : 0;
    bool known = get_numbers(numbers) != 0;
    Str s = str_create(arena);
    str_addf(&s, "NVRTC %d.%d compiles for", major, minor);
    for (int i = 0; i < count; i++) {
        str_addf(&s, "%s sm_%d", i ? "," : "", numbers[i]);
        known = known || numbers[i] == wanted;
    }
    return known ? NULL : s.data;
}

static const char *read_log(Arena *arena, const Nvrtc *n, NvrtcProgram program) {
    size_t size = 0;
    if (n->log_size(program, &size) || !size)
        return "";
    char *log = arena_alloc(arena, size + 1);
    n->log(program, log);
    return log;
}

/* Where the first line that the log complains of stands: the comments before its kernel, which name the graph's nodes
 * and the text's line, and the line itself. */
static const char *describe_place(Arena *arena, const char *source, const char *log) {
    const char *mention = strstr(log, SOURCE_NAME "("), *comments = "", *line = source;
    int number = mention ? atoi(mention + strlen(SOURCE_NAME "(")) : 0, comments_length = 0;
    bool open = false; /* the lines just read are comments */
    for (int i = 1; number > 0 && *line; i++) {
        int length = (int)strcspn(line, "\n");
        if (i == number)
            return arena_printf(arena, "%.*s%.*s\n", comments_length, comments, length, line);
        bool comment = str_starts_with(line, "/* ");
        comments = comment && !open ? line : comments;
        comments_length = comment ? (int)(line + length + 1 - comments) : comments_length;
        open = comment;
        line += length + (line[length] == '\n');
    }
    return "";
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

/* -lineinfo leads a profiler from instructions to lines, whose comments name the graph's nodes. */
static int compile(Arena *arena, const Nvrtc *n, NvrtcProgram program, const char *arch, NvrtcKind kind) {
    const char *options[] = {arena_printf(arena, "--gpu-architecture=%s", arch),
                             "--std=c++17",
                             "--disable-warnings",
                             "-modify-stack-limit=false",
                             "-lineinfo",
                             "--relocatable-device-code=true"};
    int count = sizeof options / sizeof *options;
    return n->compile(program, kind == NVRTC_part ? count : count - 1, options);
}

static void report_failure(Arena *arena, const Nvrtc *n, NvrtcProgram program, const char *source, int status,
                           Error *error) {
    const char *log = read_log(arena, n, program);
    error_set(error, ERROR_MACHINE, "nvrtc: %s\n%s%s", n->message(status), describe_place(arena, source, log), log);
}

bool cg_nvrtc_compile(Arena *arena, const char *source, const char *arch, NvrtcKind kind, void **bytes, size_t *size,
                      Error *error) {
    Nvrtc n = {0};
    NvrtcProgram program;
    if (!load(&n, kind == NVRTC_ptx, error))
        return false;
    int status = n.create(&program, source, SOURCE_NAME, 0, NULL, NULL);
    if (status)
        return error_set(error, ERROR_MACHINE, "nvrtc: %s", n.message(status));
    status = compile(arena, &n, program, arch, kind);
    bool done = status == 0 && read_result(arena, &n, program, arch, bytes, size, error);
    if (status)
        report_failure(arena, &n, program, source, status, error);
    n.destroy(&program);
    return done;
}
