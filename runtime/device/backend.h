/* backend.h: what a kind of device can do. The runtime above knows devices only through this struct. */
#ifndef NDARTS_RUNTIME_DEVICE_BACKEND_H
#define NDARTS_RUNTIME_DEVICE_BACKEND_H

#include "codegen/codegen.h"
#include "runtime/device/exchange.h"
#include "runtime/device/loaded_module.h"
#include "runtime/device/profile.h"

typedef struct RtDevice RtDevice; /* of a backend's own making */
typedef struct RtBound RtBound;   /* a graph of a module, bound to memory */

/* Memory a program owns on its device; addresses of the device. */
typedef struct RtArenas {
    void *state, *prepared, *work;
} RtArenas;

/* Of a GPU that nobody named: the first one; of several processes that a launcher started on a host each has its own. */
enum { RT_OWN_NUMBER = -1 };

typedef struct RtBackend {
    const char *name;
    const CgTarget *target;
    RtDevice *(*open)(int number, int threads, Error *error); /* number: of the GPU, or RT_OWN_NUMBER */
    void (*close)(RtDevice *device);
    int (*thread_count)(const RtDevice *device);
    /* Target, compiler and its options, in words: with the source they decide a module's bits. NULL: no compiler. */
    const char *(*toolchain)(RtDevice *device, int vector_bytes, Arena *arena, Error *error);
    /* The module that build made earlier for the same text_key, from the cache; NULL when there is none (no error then). */
    RtModule *(*find)(RtDevice *device, const char *text_key, int vector_bytes, Arena *arena, const char **identity);
    /* From generated source to a loaded module, through the cache, which remembers it under text_key too. identity (in
     * arena) says what decides its bits. */
    RtModule *(*build)(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes, Arena *arena,
                       const char **identity, Error *error);
    /* The first half of build, for a process of its own: the module is in the cache then, for find. Before, if early is not
     * NULL and it is worth it, a draft is, for find_draft, and early() called. NULL: build does all. */
    bool (*fill_cache)(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes,
                       void (*early)(void), Error *error);
    RtModule *(*find_draft)(RtDevice *device, const char *text_key, Arena *arena);
    /* Where programs of several ranks run, whose identity is that of the program of one process: remembers what that is, of
     * its source; and tells, NULL when it does not know. */
    bool (*remember)(RtDevice *device, const CgOutput *output, const char *text_key, int vector_bytes, Error *error);
    const char *(*identify)(RtDevice *device, const char *text_key, int vector_bytes, Arena *arena);
    RtModule *(*load)(RtDevice *device, const char *path, Arena *arena, const char **identity, Error *error);
    void (*unload)(RtDevice *device, RtModule *module);
    /* Is there room for all that the plan needs? The error says what is needed for what. NULL: no need to ask. */
    bool (*check_memory)(RtDevice *device, const Plan *plan, Error *error);
    /* Zeroed memory; NULL when there is none. */
    void *(*allocate)(RtDevice *device, size_t bytes);
    void (*release)(RtDevice *device, void *memory, size_t bytes);
    void (*upload)(RtDevice *device, void *to, const void *from, size_t bytes);
    void (*download)(RtDevice *device, void *to, const void *from, size_t bytes);
    /* share: what the program has of a batch, set before each launch; NULL: all of it. */
    RtBound *(*bind)(RtDevice *device, const RtModule *module, const PlanGraph *graph, const RtArenas *arenas,
                     const RtShare *share, Error *error);
    void (*unbind)(RtDevice *device, RtBound *bound);
    /* The next runs are by the kernels of module, which is compiled from the same source. NULL where there are no drafts. */
    void (*renew)(RtDevice *device, RtBound *bound, const RtModule *module);
    /* From now on every call of a kernel is timed, for profile. */
    void (*profile)(RtDevice *device, RtBound *bound, ProfileGraph *profile);
    /* Memory that all bound graphs share, and that a graph has for itself. */
    size_t (*own_bytes)(const RtDevice *device);
    size_t (*bound_bytes)(const RtBound *bound);
    /* One run, finished on return. inputs are in the plan's order and stay the caller's; prepare: first compute what
     * depends on parameters only. */
    bool (*launch)(RtDevice *device, RtBound *bound, const void *const *inputs, const NdRun *run, bool prepare,
                   Error *error);
} RtBackend;

extern const RtBackend rt_backend_cpu, rt_backend_cuda;

#endif
