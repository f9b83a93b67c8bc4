/* simt.cpp: runs CUDA kernels on the CPU, for tests. The threads of a block are fibers, switched by a few instructions
 * of assembly. A fiber takes one thread after the other for as long as none has to wait, so kernels without barriers
 * need one stack and no switch. A thread that waits (at a barrier, for the other lanes of its warp) keeps its fiber,
 * and another one goes on with the threads that have not begun.
 *
 * Only one thread runs at a time, so nothing is undefined, but everything a race could do is done by some order of the
 * threads; tests run the same kernel in several orders, with shared memory full of NaN at first. */
#include "simt_host.h"

#include "module.h"
#include "program.h"
#include "wrapper.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

/* ---- what a running thread sees (simt.h) ---- */

struct simt_index {
    unsigned x, y, z;
};
extern "C" {
simt_index simt_thread_index, simt_block_index, simt_block_dim, simt_grid_dim;
unsigned char *simt_dynamic_shared;
typedef void simt_warp_function(void *const slots[32], unsigned mask);
void simt_barrier();
void simt_warp(unsigned mask, void *slot, simt_warp_function *run);
unsigned simt_lane();
}

/* ---- fibers ---- */

extern "C" void simt_switch(void **save, void *load);
#if defined(__x86_64__)
asm(".text\n.globl simt_switch\n.type simt_switch,@function\nsimt_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
enum { SAVED_WORDS = 6 };
#elif defined(__aarch64__)
asm(".text\n.globl simt_switch\n.type simt_switch,%function\nsimt_switch:\n"
    "sub sp, sp, #160\n"
    "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\nstp x27, x28, [sp, "
    "#64]\n"
    "stp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\nstp d14, d15, "
    "[sp, #144]\n"
    "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
    "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\nldp x27, x28, [sp, "
    "#64]\n"
    "ldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\nldp d14, d15, "
    "[sp, #144]\n"
    "add sp, sp, #160\nret\n");
#else
#error "the emulator knows x86-64 and aarch64"
#endif

/* The address sanitizer wants to know of stacks; weak, so that the same code serves both builds. */
extern "C" __attribute__((weak)) void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
extern "C" __attribute__((weak)) void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);

/* The thread sanitizer gets a context of its own for every thread of a block, and is told what a barrier orders. Blocks
 * follow each other as far as it knows, since they share the memory of __shared__: races between blocks show by
 * running them in several orders. */
extern "C" {
__attribute__((weak)) void *__tsan_get_current_fiber(void);
__attribute__((weak)) void *__tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_switch_to_fiber(void *fiber, unsigned flags);
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);
}

namespace {

enum { STACK_BYTES = 256 * 1024, MOST_THREADS = 1024, MOST_SHARED = 227 * 1024 };

struct Fiber {
    void *stack_pointer;
    char *stack;
    unsigned thread;  /* it runs, or that waits on it */
    void *fake_stack; /* the sanitizer's */
};

struct Warp {
    unsigned arrived, wanted;
    char turn[2]; /* for the thread sanitizer; which of them: */
    unsigned turns;
    void *slots[32];
    Fiber *waiting[32];
};

struct Block {
    SimtKernel *kernel;
    void **arguments;
    unsigned threads, started, finished, at_barrier;
    std::vector<Fiber *> barrier, ready;
    Warp warps[MOST_THREADS / 32];
};

std::mutex lock;
Block block;
Fiber *current;
void *scheduler_stack;
void *scheduler_fake_stack;
const void *scheduler_bottom;
size_t scheduler_size;
std::vector<Fiber *> idle;
SimtOrder order;
long barriers, fibers;
char message[4096];

bool fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return false;
}

void to_scheduler() {
    Fiber *self = current;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&self->fake_stack, scheduler_bottom, scheduler_size);
    simt_switch(&self->stack_pointer, scheduler_stack);
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(self->fake_stack, &scheduler_bottom, &scheduler_size);
}

