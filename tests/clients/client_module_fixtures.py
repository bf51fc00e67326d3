"""Fixtures for tests of `client.js`: the module in Node, and the wires that it speaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.client_module import Module, running
from tests.clients.node import Json, need_node

__all__ = ["module", "module_of_file", "wire"]


@pytest.fixture(params=["events", "socket"])
def wire(request: pytest.FixtureRequest) -> Json:
    """Return the option of `connect` that chooses the wire."""
    need_node()
    return {"socket": request.param == "socket"}


@pytest.fixture(scope="module")
def module_of_file() -> Iterator[Module]:
    """Yield the module in a process that all tests of a file share, and check that it has reported nothing."""
    need_node()
    with running() as module:
        yield module
    assert module.console == []


@pytest.fixture
def module(module_of_file: Module) -> Iterator[Module]:
    """Yield the module in the process of the file, without any threads afterwards."""
    yield module_of_file
    module_of_file.scenario.step("clear")
