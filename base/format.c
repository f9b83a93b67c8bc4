/* format.c: printf's simplest conversions. Of a compilation's time vsnprintf had a fifth. */
#include "base/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Characters of a conversion behind its '%'; 0: not one of ours. */
static size_t conversion_length(const char *text) {
    switch (*text) {
    case 's':
    case 'c':
    case 'd':
    case '%':
        return 1;
    case 'z':
        return text[1] == 'u' ? 2 : 0;
    case 'l':
        return text[1] == 'd' ? 2 : text[1] == 'l' && text[2] == 'd' ? 3 : 0;
    case '.':
        return text[1] == '*' && text[2] == 's' ? 3 : 0;
    default:
        return 0;
    }
}

/* Text of which as much is kept as there is room for. */
typedef struct Writer {
    char *to;
    size_t size, length;
} Writer;

static void write_bytes(Writer *w, const char *bytes, size_t count) {
    size_t room = w->length < w->size ? w->size - w->length : 0, kept = count < room ? count : room;
    if (kept)
        memcpy(w->to + w->length, bytes, kept);
    w->length += count;
}

static void write_natural(Writer *w, uint64_t value, bool negative) {
    char digits[21], *end = digits + sizeof digits, *at = end;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (negative)
        *--at = '-';
    write_bytes(w, at, (size_t)(end - at));
}

static void write_integer(Writer *w, int64_t value) {
    write_natural(w, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

static void write_string(Writer *w, const char *text, size_t most) {
    text = text ? text : "(null)";
    write_bytes(w, text, strnlen(text, most));
}

/* Takes from args what one conversion wants. */
static void write_conversion(Writer *w, const char *conversion, va_list *args) {
    switch (*conversion) {
    case 's':
        write_string(w, va_arg(*args, const char *), PTRDIFF_MAX);
        break;
    case 'c':
        write_bytes(w, &(char){(char)va_arg(*args, int)}, 1);
        break;
    case 'd':
        write_integer(w, va_arg(*args, int));
        break;
    case 'l':
        write_integer(w, conversion[1] == 'd' ? va_arg(*args, long) : va_arg(*args, long long));
        break;
    case 'z':
        write_natural(w, va_arg(*args, size_t), false);
        break;
    case '.': {
        int most = va_arg(*args, int);
        write_string(w, va_arg(*args, const char *), most < 0 ? PTRDIFF_MAX : (size_t)most);
        break;
    }
    default:
        write_bytes(w, "%", 1);
        break;
    }
}

/* False: a conversion is none of ours. */
static bool write_all(Writer *w, const char *format, va_list *args) {
    for (;;) {
        size_t plain = 0; /* most are so short that a call of strchr takes longer */
        while (format[plain] && format[plain] != '%')
            plain++;
        write_bytes(w, format, plain);
        format += plain;
        if (!*format)
            return true;
        size_t length = conversion_length(format + 1);
        if (!length)
            return false;
        write_conversion(w, format + 1, args);
        format += 1 + length;
    }
}

int format_text(char *to, size_t size, const char *format, va_list args) {
    Writer w = {to, size, 0};
    va_list own;
    va_copy(own, args);
    bool ours = write_all(&w, format, &own);
    va_end(own);
    if (!ours)
        return vsnprintf(to, size, format, args);
    if (size)
        to[w.length < size ? w.length : size - 1] = '\0';
    return (int)w.length;
}
