/* ref_tool.c: inputs, weights and draws by the formula of the reference values, and the comparison by their norm rule.
 *
 *     ref_tool tensors OUT.safetensors NAME=FORMULA:SHAPE...
 *         FORMULA is a kind of value, and the name to hash when that is not NAME ("unit@alphas_normal"): input is
 *         4u - 2, unit 2u - 1, unit/S S (2u - 1), noise sqrt(3) (2u - 1), uniform u, gumbel -log(-log(u + 2^-25)),
 *         label/CLASSES floor(u CLASSES), keep/P u < P as 0 or 1
 *     ref_tool weights OUT.safetensors TEXT HASH_PREFIX VARIANCE_SCALE [NAME=VALUE...]
 *         every weight and statistic of the text; HASH_PREFIX comes before the name that is hashed
 *     ref_tool compare EXPECTED.safetensors CASE FOUND.safetensors VALUES GRADIENTS [kinks=FRACTION] [samples=N]
 *                      [-SKIPPED_PREFIX...] [EXPECTED_NAME=FOUND_NAME...]
 *         every tensor of the case; VALUES and GRADIENTS are the largest relative errors allowed. A rename also maps
 *         prefixes that end in '/'. kinks: in single precision an input of a relu or a max pool may fall on the other
 *         side of its kink, which moves the gradients of what lies before it; that FRACTION of the gradients may be off
 *         by up to 0.1, if all gradients of the case taken as one vector (likewise all updates) are within GRADIENTS.
 */
#include "base/hash.h"
#include "base/str.h"
#include "base/tensor_file.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

_Noreturn static void die(const char *message, const char *what) {
    fprintf(stderr, "ref_tool: %s%s\n", message, what);
    exit(2);
}

/* u(i) in [0, 1) of a tensor called name. */
static double formula(uint64_t name_hash, uint64_t i) {
    uint64_t z = name_hash + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    return (double)(z >> 40) / 16777216.0;
}

/* ---- tensors ---- */

static double input_value(const char *kind, double u) {
    if (str_equal(kind, "input"))
        return 4 * u - 2;
    if (str_equal(kind, "unit"))
        return 2 * u - 1;
    if (str_starts_with(kind, "unit/"))
        return atof(kind + 5) * (2 * u - 1);
    if (str_equal(kind, "noise"))
        return sqrt(3) * (2 * u - 1);
    if (str_equal(kind, "uniform"))
        return u;
    if (str_equal(kind, "gumbel"))
        return -log(-log(u + ldexp(1, -25)));
    if (str_starts_with(kind, "label/"))
        return floor(u * atof(kind + 6));
    if (str_starts_with(kind, "keep/"))
        return u < atof(kind + 5);
    die("unknown formula ", kind);
}

