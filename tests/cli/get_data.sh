#!/usr/bin/env bash
# tools/get_data.sh without a network: says what to put where, refuses what is not the data set, keeps what is right.
set -euo pipefail
script=$NDARTS_SOURCE/tools/get_data.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# expect CODE TEXT COMMAND...
expect() {
    local code=$1 text=$2 found=0
    shift 2
    "$@" >said 2>&1 || found=$?
    if [ "$found" -ne "$code" ] || ! grep -qF -- "$text" said; then
        echo "$*: exit code $found, expected $code and '$text'" >&2
        cat said >&2
        exit 1
    fi
}

mkdir bin
printf '#!/bin/sh\nexit 6\n' >bin/curl
chmod +x bin/curl
export PATH=$folder/bin:$PATH

expect 1 'usage: tools/get_data.sh' bash "$script"
expect 1 'usage: tools/get_data.sh' bash "$script" cifar11 data
expect 2 'put that file at data/cifar-10-binary.tar.gz (md5 c32a1d4ab5d03f1284b67883e8d87530)' bash "$script" cifar10 data
expect 2 'put that file at data/cifar-100-binary.tar.gz (md5 03b5dce01913d631647c71ecec9e9cb8)' bash "$script" cifar100 data
expect 2 'put that file at data/train-images-idx3-ubyte.gz' bash "$script" fashion-mnist data

# A page of an error instead of the archive.
cat >bin/curl <<'SCRIPT'
#!/bin/sh
while [ $# -gt 1 ]; do
    [ "$1" = -o ] && echo '<html>' >"$2"
    shift
done
SCRIPT
expect 2 'expected c32a1d4ab5d03f1284b67883e8d87530' bash "$script" cifar10 data
[ -z "$(ls data)" ] || { echo "left behind: $(ls data)" >&2; exit 1; }

# What is there is not fetched again.
mkdir -p data/cifar-100-binary
echo x >data/cifar-100-binary/train.bin
echo x >data/cifar-100-binary/test.bin
expect 0 'data/cifar-100-binary' bash "$script" cifar100 data
echo 'get_data.sh works'
