#!/bin/sh
# Make .venv hold this checkout, editable, with an extra: `tools/setup.sh <python> <stamp> [extra]`. Called by make.
# <stamp> is written last, so a setup that was cut short runs again. Two at once take turns where flock exists.
set -eu

python=$1
stamp=$2
extra=${3-}
venv=.venv

fail() {
    echo "$*" >&2
    exit 1
}

if [ -z "${STATECAST_SETUP_LOCKED-}" ] && command -v flock >/dev/null 2>&1; then
    STATECAST_SETUP_LOCKED=1 exec flock "$venv.lock" "$0" "$@"
fi

# Another setup may have finished while this one waited for its turn.
if [ -e "$stamp" ] && [ -z "$(find pyproject.toml -newer "$stamp")" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    touch "$stamp"
    exit 0
fi

command -v "$python" >/dev/null 2>&1 ||
    fail "Statecast needs Python 3.11 or newer, and found no $python. Name another: make PYTHON=python3.12 ..."
version=$("$python" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))') ||
    fail "Statecast needs Python 3.11 or newer, and $python does not start. Name another: make PYTHON=python3.12 ..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Statecast needs Python 3.11 or newer, and $python is $version. Name another: make PYTHON=python3.12 ..."

have=$("$venv/bin/python" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null) || have=none
if [ "$have" != "$version" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "Creating $venv with Python $version"
    # The interpreter behind an active environment, which may be the very one that is to be replaced.
    base=$("$python" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
    if "$base" -c 'import venv; from ensurepip import version' 2>/dev/null; then
        "$base" -m venv --clear "$venv"
    elif "$base" -m pip --python "$base" --version >/dev/null 2>&1 && "$base" -c 'import venv' 2>/dev/null; then
        # Debian keeps ensurepip in a package of its own; the pip that is there can do its work.
        "$base" -m venv --clear --without-pip "$venv"
        "$base" -m pip --python "$venv/bin/python" --disable-pip-version-check --quiet install pip
    else
        fail "$python cannot create virtual environments: it lacks the module venv or ensurepip.
On Debian and Ubuntu: apt-get install python3-venv. Or name another Python: make PYTHON=python3.12 ..."
    fi
fi

echo "Installing statecast${extra:+ with what \"$extra\" needs} into $venv"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install --editable ".${extra:+[$extra]}"
touch "$stamp"
