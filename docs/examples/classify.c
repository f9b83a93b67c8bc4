/* classify.c: an image through a network that `ndartsc NET.nd --weights W.safetensors -o net.cubin` has made, with
 * nothing but the CUDA runtime: docs/modules.md and docs/cuda.md say how a module is built.
 *
 *     cc -O2 classify.c -o classify -lcudart        (add -L and -I of the CUDA toolkit where needed)
 *     ./classify net.cubin image.f32                 float32 numbers, N x C x H x W with N = 1, as the network wants them
 *
 * Prints the logits, the largest one last. The steps: find plan and weights in the file, allocate what the plan says,
 * put the weights where it says, in the order of axes it says, then launch its stages. */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of the CUDA runtime; #include <cuda_runtime_api.h> says the same. */
typedef struct dim3 {
    unsigned x, y, z;
} dim3;
int cudaMalloc(void **memory, size_t bytes);
int cudaMemset(void *memory, int value, size_t bytes);
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind); /* 1: to the device, 2: from it */
int cudaLibraryLoadData(void **library, const void *image, void *, void *, unsigned, void *, void *, unsigned);
int cudaLibraryGetKernel(void **kernel, void *library, const char *name);
int cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream);
int cudaDeviceSynchronize(void);
const char *cudaGetErrorString(int status);

static void check(int status, const char *what) {
    if (status == 0)
        return;
    fprintf(stderr, "classify: %s: %s\n", what, cudaGetErrorString(status));
    exit(2);
}

static void die(const char *what) {
    fprintf(stderr, "classify: %s\n", what);
    exit(1);
}

/* ---- JSON: a value is a pointer to its text ---- */

static const char *skip_space(const char *p) {
    return p + strspn(p, " \t\r\n");
}

/* Behind the value at p. */
static const char *skip_value(const char *p) {
    int depth = 0;
    do {
        p = skip_space(p);
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++)
                p += *p == '\\';
            p++;
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            depth--;
            p++;
        } else if (*p == ',' || *p == ':') {
            p++;
        } else {
            p += strcspn(p, ",]} \t\r\n");
        }
    } while (depth > 0 && *p);
    return p;
}

/* Item number i of a list, or NULL. */
static const char *item(const char *list, int i) {
    const char *p = skip_space(list + 1);
    for (; *p && *p != ']'; p = skip_space(p)) {
        if (i-- == 0)
            return p;
        p = skip_space(skip_value(p));
        p += *p == ',';
    }
    return NULL;
}

/* The value of a key of an object, or NULL. */
static const char *member(const char *object, const char *key) {
    size_t length = strlen(key);
    const char *p = skip_space(object + 1);
    while (*p == '"') {
        const char *name = p + 1, *value = skip_space(skip_value(p));
        value = skip_space(value + 1);
        if (strncmp(name, key, length) == 0 && name[length] == '"')
            return value;
        p = skip_space(skip_value(value));
        p += *p == ',';
        p = skip_space(p);
    }
    return NULL;
}

static const char *need(const char *object, const char *key) {
    const char *value = member(object, key);
    if (!value)
        die(key);
    return value;
}

static long long number(const char *object, const char *key) {
    return strtoll(need(object, key), NULL, 10);
}

static int is_word(const char *value, const char *word) {
    return *value == '"' && strncmp(value + 1, word, strlen(word)) == 0 && value[1 + strlen(word)] == '"';
}

/* ---- the file ---- */

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        die(path);
    bytes[*size] = '\0';
    fclose(file);
    return bytes;
}

/* What lies behind a symbol: 8 bytes that say what it is, 8 bytes of length, the contents. */
static char *symbol(char *file, const char *name, size_t *length) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header->e_shoff);
    for (int s = 0; s < header->e_shnum; s++) {
        const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[s].sh_offset);
        const char *names = file + sections[sections[s].sh_link].sh_offset;
        for (size_t i = 0; sections[s].sh_type == SHT_SYMTAB && i < sections[s].sh_size / sizeof *symbols; i++) {
            if (strcmp(names + symbols[i].st_name, name) != 0)
                continue;
            const Elf64_Shdr *section = &sections[symbols[i].st_shndx];
            char *at = file + section->sh_offset + (symbols[i].st_value - section->sh_addr);
            uint64_t bytes;
            memcpy(&bytes, at + 8, 8);
            *length = bytes;
            return at + 16;
        }
    }
    return NULL;
}

/* ---- weights ---- */

enum { MOST_AXES = 6 };

