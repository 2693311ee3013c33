#!/usr/bin/env bash
# The way of a newcomer, from nothing: an empty Debian with Python 3.11 and make, a clone of this
# repository, `make run`, the first answer, the first plan, Ctrl-C. Says how long each step took.
#
#   sudo scripts/newcomer.sh [--port 5050] [--base DIR] [--keep]
#
# --base DIR  a root made by debootstrap, copied instead of downloaded (kept as it is)
# --keep      leave the root behind and say where it is
#
# Settings of pip (PIP_...) reach the root; folders of this machine that they name are listed in
# NEWCOMER_BIND, separated by blanks, and appear in the root read-only. Certificates lie in a folder
# of their own then (PIP_CERT): packages of the root write into its /etc/ssl/certs.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
port=5050 base="" keep=""
while [ $# -gt 0 ]; do
    case $1 in
        --port) port=$2; shift 2 ;;
        --base) base=$2; shift 2 ;;
        --keep) keep=yes; shift ;;
        *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
if [ "$(id -u)" -ne 0 ]; then
    echo "A root of one's own needs root: sudo scripts/newcomer.sh" >&2
    exit 1
fi
case " ${NEWCOMER_BIND:-} " in
    *" /etc/ssl/certs "*)
        echo "NEWCOMER_BIND: packages write into /etc/ssl/certs. Copy the certificates to another" \
            "folder, name that one, and the file in PIP_CERT." >&2
        exit 2
        ;;
esac
if [ -z "${NEWCOMER_INSIDE:-}" ]; then
    sh "$here/scripts/need_packages.sh" debootstrap:debootstrap unshare:util-linux git:git
    arguments=(--port "$port" ${base:+--base "$base"} ${keep:+--keep})
    # Mounts and processes of the root end with this script, whatever happens.
    NEWCOMER_INSIDE=yes exec unshare --mount --pid --fork --kill-child -- "$0" "${arguments[@]}"
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/ems-newcomer.XXXXXX")
finish() {
    umount --recursive --lazy "$root/proc" "$root/dev/shm" 2>/dev/null || true
    for folder in ${NEWCOMER_BIND:-}; do umount --lazy "$root$folder" 2>/dev/null || true; done
    if [ -n "$keep" ]; then
        echo "The root is left at $root"
    else
        rm -rf --one-file-system "$root"
    fi
}
trap finish EXIT

SECONDS=0
step() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() {
    echo "FAILED: $*" >&2
    tail -n 40 "$root/run.log" >&2 || true
    exit 1
}

if [ -n "$base" ]; then
    cp -a "$base/." "$root/"
else
    debootstrap --variant=minbase --include=python3,make bookworm "$root" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        exit 1
    }
    rm -f "$root.log"
fi
[ -e "$root/etc/hosts" ] || echo "127.0.0.1 localhost" >"$root/etc/hosts"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
for folder in ${NEWCOMER_BIND:-}; do
    if [ -d "$folder" ]; then
        mkdir -p "$root$folder"
    else
        mkdir -p "$root$(dirname "$folder")"
        : >"$root$folder"
    fi
    mount --bind -o ro "$folder" "$root$folder"
done
git clone --quiet --no-hardlinks "$here" "$root/root/ems-dash"
step "an empty Debian with Python 3.11 and make, and a clone of $(git -C "$here" describe --always)"

settings=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8)
while IFS= read -r line; do settings+=("$line"); done < <(env | grep -E '^(PIP_[A-Z_]+|https?_proxy|no_proxy)=' || true)
in_root() { env -i "${settings[@]}" chroot "$root" "$@"; }

# Job control gives the program a process group of its own, as a terminal does.
set -m
in_root sh -c "cd /root/ems-dash && exec make run ARGS='--port $port'" >"$root/run.log" 2>&1 &
program=$!
set +m

ask='import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())'
until answer=$(in_root python3 -c "$ask" "http://localhost:$port/healthz" 2>/dev/null); do
    kill -0 "$program" 2>/dev/null || fail "make run ended before it answered"
    [ "$SECONDS" -lt 1800 ] || fail "no answer within half an hour"
    sleep 1
done
step "GET /healthz answers: $(echo "$answer" | tr -d '\n ')"
until grep -q "plan .* published" "$root/run.log"; do
    kill -0 "$program" 2>/dev/null || fail "the program ended before its first plan"
    [ "$SECONDS" -lt 1800 ] || fail "no plan within half an hour"
    sleep 1
done
step "first plan: $(sed -n 's/.*published//p' "$root/run.log" | head -n 1)"
in_root python3 -c "$ask" "http://localhost:$port/" | grep -q "EMS Dash" || fail "GET / is no page"
step "GET / is a page of EMS Dash"

kill -INT -- "-$program"
wait "$program" || code=$?
# make itself ends with 130 after Ctrl-C where it has waited for the program.
case ${code:-0} in 0 | 130) ;; *) fail "make run ended with $code after Ctrl-C" ;; esac
grep -q "engine stopped" "$root/run.log" || fail "the engine was not stopped cleanly"
if grep -qE "Traceback|CRITICAL| ERROR " "$root/run.log"; then fail "there are errors in the log"; fi
step "stopped cleanly by Ctrl-C"
