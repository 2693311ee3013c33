#!/usr/bin/env sh
# Runs the whole test suite as two pytest processes side by side: real servers and browsers, which
# mostly wait, and everything else, which computes. Fails when either does.
# Usage: scripts/run_tests.sh PYTHON
set -u
python=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$python" -m pytest -p no:cacheprovider tests --ignore=tests/faults --ignore=tests/browser \
	>"$log" 2>&1 &
computing=$!
"$python" -m pytest tests/faults tests/browser
waiting_failed=$?
wait "$computing"
computing_failed=$?
cat "$log"
[ "$waiting_failed" -eq 0 ] && [ "$computing_failed" -eq 0 ]
