/* fake_cudart.cpp: a libcudart for tests, on the emulator: one device whose memory is the host's. What is put on a
 * stream waits until somebody waits for it, as late as the rules of streams allow: a runtime that forgets to wait, or
 * that changes what it has given to an asynchronous copy, computes something else. So do cudaMemset, and cudaMemcpy to
 * the device of what is not pinned: they return before their end, and streams made with cudaStreamNonBlocking do not
 * wait for them. New memory holds NaN. What must not be called while a graph is captured fails then.
 *
 * $SIMT_ORDER: 0, 1, 2, the order of the threads (and of graphs: fake_graphs.cpp); $SIMT_MEMORY: bytes of the device;
 * $SIMT_NO_DEVICE: there is none; $SIMT_OTHER_ARCH: what is loaded was made for others; $SIMT_NO_LIBRARY_CAPTURE: other
 * libraries cannot be captured (late: and do not say so themselves); $SIMT_KEEP_POISON: cudaMemset of zeros leaves
 * NaN, so that what a kernel forgets to write is not zero by chance; $SIMT_LAUNCH_MS: how much longer events find each
 * launch of a kernel to take.
 *
 * Kernels are loaded when they are first launched, which cannot be captured, unless $CUDA_MODULE_LOADING was EAGER when
 * this library was. After a capture that failed, the streams that had joined it can only be destroyed. */
#include "fake_cudart.h"
#include "simt_host.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <elf.h>
#include <map>
#include <unistd.h>

using namespace fake;

namespace {

struct Dim3 {
    unsigned x, y, z;
};

struct Launch {
    Dim3 grid, block;
    size_t shared;
    void *stream, *attributes;
    unsigned count;
};

Stream legacy;
std::map<char *, size_t> allocations, pinned;
size_t used;
int failure;
double later; /* milliseconds that events are behind the clock */

bool is_eager() {
    const char *loading = getenv("CUDA_MODULE_LOADING");
    return loading && strcmp(loading, "EAGER") == 0;
}
const bool eager = is_eager();

size_t device_bytes() {
    const char *bytes = getenv("SIMT_MEMORY");
    return bytes ? strtoull(bytes, nullptr, 10) : (size_t)8 << 30;
}

bool no_device() {
    return getenv("SIMT_NO_DEVICE") != nullptr;
}

int note(int status) {
    if (status != SUCCESS && failure == SUCCESS)
        failure = status;
    return status;
}

/* Runs what waits on the stream. A failure stays: what comes after it is not run, as on a device. */
int drain(Stream *stream) {
    while (!stream->waiting.empty()) {
        Operation operation = stream->waiting.front();
        stream->waiting.pop_front();
        if (failure == SUCCESS)
            note(operation());
    }
    return failure;
}

void drain_blocking() {
    for (Stream *stream : streams)
        if (stream->blocking)
            drain(stream);
    drain(&legacy);
}

bool capturing() {
    for (Stream *stream : streams)
        if (stream->capture)
            return true;
    return false;
}

} // namespace

namespace fake {

std::vector<Stream *> streams;

double read_ms(const char *variable) {
    const char *value = getenv(variable);
    return value ? atof(value) : 0;
}

Stream *stream_of(void *handle) {
    return handle ? (Stream *)handle : &legacy;
}

int put(void *handle, Operation operation) {
    Stream *stream = stream_of(handle);
    if (stream->broken)
        return CAPTURE_INVALIDATED;
    if (stream->capture) {
        std::vector<Node> &nodes = stream->capture->nodes;
        nodes.push_back({operation, stream->last});
        stream->last = {nodes.size() - 1};
        return SUCCESS;
    }
    if (stream != &legacy && stream->blocking)
        drain(&legacy);
    stream->waiting.push_back(operation);
    return SUCCESS;
}

} // namespace fake

