/* loaded_module.c: loads a module file. A truncated shared object can kill the program that loads it (its pages beyond the end
 * raise SIGBUS), so the file's own table of contents is compared with its size first. */
#include "runtime/device/loaded_module.h"

#include "base/str.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_at(FILE *file, uint64_t offset, void *to, size_t size) {
    return fseeko(file, (off_t)offset, SEEK_SET) == 0 && fread(to, 1, size, file) == size;
}

static uint64_t file_size(FILE *file) {
    return fseeko(file, 0, SEEK_END) == 0 ? (uint64_t)ftello(file) : 0;
}

static bool fits(uint64_t offset, uint64_t size, uint64_t whole) {
    return offset <= whole && size <= whole - offset;
}

/* What is wrong with the file, or NULL. */
static const char *check_elf(FILE *file) {
    ElfW(Ehdr) header;
    uint64_t size = file_size(file);
    if (!read_at(file, 0, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return "expected a shared object (ELF)";
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_type != ET_DYN)
        return "expected a shared object of this machine's word size";
    if (header.e_phentsize != sizeof(ElfW(Phdr)) ||
        !fits(header.e_phoff, (uint64_t)header.e_phnum * header.e_phentsize, size) ||
        !fits(header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, size))
        return "the file is truncated";
    for (int i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_at(file, header.e_phoff + (uint64_t)i * sizeof segment, &segment, sizeof segment) ||
            !fits(segment.p_offset, segment.p_filesz, size))
            return "the file is truncated";
    }
    return NULL;
}

static bool check_file(const char *path, Error *error) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(error, ERROR_INPUT, "cannot open %s: %s", path, strerror(errno));
    const char *wrong = check_elf(file);
    fclose(file);
    return !wrong || error_set(error, ERROR_INPUT, "%s is not a module: %s", path, wrong);
}

/* Address and size of a symbol; NULL when the module has none. */
static const void *find_symbol(void *handle, const char *name, size_t *size) {
    const void *address = dlsym(handle, name);
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    *size = 0;
    if (address && dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol)
        *size = symbol->st_size;
    return address;
}

static bool find_weights(RtModule *m, const char *path, Error *error) {
    size_t size;
    const unsigned char *bytes = find_symbol(m->handle, "nd_weights", &size);
    if (!bytes)
        return true;
    uint64_t length = 0;
    for (int i = 7; i >= 0 && size >= 16; i--)
        length = length << 8 | bytes[8 + i];
    if (size < 16 || memcmp(bytes, "ndwght\0\1", 8) != 0 || length > size - 16)
        return error_set(error, ERROR_INPUT, "%s: the embedded weights (nd_weights) are damaged", path);
    m->weights = bytes + 16;
    m->weights_size = length;
    return true;
}

static bool find_contents(RtModule *m, const char *path, Error *error) {
    size_t plan_size, table_size;
    const unsigned char *bytes = find_symbol(m->handle, "nd_plan", &plan_size);
    m->kernels = find_symbol(m->handle, "nd_kernels", &table_size);
    if (!bytes || !m->kernels)
        return error_set(error, ERROR_INPUT, "%s is not a module: expected the symbols nd_plan and nd_kernels", path);
    Error inner = {ERROR_NONE, ""};
    m->plan = plan_read(m->arena, bytes, plan_size, &inner);
    if (!m->plan)
        return error_set(error, inner.kind, "%s: %s", path, inner.message);
    m->needs_bf16 = dlsym(m->handle, "nd_avx512bf16") != NULL;
    if (table_size / sizeof(NdKernel *) < (size_t)m->plan->kernel_count)
        return error_set(error, ERROR_INPUT, "%s: bad plan: %d kernels expected, %zu found", path,
                         m->plan->kernel_count, table_size / sizeof(NdKernel *));
    return find_weights(m, path, error);
}

RtModule *rt_module_load(const char *path, Error *error) {
    if (!check_file(path, error))
        return NULL;
    RtModule *m = calloc(1, sizeof *m);
    if (!m) {
        error_set(error, ERROR_MACHINE, "out of memory");
        return NULL;
    }
    m->file = -1;
    m->arena = arena_create();
    /* Without a slash dlopen would search the system's libraries. */
    m->handle = dlopen(strchr(path, '/') ? path : arena_printf(m->arena, "./%s", path), RTLD_NOW | RTLD_LOCAL);
    if (!m->handle)
        error_set(error, ERROR_INPUT, "%s is not a module: %s", path, dlerror());
    if (!m->handle || !find_contents(m, path, error)) {
        rt_module_unload(m);
        return NULL;
    }
    return m;
}

void rt_module_unload(RtModule *m) {
    if (!m)
        return;
    if (m->handle)
        dlclose(m->handle);
    if (m->file >= 0)
        close(m->file);
    arena_destroy(m->arena);
    free(m);
}
