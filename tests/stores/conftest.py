"""Fixtures of this folder. Async tests carry `pytestmark = pytest.mark.anyio`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statecast.stores import Store
from tests.stores.every_store import STORES, Make, Ticks


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture(params=STORES)
async def make(request: pytest.FixtureRequest, tmp_path: Path, ticks: Ticks) -> AsyncIterator[Make]:
    """Make stores of a kind, and close them all."""
    made: list[Store] = []
    another = STORES[request.param](tmp_path, ticks)

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
