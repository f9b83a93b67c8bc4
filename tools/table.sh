#!/usr/bin/env bash
# Prints the published table of the genotypes a to j (Chu and others, "Noisy Differentiable Architecture Search", BMVC
# 2021) beside what ndartsc counts in the same networks. Exit codes: 0 printed, 2 ndartsc is not built or failed.
set -euo pipefail
cd "$(dirname "$0")/.."

compiler=${NDARTS_BUILD:-build}/bin/ndartsc
if [ ! -x "$compiler" ]; then
    echo "table: there is no $compiler; build first (cmake -S . -B build -G Ninja && ninja -C build), or set NDARTS_BUILD" >&2
    exit 2
fi

# letter | noise as published | multiply-adds (M) | parameters (M) | top-1 (%), all as published
published='a|Gaussian, 0.2|534|3.25|97.61
b|Gaussian, 0.1|511|3.09|97.53
c|uniform, 0.2|539|3.33|97.40
d|uniform, 0.1|501|3.06|97.42
e|Gaussian, times, 0.1|539|3.24|97.55
f|Gaussian, times, 0.2|443|2.68|97.18
g|Gaussian, 0.2, mean 0.5|549|3.32|97.49
h|Gaussian, 0.2, mean 1|511|3.01|97.35
i|Gaussian, 0.1, mean 0.5|495|3.07|97.28
j|Gaussian, 0.1, mean 1|476|2.94|97.21'

# count JSON KEY
count() {
    sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" <<<"$1"
}

# millions NUMBER DIGITS
millions() {
    awk -v number="$1" -v digits="$2" 'BEGIN { printf "%.*f", digits, number / 1e6 }'
}

# is_published NUMBER PUBLISHED DIGITS: the number in millions, rounded or cut off to so many digits, is the published one
is_published() {
    awk -v number="$1" -v published="$2" -v digits="$3" 'BEGIN {
        wanted = sprintf("%.0f", published * 10 ^ digits); scaled = number / 1e6 * 10 ^ digits
        exit int(scaled) != wanted && int(scaled + 0.5) != wanted }'
}

printf '%-31s%-26s %s\n' '' 'published' 'counted here, in millions'
row='%-4s%-25s  %8s %7s %7s   %7s %8s %7s %7s  %s\n'
# shellcheck disable=SC2059 # the format is above
printf "$row" '' noise 'mult-adds' params top-1 params mult-adds '+2 bn' '+4 bn' 'published is'
while IFS='|' read -r letter noise adds parameters accuracy; do
    json=$("$compiler" "genotypes/noisy_darts_$letter.nd" --emit=stats --json) || exit 2
    own=$(count "$json" parameters) two=$(count "$json" macs_published_c_d_i_j) four=$(count "$json" macs_published_a_b_e_f_g_h)
    which=neither
    ! is_published "$four" "$adds" 0 || which='+4 bn'
    ! is_published "$two" "$adds" 0 || which='+2 bn'
    is_published "$own" "$parameters" 2 || which="$which, not these params"
    # shellcheck disable=SC2059
    printf "$row" "$letter" "$noise" "$adds" "$parameters" "$accuracy" "$(millions "$own" 3)" \
        "$(millions "$(count "$json" macs)" 1)" "$(millions "$two" 1)" "$(millions "$four" 1)" "$which"
done <<<"$published"
cat <<'END'

Networks of 20 cells and 36 channels for CIFAR-10, without the auxiliary head. mult-adds: those of convolutions and linear layers, which is
all that there is to multiply and add. The published numbers add batch norm, by one of two conventions: "+2 bn", 2 for each element that a
batch norm writes, or "+4 bn", 4 for each. The table says 0.1 for e and 0.2 for f; the commands that were run say 0.2 for e and 0.1 for f.
END
