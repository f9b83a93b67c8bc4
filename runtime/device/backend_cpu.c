/* backend_cpu.c: the CPU as a device: generated C, the system's compiler, dlopen, threads. */
#include "runtime/device/backend.h"

#include "base/hash.h"
#include "base/str.h"
#include "runtime/device/cache.h"
#include "runtime/device/executor.h"
#include "runtime/device/fit.h"
#include "runtime/device/machine.h"

#include <stdlib.h>
#include <string.h>

struct RtDevice {
    RtThreads *threads;
    void **
        arenas; /* of each thread: private values and scratch of whichever graph runs; NULL before the first is bound */
    size_t arena_bytes;
    Arena *memory;       /* of the compiler */
    RtCompiler compiler; /* once it is asked for: what it says of itself must not change under way */
};

static RtDevice *cpu_open(int number, int threads, Error *error) {
    (void)number;
    RtDevice *device = calloc(1, sizeof *device);
    if (!device) {
        error_set(error, ERROR_MACHINE, "out of memory");
        return NULL;
    }
    device->threads = rt_threads_create(threads > 0 ? threads : machine_core_count(), error);
    if (device->threads)
        return device;
    free(device);
    return NULL;
}

static int cpu_thread_count(const RtDevice *device) {
    return rt_threads_count(device->threads);
}

static void free_arenas(RtDevice *device) {
    for (int t = 0; device->arenas && t < cpu_thread_count(device); t++)
        machine_pages_free(device->arenas[t], device->arena_bytes);
    free(device->arenas);
    device->arenas = NULL;
}

static void cpu_close(RtDevice *device) {
    free_arenas(device);
    arena_destroy(device->memory);
    rt_threads_destroy(device->threads);
    free(device);
}

static const RtCompiler *find_compiler(RtDevice *device, Error *error) {
    device->memory = device->memory ? device->memory : arena_create();
    bool found = device->compiler.version || rt_compiler_find(device->memory, &device->compiler, error);
    return found ? &device->compiler : NULL;
}

static const char *cpu_toolchain(RtDevice *device, int vector_bytes, Arena *arena, Error *error) {
    const RtCompiler *compiler = find_compiler(device, error);
    return compiler ? arena_printf(arena, "target c, compiler %s, options %s", compiler->version,
                                   rt_compiler_options(arena, vector_bytes))
                    : NULL;
}

static bool set_identity(RtDevice *device, int vector_bytes, const char *key, Arena *arena, const char **identity,
                         Error *error) {
    const char *toolchain = cpu_toolchain(device, vector_bytes, arena, error);
    if (toolchain)
        *identity = arena_printf(arena, "%s, source %.16s", toolchain, key);
    return toolchain != NULL;
}

static const char *cpu_identify(RtDevice *device, const char *text_key, int vector_bytes, Arena *arena) {
    Error ignored = {ERROR_NONE, ""}; /* building meets it again */
    const char *key = rt_cache_recall(arena, text_key), *identity = NULL;
    return key && set_identity(device, vector_bytes, key, arena, &identity, &ignored) ? identity : NULL;
}

static RtModule *cpu_find(RtDevice *device, const char *text_key, int vector_bytes, Arena *arena,
                          const char **identity) {
    const char *found = cpu_identify(device, text_key, vector_bytes, arena);
    *identity = found ? found : *identity;
    return found ? rt_cache_find(rt_cache_recall(arena, text_key)) : NULL;
}

/* What a source is compiled by and with, and the key of what comes of it. */
typedef struct Recipe {
    const RtCompiler *compiler; /* NULL: there is none, and the error is there */
    const char *options, *key;
} Recipe;

static Recipe make_recipe(RtDevice *device, const CgOutput *output, int vector_bytes, Arena *arena, Error *error) {
    Recipe r = {.compiler = find_compiler(device, error)};
    if (r.compiler) {
        r.options = rt_compiler_options(arena, vector_bytes);
        r.key = rt_cache_key(arena, output, r.options, r.compiler->version);
    }
    return r;
}

static RtModule *cpu_build(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes,
                           Arena *arena, const char **identity, Error *error) {
    Recipe r = make_recipe(device, output, vector_bytes, arena, error);
    RtModule *module = r.compiler && set_identity(device, vector_bytes, r.key, arena, identity, error)
                           ? rt_cache_load(r.compiler, output, r.options, r.key, error)
                           : NULL;
    if (module)
        rt_cache_remember(text_key, r.key);
    return module;
}

static bool cpu_remember(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes,
                         Error *error) {
    Arena *arena = arena_create();
    Recipe r = make_recipe(device, output, vector_bytes, arena, error);
    if (r.compiler)
        rt_cache_remember(text_key, r.key);
    arena_destroy(arena);
    return r.compiler != NULL;
}

static RtModule *cpu_find_draft(RtDevice *device, const char *text_key, Arena *arena) {
    (void)device;
    const char *key = rt_cache_recall(arena, text_key);
    return key ? rt_cache_find_draft(key) : NULL;
}

