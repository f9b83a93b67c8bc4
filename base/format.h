/* format.h: printf, quicker for the conversions that generated text is made of. */
#ifndef NDARTS_BASE_FORMAT_H
#define NDARTS_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf, to the byte: at most size bytes with the zero byte at the end; how many there would be without it, whatever
 * size is. %s, %.*s, %c, %d, %ld, %lld, %zu and %% take a fifth of its time; a format that has others is left to it. */
int format_text(char *to, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
