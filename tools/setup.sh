#!/bin/sh
# Makes the virtual environment .venv: every pinned package, and this clone's own distributions.
#
# Called by each target of the Makefile. What it was made from is written down in .venv; as long as
# that still is what the clone asks for, nothing is done and no network is needed.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv

fail() {
    echo "set-up: $*" >&2
    exit 1
}

check_python() {
    command -v "$PYTHON" >/dev/null 2>&1 ||
        fail "$PYTHON is not in PATH; diegod needs Python 3.11 or newer (name one: make PYTHON=…)"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is $("$PYTHON" -V 2>&1); diegod needs 3.11 or newer (name one: make PYTHON=…)"
}

# In a shell where .venv is active, $PYTHON is the environment itself, which can't remake itself.
outer_python() {
    "$PYTHON" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'
}

# A virtual environment moves neither with its clone nor with its interpreter.
place() {
    pwd
    "$PYTHON" -c 'import sys; print(sys.executable, sys.version)'
}

contents() {
    cat requirements.lock pyproject.toml plugins/*/pyproject.toml | cksum
}

is_recorded() { # NAME VALUE
    [ -e "$VENV/made-from-$1" ] && [ "$2" = "$(cat "$VENV/made-from-$1")" ]
}

make_environment() {
    # Debian keeps ensurepip, which venv needs, in a package of its own.
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || sh tools/apt.sh python3-venv ||
        fail "$PYTHON can't make virtual environments (no ensurepip); install python3-venv"
    echo "set-up: virtual environment in $VENV"
    "$PYTHON" -m venv --clear "$VENV"
    place >"$VENV/made-from-place"
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# The lines of the lock for one package: its name and version, then the hashes.
pins_of() {
    awk -v start="$1==" '/^[a-z]/ { keep = index($0, start) == 1 } keep' requirements.lock
}

# Nothing unpinned is ever fetched to build something. So first comes setuptools, for the one package
# that has no wheel (pysyncobj), then the lock, which also holds our own build backend, and then our
# own distributions: those are folders, for which pip takes no hash.
install_packages() {
    echo "set-up: $(grep -c '^[a-z].*==' requirements.lock) pinned packages from requirements.lock"
    pins_of setuptools >"$VENV/setuptools.lock"
    pip_install --require-hashes --requirement "$VENV/setuptools.lock"
    pip_install --require-hashes --requirement requirements.lock --use-pep517 --no-build-isolation
    set -- --editable .
    for project in plugins/*/pyproject.toml; do
        set -- "$@" --editable "${project%/pyproject.toml}"
    done
    pip_install --no-deps --no-build-isolation "$@"
    contents >"$VENV/made-from-contents"
}

check_python
PYTHON=$(outer_python)
is_recorded place "$(place)" || make_environment
is_recorded contents "$(contents)" || install_packages
