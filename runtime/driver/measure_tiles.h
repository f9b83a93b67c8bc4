/* measure_tiles.h: the tiles with which a text's convolutions are fastest on this machine. */
#ifndef NDARTS_RUNTIME_DRIVER_MEASURE_TILES_H
#define NDARTS_RUNTIME_DRIVER_MEASURE_TILES_H

#include "runtime/driver/runtime.h"

/* Adds what is faster than the compiler's own choice to the table options->tune, or to the user's own (tiles.h); a line
 * for each on stdout. Of no kinds: those that a search, a training or an inference of the text runs. */
bool measure_tiles(const RtProgramOptions *options, Error *error);

#endif