static bool cpu_fill_cache(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes,
                           void (*early)(void), Error *error) {
    Arena *arena = arena_create();
    Recipe r = make_recipe(device, output, vector_bytes, arena, error);
    RtObjectsLeft left = {0};
    if (r.compiler)
        left = rt_cache_left(r.compiler, output, r.options);
    bool draft = early && rt_cache_wants_draft(&left);
    rt_cache_announce(&left, draft);
    if (draft && rt_cache_fill_draft(r.compiler, output, r.options, r.key)) {
        rt_cache_remember(text_key, r.key);
        early();
    }
    bool ok = r.compiler && rt_cache_fill(r.compiler, output, r.options, r.key, error);
    if (ok)
        rt_cache_remember(text_key, r.key);
    arena_destroy(arena);
    return ok;
}

/* The file's own hash stands for compiler and source. */
static const char *file_identity(Arena *arena, const char *path) {
    Error ignored = {ERROR_NONE, ""};
    SourceFile *file = source_read(arena, path, &ignored);
    char digest[65] = "unreadable";
    if (file)
        hash_sha256_hex(file->text, file->size, digest);
    return arena_printf(arena, "target c, module %.16s", digest);
}

static bool fits_machine(const RtModule *module, const char *path, Error *error) {
    int needed = module->plan->vector_bytes;
    if (needed > machine_vector_bytes() && needed > 16)
        return error_set(error, ERROR_MACHINE, "%s needs vectors of %d bytes; this machine has %d", path, needed,
                         machine_vector_bytes());
    return !module->needs_bf16 || machine_has_bf16() ||
           error_set(error, ERROR_MACHINE, "%s needs the instructions AVX512-BF16, which this machine lacks", path);
}

static RtModule *cpu_load(RtDevice *device, const char *path, Arena *arena, const char **identity, Error *error) {
    (void)device;
    RtModule *module = rt_module_load(path, error);
    if (module && !fits_machine(module, path, error)) {
        rt_module_unload(module);
        return NULL;
    }
    if (module)
        *identity = file_identity(arena, path);
    return module;
}

static void cpu_unload(RtDevice *device, RtModule *module) {
    (void)device;
    rt_module_unload(module);
}

static void *cpu_allocate(RtDevice *device, size_t bytes) {
    (void)device;
    return machine_pages_allocate(bytes);
}

static void cpu_release(RtDevice *device, void *memory, size_t bytes) {
    (void)device;
    machine_pages_free(memory, bytes);
}

static void cpu_copy(RtDevice *device, void *to, const void *from, size_t bytes) {
    (void)device;
    memcpy(to, from, bytes);
}

static bool make_arenas(RtDevice *device, const Plan *plan, Error *error) {
    int threads = cpu_thread_count(device);
    device->arena_bytes = (size_t)rt_plan_memory(plan, threads).each;
    device->arenas = calloc((size_t)threads, sizeof *device->arenas);
    bool ok = device->arenas != NULL;
    for (int t = 0; ok && t < threads; t++)
        ok = (device->arenas[t] = machine_pages_allocate(device->arena_bytes)) != NULL;
    if (!ok)
        free_arenas(device);
    return ok || error_set(error, ERROR_MACHINE, "out of memory: %zu bytes for each of %d threads", device->arena_bytes,
                           threads);
}

static RtBound *cpu_bind(RtDevice *device, const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                         const RtShare *share, Error *error) {
    if (!device->arenas && !make_arenas(device, module->plan, error))
        return NULL;
    return (RtBound *)rt_executor_create(module, graph, arenas, share, device->arenas, device->threads, error);
}

static void cpu_unbind(RtDevice *device, RtBound *bound) {
    (void)device;
    rt_executor_destroy((RtExecutor *)bound);
}

static void cpu_renew(RtDevice *device, RtBound *bound, const RtModule *module) {
    (void)device;
    rt_executor_renew((RtExecutor *)bound, module);
}

static void cpu_profile(RtDevice *device, RtBound *bound, ProfileGraph *profile) {
    (void)device;
    rt_executor_profile((RtExecutor *)bound, profile);
}

static size_t cpu_own_bytes(const RtDevice *device) {
    return device->arena_bytes * (size_t)cpu_thread_count(device);
}

static size_t cpu_bound_bytes(const RtBound *bound) {
    return rt_executor_bytes((const RtExecutor *)bound);
}

static bool cpu_launch(RtDevice *device, RtBound *bound, const void *const *inputs, const NdRun *run, bool prepare,
                       Error *error) {
    (void)device;
    return rt_executor_run((RtExecutor *)bound, inputs, run, prepare, error);
}

const RtBackend rt_backend_cpu = {
    .name = "cpu",
    .target = &cg_target_c,
    .open = cpu_open,
    .close = cpu_close,
    .thread_count = cpu_thread_count,
    .toolchain = cpu_toolchain,
    .find = cpu_find,
    .build = cpu_build,
    .fill_cache = cpu_fill_cache,
    .find_draft = cpu_find_draft,
    .remember = cpu_remember,
    .identify = cpu_identify,
    .load = cpu_load,
    .unload = cpu_unload,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .bind = cpu_bind,
    .unbind = cpu_unbind,
    .renew = cpu_renew,
    .profile = cpu_profile,
    .own_bytes = cpu_own_bytes,
    .bound_bytes = cpu_bound_bytes,
    .launch = cpu_launch,
};
