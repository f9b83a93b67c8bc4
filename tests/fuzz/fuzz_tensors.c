/* fuzz_tensors.c: any bytes at all as a safetensors file and as an npy file; every number of what is accepted is read.
 */
#include "base/tensor_file.h"

#include "tests/fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

static void read_numbers(const Tensor *tensor) {
    volatile double sum = 0;
    for (int64_t i = 0; i < tensor_count(tensor); i++)
        sum = sum + tensor_get(tensor, i);
}

static void read_file(Arena *arena, const char *path) {
    Error error = {ERROR_NONE, ""}, second = {ERROR_NONE, ""};
    TensorFile file = {0};
    Tensor array;
    if (safetensors_read(arena, path, &file, &error)) {
        for (size_t i = 0; i < file.count; i++)
            read_numbers(&file.tensors[i]);
    }
    if (npy_read(arena, path, &array, &second))
        read_numbers(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size)
        read_file(arena, arena_printf(arena, "/proc/self/fd/%d", descriptor));
    if (descriptor >= 0)
        close(descriptor);
    arena_destroy(arena);
    return 0;
}
