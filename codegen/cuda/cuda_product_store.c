/* cuda_product_store.c: what all ways of a product do with a result. */
#include "codegen/cuda/cuda_product.h"

#include <string.h>

/* "m < 36 && k < 100", as far as a tile can be beyond the end. */
const char *product_inside(const Product *q, const char *m, const Factor *o, const char *k) {
    bool all = o->count % o->tile == 0, all_terms = !k || q->terms % q->depth == 0;
    if (all && all_terms)
        return "true";
    if (all || all_terms)
        return arena_printf(q->arena, "%s < %lld", all ? k : m, (long long)(all ? q->terms : o->count));
    return arena_printf(q->arena, "%s < %lld && %s < %lld", m, (long long)o->count, k, (long long)q->terms);
}
/* By the sums behind the product, the numbers of a tile's rows and columns name the axes for all. */
static void name_result(const Product *q) {
    CgPrinter *p = q->p;
    const CudaGroup *group = q->k->group;
    const char *rows[CG_MAX_AXES], *columns[CG_MAX_AXES];
    CudaUse uses[CUDA_GROUP_STEPS] = {{q->step, NULL, q->x.axes, true}};
    int pixels[CUDA_GROUP_STEPS][CG_MAX_AXES];
    for (int i = 1; i < group->step_count; i++) {
        const CgScalar *sum = group->steps[i]->value;
        for (int a = 0; a < q->x.axis_count; a++)
            pixels[i][a] = sum->reduce_axes[q->x.axes[a] - 1];
        uses[i] = (CudaUse){group->steps[i], sum->args[0], pixels[i], false};
    }
    cuda_name_axes(p, uses, group->step_count, q->x.axis_count, "m", rows);
    cuda_use_names(p, q->x.axes, q->x.axis_count, rows);
    CudaUse column = {q->step, NULL, q->y.axes, true};
    cuda_name_axes(p, &column, 1, q->y.axis_count, "n", columns);
    cuda_use_names(p, q->y.axes, q->y.axis_count, columns);
}
void product_store(const Product *q, const char *value, const char *at) {
    CgPrinter *p = q->p;
    cg_c_line(p, "const int m = x0 + mm, n = y0 + nn;");
    if (q->room > q->x.tile)
        cg_c_open(p, "if (mm < %d)", q->x.tile);
    const char *rows = product_inside(q, "m", &q->x, NULL), *columns = product_inside(q, "n", &q->y, NULL);
    cg_c_open(p, "if (%s && %s)", rows, columns);
    name_result(q);
    cg_c_store(p, q->step->out, cg_c_result_offset(p), value, true);
    if (q->k->group->step_count > 1) {
        const char *names[CG_MAX_AXES];
        memcpy(names, p->axis_name, sizeof names);
        cuda_add_vectors_to_sums(q->k, 1, names, at);
        cuda_set_step(q->k, 0);
        memcpy(p->axis_name, names, sizeof names);
    }
    cg_c_close(p);
    if (q->room > q->x.tile)
        cg_c_close(p);
}
