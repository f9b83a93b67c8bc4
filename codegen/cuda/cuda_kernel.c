/* cuda_kernel.c: what the schedules print alike. */
#include "codegen/cuda/cuda.h"

bool cuda_is_result(const CudaGroup *group, const CgBuffer *buffer) {
    for (int i = 0; i < group->step_count; i++)
        if (group->steps[i]->out == buffer)
            return true;
    return false;
}

const char *cuda_declare_buffer(const CudaKernel *k, int number) {
    const CgBuffer *buffer = k->p->buffers[number];
    char letter = buffer->place == PLACE_private ? 'p' : 'b';
    const char *constant = cuda_is_result(k->group, buffer) ? "" : "const ", *element = cg_c_element(buffer);
    return arena_printf(k->p->arena, "%s%s *const %c%d = (%s%s *)call[%d];", constant, element, letter, number,
                        constant, element, number);
}

void cuda_set_step(CudaKernel *k, int index) {
    cg_c_set_step(k->p, k->group->steps[index], k->int_base[index]);
}

void cuda_print_private_bases(const CudaKernel *k) {
    CgPrinter *p = k->p;
    for (int i = 0; i < p->buffer_count; i++) {
        const CgBuffer *buffer = p->buffers[i];
        const char *constant = cuda_is_result(k->group, buffer) ? "" : "const ", *element = cg_c_element(buffer);
        if (buffer->place == PLACE_private)
            cg_c_line(p, "%s%s *const b%d = (%s%s *)((%schar *)p%d + image * private_bytes);", constant, element, i,
                      constant, element, constant, i);
    }
}

/* 32-bit divisions, where they are enough, are a quarter of the code. */
void cuda_print_chunk(CgPrinter *p, const char *first, int step) {
    const char *type = p->index_type;
    if (p->of_ranks) {
        cg_c_line(p, "const int64_t end = nd_chunk_begin(run, (int64_t)chunk + 1);");
        cg_c_open(p, "for (int64_t image = nd_chunk_begin(run, chunk)%s; image < end; image += %d)", first, step);
        return;
    }
    cg_c_line(p, "const %s images = (%s)run->batch, chunks = (%s)run->chunks, end = ((%s)chunk + 1) * images / chunks;",
              type, type, type, type);
    cg_c_open(p, "for (int64_t image = (%s)chunk * images / chunks%s; image < end; image += %d)", type, first, step);
}

/* Unsigned numbers are divided by half the instructions. */
const char *cuda_open_items(CgPrinter *p, int64_t count) {
    if (count <= CUDA_BLOCK_THREADS) {
        if (count < CUDA_BLOCK_THREADS)
            cg_c_open(p, "if (threadIdx.x < %lld)", (long long)count);
        else
            cg_c_open(p, "%s", "");
        return "threadIdx.x";
    }
    cg_c_line(p, "_Pragma(\"unroll 1\")");
    cg_c_open(p, "for (unsigned e = threadIdx.x; e < %lld; e += %d)", (long long)count, CUDA_BLOCK_THREADS);
    return "e";
}
