"""Fixtures of this folder; other folders name the plugin themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from statecast import create_app
from tests.clients.ag_ui import Version
from tests.clients.client_module_fixtures import module, module_of_file, wire
from tests.clients.conversing_agent import conversing
from tests.clients.fixtures import accumulator, chromium, node
from tests.clients.node import need_node
from tests.clients.scenes import Gates
from tests.clients.serving import served

__all__ = ["accumulator", "chromium", "module", "module_of_file", "node", "wire"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def gates() -> Gates:
    """Return what holds the runs of the agent behind `url`."""
    return Gates()


@pytest.fixture(scope="module")
def url(gates: Gates) -> Iterator[str]:
    """Yield where the agent is served that all conversations are held with."""
    need_node()
    with served(create_app(conversing(gates))) as base:
        yield base


@pytest.fixture(params=["1.0", "0.0"])
def version(request: pytest.FixtureRequest) -> Version:
    """Return a version of AG-UI's client."""
    name: Version = request.param
    return name
