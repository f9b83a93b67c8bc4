/* fuzz_frontend.c: any bytes at all as a text that is checked and lowered: genotypes, spaces, networks, searches,
 * trainings; and as the value of --data. Lines of the text that begin with "# --set " say what --set is given. A text
 * may ask for a network that is larger than memory; that is an end too. */
#include "frontend/frontend.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <unistd.h>

const char *const fuzz_words[] = {"sqrt(", "log(-1)", "conv(4, 3)", "relu", "main", "main()", "[1, 2]",
                                  "{ ",    "} ",      "| ",         "x",    "C",    "stride", "half(",
                                  "s0",    "(1 / 2)", "in",         "if ",  "a: ",  NULL};

enum { MOST_SETS = 4 };
static const char set_mark[] = "# --set ";

static char path[] = "/tmp/ndarts-fuzz-XXXXXX.nd";

static void remove_file(void) {
    unlink(path);
}

static int find_sets(Arena *arena, const char *text, const char *sets[MOST_SETS]) {
    int count = 0;
    for (const char *at = text; count < MOST_SETS && (at = strstr(at, set_mark));) {
        at += strlen(set_mark);
        sets[count++] = arena_strndup(arena, at, strcspn(at, "\n"));
    }
    return count;
}

static void load(Arena *arena, const uint8_t *data, size_t size) {
    const char *sets[MOST_SETS];
    int set_count = find_sets(arena, fuzz_source(arena, "fuzz", data, size)->text, sets);
    const FrontendOptions options = {.library = NDARTS_SOURCE_DIR "/genotypes", .sets = sets, .set_count = set_count};
    Error error = {ERROR_NONE, ""};
    IrModule *module =
        fuzz_write(path, data, size) ? frontend_load(arena, path, &options, diag_create(arena, NULL), &error) : NULL;
    const char *wrong = module ? ir_verify_module(module, arena) : NULL;
    if (wrong)
        bug("lowered to a module that is none: %s", wrong);
    frontend_parse_data(arena, fuzz_source(arena, "fuzz", data, size)->text, diag_create(arena, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made;
    if (!made)
        made = close(mkstemps(path, 3)) == 0 && atexit(remove_file) == 0;
    Arena *arena = arena_create();
    jmp_buf escape;
    arena_escape = &escape;
    if (setjmp(escape) == 0)
        load(arena, data, size);
    arena_escape = NULL;
    arena_destroy(arena);
    return 0;
}
