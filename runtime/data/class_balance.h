/* class_balance.h: weights of the classes in the training loss. */
#ifndef NDARTS_RUNTIME_DATA_CLASS_BALANCE_H
#define NDARTS_RUNTIME_DATA_CLASS_BALANCE_H

#include "runtime/data/data.h"
#include "runtime/driver/runtime.h"

/* The parameter. */
#define CLASS_WEIGHTS "loss/class_weights"

/* Whether the settings ask for weights that follow from the data. */
bool class_weights_balanced(const Settings *settings);
/* The weights that the settings name, or ask to be balanced over the first `count` images of data, go to the program's
 * state, where its training graphs read them. Nothing happens where the settings name none. data may be NULL when the
 * weights are not balanced. ERROR_INPUT: a class without images, a list of
 * another length. */
bool class_weights_set(RtProgram *program, const Settings *settings, const Dataset *data, int64_t count, Error *error);

#endif
