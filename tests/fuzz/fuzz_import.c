/* fuzz_import.c: any bytes at all as a checkpoint, and as a bare pickle. */
#include "runtime/exchange/import.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    Error error = {ERROR_NONE, ""}, second = {ERROR_NONE, ""};
    Imported imported = {0};
    import_bytes(arena, "fuzz", (const char *)data, size, NULL, &imported, &error);
    StrMap storages = str_map_create(arena);
    Pickle p = {.arena = arena, .path = "fuzz", .error = &second, .bytes = data, .size = size, .storages = &storages};
    pickle_run(&p);
    arena_destroy(arena);
    return 0;
}
