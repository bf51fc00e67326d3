"""Fixtures of this folder. Async tests carry `pytestmark = pytest.mark.anyio`."""

from __future__ import annotations

import sys

import pytest

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # there, processes cannot be asked to stop


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
