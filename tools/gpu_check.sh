#!/usr/bin/env bash
# Everything there is to check and measure on a GPU, in under 9 minutes, from a built tree: nothing is installed, and neither flex
# nor bison nor any library of this project's is needed on the machine with the GPU.
#
#     tools/gpu_check.sh --build       where the build tools are: makes build-gpu/, whose programs need only the C library
#     tools/gpu_check.sh [-o RESULTS]  where the GPU is: tests, compute-sanitizer, times beside PyTorch's; a table last, and
#                                      RESULTS (gpu_check.json) for programs; --only PARTS leaves some out
#     tools/gpu_check.sh --fake BUILD  tries this script itself on the emulator of the tests that were built in BUILD
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

if [ "${1:-}" = --build ]; then
    cd "$root"
    cmake -S . -B build-gpu -DCMAKE_BUILD_TYPE=Release -DNDARTS_PORTABLE=ON >build-gpu.log 2>&1 || { cat build-gpu.log; exit 2; }
    rm -f build-gpu.log
    cmake --build build-gpu --parallel "$(nproc)" --target ndartsc ndarts-run ref_tool bench_steps
    exit
fi
command -v python3 >/dev/null || { echo "gpu_check: python3 is not installed" >&2; exit 2; }
exec python3 "$root/tools/gpu_check.py" "$@"