void to_fiber(Fiber *fiber) {
    current = fiber;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber->stack, STACK_BYTES);
    simt_switch(&scheduler_stack, fiber->stack_pointer);
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

/* ---- what the thread sanitizer is told ---- */

void *contexts[MOST_THREADS], *host_context;
/* Only their addresses matter. A thread that has left a barrier may be at the next one before another has left the first:
 * they take turns with two addresses. */
char block_begins, block_ends, at_barrier[2];

void acquire(void *address) {
    if (__tsan_acquire)
        __tsan_acquire(address);
}

void release(void *address) {
    if (__tsan_release)
        __tsan_release(address);
}

/* What follows is a thread's doing; the emulator's own doing is the host's. */
void be_thread(unsigned thread) {
    enum { NO_ORDER = 1 };
    if (!__tsan_switch_to_fiber)
        return;
    if (!contexts[thread])
        contexts[thread] = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(contexts[thread], NO_ORDER);
}

void be_host() {
    enum { NO_ORDER = 1 };
    if (__tsan_switch_to_fiber)
        __tsan_switch_to_fiber(host_context, NO_ORDER);
}

/* Number i of count things, in the order that is asked for. 7919 is a prime and no divisor of the sizes of blocks and
 * grids met. */
unsigned ordered(unsigned i, unsigned count) {
    if (order == SIMT_descending)
        return count - 1 - i;
    if (order == SIMT_shuffled && count % 7919 != 0)
        return (unsigned)(((unsigned long long)i * 7919 + 13) % count);
    return i;
}

void set_thread(unsigned thread) {
    simt_thread_index = {thread % simt_block_dim.x, thread / simt_block_dim.x % simt_block_dim.y,
                         thread / simt_block_dim.x / simt_block_dim.y};
}

} // namespace

typedef void Entry(void **arguments);
struct SimtKernel {
    SimtModule *module;
    Entry *entry;
    int argument_count;
    unsigned char *const *shared; /* borders of its shared memory, to a null pointer */
    std::string name;
    ptx::Kernel *ptx; /* NULL: a function of a shared object */
};
struct SimtModule {
    void *library;
    ptx::Program *program; /* or this */
    std::vector<SimtKernel *> kernels;
};

namespace {

/* A fiber's whole life: threads that have not begun, one after the other; then idle until the next block. */
void fiber_main() {
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
    for (;;) {
        while (block.started < block.threads) {
            current->thread = ordered(block.started++, block.threads);
            set_thread(current->thread);
            be_thread(current->thread);
            acquire(&block_begins);
            block.kernel->entry(block.arguments);
            release(&block_ends);
            be_host();
            block.finished++;
        }
        idle.push_back(current);
        to_scheduler();
    }
}

Fiber *create_fiber() {
    Fiber *fiber = new Fiber();
    fiber->stack = (char *)mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fiber->stack == MAP_FAILED) {
        perror("simt: no memory for a stack");
        abort();
    }
    fibers++;
    void **top = (void **)(fiber->stack + STACK_BYTES);
#if defined(__x86_64__)
    top[-2] = (void *)fiber_main; /* where simt_switch returns to, as if called from the zero above */
    fiber->stack_pointer = top - 2 - SAVED_WORDS;
#else
    top[-20 + 11] = (void *)fiber_main; /* x30 */
    fiber->stack_pointer = top - 20;
#endif
    return fiber;
}

Fiber *take_idle() {
    if (idle.empty())
        return create_fiber();
    Fiber *fiber = idle.back();
    idle.pop_back();
    return fiber;
}

/* Not through memset: the bytes between variables are the sanitizer's. */
__attribute__((no_sanitize("address"))) void poison(unsigned char *begin, unsigned char *end) {
    volatile unsigned *words = (unsigned *)begin;
    for (size_t i = 0; i < (size_t)(end - begin) / sizeof *words; i++)
        words[i] = ~0u;
}

