/* cuda.h: parts of the CUDA dialect. cuda_group.c decides which steps share a kernel and in which order kernels run,
 * emit_cuda.c prints a kernel with the help of the schedules: cuda_product.c, cuda_window.c, cuda_window_grad.c,
 * cuda_sum.c, cuda_merge.c. */
#ifndef NDARTS_CODEGEN_CUDA_CUDA_H
#define NDARTS_CODEGEN_CUDA_CUDA_H

#include "codegen/stages/emit.h"

enum {
    CUDA_BLOCK_THREADS = ND_BLOCK_THREADS,
    CUDA_GROUP_STEPS = 24,
    CUDA_GROUP_WINDOWS = 4 /* that share a tile */,
    CUDA_GROUP_SUMS = 8
};

typedef struct CudaSchedule CudaSchedule;

/* The steps that one kernel computes, in order. All have one schedule, but for sums behind a product or a single window:
 * those add up what it has just computed; and but for the tail: merges of the kernel's own sums, and what follows from
 * them, which the last of its blocks computes when all others have ended. */
typedef struct CudaGroup {
    const CudaSchedule *schedule; /* of the first */
    int step_count;
    int tail; /* number of the first step of the tail; 0: there is none */
    CgStep *steps[CUDA_GROUP_STEPS];
    int number[CUDA_GROUP_STEPS]; /* of each step in its program, ascending */
    int buffer_count;             /* at most */
    int parts;                    /* blocks that share a chunk of the sums, each with a row (cuda_parts.c) */
    int before_count;
    struct CudaGroup **before; /* those that must have ended before it begins */
    int launch;                /* the number of its launch among the stages', once that is known (cuda_edges.c) */
} CudaGroup;

/* A kernel that is being printed. */
typedef struct CudaKernel {
    CgPrinter *p;
    CgProgram *program;
    const CudaGroup *group;
    int int_base[CUDA_GROUP_STEPS];
    int body_buffers; /* the printer's buffers up to here are known to all of the kernel, others to its tail alone */
    PlanLaunch launch;
    int64_t threads; /* of an image, a chunk, or altogether, as launch says */
    bool tensor;     /* tensor cores make its products */
    int resident;    /* blocks that a multiprocessor shall have registers for; 0: as it comes */
} CudaKernel;

/* Groups that do not depend on each other; calls of one kernel among them are one launch. */
typedef struct CudaLevel {
    int group_count, group_capacity;
    CudaGroup **groups;
} CudaLevel;

/* The calls of the program's stages: put into stages of independent calls, as few as there can be; calls of one kernel
 * are neighbours, one launch, which says what launches it waits for. */
void cg_cuda_emit_program(CgModule *module, CgProgram *program, PlanGraph *calls);
/* counters: of kernels with a tail, zero when the module is loaded, and again behind each launch. */
void cg_cuda_add_prelude(Str *out, const CgOptions *options, const CgNames *names, int counters);
/* Kernels that a library's convolutions need, when there are any (cuda_conv.c). */
void cg_cuda_add_helpers(CgModule *module);

/* ---- cuda_group.c ---- */
/* The steps of the program's stages fall into three, which come one after the other: prepared ones, those that choices are
 * made of, all others. */
typedef enum CudaRound { CUDA_PREPARED, CUDA_CHOOSING, CUDA_REST, CUDA_ROUNDS } CudaRound;
/* Those of a round, grouped: level after level. */
CudaLevel *cuda_group_steps(Arena *arena, const CgProgram *program, CudaRound round, int *level_count);

/* ---- cuda_edges.c ---- */
/* The launches of a list of stages, and which come before which. */
typedef struct CudaEdges CudaEdges;
CudaEdges *cuda_edges_create(Arena *arena);
/* Of a level whose groups' calls are the steps of `stage`, in the same order: numbers its launches and gives each those it
 * waits for, but none that another of them waits for anyway. */
void cuda_edges_add(CudaEdges *edges, const CudaLevel *level, PlanStage *stage);
/* A launch of an exchange, whose first step it is, behind the launches `waits`, which has room for one more, and behind the
 * exchange before it. Its number. */
int cuda_edges_add_exchange(CudaEdges *edges, PlanStep *first, int *waits, int wait_count);