namespace {

/* Does [at, at + bytes) lie in one of the allocations? */
bool is_in(const std::map<char *, size_t> &allocations, const void *at, size_t bytes) {
    auto next = allocations.upper_bound((char *)at);
    if (next == allocations.begin())
        return false;
    --next;
    return (char *)at + bytes <= next->first + next->second;
}

bool on_device(const void *at, size_t bytes) {
    return is_in(allocations, at, bytes);
}

int copy(void *to, const void *from, size_t bytes, int kind) {
    bool to_device = kind == 1 || kind == 3, from_device = kind == 2 || kind == 3;
    if ((to_device && !on_device(to, bytes)) || (from_device && !on_device(from, bytes))) {
        fprintf(stderr, "fake cudart: a copy of %zu bytes leaves its memory\n", bytes);
        return INVALID_VALUE;
    }
    memcpy(to, from, bytes);
    return SUCCESS;
}

/* cudaLibraryLoadData is not told how long the image is: the table of sections is last in what ld writes. */
size_t image_size(const unsigned char *image) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
    return memcmp(image, ELFMAG, SELFMAG) == 0 ? header->e_shoff + (size_t)header->e_shnum * header->e_shentsize : 0;
}

int launch(SimtKernel *kernel, Dim3 grid, Dim3 block, std::vector<uint64_t> values, size_t shared) {
    std::vector<void *> arguments;
    for (uint64_t &value : values)
        arguments.push_back(&value);
    const unsigned blocks[3] = {grid.x, grid.y, grid.z}, threads[3] = {block.x, block.y, block.z};
    later += read_ms("SIMT_LAUNCH_MS");
    if (simt_launch(kernel, blocks, threads, arguments.data(), shared))
        return SUCCESS;
    fprintf(stderr, "fake cudart: %s\n", simt_message());
    return LAUNCH_FAILURE;
}

struct Library {
    SimtModule *module;
};

std::set<const void *> known, loaded; /* kernels that were asked for, and that were launched */

} // namespace

int fake_cudart_put(void *stream, std::function<int()> operation) {
    Graph *capture = stream_of(stream)->capture;
    const char *refuses = getenv("SIMT_NO_LIBRARY_CAPTURE");
    if (!capture || !refuses)
        return put(stream, operation);
    capture->invalid = true;
    return strcmp(refuses, "late") == 0 ? SUCCESS : CAPTURE_UNSUPPORTED;
}

extern "C" {

int cudaRuntimeGetVersion(int *version) {
    *version = 13000;
    return SUCCESS;
}

int cudaDriverGetVersion(int *version) {
    *version = no_device() ? 0 : 13000;
    return SUCCESS;
}

int cudaGetDeviceCount(int *count) {
    if (no_device())
        return NO_DEVICE;
    *count = 1;
    return SUCCESS;
}

int cudaSetDevice(int device) {
    const char *order = getenv("SIMT_ORDER");
    simt_set_order(order ? (SimtOrder)(atoi(order) % SIMT_ORDER_COUNT) : SIMT_ascending);
    return device == 0 ? SUCCESS : INVALID_VALUE;
}

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0)
        return INVALID_VALUE;
    *value = attribute == 75 ? 8 : attribute == 76 ? 0 : attribute == 16 ? 4 : 0;
    return SUCCESS;
}

int cudaGetDeviceProperties(void *properties, int device) {
    strcpy((char *)properties, "emulated device");
    return device == 0 ? SUCCESS : INVALID_VALUE;
}

const char *cudaGetErrorString(int status) {
    switch (status) {
    case SUCCESS:
        return "no error";
    case INVALID_VALUE:
        return "invalid argument";
    case OUT_OF_MEMORY:
        return "out of memory";
    case NO_DEVICE:
        return "no CUDA-capable device is detected";
    case SYMBOL_NOT_FOUND:
        return "named symbol not found";
    case LAUNCH_FAILURE:
        return "unspecified launch failure";
    case CAPTURE_UNJOINED:
        return "capture was not ended because work on another stream is unjoined";
    case INVALID_IMAGE:
        return "device kernel image is invalid";
    default:
        return "unknown error";
    }
}

int cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = device_bytes();
    *free_bytes = *total - used;
    return SUCCESS;
}

