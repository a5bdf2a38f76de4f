#!/bin/sh
# Make the development environment in .venv: sh scripts/bootstrap.sh STAMP
# STAMP is written last, so an interrupted run is repeated. PYTHON=... chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
. scripts/root.sh
stamp=$1

is_supported() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if is_supported "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "meshctl needs Python 3.11 or newer; found none of: ${PYTHON:-python3 python3.13 python3.12 python3.11}" >&2
    exit 2
fi

# Two `make` runs in one checkout must not install into the same folder at once.
if command -v flock >/dev/null 2>&1; then
    exec 9>.venv.lock
    flock 9
    if [ -e "$stamp" ]; then exit 0; fi
fi

# Debian's python3 has no ensurepip until python3-venv is installed.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
fi

if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
rm -f .venv/.installed-*
touch "$stamp"
