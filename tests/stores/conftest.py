"""Fixtures of this folder. Async tests carry `pytestmark = pytest.mark.anyio`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statecast.stores import Store
from tests.stores.several import STORES, Make


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return STORES[request.param](tmp_path)


@pytest.fixture
async def store(make: Make) -> AsyncIterator[Store]:
    store = make()
    await store.open()
    yield store
    await store.aclose()
