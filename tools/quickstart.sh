#!/usr/bin/env bash
# From nothing to a searched architecture: installs what is missing, builds, searches on Fashion-MNIST with the CPU,
# and shows what came out. May be run again at any time; the newest search replaces the one before.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/quickstart

say() {
    printf '\n== %s\n' "$*"
}

say "installing what is missing"
bash tools/install_deps.sh
. tools/as_user.sh

say "building in build/ (Release)"
[ -f build/CMakeCache.txt ] || cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build build --parallel "$(nproc)" --target ndartsc ndarts-run ndarts-opt

say "searching: ndarts-run search specs/fashion_quick.nd --out $out"
started=$SECONDS
build/bin/ndarts-run search specs/fashion_quick.nd --out "$out" >/dev/null
echo "the search took $((SECONDS - started)) s"

say "the genotype ($out/genotype.nd)"
cat "$out/genotype.nd"

say "its network: ndartsc $out/genotype.nd --emit=stats"
build/bin/ndartsc "$out/genotype.nd" --emit=stats

say "a short training of it: a third of the images, two epochs; the recipe itself takes a few minutes"
accuracy=$(build/bin/ndarts-run train "$out/genotype.nd" --recipe fashion_quick --set epochs=2 --set data.limit=20000 --out "$out/trained")

say "results"
echo "metrics of every epoch:  $out/metrics.jsonl"
echo "softmax of the alphas:   $out/alphas.jsonl"
echo "checkpoint:              $out/checkpoint.safetensors"
for cell in normal reduce; do
    if [ -s "$out/$cell.svg" ]; then
        echo "drawing of the $cell cell: $out/$cell.svg"
    fi
done
echo "weights of the training: $out/trained/weights.safetensors"
echo "test accuracy:           ${accuracy%%$'\n'*}"
echo "report of both:          $(build/bin/ndarts-run report "$out" "$out/trained")"
