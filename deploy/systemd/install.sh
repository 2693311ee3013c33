#!/bin/sh
# Installs or upgrades EMS Dash as a systemd service on Debian, from this clone: program in
# /opt/ems-dash, configuration in /etc/ems-dash/config, data in /var/lib/ems-dash.
#
#   sudo deploy/systemd/install.sh [--no-start]
#
# What an earlier run made (user, credentials, configuration, data) is kept.
set -eu
umask 022

[ "$(id -u)" -eq 0 ] || { echo "Run it as root: sudo deploy/systemd/install.sh" >&2; exit 1; }
start=yes
[ "${1:-}" != --no-start ] || start=""
source=$(cd "$(dirname "$0")/../.." && pwd)
target=/opt/ems-dash

sh "$source/scripts/need_packages.sh" libgomp.so.1:libgomp1 git:git
getent passwd ems-dash >/dev/null ||
    useradd --system --user-group --home-dir /var/lib/ems-dash --no-create-home --shell /usr/sbin/nologin ems-dash
install -d -m 0755 "$target" /etc/ems-dash
install -d -m 0750 -o ems-dash -g ems-dash /etc/ems-dash/config
if [ ! -e /etc/ems-dash/environment ]; then
    (
        umask 077
        printf '%s\n' "# Passwords and tokens of EMS Dash, one NAME=value a line." \
            "EMS_ADMIN_PASSWORD=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >/etc/ems-dash/environment
    )
    echo "The password of the first login (admin) is in /etc/ems-dash/environment."
fi

# The new program is complete before the old one is stopped.
fresh=$target.new
rm -rf "$fresh"
install -d -m 0755 "$fresh"
git -c safe.directory="$source" -C "$source" archive HEAD | tar -x --no-same-permissions -C "$fresh"
python=$(command -v python3.11 || command -v python3)
if [ -x "$target/.venv/bin/python" ] && cmp -s "$target/requirements/runtime.txt" "$fresh/requirements/runtime.txt"; then
    cp -a "$target/.venv" "$fresh/.venv"
else
    # Only its python is called, so it does not mind being moved.
    sh "$fresh/scripts/make_venv.sh" "$python" "$fresh/.venv"
    "$fresh/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --require-hashes -r "$fresh/requirements/runtime.txt"
fi
"$fresh/.venv/bin/python" -m compileall -q "$fresh/engine" "$fresh/ems_dash" "$fresh/pages"

if [ -n "$start" ]; then systemctl stop ems-dash.service 2>/dev/null || true; fi
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$fresh" "$target"
install -m 0644 "$target/deploy/systemd/ems-dash.service" /etc/systemd/system/ems-dash.service
if [ -n "$start" ]; then
    systemctl daemon-reload
    systemctl enable --quiet ems-dash.service
    systemctl start ems-dash.service
    echo "EMS Dash is at http://localhost:5050; its log: journalctl -u ems-dash"
else
    echo "Installed, not started."
fi