/* ---- of several ranks (cuda_exchange.c) ---- */
/* Takes the tails from the level's groups: a level of their own, behind it. */
CudaLevel cuda_split_tails(Arena *arena, CgProgram *program, CudaLevel *level);
/* Adds the steps that exchange the sums of chunks which the level has made; its calls have their launches. */
void cuda_exchange_sums(CgModule *module, const CudaLevel *level, CudaEdges *edges, PlanStage *exchange);
/* For the prelude: the function that says where a chunk's images begin, by the scalars batch and first_chunk. */
void cuda_add_chunks(Str *out, const CgOptions *options, const CgNames *names);

/* ---- cuda_steps.c ---- */
PlanLaunch cuda_step_launch(const CgStep *step);
/* The loads that the step's value consists of, each once. */
const CgScalar **cuda_find_loads(Arena *arena, const CgStep *step, int *count);
/* Is every load of the buffer of the element [axes[0], axes[1], ...]? */
bool cuda_reads_only_at(Arena *arena, const CgStep *step, const CgBuffer *buffer, const int *axes);
/* Do the numbers of elements of an image, of a chunk, or of what has neither, fit an int, and offsets within them? */
bool cuda_fits_int(const CgOptions *options, const CgStep *step);
/* Elements of one image, of one chunk, or of all, as the launch is. */
int64_t cuda_count_elements(const CgStep *step);
bool cuda_same_extents(const IrType *a, const IrType *b);

/* ---- cuda_parts.c ---- */
/* Chooses the parts of all groups of a program, in the order of their kernels, before any is printed, and gives their sums
 * memory for a row of each: row = chunk * parts + part. */
typedef struct CudaParts {
    CgProgram *program;
    Arena *scratch;
    int64_t most_bytes; /* of work memory */
} CudaParts;
/* Finds the partial sums that must stay as they are. */
CudaParts cuda_parts_begin(CgProgram *program);
void cuda_parts_choose(CudaParts *parts, CudaGroup *group);
void cuda_parts_end(CudaParts *parts);

/* ---- cuda_axes.c ---- */
/* Who walks through some axes: a step, what it will read there (NULL: nothing), and the numbers of the axes in it. */
typedef struct CudaUse {
    const CgStep *step;
    CgScalar *value;
    const int *axes;
    bool stored; /* its result is written there */
} CudaUse;
/* Names axes of constant extent (the last of them varies fastest) by what `number`, a variable that counts through all
 * of them, says. The uses have the same extents; names[i] is NULL where the extent is 1 or not constant. */
void cuda_name_axes(CgPrinter *p, const CudaUse *uses, int use_count, int count, const char *number,
                    const char **names);
/* The present step's axes get the names. */
void cuda_use_names(CgPrinter *p, const int *axes, int count, const char *const *names);
/* Both, for the present step alone. */
void cuda_print_axes(CgPrinter *p, CgScalar *value, bool stored, const int *axes, int count, const char *number);

/* After a walk over scalars that sets `mark` of whatever it comes to: back to 0. */
void cuda_clear_marks(CgScalar *s);

/* ---- cuda_kernel.c ---- */
/* "const T *const b3 = (const T *)call[3];" */
const char *cuda_declare_buffer(const CudaKernel *k, int number);
/* Does the kernel write the buffer? */
bool cuda_is_result(const CudaGroup *group, const CgBuffer *buffer);
/* Goes on with a step of the kernel; its axes have no names but those of extent 1. */
void cuda_set_step(CudaKernel *k, int index);
/* Opens the loop over the images of the variable `chunk`; first: " + slice", or "". */
void cuda_print_chunk(CgPrinter *p, const char *first, int step);
/* Opens a block, or a loop, in which the block's threads share so many items; the name of an item's number. */
const char *cuda_open_items(CgPrinter *p, int64_t count);
/* Private memory of the variable `image`. */
void cuda_print_private_bases(const CudaKernel *k);

/* ---- cuda_vector.c ---- */
/* Lanes of the vectors that a thread computes: 16 bytes of T. */
int cuda_width(const CgOptions *options);
/* Can every step of the group be computed in vectors along its last axis in memory, without a scalar load or store of
 * what moves along it? */
bool cuda_has_vector_form(const CgOptions *options, const CudaGroup *group);
bool cuda_step_has_vector_form(const CgOptions *options, const CgStep *step);
/* So many neighbours along an axis of a step, the first at a multiple of their number. */
typedef struct CudaVector {
    const CgStep *step;
    int axis, width;
} CudaVector;
/* The step's result stored, a scalar of it computed in vectors: as above. */
bool cuda_stores_vectors(const CudaVector *v);
bool cuda_reads_vectors(const CudaVector *v, CgScalar *s);
/* The axis of a step's result that is the last in memory. */
int cuda_last_axis(const CgStep *step);
void cuda_add_vectors(Str *out, const CgOptions *options);
/* What cuda_fragment.c prints calls (cuda_fragment_text.c). */
void cuda_add_fragments(Str *out, const CgOptions *options);

