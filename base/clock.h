/* clock.h: seconds, to be subtracted from each other. */
#ifndef NDARTS_BASE_CLOCK_H
#define NDARTS_BASE_CLOCK_H

#include <time.h>

double clock_read(clockid_t clock);
double clock_now(void); /* of a clock that nobody sets back */

#endif
