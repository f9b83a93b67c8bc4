/* net_data.c: settings of the data for a network that is there already, which may be a module without a text. */
#include "runtime/data/net_data.h"

#include "base/str.h"
#include "frontend/frontend.h"

#include <string.h>

const char *net_data_expression(Arena *arena, const char *data) {
    const char *colon = strchr(data, ':');
    if (strchr(data, '(') || !colon)
        return data;
    Str s = str_create(arena);
    str_add_bytes(&s, data, (size_t)(colon - data));
    str_add(&s, "(");
    str_add_quoted(&s, colon + 1);
    str_add(&s, ")");
    return s.data;
}

static IrModule *parse_data(Arena *arena, const char *data, Error *error) {
    IrModule *module = frontend_parse_data(arena, net_data_expression(arena, data), diag_create(arena, stderr));
    if (!module)
        error_set(error, ERROR_INPUT, "--data %s: expected SOURCE(\"PATH\"), as in cifar10(\"data/cifar-10\")", data);
    return module;
}

bool net_data_options(Arena *arena, const RtProgram *program, GraphKind kind, const char *net, const char *data,
                      const char *otherwise, DataOptions *options, Error *error) {
    const IrModule *text = rt_program_module(program);
    const RtTensorInfo *input = rt_input_info(program, kind, "input");
    const RtTensorInfo *logits = rt_output_info(program, kind, "logits");
    if (!input || input->rank != 4 || !logits || logits->rank != 2)
        return error_set(error, ERROR_INPUT, "%s does not tell images apart", net);
    if (!data && text && ir_module_get(text, "data.source"))
        return data_options_read(text, options, error);
    if (!data && !otherwise)
        return error_set(error, ERROR_INPUT, "%s names no data; --data SOURCE(\"PATH\") does", net);
    IrModule *settings = parse_data(arena, data ? data : otherwise, error);
    if (!settings)
        return false;
    const char *const keys[] = {"input.channels", "input.height", "input.width", "classes"};
    const int64_t values[] = {input->shape[1], input->shape[2], input->shape[3], logits->shape[1]};
    for (int i = 0; i < 4; i++)
        ir_module_set(settings, keys[i], ir_attr_int("", values[i]), (Span){0});
    return data_options_read(settings, options, error);
}
