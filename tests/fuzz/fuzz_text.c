/* fuzz_text.c: any bytes at all as a text of the language, as a value of --set, and as IR. */
#include "frontend/ast.h"
#include "ir/ir.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    ast_parse_text(arena, fuzz_source(arena, "fuzz.nd", data, size), diag_create(arena, NULL));
    ast_parse_expression(arena, fuzz_source(arena, "fuzz", data, size), diag_create(arena, NULL));
    ir_parse_module(arena, fuzz_source(arena, "fuzz.ir", data, size), diag_create(arena, NULL));
    arena_destroy(arena);
    return 0;
}
