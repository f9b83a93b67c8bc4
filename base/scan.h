/* scan.h: the small steps of looking through a text that ends with a zero byte. A word is letters, digits and '_'. */
#ifndef NDARTS_BASE_SCAN_H
#define NDARTS_BASE_SCAN_H

#include <stdbool.h>

bool scan_is_word(char c);
/* Behind the blanks and tabs, the white space, the word that p begins with; p itself when there are none. */
const char *scan_skip_blanks(const char *p);
const char *scan_skip_space(const char *p);
const char *scan_skip_word(const char *p);
/* Whether p begins with this word and with no longer one. */
bool scan_word_is(const char *p, const char *word);

#endif
