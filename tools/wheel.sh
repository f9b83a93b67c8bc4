#!/usr/bin/env bash
# Builds the Python package as one wheel, for every Python 3 on this kind of machine, into FOLDER (default: dist): the library with
# the libraries that it needs, genotypes and specs. Prints its path. With NDARTS_BUILD=FOLDER the library is taken from
# that build folder instead of being built in build-wheel/.
set -euo pipefail
folder=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/.."
exec python3 -B python/build_backend.py "$folder"
