/* cancel.h: whether somebody wants the work of this thread to end: for work of many seconds that has no other way to
 * ask. A program that catches signals has: what it started ends by them. */
#ifndef NDARTS_BASE_CANCEL_H
#define NDARTS_BASE_CANCEL_H

#include <stdbool.h>

typedef struct Cancel {
    bool (*wanted)(void *context);
    void *context;
} Cancel;

/* Who is asked; NULL: nobody. */
extern _Thread_local const Cancel *cancel;
bool cancel_wanted(void);

#endif
