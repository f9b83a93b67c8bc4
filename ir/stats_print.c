/* stats_print.c: --emit=stats: the size of a network and what it computes, by the honest count and by the two
 * conventions of the published table, which add batch norm at 2 and at 4 per element. */
#include "base/json.h"
#include "ir/stats.h"

#include <inttypes.h>

typedef struct Row {
    const char *key, *text;
    int64_t value;
} Row;

void ir_print_stats(const IrModule *module, bool json, Str *out) {
    IrStats s = ir_count_stats(ir_graph_find(module, "forward"));
    int64_t products = s.conv_macs + s.linear_macs;
    const Row rows[] = {
        {"parameters", "parameters", s.parameters},
        {"parameters_with_auxiliary", "parameters with the auxiliary head", s.parameters + s.auxiliary_parameters},
        {"architecture_parameters", "architecture parameters (alphas)", s.alphas},
        {"macs", "multiply-adds (convolution and linear)", products},
        {"conv_macs", "  of convolutions", s.conv_macs},
        {"linear_macs", "  of linear layers", s.linear_macs},
        {"batch_norm_elements", "elements that batch norms write", s.batch_norm_elements},
        {"macs_published_c_d_i_j", "published convention of c, d, i, j: + 2 per batch norm element",
         products + 2 * s.batch_norm_elements},
        {"macs_published_a_b_e_f_g_h", "published convention of a, b, e, f, g, h: + 4 per batch norm element",
         products + 4 * s.batch_norm_elements},
    };
    int count = sizeof rows / sizeof rows[0];
    json_t *all = json_object();
    for (int i = 0; i < count; i++) {
        if (json)
            json_add(all, rows[i].key, json_integer(rows[i].value));
        else
            str_addf(out, "%-72s %14" PRId64 "\n", rows[i].text, rows[i].value);
    }
    if (json)
        str_addf(out, "%s\n", json_print(out->arena, all, 0));
    json_decref(all);
}
