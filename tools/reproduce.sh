#!/usr/bin/env bash
# Runs the experiments of docs/results.md. What a run has done is kept in its folder, and the same command goes on with what is not
# finished: an experiment takes as many sittings as it needs. Exit codes: 0 all runs are done, 1 wrong arguments, 2 a run failed; the
# others went on.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

run=${NDARTS_BUILD:-build}/bin/ndarts-run

usage() {
    echo "usage: tools/reproduce.sh nas_bench_201|darts|training|latency|latency_training|published DIR [JOBS [OPTION...]]" >&2
    echo "  training: of what darts found in the same DIR, beside published genotypes, in DIR/trained" >&2
    echo "  latency: targets for what the network takes; latency_training: of what it found in the same DIR" >&2
    echo "  DIR: gets a folder for each run; JOBS: runs at a time, of one thread each (default 2; published: one, of all threads)" >&2
    echo "  OPTION: of ndarts-run search, or train, for all runs" >&2
    echo "  The images are those of data/cifar10-jpeg:  tools/get_data.sh ARCHIVE data/cifar10-jpeg" >&2
    echo "  TABLE=FILE.csv of the environment: the table of NAS-Bench-201, for the accuracies of what was found" >&2
    exit 1
}

# A line for each run: its folder, and what stands behind 'ndarts-run'; @ is DIR. Seeds side by side first, so that a part of the runs
# says something too. random: the initial alphas' genotype.
runs_of() {
    local seed name target targets="4.5 4 3.5 3 2.5"
    case $1 in
    nas_bench_201)
        for seed in 1 2 3; do
            echo "darts-$seed search specs/results/nas_bench_201.nd --seed $seed"
            echo "noisy-$seed search specs/results/nas_bench_201.nd --seed $seed --set method=gaussian_noise(target=skip_connect_201,std=0.2)"
            echo "gdas-$seed search specs/results/nas_bench_201.nd --seed $seed --set method=gdas_201"
            echo "random-$seed search specs/results/nas_bench_201.nd --seed $seed --set method=random_search"
        done
        for seed in 1 2 3; do
            echo "second-$seed search specs/results/nas_bench_201.nd --seed $seed --set order=second"
            echo "second_noisy-$seed search specs/results/nas_bench_201.nd --seed $seed --set order=second --set method=gaussian_noise(target=skip_connect_201,std=0.2)"
        done
        ;;
    darts)
        for seed in 1 2; do
            echo "darts-$seed search specs/results/darts.nd --seed $seed"
            echo "noisy-$seed search specs/results/darts.nd --seed $seed --set method=gaussian_noise"
            echo "random-$seed search specs/results/darts.nd --seed $seed --set method=random_search(epochs=1) --set search.epochs=1"
        done
        ;;
    training)
        for name in darts-1 noisy-1 random-1 darts-2 noisy-2 random-2; do
            echo "trained/$name train @$name/genotype.nd --recipe specs/results/training.nd --seeds 1,2"
        done
        for name in noisy_darts_a darts_v2; do
            echo "trained/$name train genotypes/$name.nd --recipe specs/results/training.nd --seeds 1,2"
        done
        ;;
    latency)
        for target in $targets; do
            echo "latency-$target search specs/results/latency.nd --cost @cost.json --set search.objective.latency.target=$target"
        done
        ;;
    latency_training)
        for target in $targets; do
            echo "trained/latency-$target train @latency-$target/genotype.nd --recipe specs/results/training.nd --seeds 1,2"
        done
        ;;
    published)
        echo "noisy_darts_a search specs/noisy_darts_a.nd --data image_folder:data/cifar10-jpeg"
        ;;
    *) usage ;;
    esac
}

# one LINE: of runs_of; a run that has begun goes on
one() {
    local name arguments out resume=()
    read -r name arguments <<<"$1"
    read -ra arguments <<<"$arguments"
    arguments=("${arguments[@]/#@/$folder/}")
    out=$folder/$name
    [ -n "$(find "$out" -maxdepth 2 -name checkpoint.safetensors 2>/dev/null)" ] && resume=(--resume)
    echo "$name: $run ${arguments[*]} --out $out ${resume[*]}"
    if ! "$run" "${arguments[@]}" --out "$out" "${resume[@]}" "${options[@]}" >"$out.log" 2>&1; then
        echo "$name: failed: $(tail -1 "$out.log")" >&2
        return 1
    fi
}

[ $# -ge 2 ] || usage
experiment=$1 folder=$2 jobs=${3:-2} failed=0
options=(--threads 1 "${@:4}")
lines=$(runs_of "$experiment") || exit 1
case $jobs in '' | *[!0-9]* | 0) usage ;; esac
[ -x "$run" ] || { echo "reproduce: there is no $run; build first, or set NDARTS_BUILD" >&2 && exit 1; }
[ "$experiment" = published ] && jobs=1 options=("${@:4}")
mkdir -p "$folder"
[[ $experiment = *training ]] && mkdir -p "$folder/trained"

# What the candidates cost is measured once, on idle cores if need be elsewhere, for all targets alike.
if [ "$experiment" = latency ] && [ ! -e "$folder/cost.json" ]; then
    "$run" cost specs/results/latency.nd --batch 64 --threads 1 --json "${@:4}" >"$folder/cost.json.new" && mv "$folder/cost.json.new" "$folder/cost.json" || exit 2
fi

while read -r line; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n || failed=1
    done
    one "$line" &
done <<<"$lines"
while [ -n "$(jobs -p)" ]; do
    wait -n || failed=1
done
[ "$failed" = 0 ] || exit 2

while read -r name _; do
    if [ "$experiment" = nas_bench_201 ] && [ -n "${TABLE:-}" ]; then
        echo "$name: $("$run" lookup "$folder/$name" --table "$TABLE" | tail -1)"
    elif [ "$experiment" = latency ]; then
        echo "$name: expected, measured: $(grep -o '"latency_ms": [0-9.]*' "$folder/$name/metrics.jsonl" | tail -1 | cut -d' ' -f2)," \
            "$("$run" cost "$folder/$name/genotype.nd" --set C=8 --set layers=5 --batch 64 --threads 1 | tail -1 | grep -o '[0-9.]*$')"
    elif [[ $experiment = *training ]]; then
        echo "$name: $(grep '^mean ' "$folder/$name.log")"
    else
        echo "$name: $(tail -1 "$folder/$name/genotypes.jsonl")"
    fi
done <<<"$lines"
