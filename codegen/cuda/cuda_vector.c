/* cuda_vector.c: vectors of 16 bytes along the last axis in memory, which are the channels of images. NVRTC makes one access of
 * four only where the source says so, and only an aligned one is allowed: what a vector begins at must be a multiple of
 * its width for every image, row and column, of whatever a step reads and writes. A step that has one access else is
 * computed an element a thread. */
#include "codegen/cuda/cuda.h"

#include <string.h>

enum { VECTOR_BYTES = 16 };

int cuda_width(const CgOptions *options) {
    return options->precision == PRECISION_f64 ? 2 : 4;
}

int cuda_last_axis(const CgStep *step) {
    return step->out->order[step->out->type.rank - 1];
}

/* ---- which steps ---- */

/* Memory is given out in lines of VALUE_ALIGNMENT bytes, but a part of a value may begin elsewhere; inputs are the user's. */
static bool is_aligned_buffer(const CgBuffer *buffer) {
    return buffer->type.dtype != DTYPE_i32 && buffer->place != PLACE_input && buffer->offset % VECTOR_BYTES == 0;
}

/* Dimensions that the axis does not move through may be quotients: then their stride must do. */
static bool is_aligned_access(const CudaVector *v, const CgBuffer *buffer, const CgIndex *index) {
    CgIndex offset = cg_index_constant(0);
    for (int d = 0; d < buffer->type.rank; d++)
        if (index[d].divisor == 1)
            offset = cg_index_add(offset, cg_index_scale(index[d], buffer->stride[d]));
        else if (index[d].coef[v->axis] || buffer->stride[d] % v->width)
            return false;
    return is_aligned_buffer(buffer) && cg_index_is_aligned(v->step, &offset, v->axis, v->width);
}

bool cuda_stores_vectors(const CudaVector *v) {
    CgIndex index[IR_MAX_RANK];
    for (int d = 0; d < v->step->out->type.rank; d++)
        index[d] = cg_index_axis(d);
    return v->step->axes[v->axis].extent % v->width == 0 && is_aligned_access(v, v->step->out, index);
}

static bool guards_vectors(const CudaVector *v, const CgScalar *s) {
    for (int i = 0; i < s->index_count; i++)
        if (s->index[i].coef[v->axis] &&
            (s->upper[i] % v->width || !cg_index_is_aligned(v->step, &s->index[i], v->axis, v->width)))
            return false;
    return true;
}

/* Of the scalar itself, not of what it is made of. */
static bool has_vector_form(const CudaVector *v, const CgScalar *s) {
    switch (s->kind) {
    case SCALAR_load:
        return is_aligned_access(v, s->buffer, s->index);
    case SCALAR_index:
        return false;
    case SCALAR_guard:
        return guards_vectors(v, s);
    case SCALAR_draw:
        return s->draw != DRAW_bernoulli && s->index[0].coef[v->axis] == 1 && !s->index[1].coef[v->axis];
    case SCALAR_reduce:
        return !s->in_double;
    case SCALAR_constant:
    case SCALAR_run:
    case SCALAR_op:
        return true;
    }
    bug("scalar of unknown kind %d", s->kind);
}

/* Every scalar once: they are shared. What does not move along the axis stays a scalar. */
static bool find_formless(const CudaVector *v, CgScalar *s) {
    if (s->mark || !(s->axes >> v->axis & 1))
        return false;
    s->mark = 1;
    bool formless = !has_vector_form(v, s);
    for (int i = 0; i < s->arg_count && !formless; i++)
        formless = find_formless(v, s->args[i]);
    return formless;
}

bool cuda_reads_vectors(const CudaVector *v, CgScalar *s) {
    bool formless = find_formless(v, s);
    cuda_clear_marks(s);
    return v->step->axes[v->axis].extent % v->width == 0 && !formless;
}

bool cuda_step_has_vector_form(const CgOptions *options, const CgStep *step) {
    if (!step->out->type.rank)
        return false;
    CudaVector v = {step, cuda_last_axis(step), cuda_width(options)};
    CgScalar *value = step->partial && step->value->kind == SCALAR_reduce ? step->value->args[0] : step->value;
    return cuda_stores_vectors(&v) && cuda_reads_vectors(&v, value);
}

bool cuda_has_vector_form(const CgOptions *options, const CudaGroup *group) {
    for (int i = 0; i < group->step_count; i++)
        if (!cuda_step_has_vector_form(options, group->steps[i]))
            return false;
    return true;
}

