/* class_weights.c: class_weights = balanced, or [1, 2.5, 1], of a search or a training. The setting is text:
 * "balanced", or the numbers with blanks between them. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <math.h>
#include <string.h>

void lower_class_weights(Lower *l, const char *key, Value value, Span span) {
    if (value.kind == VALUE_string && str_equal(value.s, "balanced")) {
        ir_module_set(l->module, key, ir_attr_string("", value.s), span);
        return;
    }
    Str list = str_create(l->arena);
    double number;
    for (int i = 0; value.kind == VALUE_list && i < value.count; i++) {
        if (!value_number(&value.items[i], &number) || !(number > 0) || !isfinite(number)) {
            diag_error(l->diag, span, "weight %d of '%s' is %s; expected a number above 0", i + 1, key,
                       value_number(&value.items[i], &number) ? arena_printf(l->arena, "%g", number)
                                                              : value_kind_name(&value.items[i]));
            return;
        }
        str_add(&list, i ? " " : "");
        str_add_double(&list, number);
    }
    if (list.length)
        ir_module_set(l->module, key, ir_attr_string("", list.data), span);
    else
        diag_error(l->diag, span, "'%s' is balanced, or a list with a number for each class, as in [1, 2.5, 1]%s%s%s",
                   key, value.kind == VALUE_string ? ", not '" : "", value.kind == VALUE_string ? value.s : "",
                   value.kind == VALUE_string ? "'" : "");
}

void lower_check_class_weights(Lower *l) {
    int64_t classes = settings_read(l->module).network.classes, count = 1;
    for (int i = 0; i < l->module->setting_count; i++) {
        const IrSetting *setting = &l->module->settings[i];
        if (!str_ends_with(setting->key, ".class_weights") || str_equal(setting->value.s, "balanced"))
            continue;
        for (const char *at = setting->value.s; *at; at++)
            count += *at == ' ';
        if (count != classes)
            diag_error(l->diag, setting->span, "'class_weights' has %lld numbers; the network has %lld classes",
                       (long long)count, (long long)classes);
    }
}
