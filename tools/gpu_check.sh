#!/usr/bin/env bash
# What there is to know about a card, in two calls of 9 minutes together, from a built tree: nothing is installed, and neither flex
# nor bison nor any library of this project's is needed on the machine with the GPU.
#
#     tools/gpu_check.sh --build       where the build tools are: makes build-gpu/, whose programs need only libc and libm (glibc 2.34).
#                                      What must travel: the tracked tree (13 MB), build-gpu/bin and build-gpu/tests/ref_tool (6 MB)
#     tools/gpu_check.sh --parts A     where the GPU is, at most 210 s: what is there, copies, launches, one trace against reference
#                                      values, the times of a search, a training and inference, their kernels, PyTorch's search
#     tools/gpu_check.sh --parts B     at most 330 s: the tests, ncu on the heaviest kernels, compute-sanitizer, cuDNN's trials, PyTorch
#     ...  -o FOLDER                   (gpu_check) where log.txt, A.json, B.json and ncu.csv go: written after every step, so that what a
#                                      time limit ends has left what it had measured
#     ...  --seconds N                 ends itself after so long; --parts takes names of steps too (--help lists them)
#     tools/gpu_check.sh --table FOLDER    the tables of what lies there, once more
#     tools/gpu_check.sh --fake BUILD  tries this script itself on the emulator of the tests that were built in BUILD
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# fits PROGRAM: no library but the C library's, nothing of it later than glibc 2.34
fits() {
    local others latest
    others=$(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }' | grep -vE '^(libc|libm)\.so\.6$|^ld-linux' || true)
    latest=$(objdump -T "$1" | grep -oE 'GLIBC_2\.[0-9]+' | sort -t. -k2 -n | tail -1)
    [ -z "$others" ] || { echo "gpu_check: $1 needs $others" >&2; return 1; }
    [ "${latest#GLIBC_2.}" -le 34 ] || { echo "gpu_check: $1 needs $latest" >&2; return 1; }
}

if [ "${1:-}" = --build ]; then
    cd "$root"
    cmake -S . -B build-gpu -DCMAKE_BUILD_TYPE=Release -DNDARTS_PORTABLE=ON >build-gpu.log 2>&1 || { cat build-gpu.log; exit 2; }
    rm -f build-gpu.log
    cmake --build build-gpu --parallel "$(nproc)" --target ndartsc ndarts-run ref_tool bench_card
    for program in build-gpu/bin/* build-gpu/tests/ref_tool; do
        strip "$program"
        fits "$program"
    done
    echo "to take along: the tracked tree, and $(du -ch build-gpu/bin build-gpu/tests/ref_tool | tail -1 | cut -f1) in build-gpu/bin and build-gpu/tests/ref_tool"
    exit
fi
if [ "${1:-}" = --help ]; then
    sed -n '/^set /q; 2,$s/^# \{0,1\}//p' "$0"
fi
command -v python3 >/dev/null || { echo "gpu_check: python3 is not installed" >&2; exit 2; }
exec python3 "$root/tools/gpu_check.py" "$@"
