/* base_hash.c: published test vectors, and the draws against the C library. */
#include "base/hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_fnv1a(void **state) {
    (void)state;
    assert_true(hash_string("") == 0xcbf29ce484222325u);
    assert_true(hash_string("a") == 0xaf63dc4c8601ec8cu);
    assert_true(hash_string("foobar") == 0x85944171f73967e8u);
    assert_true(hash_fnv1a("foobar", 6) == hash_string("foobar"));
}

static void expect_sha256(const char *text, size_t size, const char *expected) {
    char hex[65];
    hash_sha256_hex(text, size, hex);
    assert_string_equal(hex, expected);
}

static void test_sha256(void **state) {
    (void)state;
    expect_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    expect_sha256(two_blocks, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    expect_sha256(million, sizeof million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    expect_sha256(million, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    expect_sha256(million, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
}

static void test_crc32c(void **state) {
    (void)state;
    static const unsigned char zeros[32]; /* RFC 3720, B.4 */
    assert_true(hash_crc32c("123456789", 9) == 0xe3069283u);
    assert_true(hash_crc32c(zeros, sizeof zeros) == 0x8a9136aau);
    assert_true(hash_crc32c("", 0) == 0);
}

static void expect_philox(PhiloxBlock counter, uint64_t key, PhiloxBlock expected) {
    PhiloxBlock found = philox_4x32_10(counter, key);
    for (int i = 0; i < 4; i++)
        assert_int_equal(found.word[i], expected.word[i]);
}

/* The known answers that come with Random123. */
static void test_philox(void **state) {
    (void)state;
    expect_philox((PhiloxBlock){{0, 0, 0, 0}}, 0, (PhiloxBlock){{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
    expect_philox((PhiloxBlock){{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff,
                  (PhiloxBlock){{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
    expect_philox((PhiloxBlock){{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822,
                  (PhiloxBlock){{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

static PhiloxBlock block_of(uint32_t element) {
    return philox_4x32_10((PhiloxBlock){{element, 3, draw_stream_hash("noise.x"), 1}}, 7);
}

/* The words of the block, spelled out, by the formulas of the contract. */
static void test_draws_follow_their_definition(void **state) {
    (void)state;
    uint64_t whole = hash_string("noise.x");
    uint32_t stream = draw_stream_hash("noise.x");
    assert_int_equal(stream, (uint32_t)whole ^ (uint32_t)(whole >> 32));
    for (uint32_t element = 0; element < 100000; element++) {
        PhiloxBlock block = block_of(element);
        double uniform = draw_uniform(7, stream, 1, 3, element);
        assert_true(uniform == (block.word[0] >> 8) / 16777216.0);
        assert_true(uniform >= 0 && uniform < 1);
        double u1 = ((block.word[0] >> 8) + 1) / 16777216.0, u2 = (block.word[1] >> 8) / 16777216.0;
        double expected = sqrt(-2 * log(u1)) * cos(2 * 3.14159265358979323846 * u2);
        assert_true(fabs(draw_normal(7, stream, 1, 3, element) - expected) < 1e-6);
    }
}

static void test_normal_moments(void **state) {
    (void)state;
    enum { COUNT = 400000 };
    uint32_t stream = draw_stream_hash("noise.cells.0._ops.0");
    double sum = 0, square = 0, cube = 0, fourth = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        double z = draw_normal(1, stream, i / 1000, i % 10, i);
        sum += z;
        square += z * z;
        cube += z * z * z;
        fourth += z * z * z * z;
    }
    assert_true(fabs(sum / COUNT) < 0.01);
    assert_true(fabs(square / COUNT - 1) < 0.01);
    assert_true(fabs(cube / COUNT) < 0.03);
    assert_true(fabs(fourth / COUNT - 3) < 0.1);
}

/* Every part of the name matters. */
static void test_draws_differ(void **state) {
    (void)state;
    double one = draw_uniform(1, 2, 3, 4, 5);
    assert_true(one == draw_uniform(1, 2, 3, 4, 5));
    assert_true(one != draw_uniform(0, 2, 3, 4, 5));
    assert_true(one != draw_uniform((uint64_t)1 << 32 | 1, 2, 3, 4, 5));
    assert_true(one != draw_uniform(1, 0, 3, 4, 5));
    assert_true(one != draw_uniform(1, 2, 0, 4, 5));
    assert_true(one != draw_uniform(1, 2, 3, 0, 5));
    assert_true(one != draw_uniform(1, 2, 3, 4, 0));
}

/* The same bits on every processor and from every compiler. */
static void test_normal_bits(void **state) {
    (void)state;
    const double expected[4] = {0x1.b22288p-2, -0x1.0e95fep-1, -0x1.942e66p+0, -0x1.1d17c4p+0};
    uint32_t stream = draw_stream_hash("noise.cells.0._ops.0");
    for (uint32_t i = 0; i < 4; i++)
        assert_true(draw_normal(7, stream, 3, i, i) == expected[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fnv1a),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_draws_follow_their_definition),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_draws_differ),
        cmocka_unit_test(test_normal_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
