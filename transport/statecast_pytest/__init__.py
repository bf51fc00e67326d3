"""pytest's plugin: fixtures for tests of agents, and async tests that use them without another plugin.

    async def test_it_answers(statecast_thread):
        async with statecast_thread(agent) as t:
            await t.say("hello")
        assert t.text == "You said: hello"

Rule: it is loaded in every run of pytest in an environment that has Statecast. So it imports only what pytest has
imported, until a fixture is used, and changes no test that uses none.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from statecast.testing import TestClient, TestThread

__all__ = ["OpenClient", "OpenThread", "pytest_pyfunc_call", "statecast_client", "statecast_thread"]

#: `statecast_client(agent, **settings)`: a client of an app, or of agents with the settings of `create_app`.
OpenClient: TypeAlias = "Callable[..., AbstractAsyncContextManager[TestClient]]"

#: `statecast_thread(agent, "t", user="ada", **settings)`: a conversation with it.
OpenThread: TypeAlias = "Callable[..., AbstractAsyncContextManager[TestThread]]"

FIXTURES: Final = frozenset({"statecast_client", "statecast_thread"})


@pytest.fixture
def statecast_client() -> OpenClient:
    """Return what opens a `TestClient`, given an app, or agents and the settings of `create_app`."""
    return _client


@pytest.fixture
def statecast_thread() -> OpenThread:
    """Return what opens a `TestThread`, given the same, and the thread, its user and its agent."""
    return _thread


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that uses one of the fixtures, unless another plugin runs it."""
    names = set(pyfuncitem.fixturenames)
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or FIXTURES.isdisjoint(names) or "anyio_backend" in names:
        return None
    if pyfuncitem.get_closest_marker("asyncio") is not None:
        return None
    import asyncio

    parameters = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@contextlib.asynccontextmanager
async def _client(app: Any, **settings: Any) -> AsyncIterator[TestClient]:
    from statecast import Agent, create_app
    from statecast.testing import TestClient

    made = isinstance(app, Agent | list | tuple)
    if settings and not made:
        raise TypeError(f"expected the app's own settings in create_app, got {', '.join(settings)} beside an app")
    async with TestClient(create_app(app, **settings) if made else app) as client:
        yield client


@contextlib.asynccontextmanager
async def _thread(
    app: Any, thread_id: str | None = None, *, user: object = None, agent: str | None = None, **settings: Any
) -> AsyncIterator[TestThread]:
    async with _client(app, **settings) as client, client.thread(thread_id, user=user, agent=agent) as thread:
        yield thread
