/* source.c: what the units of all targets have: kernels, and the bytes of the plan. */
#include "codegen/stages/emit.h"

#include <stdio.h>

/* A byte as part of a string literal, at `to`; its length there. */
static size_t escape(unsigned char byte, char *to) {
    bool plain = byte >= 32 && byte < 127 && byte != '?', quoted = byte == '"' || byte == '\\';
    size_t length = 0;
    if (!plain)
        return (size_t)sprintf(to, "\\%03o", byte);
    if (quoted)
        to[length++] = '\\';
    to[length++] = (char)byte;
    return length;
}

void cg_add_byte_string(Str *s, const unsigned char *bytes, size_t size) {
    enum { LINE = 100, LONGEST = 4 /* "\\377" */ };
    str_add(s, "    \"");
    for (size_t i = 0; i < size; i += LINE) {
        char line[LINE * LONGEST + 1];
        size_t count = size - i < LINE ? size - i : LINE, length = 0;
        for (size_t k = 0; k < count; k++)
            length += escape(bytes[i + k], line + length);
        str_add(s, i ? "\"\n    \"" : "");
        str_add_bytes(s, line, length);
    }
    str_add(s, "\"");
}

void cg_add_kernel(const CgModule *module, const CgKernel *kernel, Str *out) {
    str_add(out, "\n");
    for (int i = 0; i < kernel->use_count && i < CG_NAMED_ORIGINS; i++)
        str_addf(out, "/* %s */\n", kernel->origins[i]);
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
