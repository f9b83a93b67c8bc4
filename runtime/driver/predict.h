/* predict.h: any number of images through a network, in batches of the program's largest size, so that they take the
 * same memory for values however many they are. */
#ifndef NDARTS_RUNTIME_DRIVER_PREDICT_H
#define NDARTS_RUNTIME_DRIVER_PREDICT_H

#include "runtime/driver/runtime.h"

/* Opens a text, IR or a module for prediction: the graph `infer` alone, which a module must have. */
RtProgram *predict_open(const RtProgramOptions *options, Error *error);
/* inputs: one per input of the graph `infer`, in its order, each with the same number of images; names are for
 * messages. outputs: where the numbers of each output go, as f32 or f64 by its type, all images one after the other; data
 * NULL for one that is not wanted. */
bool predict_run(RtProgram *program, const Tensor *inputs, const Tensor *outputs, Error *error);
/* Whether the network has one input, and the output "logits" among whatever else it gives. */
bool predict_check(const RtProgram *program, const char *net, Error *error);
/* Of such a network: the logits of images, one after the other. */
bool predict_logits(RtProgram *program, const Tensor *images, float *logits, Error *error);

#endif
