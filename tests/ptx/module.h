/* module.h: PTX, as the emulator's modules have it. */
#pragma once

#include "simt_host.h"

#include <cstddef>
#include <string>

namespace ptx {

/* A file with CUDA source to one with PTX for sm_90. $SIMT_PTX, which must be set, is $LD_LIBRARY_PATH for NVRTC.
 * $SIMT_PTX_EDIT: what `sed -E` does to the PTX then, to plant a fault. Where there is no NVRTC the program ends: the test is skipped. */
bool compile(const std::string &source, const std::string &result, std::string *message);
/* Memory that kernels may touch; without any they may touch all. forbid: all ranges that begin there. */
void allow(const void *begin, size_t size);
void forbid(const void *begin, size_t size);
/* What the kernel's instructions did, all together. */
struct Kernel;
void sum_counts(const Kernel &kernel, SimtCount *sum);

} // namespace ptx
