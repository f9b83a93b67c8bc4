/* file_kind.c: the table of magic numbers, then what has none: safetensors, protobuf, texts. */
#include "base/file_kind.h"

#include "base/scan.h"
#include "base/str.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name, *use;
} kinds[FILE_KIND_COUNT] = {
    [FILE_unknown] = {"a file of no known kind", NULL},
    [FILE_empty] = {"an empty file", NULL},
    [FILE_folder] = {"a folder", "of a run's folder, report takes the folder and everything else a file in it"},
    [FILE_safetensors] = {"a safetensors file", "--weights and --init take it, and derive, when it has alphas"},
    [FILE_pytorch] = {"a PyTorch checkpoint", "`ndarts-run import FILE -o W.safetensors` makes weights of it"},
    [FILE_pytorch_legacy] = {"a PyTorch checkpoint", "`ndarts-run import FILE -o W.safetensors` makes weights of it"},
    [FILE_pickle] = {"a Python pickle", "of those, `ndarts-run import` reads what torch.save wrote"},
    [FILE_npy] = {"an array of numpy", "`ndarts-run infer --input` takes it"},
    [FILE_npz] = {"an archive of numpy arrays", "`ndarts-run infer --input` takes one .npy of it"},
    [FILE_onnx] = {"an ONNX model", "ndarts writes those (`ndarts-run export`) and reads none"},
    [FILE_hdf5] = {"an HDF5 file, as Keras writes",
                   "its weights have to become safetensors or a PyTorch checkpoint first"},
    [FILE_keras] = {"a Keras model", "its weights have to become safetensors or a PyTorch checkpoint first"},
    [FILE_gguf] = {"a GGUF file", NULL},
    [FILE_tflite] = {"a TensorFlow Lite model", NULL},
    [FILE_module] = {"a shared object or program", "infer and eval take modules that ndartsc made, NET.so"},
    [FILE_cubin] = {"a CUDA module", "infer and eval take those that ndartsc made, NET.cubin"},
    [FILE_jpeg] = {"a JPEG picture", "`ndarts-run infer` takes pictures"},
    [FILE_png] = {"a PNG picture", "`ndarts-run infer` takes pictures"},
    [FILE_gif] = {"a GIF picture", "`ndarts-run infer` takes pictures"},
    [FILE_webp] = {"a WebP picture", "`ndarts-run infer` takes pictures"},
    [FILE_bmp] = {"a BMP picture", "`ndarts-run infer` takes pictures"},
    [FILE_tiff] = {"a TIFF picture", "`ndarts-run infer` takes pictures"},
    [FILE_svg] = {"an SVG, XML or HTML text", NULL},
    [FILE_pdf] = {"a PDF document", NULL},
    [FILE_idx] = {"an IDX file, as of MNIST",
                  "the data of a text, as in fashion_mnist(\"FOLDER\"), takes a folder of those"},
    [FILE_gzip] = {"a file compressed by gzip", "only IDX files are read so"},
    [FILE_zip] = {"a zip archive", "of those, `ndarts-run import` reads what torch.save wrote"},
    [FILE_tar] = {"a tar archive", "it has to be unpacked first"},
    [FILE_archive] = {"a compressed archive", "it has to be unpacked first"},
    [FILE_json] = {"a JSON text", NULL},
    [FILE_ir] = {"a printed graph", "it is read as one under a name that ends in .ir"},
    [FILE_language] = {"a text in the ndarts language", "ndartsc and search, train, eval, infer take it"},
    [FILE_genotype] = {"a genotype of another program", "`ndarts-run genotype FILE` makes a text of it"},
    [FILE_python] = {"Python source", NULL},
    [FILE_text] = {"a text", NULL},
};

const char *file_kind_name(FileKind kind) {
    return kinds[kind].name;
}

const char *file_kind_use(FileKind kind) {
    return kinds[kind].use;
}

bool file_kind_is_text(FileKind kind) {
    return kind >= FILE_json || kind == FILE_empty || kind == FILE_svg;
}

/* ---- magic numbers ---- */

/* '?' is any byte. */
static const struct {
    FileKind kind;
    size_t at, size;
    const char *magic;
} magics[] = {
    {FILE_npy, 0, 6, "\x93NUMPY"},
    {FILE_hdf5, 0, 8, "\x89HDF\r\n\x1a\n"},
    {FILE_gguf, 0, 4, "GGUF"},
    {FILE_tflite, 4, 4, "TFL3"},
    {FILE_jpeg, 0, 3, "\xff\xd8\xff"},
    {FILE_png, 0, 8, "\x89PNG\r\n\x1a\n"},
    {FILE_gif, 0, 4, "GIF8"},
    {FILE_webp, 0, 12, "RIFF????WEBP"},
    {FILE_tiff, 0, 4, "II*\0"},
    {FILE_tiff, 0, 4, "MM\0*"},
    {FILE_bmp, 0, 10, "BM????\0\0\0\0"},
    {FILE_pdf, 0, 5, "%PDF-"},
    {FILE_gzip, 0, 3, "\x1f\x8b\x08"},
    {FILE_tar, 257, 5, "ustar"},
    {FILE_archive, 0, 6,
     "\xfd"
     "7zXZ\0"},
    {FILE_archive, 0, 4, "\x28\xb5\x2f\xfd"},
    {FILE_archive, 0, 6, "7z\xbc\xaf\x27\x1c"},
    {FILE_archive, 0, 10, "BZh?1AY&SY"},
    {FILE_archive, 0, 6, "Rar!\x1a\x07"},
    {FILE_pytorch_legacy, 0, 14, "\x80?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"},
};

