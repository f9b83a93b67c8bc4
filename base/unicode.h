/* unicode.h: characters beyond ASCII as messages show them: what cannot be seen, or looks like something else, by its
 * code point and name, with what is most likely meant. */
#ifndef NDARTS_BASE_UNICODE_H
#define NDARTS_BASE_UNICODE_H

#include "base/str.h"

/* Bytes of the UTF-8 character at `at` and before `end`, in a text with a zero byte there or later; 0 when the byte
 * begins none. */
size_t unicode_decode(const char *at, const char *end, uint32_t *code);
/* Columns of a terminal: 2 for wide ones (Chinese, full-width forms), 0 for marks above others. */
int unicode_columns(uint32_t code);
/* Whether a line shows nothing for it, or a blank that is none. */
bool unicode_is_unseen(uint32_t code);
/* The ASCII text that a look-alike stands for: "\"", "-", "a", " ", "" (nothing); NULL for all others. */
const char *unicode_meaning(uint32_t code);
/* "character 'é' (U+00E9)", "U+00A0 (no-break space); use a blank", "'–' (U+2013, dash); use '-'", or, when it is no
 * UTF-8, "byte 0xe9: this is not UTF-8". */
void unicode_describe(Str *out, const char *at, const char *end);

#endif
