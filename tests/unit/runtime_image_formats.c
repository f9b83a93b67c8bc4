/* runtime_image_formats.c: every format of pictures against what Pillow decodes (tests/data/images/make.py), cut off
 * after every byte, and lying about its size. */
#include "base/arena.h"
#include "base/str.h"
#include "runtime/data/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {
    "small.lossy.webp", "small.rgb.webp",      "small.rgb_first.webp", "small.few.gif", "small.few_first.gif",
    "small.rgb.tif",    "small.rgb_tiles.tif", "small.rgb_planes.tif", "small.few.tif", "small.ink.tif",
    "small.turned.tif", "small.bits.tif",      "small.rgb.bmp",        "small.few.bmp", "small.bits.bmp",
    "small.words.bmp",  "small.rgb.ppm",       "small.grey.pgm"};
enum { COUNT = sizeof names / sizeof names[0] };

static const SourceFile *file_of(Arena *arena, const char *name) {
    Error error = {ERROR_NONE, ""};
    const SourceFile *file =
        source_read(arena, arena_printf(arena, "%s/tests/data/images/%s", NDARTS_SOURCE_DIR, name), &error);
    if (!file)
        fail_msg("%s", error.message);
    return file;
}

static bool decode(const SourceFile *file, size_t size, Image *image, Error *error) {
    /* a copy of its own: a look beyond the end is found by the sanitizers */
    uint8_t *bytes = malloc(size + !size);
    memcpy(bytes, file->text, size);
    bool good = image_decode(file->path, bytes, size, image, error);
    free(bytes);
    return good;
}

static bool can_read(const char *name) {
    const char *package;
    return image_suffix(name, &package) == IMAGE_SUFFIX_read;
}

/* "small.rgb_tiles.tif" shows what "small.rgb.png" does. */
static void test_as_pillow(void **state) {
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        Arena *arena = arena_create();
        Error error = {ERROR_NONE, ""};
        Image image, expected;
        size_t stem = strcspn(names[i] + 6, "_.") + 6;
        const SourceFile *file = file_of(arena, names[i]);
        const SourceFile *png = file_of(arena, arena_printf(arena, "%.*s.png", (int)stem, names[i]));
        if (can_read(names[i])) {
            if (!decode(file, file->size, &image, &error) || !decode(png, png->size, &expected, &error))
                fail_msg("%s", error.message);
            assert_int_equal(image.height, expected.height);
            assert_int_equal(image.width, expected.width);
            size_t count = (size_t)image.height * (size_t)image.width * IMAGE_CHANNELS;
            if (memcmp(image.pixels, expected.pixels, count) != 0)
                fail_msg("%s: other pixels than Pillow's", names[i]);
            image_free(&image);
            image_free(&expected);
        }
        arena_destroy(arena);
    }
}

/* A file that ends too early is broken, and said to be; only what stands after the pixels may be missing. */
static void test_cut_off(void **state) {
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        Arena *arena = arena_create();
        const SourceFile *file = file_of(arena, names[i]);
        int read = 0;
        for (size_t size = 0; can_read(names[i]) && size < file->size; size++) {
            Error error = {ERROR_NONE, ""};
            Image image;
            bool good = decode(file, size, &image, &error);
            read += good;
            if (!good && (error.kind != ERROR_INPUT || !strstr(error.message, names[i]) || image.pixels))
                fail_msg("%s, %zu bytes: kind %d, %s", names[i], size, (int)error.kind, error.message);
            if (good && size < file->size / 3)
                fail_msg("%s: read though only %zu bytes are there", names[i], size);
            image_free(&image);
        }
        if (read > 1 && !str_ends_with(names[i], ".tif") && !strstr(names[i], "_first"))
            fail_msg("%s: read %d times though bytes are missing", names[i], read);
        arena_destroy(arena);
    }
}

static void expect_message(const char *bytes, size_t size, const char *said) {
    Error error = {ERROR_NONE, ""};
    Image image;
    assert_false(image_decode("it", (const uint8_t *)bytes, size, &image, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    if (!strstr(error.message, said))
        fail_msg("expected \"%s\", found \"%s\"", said, error.message);
}

static void test_hostile(void **state) {
    (void)state;
    static const char bmp[] = "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\1\0\x18\0"
                              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    static const char turned[] = "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\0\0\0\x80\1\0\x18\0"
                                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    static const char packed[] = "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x08\0"
                                 "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    expect_message(bmp, sizeof bmp, "2147483647 x 2147483647 pixels");
    expect_message(turned, sizeof turned, "2147483648 x 1 pixels");
    expect_message(packed, sizeof packed, "a compressed BMP file (kind 1)");
    expect_message("P6 99999999999 1 255 ", 21, "broken PNM");
    expect_message("P6 20000 20000 255 ", 19, "20000 x 20000 pixels");
    expect_message("P5 2 2 0 abcd", 13, "broken PNM");
    expect_message("P5 2 2 255 abc", 14, "the file is cut off");
    expect_message("", 0, "an empty file");
    expect_message("hello", 5, "no picture: read are JPEG, PNG, WebP");
    expect_message("\0\0\0\x1c"
                   "ftypavif",
                   12, "an AVIF picture, which is not read");
    expect_message("<svg>", 5, "an SVG, XML or HTML text");
}

static void test_suffixes(void **state) {
    (void)state;
    const char *package;
    static const char *const known[] = {"a.jpg", "A.JPEG", "x.y.Png", "ü.WEBP", "a.tif", "b.tiff", "c.gif", "d.bmp"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_not_equal(image_suffix(known[i], &package), IMAGE_SUFFIX_unknown);
    static const char *const unknown[] = {"png", "a.pn", "a.png.", "a.pngx", "a.", "a.heic", "a.jpg ", "a. "};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        if (image_suffix(unknown[i], &package) != IMAGE_SUFFIX_unknown)
            fail_msg("'%s' is taken for a picture", unknown[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pillow),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_suffixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
