/* library.c: dlopen and dlsym. */
#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void *open_in(const char *folder, const char *stem, int version) {
    char path[256], suffix[16] = "";
    if (version > 0)
        snprintf(suffix, sizeof suffix, ".%d", version);
    snprintf(path, sizeof path, "%slib%s.so%s", folder, stem, suffix);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void *library_open(const char *stem, int newest, int oldest) {
    static const char *const folders[] = {"", "/usr/local/cuda/lib64/"};
    for (int i = 0; i < 2; i++) {
        void *library = NULL;
        for (int version = newest; !library && version >= oldest; version--)
            library = open_in(folders[i], stem, version);
        library = library ? library : open_in(folders[i], stem, 0);
        if (library)
            return library;
    }
    return NULL;
}

/* POSIX lets dlsym's result be copied into a function pointer. */
bool library_find(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}
