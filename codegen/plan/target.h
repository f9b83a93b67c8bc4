/* target.h: what code is generated for, and all that is known of it outside of its own folder. */
#ifndef NDARTS_CODEGEN_PLAN_TARGET_H
#define NDARTS_CODEGEN_PLAN_TARGET_H

#include "base/str.h"
#include "codegen/plan/plan.h"
#include "ir/wide_device.h"

/* Made by codegen/stages. */
typedef struct CgModule CgModule;
typedef struct CgProgram CgProgram;

/* The functions that the units of a module hold, each by itself: loops, and kernels, which may call what stands before
 * them. Other modules have many of them too. */
typedef struct CgDefinition {
    const char *name;
    const char *text; /* parameters, and in a line of its own the body: "(...)\n{...}\n" */
} CgDefinition;

typedef struct CgDefinitions {
    const char *prelude; /* of every unit */
    int count;
    CgDefinition *list;
    const char *table; /* nd_plan, and nd_kernels with the kernels' declarations */
} CgDefinitions;

struct CgTarget {
    CgTargetId id;
    const char *name;                          /* "cuda": of --target, and in plans */
    const char *source_suffix, *module_suffix; /* "cu", "cubin" */
    const char *assembly_suffix;               /* "ptx"; NULL: it makes none */
    const char *kernel_head;                   /* what a kernel's name stands behind: "extern "C" __global__ void" */
    int most_chunks;        /* into which a batch is cut for sums over images; many, where many blocks run at once */
    const WideDevice *wide; /* for the passes; NULL: it runs one step after the other */
    bool by_image;          /* in stages over images a call of a kernel computes one image, else all of them */
    bool vectors;           /* vector_bytes, bands and tiles are chosen */
    unsigned precisions;    /* that it has: 1 << PRECISION_f32 | ... */
    bool rooms;             /* plan and weights are filled in after compiling */
    int kernels_of_unit; /* a unit is worth its prelude with so many kernels; 0: there are as many as are asked for */
    /* The calls of the program's stages. */
    void (*emit_program)(CgModule *module, CgProgram *program, PlanGraph *calls);
    void (*finish)(CgModule *module); /* adds kernels that no step calls; NULL: there are none */
    const char *(*print_unit)(const CgModule *module, const Plan *plan, int unit, int unit_count);
    const CgDefinitions *(*list_definitions)(const CgModule *module,
                                             const Plan *plan); /* NULL: units are compiled whole */
};
#define TARGET(name, starts_threads) extern const CgTarget cg_target_##name;
#include "codegen/plan/targets.def"
#undef TARGET

/* ERROR_INPUT when the target, or the architecture ("sm_75"; NULL: not known yet), cannot do it. */
bool cg_precision_check(CgPrecision precision, const CgTarget *target, const char *arch, Error *error);

#endif
