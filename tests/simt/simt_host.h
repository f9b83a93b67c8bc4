/* simt_host.h: the emulator as seen by who launches kernels: builds emitted CUDA source into a shared object, finds its
 * kernels and runs them, one block after the other, the threads of a block as fibers. One launch at a time. */
#ifndef NDARTS_TESTS_SIMT_HOST_H
#define NDARTS_TESTS_SIMT_HOST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SimtModule SimtModule;
typedef struct SimtKernel SimtKernel;

/* Compiles source with g++ and more options (may be "") into the shared object path. With $SIMT_PTX set NVRTC compiles it
 * to PTX instead, which tests/ptx runs. False: log has what was said. */
bool simt_build(const char *source, const char *options, const char *path, char *log, size_t log_size);
SimtModule *simt_module_open(const char *path); /* NULL: simt_message() */
void simt_module_close(SimtModule *module);
SimtKernel *simt_module_kernel(SimtModule *module, const char *name); /* NULL when there is none; the module's */
int simt_kernel_argument_count(const SimtKernel *kernel);
void *simt_module_symbol(SimtModule *module, const char *name);

/* In which order threads and blocks run. */
typedef enum SimtOrder { SIMT_ascending, SIMT_descending, SIMT_shuffled, SIMT_ORDER_COUNT } SimtOrder;
void simt_set_order(SimtOrder order);

/* Runs a kernel to its end; arguments point to the values. Shared memory holds NaN (all bits set) when a block begins.
 * False when threads wait for others that never come: simt_message() says where. */
bool simt_launch(SimtKernel *kernel, const unsigned grid[3], const unsigned block[3], void **arguments,
                 size_t shared_bytes);
const char *simt_message(void);

/* What blocks of a kernel of PTX do. */
enum { SIMT_MOST_CLASSES = 20 };
typedef struct SimtCount {
    double warps[SIMT_MOST_CLASSES]; /* instructions of warps, as many as a device has for one of PTX, by class */
    double lanes;                    /* of threads */
    double sectors, bytes;           /* of global memory: 32 bytes each; asked for */
    double wavefronts;               /* turns of shared memory */
    unsigned blocks;
} SimtCount;
/* Runs the blocks first, first + step and so on of the grid. Races and undefined values are not looked for. */
bool simt_count(SimtKernel *kernel, const unsigned grid[3], const unsigned block[3], void **arguments,
                size_t shared_bytes, unsigned first, unsigned step, SimtCount *count);
int simt_class_count(void);
const char *simt_class_name(int number);

/* Memory that kernels of PTX may touch; as long as nothing was allowed they may touch all. forbid takes back what begins
 * in these bytes. */
void simt_allow(const void *begin, size_t size);
void simt_forbid(const void *begin, size_t size);
/* Since the program began: what the tests of the emulator itself look at. */
long simt_barrier_count(void); /* barriers that all threads of a block have passed */
long simt_fiber_count(void);   /* stacks made */

#ifdef __cplusplus
}
#endif

#endif
