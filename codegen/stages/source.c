/* source.c: what the units of all targets have: kernels, and the bytes of the plan. */
#include "codegen/stages/emit.h"

void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size) {
    str_add(s, "    \"");
    for (size_t i = 0; i < size; i++) {
        if (i && i % 100 == 0)
            str_add(s, "\"\n    \"");
        if (bytes[i] == '"' || bytes[i] == '\\')
            str_addf(s, "\\%c", bytes[i]);
        else if (bytes[i] >= 32 && bytes[i] < 127 && bytes[i] != '?')
            str_addf(s, "%c", bytes[i]);
        else
            str_addf(s, "\\%03o", bytes[i]);
    }
    str_add(s, "\"");
}

void cg_add_kernel(const CgModule *module, const CgKernel *kernel, Str *out) {
    str_add(out, "\n");
    str_add(out, kernel->origin.data);
    if (kernel->use_count > CG_NAMED_ORIGINS)
        str_addf(out, "/* and %d more */\n", kernel->use_count - CG_NAMED_ORIGINS);
    const char *attributes = kernel->attributes ? kernel->attributes : "";
    str_addf(out, "%s %s%s", module->options->target->kernel_head, attributes, kernel->plan.name);
    str_add(out, kernel->text);
}

/* C++ insists on room for the literal's terminating zero. */
void cg_add_plan(const CgModule *module, const Plan *plan, const char *qualifiers, Str *out) {
    size_t size;
    unsigned char *bytes = plan_bytes(module->arena, plan, &size);
    str_addf(out, "\n%sconst unsigned char nd_plan[%zu] =\n", qualifiers, size + 1);
    cg_add_byte_string(out, bytes, size);
    str_add(out, ";\n");
}