static bool has_magic(const unsigned char *bytes, size_t size, const char *magic, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (i >= size || (magic[i] != '?' && bytes[i] != (unsigned char)magic[i]))
            return false;
    return true;
}

static bool ends_with(const unsigned char *name, size_t length, const char *ending) {
    size_t wanted = strlen(ending);
    return length >= wanted && memcmp(name + length - wanted, ending, wanted) == 0;
}

/* By the name of the first entry. */
static FileKind zip_kind(const unsigned char *bytes, size_t size) {
    enum { NAME_LENGTH = 26, NAME = 30 };
    size_t length = size > NAME ? bytes[NAME_LENGTH] | (size_t)bytes[NAME_LENGTH + 1] << 8 : 0;
    if (length > size - NAME)
        return FILE_zip;
    const unsigned char *name = bytes + NAME;
    if (ends_with(name, length, "/data.pkl") || ends_with(name, length, "/version") ||
        ends_with(name, length, "/byteorder"))
        return FILE_pytorch;
    if (ends_with(name, length, ".npy"))
        return FILE_npz;
    return ends_with(name, length, "metadata.json") || ends_with(name, length, "config.json") ? FILE_keras : FILE_zip;
}

static FileKind elf_kind(const unsigned char *bytes, size_t size) {
    enum { MACHINE = 18, CUDA = 190 };
    return size > MACHINE && bytes[MACHINE] == CUDA ? FILE_cubin : FILE_module;
}

/* Two zeros, the type of the elements, the number of axes. */
static bool is_idx(const unsigned char *bytes, size_t size) {
    return size >= 8 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 8 && bytes[2] <= 14 && bytes[3] >= 1 &&
           bytes[3] <= 4;
}

/* A length that the file can have, then a JSON object. */
static bool is_safetensors(const unsigned char *bytes, size_t size) {
    uint64_t length = 0;
    for (int i = 7; i >= 0 && size > 9; i--)
        length = length << 8 | bytes[i];
    return length >= 2 && length < (UINT64_C(1) << 32) && bytes[8] == '{' &&
           (bytes[9] == '"' || bytes[9] == '}' || bytes[9] == ' ');
}

/* A ModelProto: ir_version, then producer, domain, graph or opset. */
static bool is_onnx(const unsigned char *bytes, size_t size) {
    static const char next[] = {0x12, 0x1a, 0x22, 0x3a, 0x42};
    return size > 4 && bytes[0] == 8 && bytes[1] >= 1 && bytes[1] <= 32 && memchr(next, bytes[2], sizeof next);
}

/* PROTO 2 to 5, then what begins a value. */
static bool is_pickle(const unsigned char *bytes, size_t size) {
    return size > 4 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && strchr("}](c\x8a\x95\x8c)X", bytes[2]) &&
           bytes[2];
}

static FileKind binary_kind(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if (size > magics[i].at &&
            has_magic(bytes + magics[i].at, size - magics[i].at, magics[i].magic, magics[i].size))
            return magics[i].kind;
    if (has_magic(bytes, size, "PK\3\4", 4))
        return zip_kind(bytes, size);
    if (has_magic(bytes, size,
                  "\x7f"
                  "ELF",
                  4))
        return elf_kind(bytes, size);
    return is_safetensors(bytes, size) ? FILE_safetensors
           : is_pickle(bytes, size)    ? FILE_pickle
           : is_onnx(bytes, size)      ? FILE_onnx
           : is_idx(bytes, size)       ? FILE_idx
                                       : FILE_unknown;
}

/* ---- texts ---- */

/* Of the language, and hardly of anything else. */
static bool line_defines(const char *line) {
    static const char *const words[] = {"genotype", "network", "op", "space", "fn", "let"};
    const char *after = scan_skip_blanks(scan_skip_word(line));
    if (scan_word_is(line, "import"))
        return *after == '"';
    if (scan_word_is(line, "search") || scan_word_is(line, "train"))
        return *scan_skip_space(after) == '{';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *next = scan_skip_space(scan_skip_word(after));
        if (scan_word_is(line, words[i]) && next > after && *next && strchr("{(=", *next) && next[1] != '=')
            return true;
        if (scan_word_is(line, words[i]) && scan_word_is(next, "on"))
            return true;
    }
    return false;
}

