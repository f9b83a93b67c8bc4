/* error.h: failures outside a text: of the machine, or of what the user gave. */
#ifndef NDARTS_BASE_ERROR_H
#define NDARTS_BASE_ERROR_H

#include <stdbool.h>

/* What went wrong outside a text. The numbers are the exit codes. */
typedef enum ErrorKind { ERROR_NONE = 0, ERROR_INPUT = 1, ERROR_MACHINE = 2, ERROR_INTERRUPTED = 130 } ErrorKind;
typedef struct Error {
    ErrorKind kind;
    char message[1024];
} Error;

/* Records the first failure (a later one does not overwrite it); always returns false, so `return error_set(...)`. */
bool error_set(Error *error, ErrorKind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Prints "error: MESSAGE" to stderr and returns the exit code. */
int error_report(const Error *error);
/* What a program ends with: code, or, with a message, ERROR_MACHINE when not all of stdout could be written. */
int error_check_stdout(int code);

#endif
