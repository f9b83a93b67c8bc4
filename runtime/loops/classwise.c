/* classwise.c: counts by class, and how they are shown. Counts are whole numbers, so they do not depend on batches. */
#include "runtime/loops/classwise.h"

#include "base/json.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { MOST_LISTED = 20, MOST_WORST = 10, MOST_NAME = 40 };

Classwise *classwise_create(Arena *arena, int classes, const char *const *names) {
    Classwise *c = ARENA_NEW(arena, Classwise);
    *c = (Classwise){.classes = classes, .names = names};
    c->images = ARENA_ARRAY(arena, int64_t, classes);
    c->correct = ARENA_ARRAY(arena, int64_t, classes);
    c->confusion = classes <= CLASSWISE_MOST ? ARENA_ARRAY(arena, int64_t, (size_t)classes * (size_t)classes) : NULL;
    return c;
}

void classwise_clear(Classwise *c) {
    size_t size = sizeof(int64_t) * (size_t)c->classes;
    memset(c->images, 0, size);
    memset(c->correct, 0, size);
    if (c->confusion)
        memset(c->confusion, 0, size * (size_t)c->classes);
}

int classwise_predict(const Tensor *logits, int64_t n) {
    int64_t classes = logits->shape[1], best = 0;
    for (int64_t c = 1; c < classes; c++) {
        double own = tensor_get(logits, n * classes + best), other = tensor_get(logits, n * classes + c);
        if (other > own || (isnan(other) && !isnan(own)))
            best = c;
    }
    return (int)best;
}

void classwise_add(Classwise *c, const Tensor *logits, const int32_t *labels) {
    for (int64_t n = 0; n < logits->shape[0]; n++) {
        int label = labels[n], predicted = classwise_predict(logits, n);
        c->images[label]++;
        c->correct[label] += predicted == label;
        if (c->confusion)
            c->confusion[(int64_t)label * c->classes + predicted]++;
    }
}

double classwise_accuracy(const Classwise *c, int i) {
    return c->images[i] ? (double)c->correct[i] / (double)c->images[i] : NAN;
}

double classwise_balanced(const Classwise *c) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < c->classes; i++) {
        sum += c->images[i] ? classwise_accuracy(c, i) : 0;
        count += c->images[i] > 0;
    }
    return count ? sum / count : NAN;
}

int classwise_mistaken(const Classwise *c, int i) {
    int most = -1;
    for (int k = 0; c->confusion && k < c->classes; k++) {
        const int64_t *row = c->confusion + (int64_t)i * c->classes;
        if (k != i && row[k] > (most < 0 ? 0 : row[most]))
            most = k;
    }
    return most;
}

int classwise_worst(const Classwise *c, int most, int *worst) {
    int count = 0;
    for (int i = 0; i < c->classes; i++) {
        if (!c->images[i])
            continue;
        int at = count;
        for (; at > 0 && classwise_accuracy(c, worst[at - 1]) > classwise_accuracy(c, i); at--) {
            if (at < most)
                worst[at] = worst[at - 1];
        }
        if (at < most)
            worst[at] = i;
        count += count < most;
    }
    return count;
}

/* ---- JSON ---- */

static json_t *class_json(const Classwise *c, int i) {
    json_t *object = json_pack("{s:I, s:I, s:o}", "images", (json_int_t)c->images[i], "correct",
                               (json_int_t)c->correct[i], "accuracy", json_number(classwise_accuracy(c, i)));
    if (c->names)
        json_add(object, "name", json_text(c->names[i]));
    return object;
}

static json_t *row_json(const int64_t *row, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_append(list, json_integer((json_int_t)row[i]));
    return list;
}

void classwise_to_json(const Classwise *c, json_t *object) {
    json_t *classes = json_array(), *confusion = c->confusion ? json_array() : json_null();
    for (int i = 0; i < c->classes; i++) {
        json_append(classes, class_json(c, i));
        if (c->confusion)
            json_append(confusion, row_json(c->confusion + (int64_t)i * c->classes, c->classes));
    }
    json_add(object, "balanced_accuracy", json_number(classwise_balanced(c)));
    json_add(object, "classes", classes);
    json_add(object, "confusion", confusion);
}

/* False: it is no list of `count` numbers of 0 or more. */
static bool read_row(const json_t *list, int count, int64_t *row) {
    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        row[i] = json_integer_value(value);
    }
    return (int)json_array_size(list) == count;
}

Classwise *classwise_from_json(Arena *arena, const json_t *object) {
    const json_t *list = json_object_get(object, "classes"), *confusion = json_object_get(object, "confusion");
    size_t count = json_array_size(list);
    if (count == 0 || count > INT_MAX)
        return NULL;
    const char **names = ARENA_ARRAY(arena, const char *, count);
    Classwise *c = classwise_create(arena, (int)count, names);
    for (int i = 0; i < c->classes; i++) {
        const json_t *one = json_array_get(list, (size_t)i), *name = json_object_get(one, "name");
        c->images[i] = json_integer_value(json_object_get(one, "images"));
        c->correct[i] = json_integer_value(json_object_get(one, "correct"));
        names[i] = json_is_string(name) ? json_string_value(name) : NULL;
        if (!names[i])
            c->names = NULL;
        if (c->confusion &&
            !read_row(json_array_get(confusion, (size_t)i), c->classes, c->confusion + (int64_t)i * c->classes))
            c->confusion = NULL;
    }
    return c;
}

/* ---- text ---- */

/* Characters, not bytes; what a terminal might take for a command is shown as '?'. */
static int print_name(FILE *out, const Classwise *c, int i) {
    if (!c->names)
        return fprintf(out, "class %d", i);
    int count = 0;
    for (const char *at = c->names[i]; *at; at++) {
        bool continues = ((unsigned char)*at & 0xC0) == 0x80;
        if (count == MOST_NAME && !continues)
            break;
        count += !continues;
        fputc(iscntrl((unsigned char)*at) ? '?' : *at, out);
    }
    return count;
}

static int name_width(const Classwise *c) {
    int widest = 9; /* "class 999" */
    for (int i = 0; c->names && i < c->classes; i++) {
        int count = 0;
        for (const char *at = c->names[i]; *at; at++)
            count += ((unsigned char)*at & 0xC0) != 0x80;
        widest = count > widest ? count : widest;
    }
    return widest < MOST_NAME ? widest : MOST_NAME;
}

static void print_class(FILE *out, const Classwise *c, int i, int width) {
    int used = print_name(out, c, i), mistaken = classwise_mistaken(c, i);
    fprintf(out, "%*s  %6lld  ", width - used, "", (long long)c->images[i]);
    if (c->images[i])
        fprintf(out, "%6.2f %%", 100 * classwise_accuracy(c, i));
    else
        fprintf(out, "       -");
    if (mistaken >= 0) {
        fputs("  ", out);
        print_name(out, c, mistaken);
        fprintf(out, " (%lld)", (long long)c->confusion[(int64_t)i * c->classes + mistaken]);
    }
    fputc('\n', out);
}

void classwise_print(FILE *out, const Classwise *c) {
    int worst[MOST_WORST], width = name_width(c), count = c->classes;
    bool few = c->classes <= MOST_LISTED;
    if (!few) {
        count = classwise_worst(c, MOST_WORST, worst);
        fprintf(out, "the %d worst of %d classes:\n", count, c->classes);
    }
    fprintf(out, "%-*s  images  accuracy%s\n", width, "class", c->confusion ? "  most often taken for" : "");
    for (int i = 0; i < count; i++)
        print_class(out, c, few ? i : worst[i], width);
}
