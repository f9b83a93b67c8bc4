/* base_tensor_file.c: safetensors and npy, whole and broken; atomic writes. */
#include "base/file.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/str.h"
#include "base/tensor_file.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static Arena *arena;
static char folder[] = "tensor_file.XXXXXX";

static int enter_folder(void **state) {
    (void)state;
    arena = arena_create();
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
    (void)state;
    arena_destroy(arena);
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory));)
        unlink(entry->d_name);
    closedir(directory);
    return chdir("..") == 0 ? rmdir(folder) : -1;
}

static int count_files(void) {
    int count = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void write_bytes(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static char *read_bytes(const char *path, size_t *size) {
    Error error = {0};
    SourceFile *file = source_read(arena, path, &error);
    assert_non_null(file);
    *size = file->size;
    return (char *)file->text;
}

static float weight[6] = {1, -2, 3.5f, 0, 1e-30f, INFINITY};
static uint8_t flags[3] = {1, 0, 255};
static int64_t labels[2] = {-5, 9};

static TensorFile sample_file(void) {
    TensorFile file = {.metadata = "{\"epoch\":\"3\",\"a\":\"b\"}"};
    tensor_file_add(arena, &file, (Tensor){"flags", TENSOR_u8, 1, {3}, flags});
    tensor_file_add(arena, &file, (Tensor){"op.1.weight", TENSOR_f32, 2, {2, 3}, weight});
    tensor_file_add(arena, &file, (Tensor){"labels", TENSOR_i64, 1, {2}, labels});
    tensor_file_add(arena, &file, (Tensor){"empty", TENSOR_f32, 2, {4, 0}, NULL});
    tensor_file_add(arena, &file, (Tensor){"scalar", TENSOR_f32, 0, {0}, weight});
    return file;
}

static void test_safetensors_round_trip(void **state) {
    (void)state;
    Error error = {0};
    TensorFile written = sample_file(), file;
    assert_true(safetensors_write("a.safetensors", &written, &error));
    assert_true(safetensors_read(arena, "a.safetensors", &file, &error));
    assert_int_equal(file.count, 5);
    assert_string_equal(file.metadata, written.metadata);
    for (size_t i = 0; i < written.count; i++) {
        const Tensor *expected = &written.tensors[i], *found = tensor_find(&file, expected->name);
        assert_non_null(found);
        assert_int_equal(found->type, expected->type);
        assert_int_equal(found->rank, expected->rank);
        assert_memory_equal(found->shape, expected->shape, sizeof(int64_t) * (size_t)found->rank);
        assert_int_equal((uintptr_t)found->data % tensor_type_size(found->type), 0);
        assert_memory_equal(found->data, expected->data, (size_t)tensor_count(found) * tensor_type_size(found->type));
    }
    assert_null(tensor_find(&file, "absent"));
}

static void test_safetensors_without_tensors(void **state) {
    (void)state;
    Error error = {0};
    TensorFile none = {0}, file;
    assert_true(safetensors_write("none.safetensors", &none, &error));
    assert_true(safetensors_read(arena, "none.safetensors", &file, &error));
    assert_int_equal(file.count, 0);
    assert_null(file.metadata);
}

/* A file of this header and so many bytes of data. */
static void write_safetensors(const char *header, size_t data_size) {
    Str s = str_create(arena);
    uint64_t length = strlen(header);
    str_add_bytes(&s, (const char *)&length, 8);
    str_add(&s, header);
    for (size_t i = 0; i < data_size; i++)
        str_add_bytes(&s, "\1", 1);
    write_bytes("bad.safetensors", s.data, s.length);
}

static void expect_refused(const char *header, size_t data_size, const char *message) {
    Error error = {0};
    TensorFile file;
    write_safetensors(header, data_size);
    assert_false(safetensors_read(arena, "bad.safetensors", &file, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, message);
}

#define ENTRY(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define BAD "bad.safetensors: "

static void test_safetensors_bad_entries(void **state) {
    (void)state;
    expect_refused("[]", 0, BAD "the header is not a JSON object");
    expect_refused("{\"a\":3}", 0, BAD "the entry of tensor 'a' is not an object");
    expect_refused("{\"a\":{}}", 0, BAD "tensor 'a' has no dtype");
    expect_refused("{\"a\":{\"dtype\":\"F32\"}}", 0, BAD "tensor 'a' has no shape");
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, BAD "tensor 'a' has no data_offsets of two integers");
    expect_refused("{\"a\":" ENTRY("F8_E4M3", "[1]", "[0,1]") "}", 1,
                   BAD "tensor 'a' has dtype 'F8_E4M3'; expected F32, F64, F16, BF16, I64, I32, U8 or BOOL");
    expect_refused("{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4,
                   BAD "tensor 'a' has 9 dimensions; at most 8 are possible");
    expect_refused("{\"a\":" ENTRY("F32", "[-1]", "[0,4]") "}", 4,
                   BAD "dimension 0 of tensor 'a' is not a non-negative integer");
    expect_refused("{\"a\":" ENTRY("F32", "[1.5]", "[0,4]") "}", 4,
                   BAD "dimension 0 of tensor 'a' is not a non-negative integer");
    expect_refused("{\"a\":" ENTRY("F32", "[4294967296,4294967296,4]", "[0,0]") "}", 0,
                   BAD "the size of tensor 'a' is too big");
    expect_refused("{\"__metadata__\":{\"a\":1}}", 0, BAD "__metadata__ is not an object of strings");
}

static void test_safetensors_bad_extents(void **state) {
    (void)state;
    expect_refused("{\"a\":" ENTRY("F32", "[2]", "[0,4]") "}", 4,
                   BAD "tensor 'a' has 4 bytes of data; its dtype and shape need 8");
    expect_refused("{\"a\":" ENTRY("F32", "[2]", "[0,8]") "}", 4,
                   BAD "tensor 'a' has data_offsets [0, 8], outside the 4 bytes of data");
    expect_refused("{\"a\":" ENTRY("F32", "[2]", "[8,0]") "}", 8,
                   BAD "tensor 'a' has data_offsets [8, 0], outside the 8 bytes of data");
    expect_refused("{\"a\":" ENTRY("F32", "[2]", "[-8,0]") "}", 8,
                   BAD "tensor 'a' has data_offsets [-8, 0], outside the 8 bytes of data");
    expect_refused("{\"a\":" ENTRY("U8", "[3]", "[0,3]") ",\"b\":" ENTRY("U8", "[2]", "[2,4]") "}", 4,
                   BAD "the data of tensors 'a' and 'b' overlap");
    expect_refused("{\"a\":" ENTRY("U8", "[1]", "[0,1]") ",\"b\":" ENTRY("U8", "[2]", "[2,4]") "}", 4,
                   BAD "1 bytes before the data of tensor 'b' belong to no tensor");
    expect_refused("{\"a\":" ENTRY("U8", "[1]", "[0,1]") "}", 4,
                   BAD "expected 1 bytes of data, found 4 (3 trailing bytes belong to no tensor)");
}

static void test_safetensors_bad_header(void **state) {
    (void)state;
    Error error = {0}, huge = {0}, twice = {0};
    TensorFile file;
    write_bytes("bad.safetensors", "\x10\0\0\0\0\0\0\0{}", 10);
    assert_false(safetensors_read(arena, "bad.safetensors", &file, &error));
    assert_string_equal(error.message, BAD "the header needs 16 bytes, the file has 2 after its length");
    write_bytes("bad.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_false(safetensors_read(arena, "bad.safetensors", &file, &huge));
    assert_string_equal(huge.message, BAD "not a safetensors file: the header length is 18446744073709551615, expected "
                                          "2 to 100000000");
    write_safetensors("{\"a\":" ENTRY("U8", "[1]", "[0,1]") ",\"a\":" ENTRY("U8", "[1]", "[1,2]") "}", 2);
    assert_false(safetensors_read(arena, "bad.safetensors", &file, &twice));
    assert_int_equal(twice.kind, ERROR_INPUT);
    assert_non_null(strstr(twice.message, "duplicate"));
}

static void test_safetensors_write_refuses(void **state) {
    (void)state;
    int before = count_files();
    Error twice = {0}, metadata = {0};
    TensorFile file = {0};
    tensor_file_add(arena, &file, (Tensor){"a", TENSOR_u8, 1, {3}, flags});
    tensor_file_add(arena, &file, (Tensor){"a", TENSOR_u8, 1, {3}, flags});
    assert_false(safetensors_write("twice.safetensors", &file, &twice));
    assert_string_equal(twice.message, "twice.safetensors: two tensors are called 'a'");
    file.count = 1;
    file.metadata = "{";
    assert_false(safetensors_write("twice.safetensors", &file, &metadata));
    assert_int_equal(metadata.kind, ERROR_INPUT);
    assert_int_equal(count_files(), before);
}

/* Data at odd offsets is still read through typed pointers. */
static void test_safetensors_misaligned(void **state) {
    (void)state;
    Error error = {0};
    TensorFile file;
    write_safetensors("{\"a\":" ENTRY("U8", "[1]", "[0,1]") ",\"b\":" ENTRY("F64", "[2]", "[1,17]") "}", 17);
    assert_true(safetensors_read(arena, "bad.safetensors", &file, &error));
    const Tensor *b = tensor_find(&file, "b");
    assert_int_equal((uintptr_t)b->data % 8, 0);
    assert_true(tensor_get(b, 0) == tensor_get(b, 1));
}

typedef bool ReadFunction(const char *path, Error *error);

static bool read_safetensors(const char *path, Error *error) {
    TensorFile file;
    if (!safetensors_read(arena, path, &file, error))
        return false;
    double sum = 0; /* touches every byte that was promised */
    for (size_t i = 0; i < file.count; i++) {
        for (int64_t j = 0; j < tensor_count(&file.tensors[i]); j++)
            sum += tensor_get(&file.tensors[i], j);
    }
    return sum == sum || true;
}

static bool read_npy(const char *path, Error *error) {
    Tensor tensor;
    if (!npy_read(arena, path, &tensor, error))
        return false;
    double sum = 0;
    for (int64_t j = 0; j < tensor_count(&tensor); j++)
        sum += tensor_get(&tensor, j);
    return sum == sum || true;
}

/* Every prefix is refused; every flipped byte is either refused with a message or read. */
static void damage(const char *path, ReadFunction *read) {
    size_t size;
    char *whole = read_bytes(path, &size), *copy = arena_alloc(arena, size);
    for (size_t length = 0; length < size; length++) {
        Error error = {0};
        write_bytes("damaged", whole, length);
        assert_false(read("damaged", &error));
        assert_int_equal(error.kind, ERROR_INPUT);
        assert_true(strlen(error.message) > 0);
    }
    for (size_t i = 0; i < 3 * size; i++) {
        Error error = {0};
        static const unsigned char masks[3] = {0xff, 1, 0x10};
        memcpy(copy, whole, size);
        copy[i % size] = (char)((unsigned char)copy[i % size] ^ masks[i / size]);
        write_bytes("damaged", copy, size);
        if (!read("damaged", &error)) {
            assert_int_equal(error.kind, ERROR_INPUT);
            assert_true(strlen(error.message) > 0);
        }
    }
}

static void test_damaged_safetensors(void **state) {
    (void)state;
    Error error = {0};
    TensorFile written = sample_file();
    assert_true(safetensors_write("whole.safetensors", &written, &error));
    damage("whole.safetensors", read_safetensors);
}

static void test_npy_round_trip(void **state) {
    (void)state;
    static double doubles[2] = {1.5, -2};
    static int32_t ints[3] = {1, -2, 3};
    Tensor tensors[] = {
        {"f4", TENSOR_f32, 2, {2, 3}, weight}, {"f8", TENSOR_f64, 1, {2}, doubles},
        {"i4", TENSOR_i32, 1, {3}, ints},      {"i8", TENSOR_i64, 3, {1, 2, 1}, labels},
        {"0d", TENSOR_f32, 0, {0}, weight},    {"none", TENSOR_f32, 2, {0, 7}, weight},
        {"u1", TENSOR_u8, 1, {3}, flags},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        Error error = {0};
        Tensor found;
        assert_true(npy_write("a.npy", &tensors[i], &error));
        assert_true(npy_read(arena, "a.npy", &found, &error));
        assert_int_equal(found.type, tensors[i].type);
        assert_int_equal(found.rank, tensors[i].rank);
        assert_memory_equal(found.shape, tensors[i].shape, sizeof(int64_t) * (size_t)found.rank);
        assert_memory_equal(found.data, tensors[i].data, (size_t)tensor_count(&found) * tensor_type_size(found.type));
    }
    Error error = {0};
    Tensor brain = {"b", TENSOR_bf16, 1, {2}, weight};
    assert_false(npy_write("b.npy", &brain, &error));
    assert_string_equal(error.message, "b.npy: npy files cannot hold BF16");
}

/* The bytes numpy.save writes for np.zeros(2, 'f4'). */
static void test_npy_layout(void **state) {
    (void)state;
    Error error = {0};
    size_t size;
    static float zeros[2];
    assert_true(npy_write("a.npy", &(Tensor){"z", TENSOR_f32, 1, {2}, zeros}, &error));
    const char *bytes = read_bytes("a.npy", &size);
    char expected[137] = {0};
    memcpy(expected, "\x93NUMPY\1\0\x76\0", 10);
    snprintf(expected + 10, 119, "%-117s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
    assert_int_equal(size, 136);
    assert_memory_equal(bytes, expected, 136);
}

static void write_npy(int version, const char *header, size_t data_size) {
    Str s = str_create(arena);
    uint32_t length = (uint32_t)strlen(header);
    char prefix[8] = "\x93NUMPY\0";
    prefix[6] = (char)version;
    str_add_bytes(&s, prefix, 8);
    str_add_bytes(&s, (const char *)&length, version == 1 ? 2 : 4);
    str_add(&s, header);
    for (size_t i = 0; i < data_size; i++)
        str_add_bytes(&s, "\0", 1);
    write_bytes("bad.npy", s.data, s.length);
}

static void expect_npy_refused(const char *header, size_t data_size, const char *message) {
    Error error = {0};
    Tensor tensor;
    write_npy(1, header, data_size);
    assert_false(npy_read(arena, "bad.npy", &tensor, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_string_equal(error.message, message);
}

static void test_npy_refused(void **state) {
    (void)state;
    expect_npy_refused("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4,
                       "bad.npy: the array has type '>f4'; expected '<f4', '<f8', '<f2', '<i4', '<i8', '|u1' or '|b1'");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", 4,
                       "bad.npy: the array is in Fortran order; expected C order (numpy.ascontiguousarray makes it)");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 4,
                       "bad.npy: expected 12 bytes of data, found 4");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5,
                       "bad.npy: expected 4 bytes of data, found 5");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}", 4,
                       "bad.npy: the size of the array is too big");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4,
                       "bad.npy: malformed npy header: expected a non-negative integer in 'shape'");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
                       "bad.npy: the array has more than 8 dimensions");
    expect_npy_refused("{'descr': '<f4', 'fortran_order': False}", 4,
                       "bad.npy: malformed npy header: expected the keys 'descr', 'fortran_order' and 'shape'");
    expect_npy_refused("{'descr': '<f4', 'descr': '<f4'}", 4, "bad.npy: malformed npy header: repeated key 'descr'");
    expect_npy_refused("{'color': 3}", 4, "bad.npy: malformed npy header: unknown key 'color'");
}

