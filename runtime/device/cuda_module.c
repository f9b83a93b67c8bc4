/* cuda_module.c: units of CUDA source become cubins, compiled side by side; together they are one entry of the cache,
 * named after NVRTC's version, the architecture and the source. Kernel i of the plan is in unit i modulo the number of
 * units. A .cubin file holds everything in one, plan included: an ELF file whose symbol table says where nd_plan and
 * nd_weights lie. */
#include "runtime/device/cuda_module.h"

#include "base/align.h"
#include "base/hash.h"
#include "base/locale.h"
#include "base/memory.h"
#include "base/str.h"
#include "runtime/device/cache.h"
#include "runtime/device/cache_entry.h"
#include "runtime/device/cubin.h"
#include "runtime/device/nvjitlink.h"
#include "runtime/device/nvrtc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- loading ---- */

static CudaModule *create_module(int library_count) {
    CudaModule *m = memory_alloc(sizeof *m);
    m->base.arena = arena_create();
    m->libraries = ARENA_ARRAY(m->base.arena, void *, library_count);
    m->library_count = library_count;
    return m;
}

void cuda_module_unload(const CudaApi *api, CudaModule *m) {
    if (!m)
        return;
    for (int i = 0; i < m->library_count; i++) {
        if (m->libraries[i])
            api->LibraryUnload(m->libraries[i]);
    }
    arena_destroy(m->base.arena);
    free(m);
}

static bool check_image(const CudaApi *api, CudaModule *m, int status, const char *name, const char *arch,
                        Error *error) {
    if (status == CUDA_NO_KERNEL_IMAGE)
        return error_set(error, ERROR_MACHINE, "%s was compiled for other GPUs than this one, which is an %s", name,
                         arch);
    return cuda_check(api, status, arena_printf(m->base.arena, "loading %s", name), error);
}

static bool load_library(const CudaApi *api, CudaModule *m, int index, const void *cubin, const char *name,
                         const char *arch, Error *error) {
    int status = api->LibraryLoadData(&m->libraries[index], cubin, NULL, NULL, 0, NULL, NULL, 0);
    return check_image(api, m, status, name, arch, error);
}

/* The plan says how many kernels there are and what they are called. Asking for attributes loads a kernel, which would
 * happen at its first launch otherwise: now it can be said that it does not fit, and nothing is being captured. */
static bool find_kernels(const CudaApi *api, CudaModule *m, const char *name, const char *arch, Error *error) {
    enum { ATTRIBUTES_BYTES = 1024 /* cudaFuncAttributes has less than 200 */ };
    const Plan *plan = m->base.plan;
    void *attributes = arena_alloc(m->base.arena, ATTRIBUTES_BYTES);
    m->kernels = ARENA_ARRAY(m->base.arena, void *, plan->kernel_count);
    for (int i = 0; i < plan->kernel_count; i++) {
        int status = api->LibraryGetKernel(&m->kernels[i], m->libraries[i % m->library_count], plan->kernels[i].name);
        if (!cuda_check(api, status, plan->kernels[i].name, error) ||
            !check_image(api, m, api->FuncGetAttributes(attributes, m->kernels[i]), name, arch, error))
            return false;
    }
    return true;
}

/* ---- contents ---- */

static bool take_weights(RtModule *m, const char *name, const void *cubin, size_t size, Error *error) {
    size_t available = 0;
    const unsigned char *bytes = cubin_find(cubin, size, "nd_weights", &available);
    if (!bytes)
        return true;
    uint64_t length = 0;
    for (int i = 7; i >= 0 && available >= 16; i--)
        length = length << 8 | bytes[8 + i];
    if (available < 16 || memcmp(bytes, "ndwght\0\1", 8) != 0 || length > available - 16)
        return error_set(error, ERROR_INPUT, "%s: the embedded weights (nd_weights) are damaged", name);
    m->weights = bytes + 16;
    m->weights_size = length;
    return true;
}

/* Weights point into the cubin. */
static bool read_contents(RtModule *m, const char *name, const void *cubin, size_t size, Error *error) {
    size_t available = 0;
    const unsigned char *plan = cubin_find(cubin, size, "nd_plan", &available);
    Error inner = {ERROR_NONE, ""};
    if (!plan)
        return error_set(error, ERROR_INPUT, "%s is not a module: expected an ELF file with the symbol nd_plan", name);
    m->plan = plan_read(m->arena, plan, available, &inner);
    if (!m->plan)
        return error_set(error, inner.kind, "%s: %s", name, inner.message);
    if (m->plan->target != TARGET_cuda)
        return error_set(error, ERROR_INPUT, "%s is not a module for CUDA", name);
    return take_weights(m, name, cubin, size, error);
}

/* ---- building ---- */

