#!/bin/sh
# Run smoke tests on the oldest versions of all dependencies that pyproject.toml allows, in an environment of its own,
# .oldest: `tools/test_oldest.sh [pytest's arguments]`. Called by make, which has made .venv.
set -eu

venv=.oldest
extras="client cloud s3"

.venv/bin/python -m venv --clear "$venv"
# shellcheck disable=SC2086  # several words are meant
.venv/bin/python tools/requirements.py --oldest $extras >"$venv/constraints.txt"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    --constraint "$venv/constraints.txt" --editable ".[$(echo "$extras" | tr ' ' ',')]" \
    ag-ui-protocol hypothesis openapi-spec-validator pydantic pytest pytest-xdist

transport=tests/transport/test
exec "$venv/bin/python" -m pytest tests/agents tests/client \
    "${transport}_ag_ui.py" "${transport}_chat.py" "${transport}_cli.py" "${transport}_cloud_requests.py" \
    "${transport}_events.py" "${transport}_malformed.py" "${transport}_openai.py" "${transport}_openapi.py" \
    "${transport}_patching.py" "${transport}_recovery.py" "${transport}_socket.py" "${transport}_stopping.py" "$@"
