"""Fixtures of this folder. Async tests carry `pytestmark = pytest.mark.anyio`."""

from __future__ import annotations

import sys

import pytest

# Elsewhere the engines have no wheels, and processes cannot be paused.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
