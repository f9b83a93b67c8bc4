/* locale.h: numbers are written and read with a point, whatever locale a program runs in.
 *
 * The programs never leave the C locale. A program that uses the library may have: setlocale(LC_ALL, "") makes printf
 * and strtod take a comma in half of Europe, and isalpha take other bytes for letters. So every call of the library
 * enters the C locale and leaves it again, in its own thread and without a change to the program's. Own routines for
 * numbers would not do: there are a few hundred places, and jansson, libpng and nvrtc have theirs. A thread begins in
 * the program's locale whoever started it, so the body of one that handles text enters too. */
#ifndef NDARTS_BASE_LOCALE_H
#define NDARTS_BASE_LOCALE_H

#include <locale.h>

/* This thread's locale is C from here on. Returns what it was, for locale_leave; (locale_t)0, and nothing is changed,
 * without memory for it. */
locale_t locale_enter(void);
void locale_leave(locale_t before);

#endif
