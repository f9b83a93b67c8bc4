/* file.c: reading a whole file, and atomic replacement: temporary file in the same folder, sync, rename. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ErrorKind file_error_kind(int number) {
    switch (number) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        return ERROR_INPUT;
    default:
        return ERROR_MACHINE;
    }
}

static bool fail_with_errno(Error *error, const char *what, const char *path) {
    int number = errno;
    return error_set(error, file_error_kind(number), "cannot %s '%s': %s", what, path, strerror(number));
}

bool file_write_all(int descriptor, const void *data, size_t size) {
    for (const char *next = data; size;) {
        ssize_t count = write(descriptor, next, size);
        if (count < 0 && errno != EINTR)
            return false;
        next += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

bool file_read_exactly(int descriptor, void *data, size_t size) {
    for (char *next = data; size;) {
        ssize_t count = read(descriptor, next, size);
        if (count == 0 || (count < 0 && errno != EINTR))
            return false;
        next += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* Reads until the end, or until there are more than `most` bytes; the size asked of the system is only a first guess,
 * pipes have none. */
static char *read_all(Arena *arena, int descriptor, size_t most, size_t *size) {
    struct stat status;
    size_t capacity = fstat(descriptor, &status) == 0 && status.st_size > 0 ? (size_t)status.st_size + 2 : 4096;
    if (capacity - 2 > most)
        capacity = most + 2;
    char *data = arena_alloc(arena, capacity);
    *size = 0;
    while (*size <= most) {
        if (*size + 1 >= capacity) {
            data = arena_grow(arena, data, *size, 2 * capacity);
            capacity *= 2;
        }
        ssize_t count = read(descriptor, data + *size, capacity - *size - 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? data : NULL;
        *size += (size_t)count;
    }
    return data;
}

/* Opens without waiting for the other end of a pipe, but reads with waiting. */
static int open_regular(const char *path, Error *error) {
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        fail_with_errno(error, "open", path);
    } else if (!S_ISREG(status.st_mode)) {
        error_set(error, ERROR_INPUT, "cannot read '%s': it is a %s, not a file", path,
                  S_ISDIR(status.st_mode) ? "folder" : "device or a pipe");
    } else {
        return descriptor;
    }
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

static char *read_and_close(Arena *arena, const char *path, int descriptor, size_t most, size_t *size, Error *error) {
    char *data = read_all(arena, descriptor, most, size);
    if (!data)
        fail_with_errno(error, "read", path);
    if (descriptor != STDIN_FILENO)
        close(descriptor);
    return data;
}

char *file_read_text(Arena *arena, const char *path, size_t most, bool regular, size_t *size, Error *error) {
    int descriptor = strcmp(path, "-") == 0 ? STDIN_FILENO
                     : regular              ? open_regular(path, error)
                                            : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        fail_with_errno(error, "open", path); /* keeps what open_regular says */
        return NULL;
    }
    char *data = read_and_close(arena, path, descriptor, most, size, error);
    if (data && *size > most) {
        error_set(error, ERROR_INPUT, "cannot read '%s': it has more than %zu bytes, too many for a text", path, most);
        return NULL;
    }
    return data;
}

char *file_read(Arena *arena, const char *path, size_t *size, Error *error) {
    bool standard = strcmp(path, "-") == 0;
    int descriptor = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        fail_with_errno(error, "open", path);
        return NULL;
    }
    return read_and_close(arena, path, descriptor, SIZE_MAX - 1, size, error);
}

static void release(FileWriter *writer) {
    free(writer->target);
    free(writer->temporary);
    *writer = (FileWriter){.descriptor = -1};
}

static bool fail_write(FileWriter *writer, Error *error) {
    fail_with_errno(error, "write", writer->path);
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    if (writer->temporary)
        unlink(writer->temporary);
    release(writer);
    return false;
}

static char *temporary_name(const char *target) {
    static atomic_uint serial;
    char *name = NULL;
    if (asprintf(&name, "%s.%ld-%u.tmp", target, (long)getpid(), atomic_fetch_add(&serial, 1)) < 0)
        return NULL;
    return name;
}

bool file_is_missing(const char *path) {
    struct stat status;
    return stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* ---- folders whose files are their own ---- */

static _Thread_local char guarded[PATH_MAX]; /* "": none */

void file_guard_folder(const char *folder) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length >= sizeof guarded) /* the system opens nothing in a folder of so long a name */
        length = 0;
    memcpy(guarded, folder, length);
    guarded[length] = '\0';
}

static bool is_guarded(const char *path) {
    size_t length = strlen(guarded);
    return length && strncmp(path, guarded, length) == 0 && path[length] == '/';
}

bool file_check_guarded(const char *path, Error *error) {
    const char *end = is_guarded(path) ? path + strlen(guarded) + 1 : "";
    while (*end && (end = strchr(end + 1, '/'))) {
        char *folder = strndup(path, (size_t)(end - path));
        struct stat status;
        bool link = folder && lstat(folder, &status) == 0 && S_ISLNK(status.st_mode);
        if (link)
            error_set(error, ERROR_INPUT, "cannot write '%s': '%s' is a link; only '%s' itself may be one", path,
                      folder, guarded);
        free(folder);
        if (link)
            return false;
    }
    return true;
}

