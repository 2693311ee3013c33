#!/usr/bin/env bash
# Builds the image and runs it as deploy/docker-compose.yml does: read-only root file system, no
# capability, no new privileges, a user the image does not know. Needs root, no Docker: buildah
# builds, runc runs.
#
#   sudo scripts/image_check.sh [--base IMAGE] [--port 5050]
#
# --base IMAGE  base image instead of the one in the Dockerfile, for a machine without a registry
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
base="" port=5050
while [ $# -gt 0 ]; do
    case $1 in
        --base) base=$2; shift 2 ;;
        --port) port=$2; shift 2 ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "It needs root: sudo scripts/image_check.sh" >&2; exit 1; }
sh "$here/scripts/need_packages.sh" buildah:buildah runc:runc python3:python3

work=$(mktemp -d "${TMPDIR:-/tmp}/ems-image.XXXXXX")
name=ems-image-$$
container=""
finish() {
    runc delete --force "$name" 2>/dev/null || true
    [ -z "$container" ] || buildah rm "$container" >/dev/null
    rm -rf "$work"
}
trap finish EXIT
SECONDS=0
step() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() {
    echo "FAILED: $*" >&2
    tail -n 40 "$work/log" >&2 || true
    exit 1
}

buildah bud --quiet --layers --format docker --isolation chroot \
    ${base:+--build-arg "PYTHON_IMAGE=$base"} --tag ems-dash:check "$here" >"$work/log" 2>&1 ||
    fail "the image cannot be built"
container=$(buildah from --pull-never ems-dash:check)
root=$(buildah mount "$container")
step "built, $(du -sm --one-file-system "$root" | cut -f 1) MB"

mkdir -p "$work/config" "$work/data"
chown 12345:12345 "$work" "$work/config" "$work/data"
(cd "$work" && runc spec)
buildah inspect --type image ems-dash:check >"$work/image.json"
# The image's own command, environment and health check; everything else as the composition says.
python3 - "$work" "$root" "$port" <<'PYTHON'
import json, sys
from pathlib import Path

work, root, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
image = json.loads((work / "image.json").read_text())["Docker"]["config"]
spec = json.loads((work / "config.json").read_text())
spec["root"] = {"path": root, "readonly": True}
process = spec["process"]
process["terminal"] = False
process["user"] = {"uid": 12345, "gid": 12345}
process["args"] = [a.replace("5050", port) for a in image["Entrypoint"] + image["Cmd"]]
process["env"] = image["Env"]
process["cwd"] = image["WorkingDir"]
process["noNewPrivileges"] = True
process["capabilities"] = {k: [] for k in ("bounding", "effective", "permitted", "ambient")}
process["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}]
spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"] + [
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "nodev", "noexec", "mode=1777", "size=256m"]},
    *({"destination": f"/{n}", "type": "bind", "source": str(work / n),
       "options": ["bind", "rw", "nosuid", "nodev"]} for n in ("config", "data")),
]
shared = ("network", "cgroup")
spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] not in shared]
spec["linux"].pop("resources", None)
(work / "config.json").write_text(json.dumps(spec))
health = [a.replace("5050", port) for a in image["Healthcheck"]["Test"][1:]]
(work / "health").write_text("\0".join(health))
PYTHON
mapfile -d '' -t health <"$work/health"

runc run --bundle "$work" "$name" >"$work/log" 2>&1 &
program=$!
until runc exec "$name" "${health[@]}" >/dev/null 2>&1; do
    kill -0 "$program" 2>/dev/null || fail "it ended before it was healthy"
    [ "$SECONDS" -lt 900 ] || fail "it did not become healthy"
    sleep 1
done
step "healthy, by the image's own check"
until grep -q "plan .* published" "$work/log"; do
    kill -0 "$program" 2>/dev/null || fail "it ended before its first plan"
    [ "$SECONDS" -lt 900 ] || fail "there was no plan"
    sleep 1
done
step "first plan"
for place in /app /opt/venv /etc; do
    if runc exec "$name" touch "$place/x" 2>/dev/null; then fail "$place can be written"; fi
done
runc exec "$name" grep -q "^CapEff:[[:space:]]*0*$" /proc/self/status || fail "there are capabilities"
runc exec "$name" python -c 'from engine.optimization.kernel import compiled as c; assert c._DIRECTORY' ||
    fail "compiled code cannot be kept"
step "nothing but /config, /data and /tmp can be written; no capability is left"

stopped=$SECONDS
runc kill "$name" TERM
wait "$program" || fail "it ended with $?"
[ $((SECONDS - stopped)) -lt 20 ] || fail "it took longer than stop_grace_period"
grep -q "engine stopped" "$work/log" || fail "the engine was not stopped cleanly"
if grep -qE "Traceback|CRITICAL| ERROR " "$work/log"; then fail "there are errors in the log"; fi
step "stopped by SIGTERM within $((SECONDS - stopped)) s, exit code 0"
