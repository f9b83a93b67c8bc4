/* machine_memory.c: how much memory this process may have: what the machine has, or less, by the limits of the process
 * (ulimit) and of the control groups that it is in, as containers and batch systems set them. */
#include "runtime/device/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MOST_PATH = 4096 };

uint64_t machine_memory_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static void lower(uint64_t *limit, uint64_t bytes) {
    if (bytes > 0 && (*limit == 0 || bytes < *limit))
        *limit = bytes;
}

static void lower_by_process(uint64_t *limit) {
    static const int kinds[] = {RLIMIT_AS, RLIMIT_DATA};
    struct rlimit r;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (getrlimit(kinds[i], &r) == 0 && r.rlim_cur != RLIM_INFINITY)
            lower(limit, r.rlim_cur);
}

/* A number; "max", or a file that is not there, says nothing. */
static void lower_by_file(uint64_t *limit, const char *path) {
    unsigned long long bytes;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%llu", &bytes) == 1)
        lower(limit, bytes);
    if (file)
        fclose(file);
}

/* The group's own limit, and those of all that it is in. */
static void lower_by_group(uint64_t *limit, const char *root, char *group, const char *name) {
    char path[2 * MOST_PATH];
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        snprintf(path, sizeof path, "%s%s/%s", root, group, name);
        lower_by_file(limit, path);
    }
}

/* Lines are NUMBER:CONTROLLERS:GROUP; number 0, without controllers, is version 2. */
static void lower_by_groups(uint64_t *limit) {
    char line[MOST_PATH];
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (!strcmp(controllers, ":"))
            lower_by_group(limit, "/sys/fs/cgroup", group, "memory.max");
        else if (!strcmp(controllers, ":memory"))
            lower_by_group(limit, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    if (file)
        fclose(file);
}

uint64_t machine_memory_limit(void) {
    uint64_t limit = machine_memory_bytes();
    lower_by_process(&limit);
    lower_by_groups(&limit);
    return limit;
}
