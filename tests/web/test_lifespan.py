"""The lifespan that outer apps run: it starts the agents, and ends them at the signal that stops the server."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from statecast import Agent, App, Run, UntypedCommand, create_app
from statecast.stores import SqliteStore, StoreUnavailable
from statecast.testing import TestClient
from tests.transport.held_agent import HOLD, NOTE, held, until

pytestmark = pytest.mark.anyio


class FakeServer:
    """Handles SIGTERM as a server does, and notes what was open then."""

    def __init__(self) -> None:
        self.received = asyncio.Event()
        self.signals: list[int] = []
        self.app: App | None = None
        self.stopping: list[bool] = []
        self.kept = signal.signal(signal.SIGTERM, self.handle_exit)

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)
        self.stopping.append(self.app is not None and self.app.hub.stopping)
        self.received.set()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    server = FakeServer()
    yield server
    signal.signal(signal.SIGTERM, server.kept)


async def test_a_signal_ends_the_streams_and_then_reaches_the_server(server: FakeServer) -> None:
    agents = server.app = create_app(held()[0])
    outer = Starlette(routes=[Mount("/agents", agents)], lifespan=partial(agents.lifespan, grace=0))
    async with TestClient(outer) as client:
        body = {"threadId": "t", "commands": [HOLD]}
        async with client.stream("POST", "/agents/assistant", json=body) as response:
            await response.read_until(b"held")
            signal.raise_signal(signal.SIGTERM)
            assert server.signals == []
            content = await response.read()
        await server.received.wait()
        assert b"The server stopped before the run had ended" in content
        assert (await client.post("/agents/assistant", json=body)).json()["error"]["code"] == "server_stopping"
    assert server.signals == [signal.SIGTERM]
    assert server.stopping == [True]


async def test_runs_get_the_grace_to_end(server: FakeServer) -> None:
    agent, release = held()
    agents = create_app(agent)
    outer = Starlette(routes=[Mount("/agents", agents)], lifespan=agents.lifespan)
    async with TestClient(outer) as client:
        async with client.stream("POST", "/agents/assistant", json={"commands": [HOLD]}) as response:
            await response.read_until(b"held")
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: agents.hub.stopping)
            release.set()
            assert b"went on" in await response.read()
        await server.received.wait()


async def test_a_second_signal_is_the_servers_at_once(server: FakeServer) -> None:
    agents = create_app(held()[0])
    async with TestClient(Starlette(routes=[Mount("/agents", agents)], lifespan=agents.lifespan)) as client:
        async with client.stream("POST", "/agents/assistant", json={"commands": [HOLD]}) as response:
            await response.read_until(b"held")
            signal.raise_signal(signal.SIGTERM)
            assert server.signals == []
            signal.raise_signal(signal.SIGTERM)
            assert server.signals == [signal.SIGTERM]
            await until(lambda: agents.hub.stopping)
            for thread in agents.hub.registry:
                await agents.hub.cancel(thread.id)
            await response.read()
    assert server.signals == [signal.SIGTERM] * 2


async def test_several_apps_end_one_after_the_other(server: FakeServer) -> None:
    first, second = create_app(held()[0]), create_app(held()[0])
    server.app = first
    async with first.lifespan(), second.lifespan():
        signal.raise_signal(signal.SIGTERM)
        await server.received.wait()
        assert first.hub.stopping
        assert second.hub.stopping
    assert server.signals == [signal.SIGTERM]
    assert server.stopping == [True]


async def test_the_servers_handler_is_there_again_at_the_end(server: FakeServer) -> None:
    agents = create_app(Agent())
    async with agents.lifespan():
        assert signal.getsignal(signal.SIGTERM) != server.handle_exit
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


async def test_signals_that_no_server_handles_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    async with create_app(Agent()).lifespan():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_a_server_in_another_thread_keeps_its_signals() -> None:
    ended: list[bool] = []

    async def live() -> None:
        async with create_app(Agent()).lifespan():
            ended.append(True)

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    thread.join()
    assert ended == [True]


async def test_the_lifespan_runs_what_an_earlier_process_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'threads.db'}"
    agent, _ = held()
    async with TestClient(create_app(agent, store=url)) as client:
        async with client.stream("POST", "/assistant", json={"threadId": "t", "commands": [HOLD]}) as response:
            await response.read_until(b"held")
        queued = {"threadId": "t", "commands": [NOTE]}
        async with client.stream("POST", "/assistant", json=queued):
            pass
    ran = asyncio.Event()
    later = Agent()

    @later.on("note")
    async def note(run: Run, command: UntypedCommand) -> None:
        ran.set()

    agents = create_app(later, store=url)
    async with TestClient(Starlette(routes=[Mount("/agents", agents)], lifespan=agents.lifespan)):
        await ran.wait()


async def test_without_a_lifespan_the_log_says_once_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    agents = create_app(held()[0])
    caplog.set_level(logging.WARNING, "statecast")
    async with TestClient(Starlette(routes=[Mount("/agents", agents)])) as client:
        for _ in range(2):
            assert (await client.run(NOTE, path="/agents/assistant")).status == 200
    await agents.hub.aclose()
    (record,) = caplog.records
    assert "FastAPI(lifespan=agents.lifespan)" in record.getMessage()


async def test_with_its_lifespan_the_log_is_empty(caplog: pytest.LogCaptureFixture) -> None:
    agents = create_app(held()[0])
    async with TestClient(Starlette(routes=[Mount("/agents", agents)], lifespan=agents.lifespan)) as client:
        assert (await client.run(NOTE, path="/agents/assistant")).status == 200
    assert caplog.records == []


async def test_a_worker_that_gets_no_signal_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As hypercorn's, which its main process stops by an event that nobody else can see."""
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    async with create_app(Agent()).lifespan():
        pass
    (record,) = caplog.records
    assert "hypercorn --workers 0" in record.getMessage()


async def test_a_file_that_another_process_has_open_is_refused_with_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'threads.db'}"
    async with create_app(Agent(), store=url).lifespan():
        with pytest.raises(StoreUnavailable, match=r"another process has it open; start one process \(--workers 1\)"):
            async with create_app(Agent(), store=SqliteStore(tmp_path / "threads.db", patience=0.1)).lifespan():
                pass


async def test_a_grace_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="grace"):
        create_app(Agent()).lifespan(grace=-1)
