#!/usr/bin/env bash
# Fetches a data set from its publisher, verifies its checksum and unpacks it; or unpacks an archive of pictures that is
# at hand. What is there and right is not fetched again. Exit codes: 0 the data is there, 1 wrong arguments, 2 it could
# not be fetched or unpacked; then it says what to put where.
set -euo pipefail

usage() {
    echo "usage: tools/get_data.sh cifar10|cifar100|fashion-mnist|ARCHIVE DIR" >&2
    echo "  cifar10, cifar100: DIR/cifar-10-batches-bin, DIR/cifar-100-binary   fashion-mnist: DIR/*.gz" >&2
    echo "  ARCHIVE: a file (.tar, .tar.gz, .tar.xz, .tar.bz2, .zip) of pictures in a folder for each class: DIR is what" >&2
    echo "  data image_folder(\"DIR\") takes" >&2
    exit 1
}

[ $# -eq 2 ] || usage
name=$1 folder=$2

# is_right FILE MD5
is_right() {
    [ -f "$1" ] && [ "$(md5sum <"$1" | cut -d' ' -f1)" = "$2" ]
}

# download URL FILE, with whatever there is
download() {
    if command -v curl >/dev/null; then
        curl -fL --retry 2 --connect-timeout 20 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --tries=2 --timeout=20 -O "$2" "$1"
    else
        echo "get_data: neither curl nor wget is installed" >&2
        return 1
    fi
}

# fetch URL FILE MD5: FILE appears whole and right, or not at all
fetch() {
    local url=$1 file=$2 md5=$3
    if is_right "$file" "$md5"; then
        return 0
    fi
    if ! download "$url" "$file.part"; then
        rm -f "$file.part"
        echo "get_data: could not fetch $url" >&2
        echo "get_data: without a network put that file at $file (md5 $md5) and run this again" >&2
        exit 2
    fi
    if ! is_right "$file.part" "$md5"; then
        echo "get_data: what came from $url has md5 $(md5sum <"$file.part" | cut -d' ' -f1), expected $md5" >&2
        rm -f "$file.part"
        exit 2
    fi
    mv "$file.part" "$file"
}

# fetch_archive ARCHIVE MD5 UNPACKED FILE...: from the CIFAR page; the archive is removed when its files are there
fetch_archive() {
    local archive=$1 md5=$2 unpacked=$3
    shift 3
    local file missing=0
    for file in "$@"; do
        [ -s "$folder/$unpacked/$file" ] || missing=1
    done
    if [ $missing -eq 1 ]; then
        fetch "https://www.cs.toronto.edu/~kriz/$archive" "$folder/$archive" "$md5"
        tar -xzf "$folder/$archive" -C "$folder"
        rm -f "$folder/$archive"
    fi
    echo "$folder/$unpacked"
}

# unpack ARCHIVE FOLDER: with whatever there is
unpack() {
    case $1 in
    *.zip) python3 -m zipfile -e "$1" "$2" ;;
    *) tar -xf "$1" -C "$2" ;;
    esac
}

# count_classes FOLDER: folders that hold pictures
count_classes() {
    find "$1" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' -o -iname '*.webp' -o -iname '*.bmp' \) \
        -printf '%h\n' | sort -u | wc -l
}

# unpack_pictures ARCHIVE FOLDER: FOLDER appears whole, or not at all
unpack_pictures() {
    local archive=$1 target=$2 part=$2.part inside
    if [ -e "$target" ] && [ "$(count_classes "$target")" -gt 1 ]; then
        echo "$target"
        return 0
    fi
    [ ! -e "$target" ] || { echo "get_data: $target is there, and holds no pictures in folders" >&2; exit 1; }
    rm -rf "$part"
    mkdir -p "$part"
    if ! unpack "$archive" "$part"; then
        rm -rf "$part"
        echo "get_data: $archive could not be unpacked" >&2
        exit 2
    fi
    inside=$part
    while [ "$(find "$inside" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ] && [ -d "$(echo "$inside"/*)" ]; do
        inside=$(echo "$inside"/*)
    done
    if [ "$(count_classes "$inside")" -lt 2 ] || [ -n "$(find "$inside" -type l -print -quit)" ]; then
        rm -rf "$part"
        echo "get_data: $archive holds no pictures in a folder for each class, or holds links" >&2
        exit 2
    fi
    mv "$inside" "$target"
    rm -rf "$part"
    echo "$target"
}

case $name in
cifar10)
    mkdir -p "$folder"
    fetch_archive cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530 cifar-10-batches-bin \
        data_batch_{1,2,3,4,5}.bin test_batch.bin
    ;;
cifar100)
    mkdir -p "$folder"
    fetch_archive cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8 cifar-100-binary train.bin test.bin
    ;;
fashion-mnist)
    mkdir -p "$folder"
    site=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
    fetch $site/train-images-idx3-ubyte.gz "$folder/train-images-idx3-ubyte.gz" 8d4fb7e6c68d591d4c3dfef9ec88bf0d
    fetch $site/train-labels-idx1-ubyte.gz "$folder/train-labels-idx1-ubyte.gz" 25c81989df183df01b3e8a0aad5dffbe
    fetch $site/t10k-images-idx3-ubyte.gz "$folder/t10k-images-idx3-ubyte.gz" bef4ecab320f06d8554ea6380940ec79
    fetch $site/t10k-labels-idx1-ubyte.gz "$folder/t10k-labels-idx1-ubyte.gz" bb300cfdad3c16e7a12a480ee83cd310
    echo "$folder"
    ;;
*)
    [ -f "$name" ] || usage
    unpack_pictures "$name" "$folder"
    ;;
esac