int cudaMalloc(void **memory, size_t bytes) {
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    if (used + bytes > device_bytes())
        return OUT_OF_MEMORY;
    *memory = aligned_alloc(256, (bytes + 511) / 256 * 256);
    memset(*memory, 0xff, bytes);
    allocations[(char *)*memory] = bytes;
    simt_allow(*memory, bytes);
    used += bytes;
    return SUCCESS;
}

int cudaFree(void *memory) {
    if (!memory)
        return SUCCESS;
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    drain_blocking();
    for (Stream *stream : streams)
        drain(stream);
    auto found = allocations.find((char *)memory);
    if (found == allocations.end())
        return INVALID_VALUE;
    used -= found->second;
    simt_forbid(memory, 1);
    allocations.erase(found);
    free(memory);
    return SUCCESS;
}

int cudaHostAlloc(void **memory, size_t bytes, unsigned) {
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    *memory = calloc(1, bytes + 1);
    pinned[(char *)*memory] = bytes;
    return SUCCESS;
}

int cudaFreeHost(void *memory) {
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    pinned.erase((char *)memory);
    free(memory);
    return SUCCESS;
}

int cudaMemsetAsync(void *to, int value, size_t bytes, void *stream) {
    if (!on_device(to, bytes))
        return INVALID_VALUE;
    return put(stream, [=] {
        if (value || !getenv("SIMT_KEEP_POISON"))
            memset(to, value, bytes);
        return (int)SUCCESS;
    });
}

int cudaMemset(void *to, int value, size_t bytes) {
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    drain_blocking();
    return cudaMemsetAsync(to, value, bytes, nullptr);
}

/* What is not pinned is put aside first; a copy of what is sees all that happens to that until it is its turn. */
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
    if (kind != 1 || is_in(pinned, from, bytes))
        return put(stream, [=] { return copy(to, from, bytes, kind); });
    std::vector<char> aside((const char *)from, (const char *)from + bytes);
    return put(stream, [=] { return copy(to, aside.data(), bytes, kind); });
}

int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) {
    if (capturing())
        return CAPTURE_UNSUPPORTED;
    drain_blocking();
    cudaMemcpyAsync(to, from, bytes, kind, nullptr);
    return kind == 1 && !is_in(pinned, from, bytes) ? failure : drain(&legacy);
}

int cudaStreamCreateWithFlags(void **stream, unsigned flags) {
    Stream *made = new Stream();
    made->blocking = !(flags & 1);
    streams.push_back(made);
    *stream = made;
    return SUCCESS;
}

int cudaStreamDestroy(void *handle) {
    Stream *stream = (Stream *)handle;
    drain(stream);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == stream)
            streams.erase(streams.begin() + (long)i);
    delete stream;
    return SUCCESS;
}

int cudaStreamSynchronize(void *stream) {
    if (stream_of(stream)->capture || stream_of(stream)->broken)
        return stream_of(stream)->broken ? CAPTURE_INVALIDATED : CAPTURE_UNSUPPORTED;
    return drain(stream_of(stream));
}

int cudaDeviceSynchronize() {
    drain_blocking();
    for (Stream *stream : streams)
        drain(stream);
    return failure;
}

int cudaEventCreateWithFlags(void **event, unsigned flags) {
    *event = new Event();
    ((Event *)*event)->timed = !(flags & 2);
    return SUCCESS;
}

int cudaEventElapsedTime(float *milliseconds, void *begin, void *end) {
    Event *a = (Event *)begin, *b = (Event *)end;
    if (!a->timed || !b->timed || !a->stream || !b->stream)
        return INVALID_HANDLE;
    *milliseconds = (float)(b->milliseconds - a->milliseconds);
    return a->reached && b->reached ? SUCCESS : NOT_READY;
}

int cudaEventDestroy(void *event) {
    delete (Event *)event;
    return SUCCESS;
}

int cudaEventRecord(void *handle, void *stream) {
    Event *event = (Event *)handle;
    event->stream = stream_of(stream);
    event->capture = event->stream->capture;
    event->last = event->stream->last;
    if (event->stream->broken)
        return CAPTURE_INVALIDATED;
    if (event->capture)
        return SUCCESS;
    event->reached = false;
    return put(stream, [=] {
        event->reached = true;
        event->milliseconds = 1e3 * (double)clock() / CLOCKS_PER_SEC + later;
        return (int)SUCCESS;
    });
}

