/* _faults.c: a library to be preloaded, under which one call of a kind fails: FAULT="KIND:K:ERRNO" makes the K-th call
 * of KIND fail with that errno; K+: all from the K-th on, K 0: none. FAULT_COUNT names a file that gets how many calls
 * of the kind there were. Kinds: malloc (all ways to allocate), open, opendir, read, write, fsync, rename, close, stat,
 * and flip, a write of which one bit is changed and nobody told. Programs that are started from here are left alone. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static char kind[16];
static long at;
static int code;
static bool active, forever;
static atomic_long calls;

static __attribute__((constructor)) void begin(void) {
    const char *fault = getenv("FAULT"), *colon = fault ? strchr(fault, ':') : NULL;
    unsetenv("LD_PRELOAD");
    if (!colon || (size_t)(colon - fault) >= sizeof kind)
        return;
    char *end;
    memcpy(kind, fault, (size_t)(colon - fault));
    at = strtol(colon + 1, &end, 10);
    forever = *end == '+';
    end += forever;
    code = *end == ':' ? atoi(end + 1) : EIO;
    calls = 0;
    active = true;
}

static __attribute__((destructor)) void finish(void) {
    const char *path = getenv("FAULT_COUNT");
    active = false;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", atomic_load(&calls));
        fclose(file);
    }
}

static bool fails(const char *name) {
    if (!active || strcmp(kind, name) != 0)
        return false;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (at == 0 || !(number == at || (forever && number > at)))
        return false;
    errno = code;
    return true;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- memory: by the names that glibc has for its own, as dlsym allocates ---- */

void *malloc(size_t size) {
    return fails("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails("malloc") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return fails("malloc") ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails("malloc") ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    if (fails("malloc"))
        return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

/* ---- files ---- */

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fails("open") ? -1 : NEXT(open)(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
    return fails("open") ? NULL : NEXT(fopen)(path, mode);
}

DIR *opendir(const char *path) {
    return fails("opendir") ? NULL : NEXT(opendir)(path);
}

struct dirent *readdir(DIR *directory) {
    return fails("opendir") ? NULL : NEXT(readdir)(directory);
}

int stat(const char *path, struct stat *status) {
    return fails("stat") ? -1 : NEXT(stat)(path, status);
}

ssize_t read(int file, void *to, size_t size) {
    return fails("read") ? -1 : NEXT(read)(file, to, size);
}

ssize_t write(int file, const void *from, size_t size) {
    if (fails("write"))
        return -1;
    if (!size || !fails("flip"))
        return NEXT(write)(file, from, size);
    char *changed = __libc_malloc(size);
    memcpy(changed, from, size);
    changed[size / 2] ^= 4;
    ssize_t count = NEXT(write)(file, changed, size);
    free(changed);
    return count;
}

int fsync(int file) {
    return fails("fsync") ? -1 : NEXT(fsync)(file);
}

int rename(const char *from, const char *to) {
    return fails("rename") ? -1 : NEXT(rename)(from, to);
}

/* What was written may be lost, but the descriptor is gone. */
int close(int file) {
    bool lost = fails("close");
    int result = NEXT(close)(file);
    if (lost)
        errno = code;
    return lost ? -1 : result;
}

int fclose(FILE *file) {
    bool lost = fails("close");
    int result = NEXT(fclose)(file);
    if (lost)
        errno = code;
    return lost ? EOF : result;
}
