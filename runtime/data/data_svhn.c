/* data_svhn.c: the cropped digits of SVHN (http://ufldl.stanford.edu/housenumbers), a MATLAB 5 file for each part.
 *
 *     train_32x32.mat, test_32x32.mat    X, uint8 of 32 x 32 x 3 x N, and y, N x 1, in which 10 stands for the digit 0
 *
 * There may be other matrices, of any form; X of one image may lack the last axis.
 * A MATLAB 5 file has 128 bytes of header, then elements: type, size, data up to a multiple of 8. A matrix (14), which
 * may be packed by zlib (15), has elements for its flags, extents, name and numbers; small ones have type and size in
 * one word. All that is here is little-endian. Arrays are column-major, the images last: what STL-10 has too. */
#include "runtime/data/data.h"

#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    SIDE = 32,
    BYTES = SIDE * SIDE * 3,
    PATH_SIZE = 4096,
    HEADER = 128,
    CHUNK = 1 << 16,
    MI_uint8 = 2,
    MI_double = 9,
    MI_matrix = 14,
    MI_compressed = 15,
    MAX_RANK = 4,
    NAME = 16
};

typedef struct Mat {
    char path[PATH_SIZE];
    FILE *stream;
    bool packed; /* the element being read */
    z_stream zlib;
    uint64_t left; /* bytes of the element that were not taken from the file */
    uint8_t input[CHUNK];
} Mat;

typedef struct Matrix {
    char name[NAME];
    uint32_t extent[MAX_RANK];
    int rank;
    uint32_t type, bytes; /* of its numbers, which come next, unless they are few enough to stand with their size */
    bool is_small;
    uint8_t small[4];
} Matrix;

static bool broken(const Mat *m, const char *why, Error *error) {
    return error_set(error, ERROR_INPUT, "%s: no MATLAB 5 file of SVHN, or a broken one: %s", m->path, why);
}

static bool read_file(Mat *m, void *to, size_t size, Error *error) {
    if (size > m->left)
        return broken(m, "an element ends too early", error);
    m->left -= size;
    if (fread(to, 1, size, m->stream) == size)
        return true;
    return ferror(m->stream) ? error_set(error, file_error_kind(errno), "%s: %s", m->path, strerror(errno))
                             : broken(m, "it is cut off", error);
}