int file_open_append(const char *path, Error *error) {
    bool own = is_guarded(path);
    if (!file_check_guarded(path, error))
        return -1;
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (own ? O_NOFOLLOW : 0), 0666);
    if (file < 0 && own && errno == ELOOP)
        error_set(error, ERROR_INPUT, "cannot write '%s': it is a link; in the folder of a run files are its own",
                  path);
    else if (file < 0)
        fail_with_errno(error, "write", path);
    return file;
}

/* False, with errno, when the system does not say. A link in the place of a file of a guarded folder counts as none:
 * the file that is renamed replaces it. */
static bool look_at(const char *path, bool own, bool *exists, struct stat *status) {
    *exists = (own ? lstat(path, status) : stat(path, status)) == 0;
    if (!*exists)
        return errno == ENOENT || errno == ENOTDIR;
    *exists = !(own && S_ISLNK(status->st_mode));
    return true;
}

bool file_find(const char *path, bool *found, Error *error) {
    struct stat status;
    *found = stat(path, &status) == 0;
    return *found || errno == ENOENT || errno == ENOTDIR || fail_with_errno(error, "look at", path);
}

bool file_writer_open(FileWriter *writer, const char *path, Error *error) {
    struct stat status;
    bool own = is_guarded(path), exists;
    bool known = look_at(path, own, &exists, &status);
    *writer = (FileWriter){.path = path, .descriptor = -1};
    if (known && !file_check_guarded(path, error))
        return false;
    bool resolve = known && exists && !own && S_ISREG(status.st_mode);
    writer->target = resolve ? realpath(path, NULL) : known ? strdup(path) : NULL;
    if (!writer->target)
        return fail_write(writer, error);
    if (exists && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return fail_write(writer, error);
    }
    if (exists && !own && !S_ISREG(status.st_mode)) {
        writer->descriptor = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        writer->temporary = temporary_name(writer->target);
        if (writer->temporary)
            writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    return writer->descriptor >= 0 || fail_write(writer, error);
}

bool file_writer_write(FileWriter *writer, const void *data, size_t size, Error *error) {
    return file_write_all(writer->descriptor, data, size) || fail_write(writer, error);
}

/* The rename itself survives a crash only when the folder is synced. Not every file system can, or lets us read the
 * folder; but a disk that fails is none to rely on. */
static bool sync_folder_of(const char *target) {
    const char *slash = strrchr(target, '/');
    char *folder = slash ? strndup(target, (size_t)(slash - target) + 1) : strdup(".");
    int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool failed = descriptor >= 0 && fsync(descriptor) != 0 && errno == EIO;
    if (descriptor >= 0)
        close(descriptor);
    free(folder);
    errno = failed ? EIO : errno;
    return !failed;
}

/* A disk or a file system that lost or changed something without a word. */
static bool fail_check(FileWriter *writer, const Error *found, Error *error) {
    error_set(error, ERROR_MACHINE, "cannot write '%s': it does not read back as it was written: %s", writer->path,
              found->message);
    unlink(writer->temporary);
    release(writer);
    return false;
}

bool file_writer_commit(FileWriter *writer, FileCheck *check, const void *expected, Error *error) {
    Error found = {ERROR_NONE, ""};
    if (writer->temporary && fsync(writer->descriptor) != 0)
        return fail_write(writer, error);
    int closed = close(writer->descriptor);
    writer->descriptor = -1;
    if (closed != 0)
        return fail_write(writer, error);
    if (writer->temporary) {
        if (!check(writer->temporary, expected, &found))
            return fail_check(writer, &found, error);
        if (rename(writer->temporary, writer->target) != 0)
            return fail_write(writer, error);
        free(writer->temporary);
        writer->temporary = NULL;
        if (!sync_folder_of(writer->target))
            return fail_write(writer, error);
    }
    release(writer);
    return true;
}

typedef struct Bytes {
    const void *data;
    size_t size;
} Bytes;

static bool check_bytes(const char *path, const void *expected, Error *error) {
    const Bytes *bytes = expected;
    Arena *arena = arena_create();
    size_t size;
    const char *found = file_read(arena, path, &size, error);
    bool same = found && size == bytes->size && (!size || memcmp(found, bytes->data, size) == 0);
    if (found && !same)
        error_set(error, ERROR_MACHINE, "%zu bytes, which are other ones than the %zu that were written", size,
                  bytes->size);
    arena_destroy(arena);
    return same;
}

bool file_write_atomic(const char *path, const void *data, size_t size, Error *error) {
    FileWriter writer;
    return file_writer_open(&writer, path, error) && file_writer_write(&writer, data, size, error) &&
           file_writer_commit(&writer, check_bytes, &(Bytes){data, size}, error);
}

/* ---- folders ---- */

const char *file_make_folders(Arena *arena, const char *path, mode_t mode) {
    char *partial = arena_strdup(arena, path);
    for (char *p = partial + (*partial != '\0');; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (*partial && mkdir(partial, mode) != 0 && errno != EEXIST)
            return partial;
        if (end == '\0')
            return NULL;
        *p = end;
    }
}
