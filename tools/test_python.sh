#!/bin/sh
# Run the tests on the newest Python there are wheels for, but for those that drive pages or npm clients, which have
# little to do with it. It has an environment of its own, .newest/venv: `tools/test_python.sh [pytest's arguments]`.
# Called by make, which has made .venv.
set -eu

folder=.newest
venv=$folder/venv

python=$(.venv/bin/python tools/newest_python.py "$folder")
"$python" -m venv --clear --without-pip "$venv"
# The pip of an old Python may not run on a new one; but it can put the newest pip there.
modules=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
.venv/bin/python -m pip --disable-pip-version-check --no-input --quiet install --target "$modules" pip
"$venv/bin/python" -m pip --no-input --quiet install --editable '.[dev]'

"$venv/bin/python" --version
exec "$venv/bin/python" -m pytest tests/agents tests/transport tests/stores tests/client tests/chaos \
    tests/docs/test_reference.py tests/docs/test_snippets.py tests/examples/test_examples.py "$@"