/* ---- the functions ---- */

/* $: the type, @: the width. LANES(...): what stands in it for each lane, with % as its member and ^ as its number. */
static const char functions_text[] =
    "ND_FN $ nd_load_u@(const T *at) { return *(const $ *)at; }\n"
    "ND_FN $ nd_load_b@(const uint8_t *at) {\n"
    "    const uchar@ a = *(const uchar@ *)at;\n"
    "    return nd_make_v@(LANES((T)a.%));\n"
    "}\n"
    "ND_FN void nd_store_b@(uint8_t *at, $ a) { *(uchar@ *)at = make_uchar@(LANES((uint8_t)a.%)); }\n"
    "ND_FN void nd_spread_v@(T *to, int stride, $ a) { LANES(to[^ * stride] = a.%); }\n"
    "ND_FN $ nd_splat_v@(T a) { return nd_make_v@(LANES(a)); }\n"
    "ND_FN $ operator-($ a) { return nd_make_v@(LANES(-a.%)); }\n"
    "ND_FN $ operator+($ a, $ b) { return nd_make_v@(LANES(a.% + b.%)); }\n"
    "ND_FN $ operator-($ a, $ b) { return nd_make_v@(LANES(a.% - b.%)); }\n"
    "ND_FN $ operator*($ a, $ b) { return nd_make_v@(LANES(a.% * b.%)); }\n"
    "ND_FN $ operator/($ a, $ b) { return nd_make_v@(LANES(a.% / b.%)); }\n"
    "ND_FN void operator+=($ &a, $ b) { a = a + b; }\n"
    "ND_FN $ nd_max_v@($ a, $ b) { return nd_make_v@(LANES(nd_max(a.%, b.%))); }\n"
    "ND_FN $ nd_min_v@($ a, $ b) { return nd_make_v@(LANES(nd_min(a.%, b.%))); }\n"
    "ND_FN $ nd_gt_v@($ a, $ b) { return nd_make_v@(LANES(nd_gt(a.%, b.%))); }\n"
    "ND_FN $ nd_select_v@($ c, $ a, $ b) { return nd_make_v@(LANES(nd_select(c.%, a.%, b.%))); }\n"
    "ND_FN $ nd_select_gt_v@($ l, $ r, $ a, $ b) { return nd_make_v@(LANES(nd_select_gt(l.%, r.%, a.%, b.%))); }\n"
    "ND_FN $ nd_abs_v@($ a) { return nd_make_v@(LANES(nd_abs(a.%))); }\n"
    "ND_FN $ nd_exp_v@($ a) { return nd_make_v@(LANES(nd_exp(a.%))); }\n"
    "ND_FN $ nd_log_v@($ a) { return nd_make_v@(LANES(nd_log(a.%))); }\n"
    "ND_FN $ nd_sqrt_v@($ a) { return nd_make_v@(LANES(nd_sqrt(a.%))); }\n"
    "ND_FN $ nd_tanh_v@($ a) { return nd_make_v@(LANES(nd_tanh(a.%))); }\n"
    "ND_FN $ nd_sigmoid_v@($ a) { return nd_make_v@(LANES(nd_sigmoid(a.%))); }\n"
#define FUNCTION(name) "ND_FN $ nd_" #name "_v@($ a) { return nd_make_v@(LANES(nd_" #name "(a.%))); }\n"
#include "ir/functions.def"
#undef FUNCTION
    "ND_FN void nd_argmax_v@($ *best, $ *where, $ x, T position) {\n"
    "    *where = nd_make_v@(LANES(nd_select_gt(x.%, best->%, position, where->%)));\n"
    "    *best = nd_make_v@(LANES(nd_select_gt(x.%, best->%, x.%, best->%)));\n"
    "}\n"
    "ND_FN $ nd_uniform_v@(const NdRun *run, int64_t stream, int64_t image, int64_t element) {\n"
    "    return nd_make_v@(LANES(nd_uniform(run, stream, image, element + ^)));\n"
    "}\n"
    "ND_FN $ nd_normal_v@(const NdRun *run, int64_t stream, int64_t image, int64_t element) {\n"
    "    return nd_make_v@(LANES(nd_normal(run, stream, image, element + ^)));\n"
    "}\n";