void describe_stuck() {
    unsigned lanes = 0, first = 0;
    for (unsigned w = 0; w * 32 < block.threads; w++) {
        if (!block.warps[w].arrived)
            continue;
        first = lanes ? first : w;
        lanes += (unsigned)__builtin_popcount(block.warps[w].arrived);
    }
    if (block.at_barrier)
        fail("%s: block %u: %u of %u threads wait at a barrier that the others never reach", block.kernel->name.c_str(),
             simt_block_index.x, block.at_barrier, block.threads);
    else
        fail("%s: block %u: %u lanes wait for others of their warp (the first is warp %u: mask %08x, arrived %08x)",
             block.kernel->name.c_str(), simt_block_index.x, lanes, first, block.warps[first].wanted,
             block.warps[first].arrived);
}

bool run_block() {
    block.started = block.finished = block.at_barrier = 0;
    block.barrier.clear();
    block.ready.clear();
    memset(block.warps, 0, sizeof block.warps);
    while (block.finished < block.threads) {
        if (!block.ready.empty()) {
            Fiber *fiber = block.ready.back();
            block.ready.pop_back();
            set_thread(fiber->thread);
            to_fiber(fiber);
        } else if (block.started < block.threads) {
            to_fiber(take_idle());
        } else {
            describe_stuck();
            return false;
        }
    }
    return true;
}

/* They go on in the order of the threads; the last in the list is the first to run. */
void let_go(std::vector<Fiber *> &waiting) {
    unsigned count = (unsigned)waiting.size();
    for (unsigned i = 0; i < count; i++)
        block.ready.push_back(waiting[count - 1 - ordered(i, count)]);
    waiting.clear();
}

bool run_grid(const unsigned grid[3]) {
    unsigned count = grid[0] * grid[1] * grid[2];
    for (unsigned i = 0; i < count; i++) {
        unsigned b = ordered(i, count);
        simt_block_index = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        for (unsigned char *const *border = block.kernel->shared; *border; border += 2)
            poison(border[0], border[1]);
        release(&block_begins);
        if (!run_block())
            return false;
        acquire(&block_ends);
    }
    return true;
}

} // namespace

/* ---- called by running threads ---- */

static void wait_at_barrier(Fiber *self) {
    if (++block.at_barrier == block.threads) {
        block.at_barrier = 0;
        barriers++;
        let_go(block.barrier);
        return;
    }
    block.barrier.push_back(self);
    to_scheduler();
}

extern "C" void simt_barrier() {
    Fiber *self = current;
    void *turn = &at_barrier[barriers % 2];
    release(turn);
    be_host();
    wait_at_barrier(self);
    be_thread(self->thread);
    acquire(turn);
}

extern "C" unsigned simt_lane() {
    return current->thread % 32;
}

static void join_warp(Fiber *self, unsigned mask, void *slot, simt_warp_function *run, void *turn) {
    unsigned lane = self->thread % 32, first = self->thread / 32 * 32;
    Warp *warp = &block.warps[self->thread / 32];
    if (block.threads - first < 32) /* lanes that do not exist */
        mask &= (1u << (block.threads - first)) - 1;
    if (warp->arrived && warp->wanted != mask) {
        fprintf(stderr, "simt: %s: lanes of a warp disagree about who takes part: %08x and %08x\n",
                block.kernel->name.c_str(), warp->wanted, mask);
        abort();
    }
    warp->wanted = mask;
    warp->arrived |= 1u << lane;
    warp->slots[lane] = slot;
    warp->waiting[lane] = self;
    if (warp->arrived != mask) {
        to_scheduler();
        return;
    }
    warp->arrived = 0;
    warp->turns++;
    acquire(turn);
    if (run)
        run(warp->slots, mask);
    release(turn);
    for (unsigned i = 0; i < 32; i++)
        if ((mask >> i & 1) && i != lane)
            block.ready.push_back(warp->waiting[i]);
}

