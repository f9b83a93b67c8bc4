#!/usr/bin/env bash
# What must hold before a change is done: compiles without a warning with gcc and clang, runs the tests, in less than 12
# minutes of two cores.
# Prints `N passed, N failed` at the end, and how many were skipped (for want of NVRTC); the exit code is 0 only when
# nothing failed.
#   --all     the thorough tests too (tests/CMakeLists.txt), with an empty cache, as continuous integration does: five
#             times the time
#   --peers   compares with PyTorch, ONNX Runtime, TensorBoard and Pillow too, in a Python environment of its own in
#             build-check/peers (some gigabytes), and looks at the report in Chromium
set -euo pipefail
cd "$(dirname "$0")/.."

peers=
chosen=(--label-exclude thorough)
export NDARTS_SHORT=1 NDARTS_CFLAGS=-O1 # kernels are compiled in three quarters of the time, and have the same bits
for option; do
    case $option in
    --all) chosen=(); unset NDARTS_SHORT NDARTS_CFLAGS; rm -rf build-check/test-cache ;;
    --peers) peers=--peers ;;
    *) echo "check: unknown option '$option'; it has --all and --peers" >&2; exit 1 ;;
    esac
done

bash tools/install_deps.sh $peers
. tools/as_user.sh

jobs=$(nproc)
declare -A flags=([gcc]="-O1 -g1" [clang]="-O0") # gcc finds some mistakes only where it optimises; clang is there for its warnings
# configure FOLDER COMPILER OPTION...: a strict build folder
configure() {
    local folder=$1 compiler=$2
    shift 2
    cmake -S . -B "$folder" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS_DEBUG="${flags[$compiler]}" -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DNDARTS_STRICT=ON \
        -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@" >"$folder.log" 2>&1 || { cat "$folder.log"; return 1; }
    rm -f "$folder.log"
}

# compile FOLDER COMPILER: a build that fails counts as one failed test
compile() {
    configure "$1" "$2" && cmake --build "$1" --parallel "$jobs" && return
    echo "check: the build in $1/ with $2 failed" >&2
    echo "0 passed, 1 failed"
    exit 1
}

# read_with_clang FOLDER: clang reads every C file that was compiled there, for its warnings; a quarter of a build's time
read_with_clang() {
    python3 - "$1" <<'END' | (cd "$1" && xargs -P "$jobs" -d '\n' -n 8 sh -c 'for command; do eval "$command" || exit 255; done' sh) && return
import json, re, sys
for entry in json.load(open(sys.argv[1] + '/compile_commands.json')):
    if entry['file'].endswith('.c'):
        print(re.sub(r'^\S+', 'clang', re.sub(r' -o \S+ -c ', ' -fsyntax-only ', entry['command'])))
END
    echo "check: clang complains of a file" >&2
    echo "0 passed, 1 failed"
    exit 1
}

compile build-check gcc
if [ -n "${NDARTS_SHORT-}" ]; then
    read_with_clang build-check
else
    compile build-check-clang clang
    export NDARTS_OTHER_BUILD=$PWD/build-check-clang # what tests/cli/compilers.py compares with
fi

if [ -n "$peers" ]; then
    python3 -m venv build-check/peers
    build-check/peers/bin/pip install --quiet numpy torch safetensors onnx onnxruntime tensorboard pillow
    export NDARTS_PEERS=$PWD/build-check/peers
fi

# Tests make sure of what they write, again and again, which memory is quicker at than a disk: where there are 4 GB, and programs
# may be run from it.
if [ -n "${NDARTS_SHORT-}" ] && folder=$(mktemp -d /dev/shm/ndarts-check-XXXXXX 2>/dev/null); then
    trap 'rm -rf "$folder"' EXIT
    room=$(df --output=avail -k "$folder" | tail -n 1)
    if [ "$room" -ge 4000000 ] && cp "$(command -v true)" "$folder/true" && "$folder/true"; then
        export TMPDIR=$folder
    fi 2>/dev/null
fi

log=build-check/ctest.log
status=0
ctest --test-dir build-check -j2 "${chosen[@]}" --output-on-failure --no-tests=error 2>&1 | tee "$log" || status=$?

# "97% tests passed, 2 tests failed out of 60"
summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -n 1 || true)
if [ -z "$summary" ]; then
    echo "check: ctest printed no summary" >&2
    exit 1
fi
failed=$(sed -E 's/.* passed, ([0-9]+) tests? failed.*/\1/' <<<"$summary")
total=$(sed -E 's/.* out of ([0-9]+).*/\1/' <<<"$summary")
skipped=$(grep -cE '^[[:space:]]*[0-9]+ - .* \(Skipped\)' "$log" || true)
echo "$((total - failed - skipped)) passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
exit "$status"
