/* ndartsc.h: what the files of the compiler's command line share. */
#ifndef NDARTS_TOOLS_NDARTSC_H
#define NDARTS_TOOLS_NDARTSC_H

#include "tools/command_line.h"

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

/* What is made of a text: the command line, read. */
typedef struct Emission {
    const Options *line;
    Arena *arena;
    const char *input;
    Emit emit;
    bool emit_given;
    const CgTarget *target; /* of what is emitted */
    int kind_count;         /* --graph; 0: what the text is for */
    GraphKind kinds[GRAPH_KIND_COUNT];
    const char *arch;   /* sm_90; NULL: this machine's GPU's */
    PassContext passes; /* what --print-ir-after and the like ask for */
} Emission;

/* False: error says what is wrong. */
bool emission_read(Emission *emission, const Options *line, Error *error);

/* --list-methods; the exit code. */
int emit_methods(const Options *line);
/* --format FILE */
int emit_formatted(const Options *line);
/* Makes what is wanted of the input and writes it; the exit code. */
int emit_run(Emission *emission);
/* --emit=resources of a .cubin; the exit code. */
int resources_run(const Emission *emission);

#endif
