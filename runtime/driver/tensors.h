/* tensors.h: between the two layouts of a tensor (runtime.h), and the initial values of parameters. */
#ifndef NDARTS_RUNTIME_DRIVER_TENSORS_H
#define NDARTS_RUNTIME_DRIVER_TENSORS_H

#include "base/tensor_file.h"
#include "codegen/plan/plan.h"
#include "runtime/driver/runtime.h"

/* Shape and type as seen from outside: activations NCHW, -1 the number of images, partial sums never. */
RtTensorInfo rt_tensor_describe(const Plan *plan, const PlanTensor *tensor);
/* Is shape (of a tensor of the given rank) the outside shape with n images? A missing or extra extent of 1 at the end
 * is not forgiven, except that a stream of one number per image, [N,1,1,1], may be given as [N], and a scalar as [1].
 */
bool rt_tensor_fits(const RtTensorInfo *info, const Tensor *tensor, int64_t n);
const char *rt_shape_string(Arena *arena, int rank, const int64_t *shape); /* "[N, 3, 32, 32]" */

/* From elements first*size.. of an outside tensor (size: elements of one image) to storage, n images; and back. Numbers
 * are converted. */
void rt_tensor_store(const Plan *plan, const PlanTensor *tensor, int64_t n, const Tensor *from, int64_t first,
                     void *storage);
void rt_tensor_fetch(const Plan *plan, const PlanTensor *tensor, int64_t n, const void *storage, Tensor *to);

/* The initial value of a parameter, named by seed and the parameter's name: element i in outside order is draw i of the
 * stream "init.NAME". */
void rt_tensor_initialize(const Plan *plan, const PlanTensor *param, uint64_t seed, void *storage);

#endif
