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

# An archive of pictures: unpacked once, whole or not at all, without the folder around it.
mkdir -p pack/set/train/{cat,dog} pack/set/test/{cat,dog} "odd name"
for file in pack/set/{train,test}/{cat,dog}/0.jpg; do echo picture >"$file"; done
tar -C pack -cJf "odd name/set.tar.xz" set
(cd pack && python3 -m zipfile -c ../set.zip set)
expect 0 'out of/tar' bash "$script" "odd name/set.tar.xz" "out of/tar"
expect 0 'out of/zip' bash "$script" set.zip "out of/zip"
for made in tar zip; do
    [ "$(cd "out of/$made" && find . -type f | sort | tr '\n' ' ')" = "./test/cat/0.jpg ./test/dog/0.jpg ./train/cat/0.jpg ./train/dog/0.jpg " ] ||
        { find "out of" >&2; exit 1; }
done
rm "odd name/set.tar.xz"
echo broken >"odd name/set.tar.xz"
expect 0 'out of/tar' bash "$script" "odd name/set.tar.xz" "out of/tar"
expect 2 'could not be unpacked' bash "$script" "odd name/set.tar.xz" other
ln -s /etc pack/set/train/etc
tar -C pack -cf links.tar set
expect 2 'or holds links' bash "$script" links.tar other
mkdir flat && echo picture >flat/0.jpg && tar -C flat -cf flat.tar .
expect 2 'holds no pictures in a folder for each class' bash "$script" flat.tar other
[ ! -e other ] && [ ! -e other.part ] || { echo "left behind: $(ls -d other*)" >&2; exit 1; }
expect 1 'is there, and holds no pictures' bash "$script" set.zip flat
echo 'get_data.sh works'