/* The next bytes of the element, unpacked. */
static bool read_bytes(Mat *m, void *to, size_t size, Error *error) {
    if (!m->packed)
        return read_file(m, to, size, error);
    m->zlib.next_out = to;
    m->zlib.avail_out = (uInt)size;
    while (m->zlib.avail_out) {
        if (m->zlib.avail_in == 0) {
            size_t part = m->left < CHUNK ? (size_t)m->left : CHUNK;
            if (part == 0 || !read_file(m, m->input, part, error))
                return part > 0 ? false : broken(m, "an element ends too early", error);
            m->zlib.next_in = m->input;
            m->zlib.avail_in = (uInt)part;
        }
        int code = inflate(&m->zlib, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return error_set(error, ERROR_MACHINE, "%s: no memory to read it", m->path);
        if (code != Z_OK && !(code == Z_STREAM_END && m->zlib.avail_out == 0))
            return broken(m, "its packed data is wrong", error);
    }
    return true;
}

static uint32_t word(const uint8_t *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Type and size of an element; a small one's data is in `small`, and then the size is at most 4. */
static bool read_tag(Mat *m, uint32_t *type, uint32_t *size, uint8_t *small, bool *is_small, Error *error) {
    uint8_t tag[8];
    if (!read_bytes(m, tag, sizeof tag, error))
        return false;
    *type = word(tag) & 0xffff;
    *is_small = word(tag) >> 16 != 0;
    *size = *is_small ? word(tag) >> 16 : word(tag + 4);
    memcpy(small, tag + 4, 4);
    return !*is_small || *size <= 4 || broken(m, "a small element is too large", error);
}

/* A whole element and what pads it; of more than `most` bytes nothing but its size. */
static bool read_element(Mat *m, uint8_t *to, uint32_t most, uint32_t *size, Error *error) {
    uint32_t type;
    uint8_t small[4], padding[8];
    bool is_small;
    if (!read_tag(m, &type, size, small, &is_small, error))
        return false;
    if (*size > most)
        return true;
    memcpy(to, small, is_small ? *size : 0);
    return is_small || (read_bytes(m, to, *size, error) && read_bytes(m, padding, (8 - *size % 8) % 8, error));
}

/* Up to its numbers. One with more axes, or of a longer name, than what is looked for has no name then. */
static bool read_matrix(Mat *m, Matrix *matrix, Error *error) {
    uint8_t flags[8], extents[4 * MAX_RANK], name[NAME - 1];
    uint32_t size;
    *matrix = (Matrix){.rank = 0};
    if (!read_element(m, flags, sizeof flags, &size, error) || size > sizeof flags ||
        !read_element(m, extents, sizeof extents, &size, error) || size > sizeof extents)
        return !error->kind;
    matrix->rank = (int)(size / 4);
    for (int i = 0; i < matrix->rank; i++)
        matrix->extent[i] = word(extents + 4 * i);
    if (!read_element(m, name, sizeof name, &size, error))
        return false;
    memcpy(matrix->name, name, size <= sizeof name ? size : 0);
    return true;
}

static bool read_numbers_tag(Mat *m, Matrix *matrix, Error *error) {
    return read_tag(m, &matrix->type, &matrix->bytes, matrix->small, &matrix->is_small, error);
}

static bool read_images(Mat *m, const DataOptions *o, DataPart part, Matrix *x, Dataset *data, Error *error) {
    if (!read_numbers_tag(m, x, error))
        return false;
    int64_t count = x->rank == 3 ? 1 : x->extent[3];
    if (x->rank < 3 || x->extent[0] != SIDE || x->extent[1] != SIDE || x->extent[2] != 3 || x->type != MI_uint8 ||
        count == 0 || x->bytes != (uint64_t)count * BYTES)
        return broken(m, "X is not of 32 x 32 x 3 x N bytes", error);
    bool limited = part == DATA_train && o->limit > 0 && o->limit < count;
    if (!data_allocate(o, limited ? o->limit : count, data, error))
        return false;
    for (int64_t i = 0; i < data->count; i++) {
        uint8_t planes[BYTES];
        if (!read_bytes(m, planes, sizeof planes, error))
            return false;
        data_turn_planes(planes, SIDE, data->pixels + i * BYTES);
    }
    return true;
}

/* Number i, of `width` bytes; they are asked for in their order. */
static bool read_number(Mat *m, const Matrix *matrix, int64_t i, void *to, size_t width, Error *error) {
    if (!matrix->is_small)
        return read_bytes(m, to, width, error);
    memcpy(to, matrix->small + (size_t)i * width, width);
    return true;
}

static bool read_labels(Mat *m, const DataOptions *o, Matrix *y, Dataset *data, Error *error) {
    if (!read_numbers_tag(m, y, error))
        return false;
    size_t width = y->type == MI_double ? sizeof(double) : 1;
    if (y->rank != 2 || (uint64_t)y->extent[0] * y->extent[1] < (uint64_t)data->count ||
        (y->type != MI_uint8 && y->type != MI_double) || y->bytes != (uint64_t)y->extent[0] * y->extent[1] * width)
        return broken(m, "y is not a label, of a byte or a double, for each image of X", error);
    for (int64_t i = 0; i < data->count; i++) {
        uint8_t raw[sizeof(double)];
        double value;
        if (!read_number(m, y, i, raw, width, error))
            return false;
        memcpy(&value, raw, sizeof value);
        value = width == 1 ? raw[0] : value;
        if (!(value >= 0 && value <= 255 && value == floor(value)))
            return broken(m, "a label is no small whole number", error);
        int label = (int)value == 10 ? 0 : (int)value;
        data->labels[i] = label;
        if (!data_check_label(o, m->path, i, label, error))
            return false;
    }
    return true;
}

/* The element's matrix, if it is X or, after X, y. */
static bool take_matrix(Mat *m, const DataOptions *o, DataPart part, Dataset *data, bool *labelled, Error *error) {
    uint8_t small[4];
    uint32_t type, size;
    bool is_small;
    Matrix matrix;
    if (m->packed && (!read_tag(m, &type, &size, small, &is_small, error) ||
                      (type != MI_matrix && !broken(m, "an element is no matrix", error))))
        return false;
    if (!read_matrix(m, &matrix, error))
        return false;
    if (strcmp(matrix.name, "X") == 0 && !data->pixels)
        return read_images(m, o, part, &matrix, data, error);
    if (strcmp(matrix.name, "y") != 0)
        return true;
    *labelled = data->pixels != NULL;
    return *labelled ? read_labels(m, o, &matrix, data, error) : broken(m, "y comes before X", error);
}

static bool read_mat(Mat *m, const DataOptions *o, DataPart part, Dataset *data, Error *error) {
    uint8_t header[HEADER];
    bool labelled = false;
    m->left = HEADER;
    if (!read_file(m, header, sizeof header, error))
        return false;
    if (header[126] != 'I' || header[127] != 'M' || header[125] != 1)
        return broken(m, "its header is another one", error);
    while (!labelled) {
        uint8_t tag[8];
        m->left = sizeof tag;
        if (!read_file(m, tag, sizeof tag, error))
            return data->pixels ? broken(m, "it has no y", error) : false;
        m->left = word(tag + 4);
        m->packed = word(tag) == MI_compressed;
        if (!m->packed && word(tag) != MI_matrix)
            return broken(m, "an element is no matrix", error);
        m->zlib = (z_stream){.next_in = NULL};
        if (m->packed && inflateInit(&m->zlib) != Z_OK)
            return error_set(error, ERROR_MACHINE, "%s: no memory to read it", m->path);
        bool good = take_matrix(m, o, part, data, &labelled, error);
        if (m->packed)
            inflateEnd(&m->zlib);
        if (!good || (!labelled && fseeko(m->stream, (off_t)m->left, SEEK_CUR) != 0))
            return good ? broken(m, "it is cut off", error) : false;
    }
    return true;
}

static bool read_all(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    Mat *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(error, ERROR_MACHINE, "no memory to read SVHN");
    snprintf(m->path, sizeof m->path, "%s/%s_32x32.mat", options->path, part == DATA_train ? "train" : "test");
    m->stream = fopen(m->path, "rb");
    bool ok = m->stream ? read_mat(m, options, part, data, error)
                        : error_set(error, ERROR_INPUT, "%s: %s", m->path, strerror(errno));
    if (m->stream)
        fclose(m->stream);
    free(m);
    return ok;
}

static bool read_set(const DataOptions *options, DataPart part, Dataset *data, Error *error) {
    return data_read_sized(options, part, SIDE, read_all, data, error);
}

const DataFormat data_svhn = {.read = read_set};