typedef struct Unit {
    const char *source;
    void *cubin;
    size_t size;
    Arena *arena; /* of the cubin: compiled by a thread of its own */
    Error error;
} Unit;

typedef struct Build {
    Unit *units;
    int count;
    NvrtcKind kind;
    const char *arch;
    atomic_int next;
} Build;

static void *compile_units(void *argument) {
    Build *b = argument;
    locale_t before = locale_enter(); /* nvrtc reads numbers; without memory for a locale it will not compile either */
    for (int i; (i = atomic_fetch_add(&b->next, 1)) < b->count;) {
        Unit *u = &b->units[i];
        cg_nvrtc_compile(u->arena, u->source, b->arch, b->kind, &u->cubin, &u->size, &u->error);
    }
    if (before)
        locale_leave(before);
    return NULL;
}

static void begin_build(Build *b, const CgOutput *output, const char *arch, NvrtcKind kind, Arena *arena) {
    *b = (Build){ARENA_ARRAY(arena, Unit, output->unit_count), output->unit_count, kind, arch, 0};
    for (int i = 0; i < b->count; i++)
        b->units[i] = (Unit){.source = output->units[i], .arena = arena_create()};
}

static void end_build(Build *b) {
    for (int i = 0; i < b->count; i++)
        arena_destroy(b->units[i].arena);
}

static bool fill_plan(Arena *arena, const CgOutput *output, void *cubin, size_t size, Error *error) {
    return cubin_fill_plan(arena, output->plan, cubin, size) ||
           error_set(error, ERROR_MACHINE, "the compiled module has no room for its plan");
}

/* This thread works too; fewer helpers than wished for are no failure. */
static bool compile_all(Build *b, int threads, Error *error) {
    enum { MOST = 32 };
    pthread_t helpers[MOST];
    int count = 0, wanted = (threads < b->count ? threads : b->count) - 1;
    while (count < wanted && count < MOST && pthread_create(&helpers[count], NULL, compile_units, b) == 0)
        count++;
    compile_units(b);
    for (int i = 0; i < count; i++)
        pthread_join(helpers[i], NULL);
    for (int i = 0; i < b->count; i++) {
        if (b->units[i].error.kind != ERROR_NONE)
            return error_set(error, b->units[i].error.kind, "%s", b->units[i].error.message);
    }
    return true;
}

/* ---- the cache's container: mark, number of units, their sizes, the cubins, each at a multiple of 16 ---- */

enum { PIECE_ALIGNMENT = 16 };

static const char container_mark[8] = "ndcub\0\0\1";

static void *pack_units(Arena *arena, const Build *b, size_t *size) {
    size_t head = ALIGN_UP(16 + 8 * (size_t)b->count, PIECE_ALIGNMENT), at = head;
    for (int i = 0; i < b->count; i++)
        at += ALIGN_UP(b->units[i].size, PIECE_ALIGNMENT);
    uint64_t *words = arena_alloc(arena, *size = at);
    memcpy(words, container_mark, 8);
    words[1] = (uint64_t)b->count;
    at = head;
    for (int i = 0; i < b->count; i++) {
        words[2 + i] = b->units[i].size;
        memcpy((char *)words + at, b->units[i].cubin, b->units[i].size);
        at += ALIGN_UP(b->units[i].size, PIECE_ALIGNMENT);
    }
    return words;
}

/* The entry has been checked by its hash; these are the sizes we wrote. */
static CudaModule *load_container(const CudaApi *api, const void *container, size_t size, const char *arch,
                                  Error *error) {
    const uint64_t *words = container;
    if (size < 16 || memcmp(words, container_mark, 8) != 0) {
        error_set(error, ERROR_MACHINE, "an entry of the cache is of another kind");
        return NULL;
    }
    int count = (int)words[1];
    size_t at = ALIGN_UP(16 + 8 * (size_t)count, PIECE_ALIGNMENT);
    CudaModule *m = create_module(count);
    bool ok = read_contents(&m->base, "the compiled module", (const char *)container + at, words[2], error);
    for (int i = 0; ok && i < count; i++) {
        ok = load_library(api, m, i, (const char *)container + at, "the compiled module", arch, error);
        at += ALIGN_UP(words[2 + i], PIECE_ALIGNMENT);
    }
    if (ok && find_kernels(api, m, "the compiled module", arch, error))
        return m;
    cuda_module_unload(api, m);
    return NULL;
}

static const char *entry_name(Arena *arena, const char *key) {
    return arena_printf(arena, "%s.cubins", key);
}

const char *cuda_module_toolchain(const char *arch, Arena *arena) {
    const char *version = cg_nvrtc_version(arena);
    return arena_printf(arena, "target cuda, architecture %s, nvrtc %s", arch, version ? version : "missing");
}

