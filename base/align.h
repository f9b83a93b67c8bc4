/* align.h: sizes rounded up. */
#ifndef NDARTS_BASE_ALIGN_H
#define NDARTS_BASE_ALIGN_H

/* Of values in the memory that a plan lays out: a cache line, and the widest vector. */
enum { VALUE_ALIGNMENT = 64 };

/* Of any integer type; the alignment is written out three times, so it should be a constant. */
#define ALIGN_UP(bytes, alignment) (((bytes) + (alignment)-1) / (alignment) * (alignment))

#endif
