"""Fixtures of this folder. Async tests carry `pytestmark = pytest.mark.anyio`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statecast.stores import Store
from tests.stores.every_store import STORES, Make


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=STORES)
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Make stores of a kind, and close them all."""
    made: list[Store] = []
    another = STORES[request.param](tmp_path)

    def make() -> Store:
        made.append(another())
        return made[-1]

    yield make
    for store in made:
        await store.aclose()


@pytest.fixture
async def store(make: Make) -> Store:
    store = make()
    await store.open()
    return store