/* From row-major to the order of axes that the plan gives, outermost first. */
static void reorder(const char *tensor, const float *from, float *to) {
    long long shape[MOST_AXES], stride[MOST_AXES], index[MOST_AXES] = {0}, count = 1;
    int order[MOST_AXES], rank = 0;
    for (const char *p; (p = item(need(tensor, "shape"), rank)); rank++) {
        shape[rank] = strtoll(p, NULL, 10);
        order[rank] = (int)strtoll(item(need(tensor, "order"), rank), NULL, 10);
        count *= shape[rank];
    }
    for (long long step = 1, i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape[i];
    }
    for (long long n = 0; n < count; n++) {
        long long at = 0;
        for (int i = 0; i < rank; i++)
            at += index[i] * stride[i];
        to[n] = from[at];
        for (int i = rank - 1; i >= 0 && ++index[order[i]] == shape[order[i]]; i--)
            index[order[i]] = 0;
    }
}

static long long count_elements(const char *tensor) {
    long long count = 1;
    const char *p;
    for (int i = 0; (p = item(need(tensor, "shape"), i)); i++)
        count *= strtoll(p, NULL, 10);
    return count;
}

/* Every parameter of the plan, by its name, from the safetensors file inside of the module. */
static void set_weights(const char *plan, const char *weights, char *state) {
    uint64_t header;
    const char *param;
    memcpy(&header, weights, 8);
    for (int i = 0; (param = item(need(plan, "params"), i)); i++) {
        char name[512];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(need(param, "name") + 1, "\""), need(param, "name") + 1);
        const char *entry = need(weights + 8, name);
        long long count = count_elements(param);
        const char *begin = weights + 8 + header + strtoll(item(need(entry, "data_offsets"), 0), NULL, 10);
        float *values = malloc(sizeof(float) * (size_t)count), *ordered = malloc(sizeof(float) * (size_t)count);
        memcpy(values, begin, sizeof(float) * (size_t)count);
        reorder(param, values, ordered);
        check(cudaMemcpy(state + number(param, "offset"), ordered, sizeof(float) * (size_t)count, 1), name);
        free(values);
        free(ordered);
    }
}

/* ---- running ---- */

typedef struct Device {
    char *state, *prepared, *work, *private_values, *input, *run;
    long long private_bytes, batch, chunks;
    void **kernels;
} Device;

static char *allocate(long long bytes) {
    void *memory;
    check(cudaMalloc(&memory, (size_t)bytes + 256), "out of memory");
    check(cudaMemset(memory, 0, (size_t)bytes + 256), "clearing memory");
    return memory;
}

static char *address(const Device *d, char place, long long offset) {
    return place == 's'   ? d->state + offset
           : place == 'r' ? d->prepared + offset
           : place == 'w' ? d->work + offset
           : place == 'p' ? d->private_values + offset
                          : d->input;
}

/* "3 i0 s256 #77 *images 4096 <4,7": kernel, buffers, constants, how many threads, which launches it waits for: here it
 * waits for all. Returns what is behind it. One call a launch. (Neighbours with one kernel could be started together, with a
 * row for each and grid.y of them.) */
static const char *launch(const Device *d, const char *step) {
    int64_t row[256];
    int count = 0;
    char *at;
    long kernel = strtol(step, &at, 10);
    while (*at == ' ' && at[1] != '*') {
        char place = at[1];
        long long number = strtoll(at + 2, &at, 10);
        row[count++] = place == '#' ? number : (int64_t)(intptr_t)address(d, place, number);
    }
    long long outer = at[2] == 'i' ? d->batch : at[2] == 'c' ? d->chunks : 1;
    long long threads = strtoll(at + 2 + strcspn(at + 2, " "), &at, 10) * outer;
    char *rows = allocate((long long)sizeof row);
    check(cudaMemcpy(rows, row, sizeof row, 1), "copying a row");
    void *arguments[] = {&rows, (void *)&d->run, (void *)&d->private_bytes};
    dim3 grid = {(unsigned)((threads + 255) / 256), 1, 1}, block = {256, 1, 1};
    grid.x = grid.x ? grid.x : 1;
    check(cudaLaunchKernel(d->kernels[kernel], grid, block, arguments, 0, NULL), "launching a kernel");
    return at + strcspn(at, ";\"");
}

static void run_stages(const Device *d, const char *stages) {
    const char *stage;
    for (int i = 0; (stage = item(stages, i)); i++) {
        const char *step = need(stage, "steps") + 1;
        while (*step && *step != '"') {
            step = launch(d, step);
            step += *step == ';';
        }
    }
}