static void test_npy_versions(void **state) {
    (void)state;
    Error error = {0}, third = {0}, other = {0};
    Tensor tensor;
    const char *header = "{\"shape\":(2,3),'fortran_order':False,'descr':'<f4'} \n";
    write_npy(2, header, 24);
    assert_true(npy_read(arena, "bad.npy", &tensor, &error));
    assert_int_equal(tensor.shape[1], 3);
    write_npy(3, header, 24);
    assert_false(npy_read(arena, "bad.npy", &tensor, &third));
    assert_string_equal(third.message, "bad.npy: npy version 3; expected 1 or 2");
    write_bytes("bad.npy", "PK\3\4 a zip archive", 18);
    assert_false(npy_read(arena, "bad.npy", &tensor, &other));
    assert_string_equal(other.message, "bad.npy: a zip archive, not an array of numpy (.npy); of those, `ndarts-run "
                                       "import` reads what torch.save wrote");
    Error none = {0};
    write_bytes("bad.npy", "\1\2\3\4\5\6\7\10", 8);
    assert_false(npy_read(arena, "bad.npy", &tensor, &none));
    assert_string_equal(none.message, "bad.npy: not an npy file");
}

static void test_damaged_npy(void **state) {
    (void)state;
    Error error = {0};
    assert_true(npy_write("whole.npy", &(Tensor){"w", TENSOR_f32, 2, {2, 3}, weight}, &error));
    damage("whole.npy", read_npy);
}

