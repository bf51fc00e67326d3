"""Fixtures of this folder: the agent of the example, word by word, and the app that is built for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from examples.nextjs import agent as example
from statecast import create_app
from tests.clients.node import need_chromium
from tests.clients.serving import served
from tests.nextjs.next_app import made_app, next_build


class Pace:
    """Takes the place of `asyncio` in the agent: each `sleep` lasts until the test lets the agent go on."""

    def __init__(self) -> None:
        self._steps = threading.Condition()
        self._left = 0.0

    def go_on(self, steps: float = float("inf")) -> None:
        """Let the agent make so many more steps, by default all."""
        with self._steps:
            self._left += steps
            self._steps.notify_all()

    def hold(self) -> None:
        """Let it make none from now on."""
        with self._steps:
            self._left = 0

    async def sleep(self, _: float) -> None:
        """Wait for the test."""
        await to_thread.run_sync(self._step, abandon_on_cancel=True)

    def _step(self) -> None:
        with self._steps:
            self._steps.wait_for(lambda: self._left >= 1)
            self._left -= 1


@contextmanager
def served_to_grace() -> Iterator[str]:
    """Serve the agent to one user, who has a token, and to no page of another origin; yields where."""

    async def identify(connection: HTTPConnection) -> str:
        if connection.headers.get("authorization") != "Bearer of-grace" or "cookie" in connection.headers:
            raise HTTPException(401, "expected a token, and no cookie")
        return "grace"

    with served(create_app(example.agent, identify=identify)) as url:
        yield url


@pytest.fixture(scope="module")
def whole_pace() -> Iterator[Pace]:
    """Yield what holds the agent, for all tests of the module."""
    pace = Pace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "asyncio", pace)
        yield pace
        pace.go_on()


@pytest.fixture
def pace(whole_pace: Pace) -> Iterator[Pace]:
    """Yield what holds the agent; at first it holds."""
    whole_pace.hold()
    yield whole_pace
    whole_pace.go_on()


@pytest.fixture(scope="module")
def server(whole_pace: Pace) -> Iterator[str]:
    """Yield where the agent is served to pages of other origins."""
    need_chromium()
    with served(create_app(example.agent, cors_origins=["*"])) as url:
        yield url


@pytest.fixture(scope="module")
def app(server: str) -> Iterator[Path]:
    """Yield the folder of the app, built."""
    with made_app() as folder:
        next_build(folder, NEXT_PUBLIC_STATECAST_URL=server)
        yield folder
