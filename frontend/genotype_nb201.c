/* genotype_nb201.c: the strings of NAS-Bench-201: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, a node per group, each edge its
 * operation and the state it comes from. The cell returns its last node. */
#include "frontend/genotype_form.h"

#include "base/scan.h"
#include "frontend/literal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reader {
    Arena *arena;
    Span at; /* the next byte; all of it is on one line */
    const char *text;
    Diag *diag;
    FormCell *cell;
} Reader;

static bool fail(const Reader *r, const char *expected) {
    Span span = r->at;
    span.end_col++;
    diag_error(r->diag, span, "expected %s in a string of NAS-Bench-201, as in |nor_conv_3x3~0|+|none~0|none~1|",
               expected);
    return false;
}

static void advance(Reader *r, size_t count) {
    r->text += count;
    r->at.col += (uint32_t)count;
    r->at.end_col = r->at.col;
}

static bool take(Reader *r, char c) {
    if (*r->text != c)
        return false;
    advance(r, 1);
    return true;
}

static void skip_blanks(Reader *r) {
    advance(r, strspn(r->text, " \t"));
}

/* People write blanks around it. */
static bool take_plus(Reader *r) {
    skip_blanks(r);
    bool found = take(r, '+');
    skip_blanks(r);
    return found;
}

/* op~0| */
static bool read_edge(Reader *r, FormNode *node) {
    size_t length = (size_t)(scan_skip_word(r->text) - r->text), digits = 0;
    FormEdge edge = {.operation_span = r->at};
    edge.operation = arena_strndup(r->arena, r->text, length);
    advance(r, length);
    edge.operation_span.end_col = r->at.col;
    if (!length || !take(r, '~'))
        return fail(r, length ? "'~'" : "an operation");
    edge.source_span = r->at;
    while (isdigit((unsigned char)r->text[digits]))
        digits++;
    edge.source = digits > 4 ? INT32_MAX : atoi(r->text);
    advance(r, digits);
    edge.source_span.end_col = r->at.col;
    if (!digits || !take(r, '|'))
        return fail(r, digits ? "'|'" : "the number of a state");
    return genotype_add_edge(r->arena, r->cell, node, edge, r->diag);
}

static bool read_node(Reader *r) {
    FormNode *node = genotype_add_node(r->arena, r->cell, r->at);
    if (!take(r, '|'))
        return fail(r, "'|'");
    if (!node)
        return fail(r, "at most 64 nodes");
    do {
        if (!read_edge(r, node))
            return false;
    } while (isalpha((unsigned char)*r->text) || *r->text == '_');
    return true;
}

GenotypeForm *genotype_read_nb201(Arena *arena, const SourceFile *source, size_t at, Diag *diag) {
    GenotypeForm *form = ARENA_NEW(arena, GenotypeForm);
    Reader r = {arena, literal_span_at(source, at), source->text + at, diag, &form->cells[0]};
    *form = (GenotypeForm){.span = r.at, .nas_bench_201 = true, .cell_count = 1};
    form->cells[0] = (FormCell){.name = "normal", .span = r.at, .inputs = 1};
    do {
        if (!read_node(&r))
            return NULL;
    } while (take_plus(&r));
    form->span.end_col = r.at.col;
    int *last = ARENA_NEW(arena, int);
    *last = form->cells[0].node_count;
    form->cells[0].outputs = last;
    form->cells[0].output_count = 1;
    return form;
}

/* ---- writing ---- */

static const char *bench_name(Arena *arena, const char *operation) {
    bool ours = str_ends_with(operation, "_201");
    return ours ? arena_strndup(arena, operation, strlen(operation) - strlen("_201")) : operation;
}

const char *frontend_nb201_string(Arena *arena, const FormCell *cell) {
    Str out = str_create(arena);
    for (int i = 0; i < cell->node_count; i++) {
        const FormNode *node = &cell->nodes[i];
        str_add(&out, i ? "+|" : "|");
        for (int e = 0; e < node->count; e++)
            str_addf(&out, "%s~%d|", bench_name(arena, node->edges[e].operation), node->edges[e].source);
    }
    return out.data;
}
