# as_user.sh: sourced by scripts that install first and then build. Through sudo only the installation needs root: the
# script begins again as the user who called it, so that what it makes belongs to them, and so does what root made here
# before. As root without sudo, and where that user may not write, everything goes on as root.
if [ "$(id -u)" -eq 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ] && sudo -n -u "$SUDO_USER" test -w .; then
    for folder in build build-check build-check-clang runs; do
        if [ -e "$folder" ]; then
            chown -R "$SUDO_USER:" "$folder"
        fi
    done
    echo "building as $SUDO_USER, who called sudo"
    exec sudo -n -u "$SUDO_USER" -H "PATH=$PATH" "CI=${CI:-}" bash "tools/$(basename "$0")" "$@"
fi
# What root made here earlier without sudo cannot be written by others.
for folder in build build-check build-check-clang runs; do
    if [ -e "$folder" ] && [ -n "$(find "$folder" ! -type l ! -writable -print -quit)" ]; then
        if ! command -v sudo >/dev/null; then
            echo "parts of $folder/ belong to another user: remove it, or run this as root" >&2
            exit 2
        fi
        echo "taking over $folder/, parts of which belong to another user"
        sudo chown -R "$(id -u):$(id -g)" "$folder"
    fi
done
