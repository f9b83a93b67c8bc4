/* remarks.c: prints what fuse.c decided, line by line of the text: values are sorted by file, line, operation and reason, equal ones
 * become one, and the rest is sorted again by what it takes. */
#include "passes/remarks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    "",
#define STORED(identifier, words) words,
#include "passes/stored.def"
#undef STORED
};

static const char *path_of(const Remark *r) {
    return r->node->span.file ? r->node->span.file->path : "";
}

static int compare_places(const Remark *a, const Remark *b) {
    int order = strcmp(path_of(a), path_of(b));
    return order ? order : (a->node->span.line > b->node->span.line) - (a->node->span.line < b->node->span.line);
}

/* Which of them are told together. */
static int compare_groups(const Remark *a, const Remark *b) {
    int order = compare_places(a, b);
    order = order ? order : (int)a->node->op - (int)b->node->op;
    return order ? order : (int)a->why - (int)b->why;
}

static int compare_values(const void *a, const void *b) {
    int order = compare_groups(a, b);
    const IrNode *x = ((const Remark *)a)->node, *y = ((const Remark *)b)->node;
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static int compare_sizes(const void *a, const void *b) {
    const Remark *x = a, *y = b;
    int order = compare_places(x, y);
    order = order ? order : (x->bytes < y->bytes) - (x->bytes > y->bytes);
    return order ? order : compare_groups(x, y);
}

static int join_groups(Remark *remarks, int count) {
    int groups = 0;
    for (int i = 0; i < count; i++) {
        if (groups && compare_groups(&remarks[groups - 1], &remarks[i]) == 0) {
            remarks[groups - 1].bytes += remarks[i].bytes;
            remarks[groups - 1].count += remarks[i].count;
        } else {
            remarks[groups++] = remarks[i];
        }
    }
    return groups;
}

static void print_remark(FILE *out, const Remark *r) {
    const IrNode *n = r->node;
    if (n->span.file)
        fprintf(out, "%s:%u: ", n->span.file->path, n->span.line);
    fprintf(out, "remark: '%s' is stored, ", ir_op_info[n->op].name);
    if (r->count > 1)
        fprintf(out, "%d values, ", r->count);
    double bytes = (double)r->bytes;
    if (bytes < 10e3)
        fprintf(out, "%" PRId64 " B", r->bytes);
    else
        fprintf(out, "%.1f %s", bytes < 10e6 ? bytes / 1e3 : bytes / 1e6, bytes < 10e6 ? "kB" : "MB");
    if (n->tag && *n->tag)
        fprintf(out, " (%s%s)", n->tag, r->count > 1 ? " and others" : "");
    fprintf(out, ": %s\n", words[r->why]);
}

void remarks_print(FILE *out, Remark *remarks, int count) {
    qsort(remarks, (size_t)count, sizeof *remarks, compare_values);
    count = join_groups(remarks, count);
    qsort(remarks, (size_t)count, sizeof *remarks, compare_sizes);
    for (int i = 0; i < count; i++)
        print_remark(out, &remarks[i]);
}
