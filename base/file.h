/* file.h: whole files in, whole files out, and folders for them. */
#ifndef NDARTS_BASE_FILE_H
#define NDARTS_BASE_FILE_H

#include "base/arena.h"
#include "base/diag.h"

#include <stddef.h>
#include <sys/types.h>

/* What a failing call says, errno: ERROR_INPUT of a path that the user got wrong (a folder in place of a file), ERROR_MACHINE of
 * a machine that fails. */
ErrorKind file_error_kind(int number);

/* The whole file and a zero byte after it, 16-byte aligned; "-" is standard input. NULL and *error on failure: a path
 * that cannot be opened is ERROR_INPUT, a failing read ERROR_MACHINE. */
char *file_read(Arena *arena, const char *path, size_t *size, Error *error);

/* Likewise a text, of at most `most` bytes; what is longer, or endless, is ERROR_INPUT. regular: only a file or
 * standard input, not a device or a pipe, which would be waited for. */
char *file_read_text(Arena *arena, const char *path, size_t most, bool regular, size_t *size, Error *error);

/* All of it to an open file, however many calls that takes; false with errno. */
bool file_write_all(int descriptor, const void *data, size_t size);
/* As many bytes from one; false when it ends before, or with errno. */
bool file_read_exactly(int descriptor, void *data, size_t size);

/* Makes a folder and those above it, with the permissions of mode. NULL, or the path of the one that cannot be made;
 * errno says why. */
const char *file_make_folders(Arena *arena, const char *path, mode_t mode);

/* A file that appears under its name only when complete. After a failed call the writer is closed and the temporary
 * file gone; every way out of writing ends in commit or in a failure. */
typedef struct FileWriter {
    const char *path;
    char *target, *temporary; /* what path resolves to; NULL temporary: a device or pipe, written directly */
    int descriptor;
} FileWriter;

bool file_writer_open(FileWriter *writer, const char *path, Error *error);
bool file_writer_write(FileWriter *writer, const void *data, size_t size, Error *error);
/* Whether the file, which is written but not yet called so, holds what was expected; what is wrong goes to error. */
typedef bool FileCheck(const char *path, const void *expected, Error *error);
/* check looks at what was written before it takes the place of an older file, which stays otherwise. */
bool file_writer_commit(FileWriter *writer, FileCheck *check, const void *expected, Error *error);

/* True only when the system says that there is no such file. Whatever else is wrong with it (rights, a failing disk) is
 * not that: who opens it then will be told. */
bool file_is_missing(const char *path);

/* A folder whose files are its own, such as a run's, which may come from anybody: from now on what this thread writes in
 * it, at any depth, is not written through links there: one in the place of a file is replaced, one in the place of a folder
 * refused. The folder's own path may be a link. */
void file_guard_folder(const char *folder);
/* False when a folder on the way from the guarded one to the file is a link: for what is not written by the calls here.
 */
bool file_check_guarded(const char *path, Error *error);
/* Opens a file to write at its end, which is made when it is not there; -1 with an error. Other than by a FileWriter
 * what is written appears bit by bit. */
int file_open_append(const char *path, Error *error);

/* The same for who does not open it: false, with an error, when it cannot be told. */
bool file_find(const char *path, bool *found, Error *error);
/* A file of these bytes, as by a FileWriter. */
bool file_write_atomic(const char *path, const void *data, size_t size, Error *error);

#endif
