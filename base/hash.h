/* hash.h: the hashes and the counter-based random numbers everything agrees on. */
#ifndef NDARTS_BASE_HASH_H
#define NDARTS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bit. */
uint64_t hash_fnv1a(const void *data, size_t size);
uint64_t hash_string(const char *text);
/* 32 bytes of SHA-256 as 64 hexadecimal digits and a zero byte: the name of a cache entry. */
void hash_sha256_hex(const void *data, size_t size, char out[65]);

/* The checksum CRC-32C (Castagnoli), as iSCSI and TFRecord have it. */
uint32_t hash_crc32c(const void *data, size_t size);

/* Philox 4x32-10 (Salmon et al., SC 2011): four 32-bit words from a 128-bit counter and a 64-bit key. */
typedef struct PhiloxBlock {
    uint32_t word[4];
} PhiloxBlock;
PhiloxBlock philox_4x32_10(PhiloxBlock counter, uint64_t key);

/* The draw named by (seed, stream, step, image, element), as contracts.md defines it: key = seed, counter =
 * (element within the image, global image index in the epoch, hash of the stream's name folded to 32 bits, step).
 * Uniform in [0, 1): the first word's upper 24 bits / 2^24. */
uint32_t draw_stream_hash(const char *stream); /* low 32 bits xor high 32 bits of hash_string */
double draw_uniform(uint64_t seed, uint32_t stream_hash, uint32_t step, uint32_t image, uint32_t element);
/* Standard normal by Box-Muller from words 0 and 1: sqrt(-2 log(u1)) cos(2 pi u2), u1 in (0, 1]. */
double draw_normal(uint64_t seed, uint32_t stream_hash, uint32_t step, uint32_t image, uint32_t element);

#endif