/* Images in bf16. */
static const char bf16_pair_text[] =
    "ND_FN $ nd_load_h@(const nd_bf16 *at) {\n"
    "    const uint32_t two = *(const uint32_t *)at;\n"
    "    return nd_make_v@(__uint_as_float(two << 16), __uint_as_float(two & 0xffff0000u));\n"
    "}\n";
static const char bf16_text[] =
    "#define nd_round_h@(a) (a)\n"
    "ND_FN $ nd_load_h@(const nd_bf16 *at) {\n"
    "    const uint2 two = *(const uint2 *)at;\n"
    "    return nd_make_v@(__uint_as_float(two.x << 16), __uint_as_float(two.x & 0xffff0000u), __uint_as_float(two.y "
    "<< 16),\n"
    "                       __uint_as_float(two.y & 0xffff0000u));\n"
    "}\n"
    "ND_FN void nd_store_h@(nd_bf16 *at, $ a) {\n"
    "    *(uint2 *)at = make_uint2(nd_to_bf16(a.x) | (uint32_t)nd_to_bf16(a.y) << 16,\n"
    "                              nd_to_bf16(a.z) | (uint32_t)nd_to_bf16(a.w) << 16);\n"
    "}\n";

static void add_lane(Str *out, const char *text, size_t length, int lane) {
    for (size_t i = 0; i < length; i++)
        if (text[i] == '%')
            str_addf(out, "%c", "xyzw"[lane]);
        else if (text[i] == '^')
            str_addf(out, "%d", lane);
        else
            str_add_bytes(out, &text[i], 1);
}

/* Up to the parenthesis that closes the one before text. */
static size_t enclosed(const char *text) {
    size_t length = 0;
    for (int depth = 1;; length++) {
        depth += text[length] == '(' ? 1 : text[length] == ')' ? -1 : 0;
        if (!depth)
            return length;
    }
}

static void add_functions(Str *out, const char *text, int width) {
    static const char lanes[] = "LANES(";
    for (const char *at = text; *at;) {
        if (!strncmp(at, lanes, strlen(lanes))) {
            at += strlen(lanes);
            size_t length = enclosed(at);
            for (int lane = 0; lane < width; lane++) {
                str_add(out, lane ? ", " : "");
                add_lane(out, at, length, lane);
            }
            at += length + 1;
        } else if (*at == '$') {
            str_addf(out, "nd_v%d", width);
            at++;
        } else if (*at == '@') {
            str_addf(out, "%d", width);
            at++;
        } else {
            str_add_bytes(out, at++, 1);
        }
    }
}

/* Into a buffer. NVRTC takes a vector apart that is stored through a pointer from a table, and does not put it together again. */
static void add_store(Str *out, const CgOptions *options, int width) {
    bool f64 = options->precision == PRECISION_f64;
    const char *type = f64 ? "f64" : "f32", *of = f64 ? "d" : "f";
    str_addf(out, "ND_FN void nd_store_u%d(T *at, nd_v%d a) {\n#ifdef __CUDA_ARCH__\n", width, width);
    if (width == 4)
        str_addf(out,
                 "    asm volatile(\"st.v4.%s [%%0], {%%1, %%2, %%3, %%4};\" ::\"l\"(at), \"%s\"(a.x), \"%s\"(a.y), "
                 "\"%s\"(a.z), \"%s\"(a.w) : \"memory\");\n",
                 type, of, of, of, of);
    else
        str_addf(
            out,
            "    asm volatile(\"st.v2.%s [%%0], {%%1, %%2};\" ::\"l\"(at), \"%s\"(a.x), \"%s\"(a.y) : \"memory\");\n",
            type, of, of);
    str_addf(out, "#else\n    *(nd_v%d *)at = a;\n#endif\n}\n", width);
}

static void add_width(Str *out, const CgOptions *options, int width) {
    const char *element = options->precision == PRECISION_f64 ? "double" : "float";
    str_addf(out, "typedef %s%d nd_v%d;\n#define nd_make_v%d make_%s%d\n", element, width, width, width, element,
             width);
    add_store(out, options, width);
    add_functions(out, functions_text, width);
    if (options->precision >= PRECISION_tf32)
        add_functions(out, width == 2 ? bf16_pair_text : bf16_text, width);
}

void cuda_add_vectors(Str *out, const CgOptions *options) {
    str_add(out, "/* Vectors, at multiples of so many. */\n");
    add_width(out, options, cuda_width(options));
    if (cuda_width(options) > 2)
        add_width(out, options, 2);
}
