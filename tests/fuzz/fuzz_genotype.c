/* fuzz_genotype.c: any bytes at all as a file of genotypes that another program wrote: all that are found are read. */
#include "frontend/genotype_form.h"

#include "tests/fuzz/fuzz.h"

static void read_all(Arena *arena, const SourceFile *source) {
    enum { MOST = 16 };
    ForeignList list = genotype_find_all(arena, source);
    for (int i = 0; i < list.count && i < MOST; i++) {
        GenotypeForm *form = genotype_read(arena, source, &list.items[i], diag_create(arena, NULL));
        if (!form)
            continue;
        for (int c = 0; c < form->cell_count; c++)
            if (form->cells[c].node_count < 1 || form->cells[c].output_count < 1)
                bug("a cell without nodes or outputs");
        form->name = "fuzz";
        GenotypeForm *again =
            genotype_read_definition(arena, genotype_definition(arena, form), diag_create(arena, NULL));
        if (!again || again->cell_count != form->cell_count)
            bug("a genotype that does not read back");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_create();
    const SourceFile *source = fuzz_source(arena, "fuzz", data, size);
    if (genotype_is_foreign(source))
        read_all(arena, source);
    arena_destroy(arena);
    return 0;
}
