#!/bin/sh
# Create the virtual environment. Arguments: PYTHON FOLDER
set -eu

python=$1
folder=$2
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "EMS Dash needs Python 3.11. Install it, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
# Debian ships venv and pip's bootstrap in a package of its own.
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    sh "$(dirname "$0")/need_packages.sh" "no-such-command:python3.11-venv"
"$python" -m venv "$folder"