static void parse_shape(const char *text, Tensor *t) {
    while (*text) {
        char *end;
        t->shape[t->rank++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
}

/* NAME=FORMULA[@HASHED]:SHAPE */
static Tensor make_tensor(const char *spec) {
    const char *equals = strchr(spec, '='), *colon = strrchr(spec, ':');
    if (!equals || !colon)
        die("expected NAME=FORMULA:SHAPE, found ", spec);
    Tensor t = {.name = arena_strndup(arena, spec, (size_t)(equals - spec)), .type = TENSOR_f32};
    char *kind = arena_strndup(arena, equals + 1, (size_t)(colon - equals - 1)), *at = strchr(kind, '@');
    const char *hashed = at ? at + 1 : t.name;
    if (at)
        *at = '\0';
    parse_shape(colon + 1, &t);
    if (str_starts_with(kind, "label/"))
        t.type = TENSOR_i64;
    int64_t count = tensor_count(&t);
    t.data = arena_alloc(arena, (size_t)count * 8);
    uint64_t hash = hash_string(hashed);
    for (int64_t i = 0; i < count; i++) {
        double value = input_value(kind, formula(hash, (uint64_t)i));
        if (t.type == TENSOR_i64)
            ((int64_t *)t.data)[i] = (int64_t)value;
        else
            ((float *)t.data)[i] = (float)value;
    }
    return t;
}

static void write_file(const char *path, const TensorFile *file) {
    Error error = {ERROR_NONE, ""};
    if (!safetensors_write(path, file, &error))
        exit(error_report(&error));
}

static int make_tensors(int argc, char **argv) {
    TensorFile file = {0};
    for (int i = 1; i < argc; i++)
        tensor_file_add(arena, &file, make_tensor(argv[i]));
    write_file(argv[0], &file);
    return 0;
}

/* ---- weights ---- */

static double weight_value(const IrParam *p, double u, double variance_scale) {
    const int64_t *d = p->type.dim;
    if (p->type.rank == 4)
        return (2 * u - 1) * sqrt(3.0 / (double)(d[1] * d[2] * d[3])) * 1.4;
    if (p->type.rank == 2)
        return (2 * u - 1) * sqrt(3.0 / (double)d[1]);
    if (str_ends_with(p->name, "running_mean"))
        return 0.2 * (u - 0.5);
    if (str_ends_with(p->name, "running_var"))
        return variance_scale * (1 + 2 * u);
    return str_ends_with(p->name, "bias") ? u - 0.5 : 0.5 + u;
}

static Tensor make_weight(const IrParam *p, const char *prefix, double variance_scale) {
    Tensor t = {.name = p->name, .type = TENSOR_f32, .rank = p->type.rank};
    memcpy(t.shape, p->type.dim, sizeof(int64_t) * (size_t)t.rank);
    int64_t count = tensor_count(&t);
    t.data = arena_alloc(arena, (size_t)count * sizeof(float));
    uint64_t hash = hash_string(arena_printf(arena, "%s%s", prefix, p->name));
    for (int64_t i = 0; i < count; i++)
        ((float *)t.data)[i] = (float)weight_value(p, formula(hash, (uint64_t)i), variance_scale);
    return t;
}

static int make_weights(int argc, char **argv) {
    if (argc < 4)
        die("weights needs OUT TEXT HASH_PREFIX VARIANCE_SCALE", "");
    Error error = {ERROR_NONE, ""};
    Diag *diag = diag_create(arena, stderr);
    FrontendOptions options = {
        .sets = (const char *const *)argv + 4, .set_count = argc - 4, .library = NDARTS_SOURCE_DIR "/genotypes"};
    IrModule *module = frontend_load(arena, argv[1], &options, diag, &error);
    if (!module)
        return error.kind ? error_report(&error) : 1;
    PassContext ctx = {.arena = arena,
                       .diag = diag,
                       .module = module,
                       .kind = GRAPH_gradients,
                       .batch = 2,
                       .chunks = 2,
                       .element_size = 4,
                       .grad_output_loss = true,
                       .out = stderr};
    if (!pipeline_build_graph(&ctx))
        return 1;
    TensorFile file = {0};
    for (int i = 0; i < module->param_count; i++) {
        const IrParam *p = &module->params[i];
        if (p->kind == PARAM_weight || p->kind == PARAM_statistic)
            tensor_file_add(arena, &file, make_weight(p, argv[2], atof(argv[3])));
    }
    write_file(argv[0], &file);
    return 0;
}

/* ---- compare ---- */

typedef struct Compare {
    TensorFile expected, found;
    const char *prefix; /* "CASE/" */
    double values, gradients, all_gradients;
    int rule_count;
    char **rules;
    int compared, wrong;
    int64_t samples; /* most elements of a sampled tensor */
    double kinks;    /* fraction of the gradients that may be off */
    int gradient_count, kink_count;
    double difference[2], size[2]; /* sums of squares of all gradients, of all updates */
    double worst_value, worst_gradient;
} Compare;

static bool is_gradient_key(const char *key) {
    return strstr(key, "grad") != NULL || strstr(key, "update") != NULL || str_starts_with(key, "search") ||
           strstr(key, "after_step") != NULL;
}

static bool is_skipped(const Compare *c, const char *key) {
    for (int i = 0; i < c->rule_count; i++) {
        if (c->rules[i][0] == '-' && str_starts_with(key, c->rules[i] + 1))
            return true;
    }
    return false;
}

static double read_number(int count, char **rules, const char *name, double otherwise) {
    for (int i = 0; i < count; i++) {
        if (str_starts_with(rules[i], name))
            return atof(rules[i] + strlen(name));
    }
    return otherwise;
}

/* What the tensor is called in the file that was found. */
static const char *renamed(const Compare *c, const char *key) {
    for (int i = 0; i < c->rule_count; i++) {
        const char *equals = strchr(c->rules[i], '=');
        if (c->rules[i][0] == '-' || !equals)
            continue;
        const char *from = arena_strndup(arena, c->rules[i], (size_t)(equals - c->rules[i]));
        if (str_equal(from, key))
            return equals + 1;
        if (str_ends_with(from, "/") && str_starts_with(key, from))
            return arena_printf(arena, "%s%s", equals + 1, key + strlen(from));
    }
    return key;
}

static double norm(const Tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(t); i++)
        sum += tensor_get(t, i) * tensor_get(t, i);
    return sqrt(sum);
}

/* The L2 norm of all gradients of the case; a sampled one counts by its own norm. */
static double gradient_norm(const Compare *c) {
    const Tensor *known = tensor_find(&c->expected, arena_printf(arena, "%sgrad_total_norm", c->prefix));
    if (known)
        return tensor_get(known, 0);
    double sum = 0;
    for (size_t i = 0; i < c->expected.count; i++) {
        const Tensor *t = &c->expected.tensors[i];
        if (!str_starts_with(t->name, c->prefix))
            continue;
        const char *key = t->name + strlen(c->prefix);
        bool whole =
            str_starts_with(key, "grad/") || str_starts_with(key, "train/grad/") || str_starts_with(key, "grad_input");
        if (whole || str_starts_with(key, "train/grad_norm/") || str_starts_with(key, "grad_norm/"))
            sum += norm(t) * norm(t);
    }
    return sqrt(sum);
}

/* "train/grad_sample/NAME" -> "train/grad/NAME" with what = "_sample/"; NULL when key is not of that sort. */
static const char *without(const char *key, const char *what) {
    const char *at = strstr(key, what);
    return at ? arena_printf(arena, "%.*s/%s", (int)(at - key), key, at + strlen(what)) : NULL;
}

/* Elements 0, s, 2s, ... with s = ceil(n / samples). */
static Tensor sample(const Tensor *t, int64_t samples) {
    int64_t n = tensor_count(t), stride = (n + samples - 1) / samples, count = (n + stride - 1) / stride;
    Tensor s = {.name = t->name,
                .type = TENSOR_f64,
                .rank = 1,
                .shape = {count},
                .data = arena_alloc(arena, (size_t)count * 8)};
    for (int64_t i = 0; i < count; i++)
        ((double *)s.data)[i] = tensor_get(t, i * stride);
    return s;
}

static Tensor norm_tensor(const Tensor *t) {
    Tensor s = {.name = t->name, .type = TENSOR_f64, .rank = 1, .shape = {1}, .data = arena_alloc(arena, 8)};
    *(double *)s.data = norm(t);
    return s;
}

/* The tensor to compare with the expected one of this key; false when it is missing. */
static bool find(const Compare *c, const char *key, Tensor *result) {
    const char *sampled = without(key, "_sample/"), *normed = without(key, "_norm/");
    const Tensor *t = tensor_find(&c->found, renamed(c, sampled ? sampled : normed ? normed : key));
    if (!t)
        return false;
    *result = sampled ? sample(t, c->samples) : normed ? norm_tensor(t) : *t;
    return true;
}

static double relative_error(const Compare *c, const char *key, const Tensor *found, const Tensor *expected) {
    double sum = 0, r = strstr(key, "grad") && !str_ends_with(key, "grad_norm") ? c->all_gradients : 0;
    for (int64_t i = 0; i < tensor_count(expected); i++) {
        double difference = tensor_get(found, i) - tensor_get(expected, i);
        sum += difference * difference;
    }
    double scale = fmax(norm(expected), 1e-3 * r);
    return sum == 0 ? 0 : sqrt(sum) / scale;
}

static void report(Compare *c, const char *key, const char *what) {
    if (++c->wrong <= 10)
        printf("    %s%s: %s\n", c->prefix, key, what);
}

static void add_to_whole(Compare *c, const char *key, const Tensor *found, const Tensor *expected) {
    int update = strstr(key, "update") != NULL;
    c->gradient_count++;
    if (!update && !strstr(key, "grad/") && !strstr(key, "grad_"))
        return;
    for (int64_t i = 0; i < tensor_count(expected); i++) {
        double difference = tensor_get(found, i) - tensor_get(expected, i);
        c->difference[update] += difference * difference;
        c->size[update] += tensor_get(expected, i) * tensor_get(expected, i);
    }
}

/* Few gradients may be off because of kinks, and all together hardly. */
static void check_kinks(Compare *c) {
    if (c->kink_count > c->kinks * c->gradient_count)
        report(c, "*", arena_printf(arena, "%d of %d gradients are off", c->kink_count, c->gradient_count));
    for (int i = 0; c->kink_count > 0 && i < 2; i++) {
        if (!(c->difference[i] <= c->gradients * c->gradients * c->size[i]))
            report(c, i ? "*update*" : "*grad*",
                   arena_printf(arena, "all together: relative error %.3g", sqrt(c->difference[i] / c->size[i])));
    }
}

static void compare_tensor(Compare *c, const Tensor *expected) {
    const char *key = expected->name + strlen(c->prefix);
    Tensor found;
    c->compared++;
    if (!find(c, key, &found)) {
        report(c, key, "missing");
        return;
    }
    if (tensor_count(&found) != tensor_count(expected)) {
        report(c, key,
               arena_printf(arena, "%lld elements, expected %lld", (long long)tensor_count(&found),
                            (long long)tensor_count(expected)));
        return;
    }
    bool gradient = is_gradient_key(key);
    double error = relative_error(c, key, &found, expected), *worst = gradient ? &c->worst_gradient : &c->worst_value;
    *worst = error > *worst || isnan(error) ? error : *worst;
    double allowed = gradient ? c->gradients : c->values;
    if (gradient)
        add_to_whole(c, key, &found, expected);
    if (gradient && c->kinks > 0 && error > allowed && error <= 0.1)
        c->kink_count++;
    else if (!(error <= allowed))
        report(c, key,
               arena_printf(arena, "relative error %.3g, allowed %.3g (norms %.9g and %.9g)", error, allowed,
                            norm(&found), norm(expected)));
}

static int compare(int argc, char **argv) {
    if (argc < 5)
        die("compare needs EXPECTED CASE FOUND VALUES GRADIENTS", "");
    Compare c = {.prefix = arena_printf(arena, "%s/", argv[1]),
                 .values = atof(argv[3]),
                 .gradients = atof(argv[4]),
                 .rules = argv + 5,
                 .rule_count = argc - 5};
    Error error = {ERROR_NONE, ""};
    if (!safetensors_read(arena, argv[0], &c.expected, &error) || !safetensors_read(arena, argv[2], &c.found, &error))
        return error_report(&error);
    c.all_gradients = gradient_norm(&c);
    c.kinks = read_number(c.rule_count, c.rules, "kinks=", 0);
    c.samples = (int64_t)read_number(c.rule_count, c.rules, "samples=", 1024);
    for (size_t i = 0; i < c.expected.count; i++) {
        const Tensor *t = &c.expected.tensors[i];
        if (str_starts_with(t->name, c.prefix) && !is_skipped(&c, t->name + strlen(c.prefix)))
            compare_tensor(&c, t);
    }
    check_kinks(&c);
    if (c.kink_count > 0)
        printf("%s: %d of %d gradients moved by a kink\n", argv[1], c.kink_count, c.gradient_count);
    printf("%s: %d tensors, largest errors: values %.2g, gradients %.2g%s\n", argv[1], c.compared, c.worst_value,
           c.worst_gradient, c.wrong ? ", WRONG" : "");
    if (c.wrong > 10)
        printf("    and %d more\n", c.wrong - 10);
    return c.wrong > 0 || c.compared == 0;
}

int main(int argc, char **argv) {
    arena = arena_create();
    int code = 2;
    if (argc > 2 && str_equal(argv[1], "tensors"))
        code = make_tensors(argc - 2, argv + 2);
    else if (argc > 2 && str_equal(argv[1], "weights"))
        code = make_weights(argc - 2, argv + 2);
    else if (argc > 2 && str_equal(argv[1], "compare"))
        code = compare(argc - 2, argv + 2);
    else
        fprintf(stderr, "usage: ref_tool tensors|weights|compare ... (see the head of its source)\n");
    arena_destroy(arena);
    return code;
}