extern "C" void simt_warp(unsigned mask, void *slot, simt_warp_function *run) {
    Fiber *self = current;
    Warp *warp = &block.warps[self->thread / 32];
    void *turn = &warp->turn[warp->turns % 2];
    release(turn);
    be_host();
    join_warp(self, mask, slot, run, turn);
    be_thread(self->thread);
    acquire(turn);
}

/* ---- launching ---- */

void simt_set_order(SimtOrder wanted) {
    order = wanted;
}

const char *simt_message(void) {
    return message;
}

long simt_barrier_count(void) {
    return barriers;
}

long simt_fiber_count(void) {
    return fibers;
}

static bool launch_ptx(const ptx::Launch &launch) {
    try {
        barriers += ptx::launch(launch);
    } catch (const ptx::Fault &fault) {
        return fail("%s", fault.message.c_str());
    }
    return true;
}

bool simt_count(SimtKernel *kernel, const unsigned grid[3], const unsigned size[3], void **arguments,
                size_t shared_bytes, unsigned first, unsigned step, SimtCount *count) {
    std::lock_guard<std::mutex> guard(lock);
    if (!kernel->ptx)
        return fail("%s: only kernels of PTX are counted", kernel->name.c_str());
    kernel->ptx->counts.assign(kernel->ptx->code.size(), ptx::Count());
    bool done = launch_ptx({kernel->ptx,
                            {grid[0], grid[1], grid[2]},
                            {size[0], size[1], size[2]},
                            arguments,
                            shared_bytes,
                            SIMT_ascending,
                            true,
                            first,
                            step});
    ptx::sum_counts(*kernel->ptx, count);
    unsigned blocks = grid[0] * grid[1] * grid[2];
    count->blocks = first < blocks ? (blocks - first + step - 1) / step : 0;
    return done;
}

bool simt_launch(SimtKernel *kernel, const unsigned grid[3], const unsigned size[3], void **arguments,
                 size_t shared_bytes) {
    std::lock_guard<std::mutex> guard(lock);
    unsigned threads = size[0] * size[1] * size[2];
    if (!threads || threads > MOST_THREADS || !grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535)
        return fail("%s: a grid of %u x %u x %u blocks of %u threads cannot be launched", kernel->name.c_str(), grid[0],
                    grid[1], grid[2], threads);
    if (shared_bytes > MOST_SHARED)
        return fail("%s: %zu bytes of shared memory are more than there are", kernel->name.c_str(), shared_bytes);
    if (kernel->ptx)
        return launch_ptx({kernel->ptx,
                           {grid[0], grid[1], grid[2]},
                           {size[0], size[1], size[2]},
                           arguments,
                           shared_bytes,
                           order,
                           false,
                           0,
                           1});
    block.kernel = kernel;
    block.arguments = arguments;
    block.threads = threads;
    simt_block_dim = {size[0], size[1], size[2]};
    simt_grid_dim = {grid[0], grid[1], grid[2]};
    std::vector<unsigned char> dynamic(shared_bytes + 1, 0xff);
    simt_dynamic_shared = dynamic.data();
    if (__tsan_get_current_fiber)
        host_context = __tsan_get_current_fiber();
    return run_grid(grid);
}

/* ---- modules ---- */

namespace {

bool write_file(const std::string &path, const std::string &text) {
    FILE *file = fopen(path.c_str(), "w");
    bool done = file && fwrite(text.data(), 1, text.size(), file) == text.size();
    return file && fclose(file) == 0 && done;
}

std::string read_file(const std::string &path) {
    std::string text;
    if (FILE *file = fopen(path.c_str(), "r")) {
        char buffer[4096];
        for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;)
            text.append(buffer, n);
        fclose(file);
    }
    return text;
}

} // namespace

static bool build_ptx(const std::string &folder, const char *source, const char *path, char *log, size_t log_size) {
    std::string message;
    bool done = write_file(folder + "/kernels.cu", source) && ptx::compile(folder + "/kernels.cu", path, &message);
    snprintf(log, log_size, "%s", message.c_str());
    unlink((folder + "/kernels.cu").c_str());
    rmdir(folder.c_str());
    return done;
}