/* ---- the schedules ---- */
/* How steps are computed. A step takes the first schedule of the table that fits it (schedule_table.c). */
struct CudaSchedule {
    const char *name;
    bool always;  /* under --plain too */
    bool chains;  /* a thread computes an element of one step after the other */
    bool adds_up; /* a partial sum of a number of terms that is constant: it can stand behind what it adds up */
    bool
        is_late; /* computed as late as possible when it waits for something: small steps meet others of their kind there */
    bool (*fits)(const CgProgram *program, Arena *scratch, const CgStep *step);
    /* May the step share what the group reads? The group has the same schedule and neighbours' level. NULL: never. */
    bool (*stands_beside)(const CudaGroup *group, const CgStep *step);
    /* May sums of what the group's first step makes stand behind it? NULL: never. */
    bool (*takes_sums)(const CgProgram *program, Arena *scratch, const CudaGroup *group);
    /* With sums: how many blocks can share a chunk, at most. NULL: one. */
    int64_t (*most_parts)(const CgProgram *program, Arena *scratch, const CudaGroup *group);
    /* Prints the body of a kernel and sets its threads. */
    void (*print)(CudaKernel *k);
};
/* Ends with NULL; the last fits every step. */
extern const CudaSchedule *const cuda_schedules[];
extern const CudaSchedule cuda_schedule_window, cuda_schedule_window_grad, cuda_schedule_product, cuda_schedule_sum,
    cuda_schedule_long_sum, cuda_schedule_elements;
const CudaSchedule *cuda_find_schedule(const CgProgram *program, Arena *scratch, const CgStep *step);

/* Steps of few elements, among which sums of all chunks are. */
bool cuda_has_merges(const CudaKernel *k);
void cuda_print_merge(CudaKernel *k);
/* The tail of the kernel's group; the counter is a constant of the call, with this number. */
void cuda_print_tail(CudaKernel *k, int counter);
/* Does the step add up a sum of all chunks? */
bool cuda_is_merge(const CgStep *step);
/* May the step be part of the group's tail? */
bool cuda_fits_tail(const CgProgram *program, Arena *scratch, const CudaGroup *group, const CgStep *step);
/* The group without its tail. */
CudaGroup cuda_body(const CudaGroup *group);

/* totalI of all threads, I from first to end - 1: adds halves of the block until `lanes` threads are left, which then have
 * theirs in sums[(I - first) * CUDA_BLOCK_THREADS + threadIdx.x]. */
void cuda_print_halves(CgPrinter *p, int first, int end, int lanes);

/* ---- sums at the end of another kernel (cuda_sum.c): steps first, first + 1, ... of the group ---- */
/* Does the sum add up something of each pixel of the step's images [N, H, W, C], by channel? */
bool cuda_is_sum_of(Arena *arena, const CgStep *sum, const CgStep *step);
/* Their totals of this thread. */
void cuda_begin_sums(CudaKernel *k, int first);
/* Adds what the element at hand contributes; axes, names: of the first step's images [N, H, W, C]. */
void cuda_add_to_sums(CudaKernel *k, int first, const char *const names[4]);
/* The same where the printer's vectors stand at four neighbouring channels; at: which of a thread's, "[j]". */
void cuda_add_vectors_to_sums(CudaKernel *k, int first, const char *const names[4], const char *at);
/* Can a sum by channel be made, and stored, in vectors along the channels? */
bool cuda_sum_has_vectors(const CgStep *sum, int width);
/* Stores the sum that step `index` is, at a channel; a vector of them when the printer's width says so. */
void cuda_store_sum(CudaKernel *k, int index, const char *channel, const char *sum);
/* Adds the threads of each of `lanes` channels, thread i having channel i modulo lanes, and stores the sums of `channel`
 * where `test` holds; `sums`: shared memory of so many T, which no thread needs any more. */
void cuda_end_sums(CudaKernel *k, int first, int lanes, const char *channel, const char *test);
int64_t cuda_sums_elements(const CudaGroup *group, int first);

/* Fills in conv, unless it is, when the step's kernel is a dense convolution, or a gradient of one, with all operands in
 * memory. */
void cuda_describe_conv(const CgPrinter *p, CgPrecision precision, const CgStep *step, PlanConv *conv);

#endif
