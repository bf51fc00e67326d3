"""Fixtures of this folder: the published decoders judge what the state's operations amount to."""

import pytest

from tests.clients.fixtures import accumulator

__all__ = ["accumulator"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
