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
    IrModule *module = frontend_parse_data(arena, net_data_expression(arena, data), diag_create(arena, diag_stream()));
    if (!module)
        error_set(error, ERROR_INPUT, "--data %s: expected SOURCE(\"PATH\"), as in cifar10(\"data/cifar-10\")", data);
    return module;
}

bool net_data_options(Arena *arena, const RtProgram *program, GraphKind kind, const char *net, const char *data,
                      const char *otherwise, DataOptions *options, Error *error) {
    const Settings *text = rt_program_settings(program);
    const RtTensorInfo *input = rt_input_info(program, kind, "input");
    const RtTensorInfo *logits = rt_output_info(program, kind, "logits");
    if (!input || input->rank != 4 || !logits || logits->rank != 2)
        return error_set(error, ERROR_INPUT, "%s does not tell images apart", net);
    if (!data && text && text->data.source)
        return data_options_read(text, options, error);
    if (!data && !otherwise)
        return error_set(error, ERROR_INPUT, "%s names no data; --data SOURCE(\"PATH\") does", net);
    const IrModule *module = parse_data(arena, data ? data : otherwise, error);
    if (!module)
        return false;
    Settings settings = settings_read(module);
    settings.network.channels = input->shape[1];
    settings.network.height = input->shape[2];
    settings.network.width = input->shape[3];
    settings.network.classes = logits->shape[1];
    return data_options_read(&settings, options, error);
}
