/* locale.c: the C locale for one thread. */
#include "base/locale.h"

locale_t locale_enter(void) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c ? uselocale(c) : (locale_t)0;
}

void locale_leave(locale_t before) {
    freelocale(uselocale(before));
}
