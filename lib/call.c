/* call.c: guards every call. What is kept of a caller's thread is given back whatever happens: the place that running
 * out of memory jumps to, the stream of messages, the locale. */
#include "lib/call.h"

#include "base/cancel.h"
#include "base/locale.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static char no_memory[] = "out of memory";

void ndarts_free(char *message) {
    if (message != no_memory)
        free(message);
}

typedef struct Guard {
    jmp_buf escape;
    jmp_buf *outer_escape;
    FILE *outer_stream, *outer_notes, *stream;
    const Cancel *outer_cancel;
    char *said; /* what was printed on the stream */
    size_t size;
    locale_t outer_locale;
    Error error;
} Guard;

/* False when memory ran out on the way. Its own function: nothing that changes between setjmp and longjmp is on its
 * stack. */
static bool run_body(Guard *g, CallBody *body, void *call) {
    if (setjmp(g->escape))
        return false;
    arena_escape = &g->escape;
    body(call, &g->error);
    return true;
}

static void set_message(const Guard *g, char **message) {
    if (!message)
        return;
    size_t size = g->size + strlen(g->error.message) + 1;
    char *text = malloc(size);
    *message = text ? text : no_memory;
    if (text)
        snprintf(text, size, "%s%s", g->said ? g->said : "", g->error.message);
}

static NdartsStatus status_of(ErrorKind kind) {
    return kind == ERROR_NONE          ? NDARTS_OK
           : kind == ERROR_INPUT       ? NDARTS_ERROR_INPUT
           : kind == ERROR_INTERRUPTED ? NDARTS_INTERRUPTED
                                       : NDARTS_ERROR_MACHINE;
}

NdartsStatus call_guarded(CallBody *body, void *call, bool *lost, char **message) {
    memory_guard_json(true);
    Guard g = {.outer_escape = arena_escape,
               .outer_stream = diag_redirected,
               .outer_notes = diag_notes_redirected,
               .outer_cancel = cancel};
    g.stream = open_memstream(&g.said, &g.size);
    g.outer_locale = locale_enter();
    *lost = false;
    if (!g.stream || !g.outer_locale) {
        error_set(&g.error, ERROR_MACHINE, "%s", no_memory);
    } else {
        diag_redirected = g.stream;
        diag_notes_redirected = NULL;
        cancel = NULL;
        *lost = !run_body(&g, body, call);
        diag_redirected = g.outer_stream;
        diag_notes_redirected = g.outer_notes;
        cancel = g.outer_cancel;
        arena_escape = g.outer_escape;
    }
    if (g.outer_locale)
        locale_leave(g.outer_locale);
    if (g.stream)
        fclose(g.stream);
    if (*lost)
        g.error = (Error){ERROR_MACHINE, "out of memory"};
    if (g.error.kind != ERROR_NONE)
        set_message(&g, message);
    free(g.said);
    return status_of(g.error.kind);
}

typedef struct Returned {
    CallBody *body;
    TextCall *call;
    char *text;
} Returned;

static bool make_text(void *data, Error *error) {
    Returned *r = data;
    TextCall *call = r->call;
    call->arena = arena_create();
    bool ok = r->body(call, error) && !error->kind;
    r->text = ok ? strdup(call->text) : NULL;
    arena_destroy(call->arena);
    return r->text || error_set(error, ok ? ERROR_MACHINE : ERROR_INPUT, "%s", ok ? no_memory : "mistakes in the text");
}

NdartsStatus call_for_text(CallBody *body, TextCall *call, char **result, char **message) {
    Returned returned = {.body = body, .call = call};
    bool lost;
    NdartsStatus status = call_guarded(make_text, &returned, &lost, message);
    if (result)
        *result = returned.text;
    else
        free(returned.text);
    return status;
}

/* ---- what is given ---- */

static bool check_sets(const NdartsOptions *o, Error *error) {
    if (!call_check_count("options.sets", o->sets, o->set_count, error))
        return false;
    for (int i = 0; i < o->set_count; i++)
        if (!o->sets[i])
            return error_set(error, ERROR_INPUT, "options.sets[%d] is NULL", i);
    return true;
}

bool call_options(const char *path, const NdartsOptions *o, RtProgramOptions *program, Error *error) {
    static const NdartsOptions none = {.size = sizeof none};
    CgPrecision precision = PRECISION_f32;
    o = o ? o : &none;
    if (o->size != sizeof *o)
        return error_set(error, ERROR_INPUT, "options.size is %zu; it should be sizeof(NdartsOptions), which is %zu",
                         o->size, sizeof *o);
    if (!path && !o->text)
        return error_set(error, ERROR_INPUT, "the path is NULL");
    if (o->threads < 0 || o->threads > 1024 || o->batch < 0)
        return error_set(error, ERROR_INPUT, "options: threads should be 0 to 1024, and batch not negative");
    if (!check_sets(o, error))
        return false;
    if (o->precision && !cg_precision_parse("precision", o->precision, &precision, error))
        return false;
    *program = (RtProgramOptions){.path = path ? path : "text",
                                  .text = o->text,
                                  .entry = o->network,
                                  .device = o->device,
                                  .threads = o->threads,
                                  .batch = o->batch,
                                  .precision = precision,
                                  .sets = o->sets,
                                  .set_count = o->set_count,
                                  .vector_bytes = RT_VECTOR_HOST};
    return true;
}

bool call_check_count(const char *what, const void *items, int count, Error *error) {
    return (count >= 0 && (items || count == 0)) || error_set(error, ERROR_INPUT, "there are %d %s, and %s", count,
                                                              what, items ? "that cannot be" : "they are NULL");
}

bool call_check_array(const char *name, const NdartsArray *a, Error *error) {
    bool sound = name && a->rank >= 0 && a->rank <= NDARTS_MAX_RANK && (unsigned)a->type <= NDARTS_bool;
    int64_t bytes = sizeof(double);
    for (int i = 0; sound && i < a->rank; i++)
        sound = a->shape[i] >= 0 && !__builtin_mul_overflow(bytes, a->shape[i], &bytes);
    return (sound && (a->data || bytes == 0)) ||
           error_set(error, ERROR_INPUT, "the array '%s' has no name, type, shape or numbers that can be",
                     name ? name : "");
}

static bool take_array(Arena *arena, const NdartsArray *a, TensorFile *file, Error *error) {
    if (!call_check_array(a->name, a, error))
        return false;
    Tensor tensor = {.name = a->name, .type = (TensorType)a->type, .rank = a->rank, .data = a->data};
    memcpy(tensor.shape, a->shape, sizeof(int64_t) * (size_t)a->rank);
    tensor_file_add(arena, file, tensor);
    return true;
}

bool call_tensors(Arena *arena, const NdartsArray *arrays, int count, TensorFile *file, Error *error) {
    if (!call_check_count("arrays", arrays, count, error))
        return false;
    for (int i = 0; i < count; i++)
        if (!take_array(arena, &arrays[i], file, error))
            return false;
    return true;
}
