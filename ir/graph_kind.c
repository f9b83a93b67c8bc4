/* graph_kind.c: the names of the kinds of step graphs. */
#include "ir/graph_kind.h"

#include "base/str.h"

static const char *const kind_names[GRAPH_KIND_COUNT] = {
    [GRAPH_infer] = "infer",
    [GRAPH_eval] = "eval",
    [GRAPH_search_alphas] = "search-alphas",
    [GRAPH_search_second] = "search-second",
    [GRAPH_search_weights] = "search-weights",
    [GRAPH_train] = "train",
    [GRAPH_train_forward] = "train-forward",
    [GRAPH_gradients] = "gradients",
};

const char *graph_kind_name(GraphKind kind) {
    return kind_names[kind];
}

bool graph_kind_parse(const char *name, GraphKind *kind) {
    for (int i = 0; i < GRAPH_KIND_COUNT; i++) {
        if (str_equal(name, kind_names[i])) {
            *kind = (GraphKind)i;
            return true;
        }
    }
    return false;
}

bool graph_kind_is_training(GraphKind kind) {
    return kind != GRAPH_infer && kind != GRAPH_eval;
}
