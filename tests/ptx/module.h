/* module.h: PTX, as the emulator's modules have it. */
#pragma once

#include <cstddef>
#include <string>

namespace ptx {

/* A file with CUDA source to one with PTX for sm_90. $SIMT_PTX, which must be set, is $LD_LIBRARY_PATH for NVRTC.
 * Where there is none the program ends: the test is skipped. */
bool compile(const std::string &source, const std::string &result, std::string *message);
/* Memory that kernels may touch; without any they may touch all. forbid: all ranges that begin there. */
void allow(const void *begin, size_t size);
void forbid(const void *begin, size_t size);

} // namespace ptx
