#!/usr/bin/env bash
# Installs what building and testing ndarts needs on Debian and its relatives, and says what it does. Nothing is
# touched when everything is there. For an NVIDIA GPU nothing is needed at build time.
#   --browser   Chromium too, in which the tests look at the page of ndarts-run report
#   --peers     that, and what `tools/check.sh --peers` makes its Python environment with
set -euo pipefail

packages=(gcc g++ clang cmake ninja-build flex bison libjansson-dev zlib1g-dev libcmocka-dev graphviz libzip-dev
    libprotobuf-c-dev protobuf-c-compiler libjpeg62-turbo-dev libpng-dev libwebp-dev libgif-dev libtiff-dev dataset-fashion-mnist gnuplot-nox python3 python3-venv python3-numpy clang-format
    pkgconf locales libopenmpi-dev openmpi-bin gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
for option in "$@"; do
    case $option in
    --browser) packages+=(chromium) ;;
    --peers) packages+=(chromium) ;;
    *) echo "install_deps: unknown option '$option'; it has --browser and --peers" >&2; exit 1 ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install_deps: no apt-get here; please install the equivalents of: ${packages[*]}" >&2
    exit 2
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "install_deps: all ${#packages[@]} packages are installed, nothing to do"
    exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_deps: missing: ${missing[*]}; run this as root, there is no sudo" >&2
        exit 2
    fi
    root=(sudo)
fi
echo "install_deps: installing ${missing[*]}"
"${root[@]}" apt-get update -q
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
echo "install_deps: installed ${missing[*]}"
