/* file_kind.h: what a file is, by its first bytes: for files given in place of others. */
#ifndef NDARTS_BASE_FILE_KIND_H
#define NDARTS_BASE_FILE_KIND_H

#include "base/diag.h"

#include <stddef.h>

typedef enum FileKind {
    FILE_unknown,
    FILE_empty,
    FILE_folder, /* never by bytes */
    FILE_safetensors,
    FILE_pytorch,        /* a zip archive as torch.save writes it */
    FILE_pytorch_legacy, /* as it was written before 1.6 */
    FILE_pickle,
    FILE_npy,
    FILE_npz,
    FILE_onnx,
    FILE_hdf5,
    FILE_keras,
    FILE_gguf,
    FILE_tflite,
    FILE_module, /* a shared object, or another ELF file */
    FILE_cubin,
    FILE_jpeg,
    FILE_png,
    FILE_gif,
    FILE_webp,
    FILE_bmp,
    FILE_tiff,
    FILE_svg, /* or another text in angle brackets */
    FILE_pdf,
    FILE_idx,
    FILE_gzip,
    FILE_zip,
    FILE_tar,
    FILE_archive, /* xz, bzip2, zstd, 7z, rar */
    FILE_json,
    FILE_ir,
    FILE_language,
    FILE_genotype,
    FILE_python,
    FILE_text, /* some other text */
    FILE_KIND_COUNT
} FileKind;

FileKind file_kind(const void *bytes, size_t size);
/* "a PNG picture" */
const char *file_kind_name(FileKind kind);
/* What to do with such a file, as a part of a sentence, or NULL: "ndarts-run infer takes pictures". */
const char *file_kind_use(FileKind kind);
bool file_kind_is_text(FileKind kind);

/* Whether a line begins a definition of the language: `genotype NAME {`, `search {`, `import "..."`. */
bool file_defines_something(const char *text, size_t size);

/* Of the file at a path: a folder, or what its beginning says; FILE_unknown when it cannot be opened. */
FileKind file_kind_at(const char *path);

/* "PATH: a PNG picture, not WANTED; `ndarts-run infer` takes pictures"; wanted is such as "weights in safetensors". */
bool file_refuse(const char *path, FileKind kind, const char *wanted, Error *error);
/* For a reader of such files: refuses one of another known kind. Where some text is expected another text, whose kind
 * is not known, is left to the reader, which knows more. */
bool file_expect_kind(const char *path, FileKind found, FileKind expected, const char *wanted, Error *error);
bool file_expect(const char *path, const void *bytes, size_t size, FileKind expected, const char *wanted, Error *error);

#endif