bool simt_build(const char *source, const char *options, const char *path, char *log, size_t log_size) {
    char folder[] = "/tmp/simt-XXXXXX";
    if (!mkdtemp(folder))
        return false;
    std::string at = folder;
    if (getenv("SIMT_PTX"))
        return build_ptx(at, source, path, log, log_size);
    const char *compiler = getenv("CXX");
    std::string command =
        std::string(compiler ? compiler : "g++") + " -std=c++17 -O1 -g1 -w -fPIC -shared -fno-strict-aliasing " +
        "-ffp-contract=off -ftrivial-auto-var-init=pattern " + options + " -include " SIMT_FOLDER "/simt.h -o " + path +
        " " + at + "/wrapper.cpp " SIMT_LIBRARY " -lm > " + at + "/log 2>&1";
    bool done = write_file(at + "/kernels.cu", source) && write_file(at + "/wrapper.cpp", wrapper_text(source)) &&
                system(command.c_str()) == 0;
    snprintf(log, log_size, "%s", read_file(at + "/log").c_str());
    for (const char *name : {"/kernels.cu", "/wrapper.cpp", "/log"})
        unlink((at + name).c_str());
    rmdir(folder);
    return done;
}

static SimtModule *open_ptx(const std::string &text) {
    try {
        return new SimtModule{nullptr, new ptx::Program(ptx::parse(text.c_str())), {}};
    } catch (const ptx::Fault &fault) {
        fail("%s", fault.message.c_str());
        return nullptr;
    }
}

SimtModule *simt_module_open(const char *path) {
    std::string text = read_file(path);
    if (text.compare(0, 4, "\177ELF") != 0)
        return open_ptx(text);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail("%s", dlerror());
        return nullptr;
    }
    auto ptx = (const char *)dlsym(library, "simt_ptx"); /* fake_nvrtc.cpp */
    if (!ptx)
        return new SimtModule{library, nullptr, {}};
    SimtModule *module = open_ptx(ptx);
    dlclose(library);
    return module;
}

void simt_module_close(SimtModule *module) {
    for (SimtKernel *kernel : module->kernels)
        delete kernel;
    delete module->program;
    if (module->library)
        dlclose(module->library);
    delete module;
}

static SimtKernel *ptx_kernel(SimtModule *module, const char *name) {
    auto found = module->program->kernels.find(name);
    if (found == module->program->kernels.end())
        return nullptr;
    ptx::Kernel *kernel = &found->second;
    module->kernels.push_back(new SimtKernel{module, nullptr, (int)kernel->parameters.size(), nullptr, name, kernel});
    return module->kernels.back();
}

SimtKernel *simt_module_kernel(SimtModule *module, const char *name) {
    if (module->program)
        return ptx_kernel(module, name);
    auto entry = (Entry *)dlsym(module->library, (std::string("simt_entry_") + name).c_str());
    auto count = (const int *)dlsym(module->library, (std::string("simt_count_") + name).c_str());
    auto shared = (unsigned char *const *)dlsym(module->library, (std::string("simt_shared_of_") + name).c_str());
    if (!entry || !count || !shared)
        return nullptr;
    module->kernels.push_back(new SimtKernel{module, entry, *count, shared, name, nullptr});
    return module->kernels.back();
}

int simt_kernel_argument_count(const SimtKernel *kernel) {
    return kernel->argument_count;
}

void *simt_module_symbol(SimtModule *module, const char *name) {
    if (!module->program)
        return dlsym(module->library, name);
    auto found = module->program->globals.find(name);
    return found == module->program->globals.end() ? nullptr : found->second.data();
}

void simt_allow(const void *begin, size_t size) {
    ptx::allow(begin, size);
}

void simt_forbid(const void *begin, size_t size) {
    ptx::forbid(begin, size);
}
