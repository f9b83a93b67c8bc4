/* loops.c: the loops of a module as functions of their own, for timing. */
#include "codegen/c/emit_c.h"
#include "codegen/c/loop_tiles.h"
#include "codegen/codegen.h"

static const char *loops_unit(Arena *arena, const CgLoop *loops, int count, const CgOptions *options, int unit) {
    Str out = str_create(arena);
    cg_c_add_prelude(&out, options);
    for (int i = unit; i < count; i += options->unit_count)
        str_addf(&out, "\nND_HIDDEN void nd_tried%d%s\n{\n%s}\n", i, cg_loop_parameters,
                 cg_loop_body(arena, &loops[i]));
    if (unit > 0)
        return out.data;
    for (int i = 0; i < count; i++)
        str_addf(&out, "ND_HIDDEN void nd_tried%d%s;\n", i, cg_loop_parameters);
    str_add(&out, "void *const nd_loops[] = {");
    for (int i = 0; i < count; i++)
        str_addf(&out, "%snd_tried%d,", i % 10 ? " " : "\n    ", i);
    str_add(&out, "\n    0};\n");
    return out.data;
}

const CgOutput *cg_generate_loops(Arena *arena, const CgLoop *loops, int count, const CgOptions *options) {
    CgOutput *output = ARENA_NEW(arena, CgOutput);
    output->unit_count = options->unit_count;
    output->units = ARENA_ARRAY(arena, const char *, output->unit_count);
    for (int i = 0; i < output->unit_count; i++)
        output->units[i] = loops_unit(arena, loops, count, options, i);
    return output;
}
