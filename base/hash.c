/* hash.c: FNV-1a for tables, SHA-256 (FIPS 180-4) for names of cache entries, Philox for draws. */
#include "base/hash.h"

#include "base/normal.h"

#include <math.h>
#include <string.h>

uint64_t hash_fnv1a(const void *data, size_t size) {
    const unsigned char *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

uint64_t hash_string(const char *text) {
    return hash_fnv1a(text, strlen(text));
}

/* Bit by bit, lowest first: what is summed is small. */
uint32_t hash_crc32c(const void *data, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= ((const unsigned char *)data)[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, int count) {
    return (x >> count) | (x << (32 - count));
}

static void sha256_expand(uint32_t schedule[64], const unsigned char block[64]) {
    for (int i = 0; i < 16; i++) {
        const unsigned char *b = block + 4 * i;
        schedule[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = schedule[i - 15], b = schedule[i - 2];
        uint32_t s0 = rotate_right(a, 7) ^ rotate_right(a, 18) ^ (a >> 3);
        uint32_t s1 = rotate_right(b, 17) ^ rotate_right(b, 19) ^ (b >> 10);
        schedule[i] = schedule[i - 16] + s0 + schedule[i - 7] + s1;
    }
}

/* One round: of the eight words only d and h change; which word plays which part moves on by one every round. */
static void sha256_round(uint32_t v[8], int i, uint32_t addend) {
    uint32_t a = v[-i & 7], b = v[(1 - i) & 7], c = v[(2 - i) & 7], *d = &v[(3 - i) & 7];
    uint32_t e = v[(4 - i) & 7], f = v[(5 - i) & 7], g = v[(6 - i) & 7], *h = &v[(7 - i) & 7];
    uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    uint32_t first = *h + s1 + ((e & f) ^ (~e & g)) + addend;
    uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    *d += first;
    *h = first + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void sha256_block(uint32_t state[8], const unsigned char block[64]) {
    uint32_t schedule[64], v[8];
    sha256_expand(schedule, block);
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i += 8)
        for (int j = 0; j < 8; j++) /* unrolled by the compiler, so that the words are registers */
            sha256_round(v, j, sha256_constants[i + j] + schedule[i + j]);
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

/* The rest of the message, a one bit, zeros, and the length in bits as 64 big-endian bits: one or two blocks. */
static void sha256_finish(uint32_t state[8], const unsigned char *rest, size_t rest_size, uint64_t size) {
    unsigned char tail[128] = {0};
    size_t tail_size = rest_size < 56 ? 64 : 128;
    if (rest_size)
        memcpy(tail, rest, rest_size);
    tail[rest_size] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[tail_size - 1 - (size_t)i] = (unsigned char)(size * 8 >> (8 * i));
    for (size_t i = 0; i < tail_size; i += 64)
        sha256_block(state, tail + i);
}

void hash_sha256_hex(const void *data, size_t size, char out[65]) {
    const unsigned char *bytes = data;
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t whole = size / 64 * 64;
    for (size_t i = 0; i < whole; i += 64)
        sha256_block(state, bytes + i);
    sha256_finish(state, bytes + whole, size - whole, size);
    for (int i = 0; i < 64; i++)
        out[i] = "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    out[64] = '\0';
}

PhiloxBlock philox_4x32_10(PhiloxBlock counter, uint64_t key) {
    uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
    uint32_t *c = counter.word;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        PhiloxBlock next = {
            {(uint32_t)(p1 >> 32) ^ c[1] ^ key0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ key1, (uint32_t)p0}};
        counter = next;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

uint32_t draw_stream_hash(const char *stream) {
    uint64_t hash = hash_string(stream);
    return (uint32_t)hash ^ (uint32_t)(hash >> 32);
}

static PhiloxBlock draw_block(uint64_t seed, uint32_t stream_hash, uint32_t step, uint32_t image, uint32_t element) {
    return philox_4x32_10((PhiloxBlock){{element, image, stream_hash, step}}, seed);
}

double draw_uniform(uint64_t seed, uint32_t stream_hash, uint32_t step, uint32_t image, uint32_t element) {
    return (double)(draw_block(seed, stream_hash, step, image, element).word[0] >> 8) * 0x1p-24;
}

/* normal.h has the formulas of the next two. */
static float normal_log(float u) {
    uint32_t bits;
    memcpy(&bits, &u, sizeof bits);
    bits += NORMAL_LOG_BIAS;
    float exponent = (float)((int32_t)(bits >> 23) - 127);
    bits = (bits & 0x7fffffu) + NORMAL_LOG_HALF;
    float mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    float f = mantissa - 1.0f, p = 0.0f;
#define HORNER(coefficient) p = fmaf(p, f, coefficient);
    NORMAL_LOG_COEFFICIENTS(HORNER)
#undef HORNER
    return fmaf(exponent, NORMAL_LN2, fmaf(f * f, p, f));
}

static float normal_cos_turns(float u) {
    float w = fabsf(u - 0.5f) - 0.25f, x = w * w, q = 0.0f;
#define HORNER(coefficient) q = fmaf(q, x, coefficient);
    NORMAL_SIN_COEFFICIENTS(HORNER)
#undef HORNER
    return w * q;
}

double draw_normal(uint64_t seed, uint32_t stream_hash, uint32_t step, uint32_t image, uint32_t element) {
    PhiloxBlock block = draw_block(seed, stream_hash, step, image, element);
    float u1 = (float)((block.word[0] >> 8) + 1) * 0x1p-24f;
    float u2 = (float)(block.word[1] >> 8) * 0x1p-24f;
    return (double)(sqrtf(normal_log(u1) * -2.0f) * normal_cos_turns(u2));
}