static const char *find_graph(const char *plan, const char *name) {
    const char *graph;
    for (int i = 0; (graph = item(need(plan, "graphs"), i)); i++)
        if (is_word(need(graph, "name"), name))
            return graph;
    die("the module has no graph infer");
    return NULL;
}

static void open_device(Device *d, const char *plan, const char *graph, const char *file) {
    void *library;
    const char *kernel;
    int count = 0;
    d->batch = number(plan, "batch");
    d->chunks = number(plan, "chunks");
    d->private_bytes = (number(graph, "private_bytes") + 63) / 64 * 64;
    d->state = allocate(number(plan, "state_bytes"));
    d->prepared = allocate(number(plan, "prepared_bytes"));
    d->work = allocate(number(graph, "work_bytes"));
    d->private_values = allocate(d->private_bytes * d->batch);
    check(cudaLibraryLoadData(&library, file, NULL, NULL, 0, NULL, NULL, 0), "loading the module");
    while (item(need(plan, "kernels"), count))
        count++;
    d->kernels = calloc((size_t)count, sizeof *d->kernels);
    for (int i = 0; (kernel = item(need(plan, "kernels"), i)); i++) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(need(kernel, "name") + 1, "\""), need(kernel, "name") + 1);
        check(cudaLibraryGetKernel(&d->kernels[i], library, name), name);
    }
}

/* The run-time block: seed, step, image_base, batch, chunks, 16 numbers; inference needs the counts only. */
static void set_run_block(Device *d) {
    struct {
        uint64_t seed, step, image_base;
        int64_t batch, chunks;
        double scalar[16];
    } run = {.batch = 1, .chunks = d->chunks};
    d->run = allocate((long long)sizeof run);
    check(cudaMemcpy(d->run, &run, sizeof run, 1), "copying the run-time block");
}

/* The compiler's activations are N x H x W x C. */
static void set_input(Device *d, const char *graph, const char *path) {
    const char *shape = need(item(need(graph, "inputs"), 0), "shape");
    long long h = strtoll(item(shape, 1), NULL, 10), w = strtoll(item(shape, 2), NULL, 10),
              c = strtoll(item(shape, 3), NULL, 10);
    size_t size, bytes = sizeof(float) * (size_t)(h * w * c);
    const float *from = (const float *)read_file(path, &size);
    float *to = malloc(bytes);
    if (size < bytes)
        die("the image is too small for this network");
    for (long long y = 0; y < h; y++)
        for (long long x = 0; x < w; x++)
            for (long long k = 0; k < c; k++)
                to[(y * w + x) * c + k] = from[(k * h + y) * w + x];
    d->input = allocate((long long)bytes * d->batch);
    check(cudaMemcpy(d->input, to, bytes, 1), "copying the image");
}

static void print_logits(const Device *d, const char *graph) {
    const char *output = item(need(graph, "outputs"), 0);
    int classes = (int)strtoll(item(need(output, "shape"), 1), NULL, 10), best = 0;
    float *logits = malloc(sizeof(float) * (size_t)classes);
    const char *place = need(output, "place");
    char *from = (is_word(place, "work") ? d->work : d->prepared) + number(output, "offset");
    check(cudaMemcpy(logits, from, sizeof(float) * (size_t)classes, 2), "copying the logits");
    for (int i = 0; i < classes; i++) {
        printf("%d: %.6f\n", i, (double)logits[i]);
        best = logits[i] > logits[best] ? i : best;
    }
    printf("class %d\n", best);
}

int main(int argc, char **argv) {
    size_t size, plan_size, weights_size;
    Device d = {0};
    if (argc != 3)
        die("usage: classify net.cubin image.f32");
    char *file = read_file(argv[1], &size);
    char *plan = memcmp(file, ELFMAG, SELFMAG) == 0 ? symbol(file, "nd_plan", &plan_size) : NULL;
    char *weights = plan ? symbol(file, "nd_weights", &weights_size) : NULL;
    if (!plan || !weights)
        die("the module has no plan or no weights: ndartsc NET.nd --weights W.safetensors -o net.cubin");
    const char *graph = find_graph(plan, "infer");
    open_device(&d, plan, graph, file);
    set_weights(plan, weights, d.state);
    set_run_block(&d);
    set_input(&d, graph, argv[2]);
    run_stages(&d, need(graph, "prepare"));
    run_stages(&d, need(graph, "stages"));
    check(cudaDeviceSynchronize(), "running");
    print_logits(&d, graph);
    return 0;
}
