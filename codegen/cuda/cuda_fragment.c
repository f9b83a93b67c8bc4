/* cuda_fragment.c: what the two ways of products straight from memory (cuda_fragment_rows.c, cuda_fragment_both.c) have in common.
 *
 * Operands go from memory into the fragments of tensor cores, by vectors of channels, without a tile in shared memory:
 * pointwise convolutions and their gradients. mma.sync takes 16 rows, 8 columns and some terms, and says which lane has
 * which of them; but which 16 rows, and which terms, is nobody's business as long as both operands and the result agree. Here sixteen
 * terms belong together, of which a lane has four: terms 4 w .. 4 w + 3, w = lane % 4, or whichever both operands call
 * so. With g = lane / 4 it has them of rows g and g + 8 of each 16, and of column g of each 8; of the result it has columns
 * 2 w and 2 w + 1, in both rows. In f32 each number is the sum of two of tf32, and three products of those make one: what
 * is left out is as small as the rounding of single precision (cuda_fragment_text.c).
 *
 * Rows, columns and terms beyond the end are the last ones once more, but terms of which one operand is 0; nobody stores
 * them. */
#include "codegen/cuda/cuda_fragment.h"

/* ---- does it fit? ---- */

int fragment_last_axis(const Factor *o) {
    return o->axis_count ? o->axes[o->axis_count - 1] : -1;
}

bool fragment_reads(const Product *q, const Factor *o, int axis, int width) {
    return axis >= 0 && cuda_reads_vectors(&(CudaVector){q->step, axis, width}, o->value);
}

bool fragment_stores(const Product *q, const Factor *columns) {
    int axis = cuda_last_axis(q->step);
    return fragment_last_axis(columns) == axis && cuda_stores_vectors(&(CudaVector){q->step, axis, FRAGMENT_EACH});
}

/* ---- printing ---- */

/* A place of a vector, or the last one. */
const char *fragment_inside(const Product *q, const char *place, int64_t count, int64_t tile, int width) {
    if (count % tile == 0)
        return place;
    return arena_printf(q->arena, "(%s < %lld ? %s : %lld)", place, (long long)count, place,
                        (long long)(count - width));
}

static void begin_vectors(const Product *q, int axis, int width) {
    q->p->vector_axis = axis;
    q->p->width = width;
    q->p->aligned = true;
}

static void end_vectors(const Product *q) {
    q->p->vector_axis = -1;
    q->p->width = 1;
    q->p->aligned = false;
}

void fragment_name_terms(const Product *q, const Factor *o) {
    cuda_print_axes(q->p, o->value, false, q->axes, q->axis_count, "k");
}

void fragment_name_own(const Product *q, const Factor *o) {
    cuda_print_axes(q->p, o->value, false, o->axes, o->axis_count, "m");
}

/* The vector of o at k, m spread over to. */
void fragment_print_vector(const Product *q, const Factor *o, int axis, int width, const char *to, int stride) {
    begin_vectors(q, axis, width);
    cg_c_line(q->p, "nd_spread_v%d(%s, %d, %s);", width, to, stride, cg_c_print_vector(q->p, o->value));
    end_vectors(q);
}

void fragment_store(const Product *q, const char *value, const char *at) {
    begin_vectors(q, cuda_last_axis(q->step), FRAGMENT_EACH);
    product_store(q, value, at);
    end_vectors(q);
}

void fragment_begin_total(const Product *q) {
    cg_c_line(q->p, "float total[%d][%d][4] = {};", q->rows, q->columns);
}
