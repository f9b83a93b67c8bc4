/* fuzz_text.c: any bytes at all as a text of the language and of the IR. */
#include "frontend/ast.h"
#include "ir/ir.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A source ends with a zero that its size does not count. */
static SourceFile *make_source(Arena *arena, const char *path, const uint8_t *data, size_t size) {
    char *text = arena_alloc(arena, size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    SourceFile *source = ARENA_NEW(arena, SourceFile);
    *source = (SourceFile){.path = path, .text = text, .size = size};
    return source;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    ast_parse_text(arena, make_source(arena, "fuzz.nd", data, size), diag_create(arena, NULL));
    ast_parse_expression(arena, make_source(arena, "fuzz", data, size), diag_create(arena, NULL));
    Diag *diag = diag_create(arena, NULL);
    ir_parse_module(arena, make_source(arena, "fuzz.ir", data, size), diag);
    arena_destroy(arena);
    return 0;
}
