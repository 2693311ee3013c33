#!/bin/sh
# Install Debian packages for commands that are missing.
# Arguments: COMMAND:PACKAGE ... ; a command found on the PATH needs nothing.
set -eu

# Daemons live where ordinary users do not look.
PATH="$PATH:/usr/sbin:/sbin"
packages=""
for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair#*:}"
done
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
echo "Installing$packages ..."
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # the list is meant to be split
$as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
