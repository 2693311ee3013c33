#!/bin/sh
# Install Debian packages for commands and shared libraries that are missing.
# Arguments: COMMAND:PACKAGE or LIBRARY.so.N:PACKAGE ... ; what is found needs nothing.
set -eu

# Daemons live where ordinary users do not look.
PATH="$PATH:/usr/sbin:/sbin"
is_there() {
    case $1 in
        *.so.*) ldconfig -p | grep -qF "$1 " ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}
look() {
    packages=""
    for pair in "$@"; do
        is_there "${pair%%:*}" || packages="$packages ${pair#*:}"
    done
}
look "$@"
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "These Debian packages are missing:$packages" >&2
    echo "Install them as root: apt-get install$packages" >&2
    exit 1
fi
# Two of us at a time would find apt locked; who was faster may have brought what we need.
exec 9<"$0"
flock 9
look "$@"
[ -n "$packages" ] || exit 0
echo "Installing$packages ..."
export DEBIAN_FRONTEND=noninteractive
# Servers that start as they are installed must not keep the lock.
$as_root apt-get update -qq 9<&-
# shellcheck disable=SC2086 # the list is meant to be split
$as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null 9<&-