static void test_get(void **state) {
    (void)state;
    static uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555, 0x8000};
    const double expected[] = {1, -2, 0x1p-24, INFINITY, 0x1.554p-2, -0.0};
    static uint16_t brain[] = {0x3f80, 0xc040};
    Tensor half = {"h", TENSOR_f16, 1, {6}, halves}, brain_tensor = {"b", TENSOR_bf16, 1, {2}, brain};
    for (int64_t i = 0; i < 6; i++)
        assert_true(tensor_get(&half, i) == expected[i]);
    assert_true(tensor_get(&brain_tensor, 0) == 1 && tensor_get(&brain_tensor, 1) == -3);
    assert_true(tensor_get(&(Tensor){"l", TENSOR_i64, 1, {2}, labels}, 0) == -5);
    assert_true(tensor_get(&(Tensor){"f", TENSOR_u8, 1, {3}, flags}, 2) == 255);
    assert_true(tensor_get(&(Tensor){"f", TENSOR_bool, 1, {3}, flags}, 2) == 1);
}

static void test_atomic_write_replaces(void **state) {
    (void)state;
    Error error = {0};
    size_t size;
    int before = count_files();
    assert_true(file_write_atomic("file", "old", 3, &error));
    assert_true(file_write_atomic("file", "newer", 5, &error));
    assert_memory_equal(read_bytes("file", &size), "newer", 6);
    assert_int_equal(count_files(), before + 1);
    assert_int_equal(symlink("file", "link"), 0);
    assert_true(file_write_atomic("link", "through", 7, &error));
    assert_memory_equal(read_bytes("file", &size), "through", 8);
    struct stat status;
    assert_int_equal(lstat("link", &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_true(file_write_atomic("/dev/null", "gone", 4, &error));
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
}

static void test_atomic_write_fails(void **state) {
    (void)state;
    Error full = {0}, nowhere = {0}, directory = {0};
    assert_false(file_write_atomic("/dev/full", "x", 1, &full));
    assert_int_equal(full.kind, ERROR_MACHINE);
    assert_string_equal(full.message, "cannot write '/dev/full': No space left on device");
    assert_false(file_write_atomic("no/such/folder", "x", 1, &nowhere));
    assert_int_equal(nowhere.kind, ERROR_INPUT);
    assert_string_equal(nowhere.message, "cannot write 'no/such/folder': No such file or directory");
    assert_false(file_write_atomic(".", "x", 1, &directory));
    assert_string_equal(directory.message, "cannot write '.': Is a directory");
}

/* A write that stops half way leaves the old file and nothing else. */
static void test_atomic_write_stops_half_way(void **state) {
    (void)state;
    Error error = {0}, big = {0};
    size_t size;
    struct rlimit old, small;
    static char data[100000];
    assert_true(file_write_atomic("kept", "old", 3, &error));
    int before = count_files();
    process_begin(); /* a file that may not grow is a failing write */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool written = file_write_atomic("kept", data, sizeof data, &big);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(written);
    assert_int_equal(big.kind, ERROR_MACHINE);
    assert_string_equal(big.message, "cannot write 'kept': File too large");
    assert_memory_equal(read_bytes("kept", &size), "old", 4);
    assert_int_equal(count_files(), before);
}

static bool is_link(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void test_guarded_folder(void **state) {
    (void)state;
    Error error = {0}, link = {0}, folders = {0};
    size_t size;
    assert_true(file_write_atomic("target", "old", 3, &error));
    assert_int_equal(mkdir("own", 0777) | symlink("own", "way") | symlink("../target", "own/file"), 0);
    assert_int_equal(symlink("../target", "own/lines") | symlink("/dev/null", "own/device") | symlink("..", "own/up"),
                     0);
    file_guard_folder("way//");
    assert_true(file_write_atomic("way/file", "new", 3, &error) && file_write_atomic("way/device", "new", 3, &error));
    assert_false(is_link("own/file") || is_link("own/device"));
    assert_int_equal(file_open_append("way/lines", &link), -1);
    assert_string_equal(link.message,
                        "cannot write 'way/lines': it is a link; in the folder of a run files are its own");
    assert_false(file_write_atomic("way/up/target", "new", 3, &folders));
    assert_string_equal(folders.message,
                        "cannot write 'way/up/target': 'way/up' is a link; only 'way' itself may be one");
    assert_memory_equal(read_bytes("target", &size), "old", 4);
    assert_true(file_write_atomic("own/lines", "new", 3, &error)); /* another name of it: not the guarded one */
    assert_memory_equal(read_bytes("target", &size), "new", 4);
    for (int i = 0; i < 4; i++)
        unlink(((const char *[]){"own/file", "own/lines", "own/device", "own/up"})[i]);
    assert_int_equal(rmdir("own"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_round_trip),
        cmocka_unit_test(test_safetensors_without_tensors),
        cmocka_unit_test(test_safetensors_bad_entries),
        cmocka_unit_test(test_safetensors_bad_extents),
        cmocka_unit_test(test_safetensors_bad_header),
        cmocka_unit_test(test_safetensors_write_refuses),
        cmocka_unit_test(test_safetensors_misaligned),
        cmocka_unit_test(test_damaged_safetensors),
        cmocka_unit_test(test_npy_round_trip),
        cmocka_unit_test(test_npy_layout),
        cmocka_unit_test(test_npy_refused),
        cmocka_unit_test(test_npy_versions),
        cmocka_unit_test(test_damaged_npy),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_atomic_write_replaces),
        cmocka_unit_test(test_atomic_write_fails),
        cmocka_unit_test(test_atomic_write_stops_half_way),
        cmocka_unit_test(test_guarded_folder),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
