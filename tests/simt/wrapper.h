/* wrapper.h: a C++ program around emitted CUDA source. */
#pragma once

#include <string>

/* The program's text, which includes the source as kernels.cu. */
std::string wrapper_text(const std::string &source);
