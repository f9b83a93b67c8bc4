/* error.c: what goes wrong outside a text: recorded once, reported once. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(Error *error, ErrorKind kind, const char *format, ...) {
    if (error->kind != ERROR_NONE)
        return false;
    va_list args;
    va_start(args, format);
    error->kind = kind;
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

int error_report(const Error *error) {
    if (error->kind != ERROR_NONE)
        fprintf(stderr, "error: %s\n", error->message);
    return (int)error->kind;
}

int error_check_stdout(int code) {
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed || code)
        return code;
    fputs("error: cannot write to stdout\n", stderr);
    return ERROR_MACHINE;
}
