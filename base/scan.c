/* scan.c: steps of looking through a text. */
#include "base/scan.h"

#include <ctype.h>
#include <string.h>

bool scan_is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

const char *scan_skip_blanks(const char *p) {
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

const char *scan_skip_space(const char *p) {
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

const char *scan_skip_word(const char *p) {
    while (scan_is_word(*p))
        p++;
    return p;
}

bool scan_word_is(const char *p, const char *word) {
    size_t length = strlen(word);
    return strncmp(p, word, length) == 0 && !scan_is_word(p[length]);
}
