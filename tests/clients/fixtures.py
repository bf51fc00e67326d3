"""Fixtures for tests that let the published clients judge: `pytest_plugins = ["tests.clients.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.node import Accumulator, need_chromium, need_node


@pytest.fixture(scope="session")
def accumulator() -> Iterator[Accumulator]:
    """Yield the published decoders, in one process for the whole session."""
    with Accumulator() as running:
        yield running


@pytest.fixture
def node() -> str:
    """Return the path of Node.js; the test is skipped where it, or the clients, cannot be had."""
    return need_node()


@pytest.fixture
def chromium() -> str:
    """Return the path of Chromium; the test is skipped where it cannot be had."""
    return need_chromium()
