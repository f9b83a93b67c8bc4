/* reproducer.c: a bug of a pass leaves a file from which it can be seen again, by whoever looks after the pass.
 *     # ndarts-opt ndarts-bug-71.ir --graph=train --kind=train --batch 64 --passes=insert-drop-path,attach-auxiliary,...
 *     set kind = "train"
 *     graph @forward(...)
 * The graph is the one that the first of the passes was given. It is printed then: before expand it is small, and when
 * the bug is found it may be broken. At that moment nothing is allocated, as the arena may be what is broken. */
#include "passes/reproducer.h"

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Thread_local struct {
    const PassContext *ctx; /* NULL: no pass is run */
    const IrGraph *graph;
    const char *text;
    Str passes; /* run so far, and the one that is at work */
    void (*outer)(FILE *out);
} watch;

static void print_flags(FILE *out, const PassContext *ctx) {
    fprintf(out, " --batch %lld", (long long)ctx->batch);
    if (ctx->chunks)
        fprintf(out, " --chunks %d", ctx->chunks);
    if (ctx->ranks > 1)
        fprintf(out, " --ranks %d", ctx->ranks);
    if (ctx->element_size == 8 || ctx->half)
        fprintf(out, " --precision %s", ctx->half ? "bf16" : "f64");
    if (ctx->keep_bytes)
        fprintf(out, " --keep-bytes=%lld", (long long)ctx->keep_bytes);
    if (ctx->wide)
        fprintf(out, " --target=%s", ctx->wide->target);
    for (int i = 0; i < ctx->fed_stream_count; i++)
        fprintf(out, "%s%s", i ? "," : " --fed-streams=", ctx->fed_streams[i]);
}

static void print_file(FILE *out, const char *path) {
    const PassContext *ctx = watch.ctx;
    fprintf(out, "# A bug of ndarts was found in the last of these passes:\n#     ndarts-opt '%s' --graph=%s --kind=%s",
            path, watch.graph->name, graph_kind_name(ctx->kind));
    print_flags(out, ctx);
    fprintf(out, " --passes=%s\n", watch.passes.data);
    if (ctx->grad_output_loss || ctx->input_gradient)
        fprintf(out, "# The graph was to have%s%s, which ndarts-opt cannot be told.\n",
                ctx->grad_output_loss ? " a loss with grad_output" : "",
                ctx->input_gradient ? " the gradient of its input" : "");
    fputs(watch.text, out);
}

/* Not into a file that is there, nor through a link that somebody else has put there. */
static bool write_file(const char *path) {
    FILE *out = fopen(path, "wx");
    if (!out)
        return false;
    print_file(out, path);
    bool fine = !ferror(out);
    return fclose(out) == 0 && fine;
}

static void write_reproducer(FILE *messages) {
    enum { LONGEST = 4096 };
    char path[LONGEST];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "ndarts-bug-%ld.ir", (long)getpid());
    bool written = write_file(path);
    if (!written) {
        snprintf(path, sizeof path, "%s/ndarts-bug-%ld.ir", folder && *folder ? folder : "/tmp", (long)getpid());
        written = write_file(path);
    }
    if (written)
        fprintf(messages, "note: '%s' shows it again; its first lines say how\n", path);
    else
        fprintf(messages, "note: no file that shows it again: cannot write '%s': %s\n", path, strerror(errno));
    if (!written && watch.outer)
        watch.outer(messages);
}

void reproducer_begin(const PassContext *ctx, const IrGraph *g, const char *text) {
    watch.ctx = ctx;
    watch.graph = g;
    watch.text = text;
    watch.passes = str_create(ctx->arena);
    str_add(&watch.passes, "");
    if (bug_hook != write_reproducer) /* which is still there when a pass was left for want of memory */
        watch.outer = bug_hook;
    bug_hook = write_reproducer;
}

bool reproducer_has_begun(void) {
    return watch.ctx != NULL;
}

void reproducer_add(const PassInfo *pass) {
    str_addf(&watch.passes, "%s%s", watch.passes.length ? "," : "", pass->name);
}

void reproducer_end(void) {
    bug_hook = watch.outer;
    watch.ctx = NULL;
}
