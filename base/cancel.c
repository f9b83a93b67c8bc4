/* cancel.c: asks. */
#include "base/cancel.h"

#include <stddef.h>

_Thread_local const Cancel *cancel = NULL;

bool cancel_wanted(void) {
    return cancel && cancel->wanted(cancel->context);
}
