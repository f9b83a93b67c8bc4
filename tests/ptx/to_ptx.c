/* to_ptx.c: CUDA source to PTX, by the NVRTC that is there, as a program of its own: within a process that has the
 * stand-in loaded it would not be found.
 *
 *     to_ptx SOURCE RESULT        exit code 77: there is no NVRTC */
#include "base/diag.h"
#include "base/file.h"
#include "runtime/device/nvrtc.h"

#include <stdio.h>

int main(int argc, char **argv) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""};
    void *ptx;
    size_t size;
    if (argc != 3)
        return 1;
    if (!cg_nvrtc_version(arena)) {
        fprintf(stderr, "there is no NVRTC\n");
        return 77;
    }
    const SourceFile *source = source_read(arena, argv[1], &error);
    bool done = source && cg_nvrtc_compile(arena, source->text, "sm_90", NVRTC_ptx, &ptx, &size, &error) &&
                file_write_atomic(argv[2], ptx, size - 1, &error);
    return done ? 0 : error_report(&error);
}
