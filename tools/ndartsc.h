/* ndartsc.h: what the files of the compiler's command line share. */
#ifndef NDARTS_TOOLS_NDARTSC_H
#define NDARTS_TOOLS_NDARTSC_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

typedef enum Emit {
    EMIT_ast,
    EMIT_ir,
    EMIT_stages,
    EMIT_plan,
    EMIT_c,
    EMIT_so,
    EMIT_cu,
    EMIT_ptx,
    EMIT_cubin,
    EMIT_dot,
    EMIT_svg,
    EMIT_stats,
    EMIT_resources,
    EMIT_COUNT
} Emit;
extern const char *const emit_names[EMIT_COUNT];

typedef struct Options {
    Arena *arena;
    const char *input, *output, *weights; /* weights: for a stand-alone C file */
    Emit emit;
    bool emit_given;
    CgTarget target; /* of what is emitted */
    bool target_given;
    int kind_count; /* --graph; 0: what the text is for */
    GraphKind kinds[GRAPH_KIND_COUNT];
    int64_t batch, memory_budget; /* 0: the text's, none */
    int64_t vector_bytes;         /* -1: of this machine */
    CgPrecision precision;
    const char *arch; /* sm_90; NULL: this machine's GPU's */
    const char *card; /* --card, for EMIT_resources */
    bool plain, json, mem_report;
    const char *tune;        /* --tune */
    const char *mem_picture; /* --mem-report=FILE.svg */
    const char **sets;
    int set_count;
    const char *entry;  /* --network */
    PassContext passes; /* what --print-ir-after and the like ask for */
} Options;

/* Reads the command line. False: error says why. */
bool options_parse(Options *options, int argc, char **argv, Error *error);
void options_print_usage(FILE *out);

/* Makes what the options want of the input and writes it; the exit code. */
int emit_run(Options *options);
/* --emit=resources of a .cubin; the exit code. */
int resources_run(const Options *options);
/* --emit=stats of a module. */
void emit_stats(const IrModule *module, bool json, Str *out);

#endif