/* In a capture the other stream joins the graph. */
int cudaStreamWaitEvent(void *handle, void *waited, unsigned) {
    Event *event = (Event *)waited;
    Stream *stream = stream_of(handle);
    if (stream->broken)
        return CAPTURE_INVALIDATED;
    if (event->capture && event->stream->capture == event->capture) {
        if (stream->capture != event->capture)
            stream->last.clear();
        stream->capture = event->capture;
        stream->last.insert(event->last.begin(), event->last.end());
        return SUCCESS;
    }
    return put(handle, [=] {
        while (!event->reached && event->stream && !event->stream->waiting.empty()) {
            Operation operation = event->stream->waiting.front();
            event->stream->waiting.pop_front();
            note(operation());
        }
        return failure;
    });
}

int cudaLibraryLoadData(void **library, const void *image, void *, void **, unsigned, void *, void **, unsigned) {
    size_t size = image_size((const unsigned char *)image);
    char path[] = "/tmp/simt-module-XXXXXX";
    int descriptor = size ? mkstemp(path) : -1;
    if (descriptor < 0)
        return INVALID_IMAGE;
    bool written = write(descriptor, image, size) == (ssize_t)size;
    close(descriptor);
    SimtModule *module = written ? simt_module_open(path) : nullptr;
    unlink(path);
    if (!module) {
        fprintf(stderr, "fake cudart: %s\n", simt_message());
        return INVALID_IMAGE;
    }
    *library = new Library{module};
    return SUCCESS;
}

int cudaLibraryUnload(void *handle) {
    Library *library = (Library *)handle;
    simt_module_close(library->module);
    delete library;
    return SUCCESS;
}

int cudaLibraryGetKernel(void **kernel, void *handle, const char *name) {
    Library *library = (Library *)handle;
    SimtKernel *found = simt_module_kernel(library->module, name);
    if (!found)
        return SYMBOL_NOT_FOUND;
    known.insert(found);
    *kernel = found;
    return SUCCESS;
}

int cudaLibraryGetGlobal(void **address, size_t *bytes, void *handle, const char *name) {
    *address = simt_module_symbol(((Library *)handle)->module, name);
    *bytes = 0;
    return *address ? SUCCESS : SYMBOL_NOT_FOUND;
}

int cudaFuncGetAttributes(void *, const void *kernel) {
    if (getenv("SIMT_OTHER_ARCH"))
        return NO_KERNEL_IMAGE;
    return known.count(kernel) ? SUCCESS : INVALID_VALUE;
}

/* The values of the arguments are copied now; all have 8 bytes. */
int cudaLaunchKernel(const void *kernel, Dim3 grid, Dim3 block, void **arguments, size_t shared, void *stream) {
    if (!known.count(kernel))
        return INVALID_VALUE;
    if (Graph *capture = stream_of(stream)->capture; capture && capture->invalid)
        return CAPTURE_INVALIDATED;
    if (Graph *capture = stream_of(stream)->capture; capture && !eager && !loaded.count(kernel)) {
        capture->invalid = true;
        return CAPTURE_UNSUPPORTED;
    }
    loaded.insert(kernel);
    SimtKernel *found = (SimtKernel *)kernel;
    std::vector<uint64_t> values;
    for (int i = 0; i < simt_kernel_argument_count(found); i++)
        values.push_back(*(const uint64_t *)arguments[i]);
    return put(stream, [=] {
        if (stream)
            drain(&legacy); /* what was put there before may end as late as now, when it is seen */
        return launch(found, grid, block, values, shared);
    });
}

/* Attributes are hints here. */
int cudaLaunchKernelExC(const Launch *launch, const void *kernel, void **arguments) {
    return cudaLaunchKernel(kernel, launch->grid, launch->block, arguments, launch->shared, launch->stream);
}
}
