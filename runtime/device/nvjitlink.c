/* nvjitlink.c: nvJitLink through dlopen. Linking takes a few milliseconds; it lets the units of one .cubin be compiled
 * side by side. */
#include "runtime/device/nvjitlink.h"

#include "base/library.h"

typedef struct Linker *NvLinker;
enum { INPUT_CUBIN = 1 };

typedef struct NvJitLink {
    void *library;
    int (*create)(NvLinker *, uint32_t count, const char **options);
    int (*destroy)(NvLinker *);
    int (*add)(NvLinker, int kind, const void *bytes, size_t size, const char *name);
    int (*complete)(NvLinker);
    int (*size)(NvLinker, size_t *);
    int (*result)(NvLinker, void *);
    int (*log_size)(NvLinker, size_t *);
    int (*log)(NvLinker, char *);
} NvJitLink;

static bool load(NvJitLink *n) {
    n->library = library_open("nvJitLink", 13, 12);
    void *l = n->library;
    return l && library_find(l, "nvJitLinkCreate", &n->create) && library_find(l, "nvJitLinkDestroy", &n->destroy) &&
           library_find(l, "nvJitLinkAddData", &n->add) && library_find(l, "nvJitLinkComplete", &n->complete) &&
           library_find(l, "nvJitLinkGetLinkedCubinSize", &n->size) &&
           library_find(l, "nvJitLinkGetLinkedCubin", &n->result) &&
           library_find(l, "nvJitLinkGetErrorLogSize", &n->log_size) &&
           library_find(l, "nvJitLinkGetErrorLog", &n->log);
}

bool nvjitlink_is_there(void) {
    NvJitLink n;
    return load(&n);
}

static const char *read_log(Arena *arena, const NvJitLink *n, NvLinker linker) {
    size_t size = 0;
    if (n->log_size(linker, &size) || !size)
        return "";
    char *log = arena_alloc(arena, size + 1);
    return n->log(linker, log) ? "" : log;
}

bool nvjitlink_join(Arena *arena, const char *arch, const NvPart *parts, int count, void **bytes, size_t *size,
                    Error *error) {
    NvJitLink n;
    NvLinker linker;
    const char *options[] = {arena_printf(arena, "-arch=%s", arch), "-lineinfo"};
    if (!load(&n) || n.create(&linker, 2, options))
        return error_set(error, ERROR_MACHINE, "nvJitLink cannot be used");
    int status = 0;
    for (int i = 0; i < count && !status; i++)
        status = n.add(linker, INPUT_CUBIN, parts[i].bytes, parts[i].size, arena_printf(arena, "unit %d", i));
    status = status ? status : n.complete(linker);
    status = status ? status : n.size(linker, size);
    if (!status) {
        *bytes = arena_alloc(arena, *size);
        status = n.result(linker, *bytes);
    }
    if (status)
        error_set(error, ERROR_MACHINE, "nvJitLink: error %d\n%s", status, read_log(arena, &n, linker));
    n.destroy(&linker);
    return !status;
}