/* Of textual IR. */
static bool line_is_ir(const char *line) {
    const char *after = scan_skip_blanks(scan_skip_word(line));
    return (scan_word_is(line, "graph") && *after == '@') ||
           (scan_word_is(line, "set") && (scan_is_word(*after) || *after == '"') &&
            strchr(" =", after[strcspn(after, " =\n")]) && scan_skip_blanks(after + strcspn(after, " =\n"))[0] == '=');
}

static bool line_is_python(const char *line) {
    const char *after = scan_skip_blanks(scan_skip_word(line));
    bool name = isalpha((unsigned char)*after) || *after == '_';
    return (scan_word_is(line, "import") || scan_word_is(line, "from") || scan_word_is(line, "def") ||
            scan_word_is(line, "class")) &&
           name;
}

static bool any_line(const char *text, size_t size, bool (*is)(const char *line)) {
    const char *end = text + size;
    while (text < end) {
        if (is(scan_skip_blanks(text)))
            return true;
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop)
            return false;
        text = stop + 1;
    }
    return false;
}

bool file_defines_something(const char *text, size_t size) {
    return any_line(text, size, line_defines);
}

static bool line_has_genotype(const char *line) {
    size_t length = strcspn(line, "\n");
    const char *bar = memchr(line, '|', length), *tilde = bar ? memchr(line, '~', length) : NULL;
    return memmem(line, length, "Genotype(", strlen("Genotype(")) || (bar && tilde > bar);
}

/* A zero-terminated copy, so that lines can be looked at as strings. */
static FileKind text_kind(const char *text, size_t size) {
    const char *first = scan_skip_space(text);
    if (file_defines_something(text, size))
        return FILE_language;
    if (any_line(text, size, line_is_ir))
        return FILE_ir;
    if (any_line(text, size, line_has_genotype))
        return FILE_genotype;
    if (any_line(text, size, line_is_python))
        return FILE_python;
    return *first == '{' || *first == '[' ? FILE_json : *first == '<' ? FILE_svg : FILE_text;
}

/* UTF-8 without control characters but white space; whole: nothing is cut off at its end. */
static bool is_text(const char *text, size_t size, bool whole) {
    enum { LONGEST = 4 };
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = str_utf8_length(text + i);
        if (c < 0x20 && (!c || !strchr("\t\n\r\f\033", c)))
            return false;
        if (!length)
            return !whole && size - i < LONGEST;
        i += length;
    }
    return true;
}

FileKind file_kind(const void *bytes, size_t size) {
    enum { LOOKED_AT = 1 << 16 };
    static const char bom[] = "\xef\xbb\xbf";
    if (size == 0)
        return FILE_empty;
    FileKind kind = binary_kind(bytes, size);
    if (kind != FILE_unknown)
        return kind;
    size_t skipped = has_magic(bytes, size, bom, 3) ? 3 : 0, part = size < LOOKED_AT ? size : LOOKED_AT;
    Arena *arena = arena_create();
    const char *text = arena_strndup(arena, (const char *)bytes + skipped, part - skipped);
    kind = is_text(text, part - skipped, part < LOOKED_AT) ? text_kind(text, part - skipped) : FILE_unknown;
    arena_destroy(arena);
    return kind;
}

FileKind file_kind_at(const char *path) {
    enum { LOOKED_AT = 4096 };
    char bytes[LOOKED_AT];
    struct stat status;
    if (stat(path, &status) != 0)
        return FILE_unknown;
    if (S_ISDIR(status.st_mode))
        return FILE_folder;
    FILE *file = S_ISREG(status.st_mode) ? fopen(path, "rb") : NULL;
    if (!file)
        return FILE_unknown;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    FileKind kind = size || !ferror(file) ? file_kind(bytes, size) : FILE_unknown;
    fclose(file);
    return kind;
}

/* ---- messages ---- */

bool file_refuse(const char *path, FileKind kind, const char *wanted, Error *error) {
    const char *use = file_kind_use(kind);
    return error_set(error, ERROR_INPUT, "%s: %s, not %s%s%s", path, file_kind_name(kind), wanted, use ? "; " : "",
                     use ? use : "");
}

bool file_expect_kind(const char *path, FileKind found, FileKind expected, const char *wanted, Error *error) {
    bool unclear = file_kind_is_text(expected) && (found == FILE_text || found == FILE_empty);
    return found == expected || found == FILE_unknown || unclear || file_refuse(path, found, wanted, error);
}

bool file_expect(const char *path, const void *bytes, size_t size, FileKind expected, const char *wanted,
                 Error *error) {
    return file_expect_kind(path, file_kind(bytes, size), expected, wanted, error);
}
