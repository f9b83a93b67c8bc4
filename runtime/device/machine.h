/* machine.h: what the computer has. */
#ifndef NDARTS_RUNTIME_DEVICE_MACHINE_H
#define NDARTS_RUNTIME_DEVICE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the widest vectors worth compiling for: 64 (AVX-512), 32 (AVX2 with FMA), 16 otherwise. */
int machine_vector_bytes(void);
/* Instructions that multiply pairs of bf16 (AVX512-BF16). */
bool machine_has_bf16(void);
/* Cores this process may use. */
int machine_core_count(void);
/* Physical memory in bytes; 0 when unknown. */
uint64_t machine_memory_bytes(void);
/* What this process may have of it: less where it, or a control group that it is in, is limited. */
uint64_t machine_memory_limit(void);
/* "Intel(R) Xeon(R) ..."; writes "unknown" when the system does not say. */
void machine_processor_name(char *name, size_t size);

/* Single-precision operations per second that so many threads reach together with multiply-adds in registers (each counts
 * 2): measured, which takes a fifth of a second. */
double machine_measure_peak(int threads);

/* Makes the calling thread's arithmetic take numbers below the smallest normal one for zeros, and give zeros for them, as
 * instructions for bf16 do it: with this, other ways to compute the same have the same bits. Returns how it was, for
 * machine_restore_subnormals. */
unsigned machine_flush_subnormals(void);
void machine_restore_subnormals(unsigned before);

/* Pages of their own, zeroed, aligned to 64 bytes or more, huge pages where the system grants them. NULL when there is
 * no memory; size 0 gives a valid pointer. */
void *machine_pages_allocate(size_t size);
void machine_pages_free(void *pages, size_t size); /* NULL is allowed */

#endif