static const char *module_identity(const char *arch, const char *key, Arena *arena) {
    return arena_printf(arena, "%s, source %.16s", cuda_module_toolchain(arch, arena), key);
}

static CudaModule *find_entry(const CudaApi *api, const char *arch, const char *key, Arena *arena,
                              const char **identity) {
    Error ignored = {ERROR_NONE, ""};
    Arena *scratch = arena_create();
    size_t size;
    void *container = rt_cache_read(scratch, entry_name(scratch, key), &size);
    CudaModule *m = container ? load_container(api, container, size, arch, &ignored) : NULL;
    arena_destroy(scratch);
    if (m)
        *identity = module_identity(arch, key, arena);
    return m;
}

void cuda_module_remember(const CgOutput *output, const char *text_key, const char *arch) {
    Arena *arena = arena_create();
    rt_cache_remember(text_key, rt_cache_key(arena, output, arch, cuda_module_toolchain(arch, arena)));
    arena_destroy(arena);
}

const char *cuda_module_identify(const char *text_key, const char *arch, Arena *arena) {
    const char *key = rt_cache_recall(arena, text_key);
    return key ? module_identity(arch, key, arena) : NULL;
}

CudaModule *cuda_module_find(const CudaApi *api, const char *text_key, const char *arch, Arena *arena,
                             const char **identity) {
    const char *key = rt_cache_recall(arena, text_key);
    return key ? find_entry(api, arch, key, arena, identity) : NULL;
}

static CudaModule *compile(const CudaApi *api, const CgOutput *output, const char *arch, const char *key, int threads,
                           Error *error) {
    Arena *arena = arena_create();
    CudaModule *m = NULL;
    Build b;
    begin_build(&b, output, arch, NVRTC_cubin, arena);
    if (compile_all(&b, threads, error) && fill_plan(arena, output, b.units[0].cubin, b.units[0].size, error)) {
        size_t size;
        void *container = pack_units(arena, &b, &size);
        if (rt_cache_write(entry_name(arena, key), container, size, error))
            m = load_container(api, container, size, arch, error);
    }
    end_build(&b);
    arena_destroy(arena);
    return m;
}

CudaModule *cuda_module_build(const CudaApi *api, const CgOutput *output, const char *text_key, const char *arch,
                              int threads, Arena *arena, const char **identity, Error *error) {
    const char *known = cg_nvrtc_refuses(arena, arch);
    if (known)
        error_set(error, ERROR_MACHINE, "this GPU is an %s, but %s; install a later one", arch, known);
    if (known || !cg_precision_check(output->plan->precision, &cg_target_cuda, arch, error))
        return NULL;
    const char *key = rt_cache_key(arena, output, arch, cuda_module_toolchain(arch, arena));
    CudaModule *m = find_entry(api, arch, key, arena, identity);
    if (!m)
        m = compile(api, output, arch, key, threads, error);
    if (m) {
        rt_cache_remember(text_key, key);
        *identity = module_identity(arch, key, arena);
    }
    return m;
}

/* ---- files ---- */

CudaModule *cuda_module_load(const CudaApi *api, const char *path, const char *arch, Arena *arena,
                             const char **identity, Error *error) {
    CudaModule *m = create_module(1);
    SourceFile *file = source_read(m->base.arena, path, error);
    if (file && read_contents(&m->base, path, file->text, file->size, error) &&
        load_library(api, m, 0, file->text, path, arch, error) && find_kernels(api, m, path, arch, error)) {
        char digest[65];
        hash_sha256_hex(file->text, file->size, digest);
        *identity = arena_printf(arena, "target cuda, module %.16s", digest);
        return m;
    }
    cuda_module_unload(api, m);
    return NULL;
}

static bool join_units(const Build *b, Arena *arena, void **bytes, size_t *size, Error *error) {
    NvPart *parts = ARENA_ARRAY(arena, NvPart, b->count);
    for (int i = 0; i < b->count; i++)
        parts[i] = (NvPart){b->units[i].cubin, b->units[i].size};
    if (b->count > 1)
        return nvjitlink_join(arena, b->arch, parts, b->count, bytes, size, error);
    *size = parts->size;
    *bytes = memcpy(arena_alloc(arena, *size), parts->bytes, *size);
    return true;
}

bool cuda_module_compile(const CgOutput *output, const char *arch, int threads, Arena *arena, void **bytes,
                         size_t *size, Error *error) {
    Build b;
    begin_build(&b, output, arch, output->unit_count > 1 ? NVRTC_part : NVRTC_cubin, arena);
    bool ok = compile_all(&b, threads, error) && join_units(&b, arena, bytes, size, error) &&
              fill_plan(arena, output, *bytes, *size, error);
    end_build(&b);
    return ok;
}
