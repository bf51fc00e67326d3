"""Cancelling is asyncio's: once, and what an agent then awaits to clean up is not cut off, whoever stops its run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from statecast import Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.testing import TestClient
from tests.transport.followers import posted
from tests.transport.held_agent import NOTE, note, until
from tests.transport.thread_remains import listing

pytestmark = pytest.mark.anyio

WORK = {"type": "work"}

Done = list[str]
Work = Callable[[Run, Done], Awaitable[None]]


async def tidy(done: Done, what: str) -> None:
    """Clean up, with as many awaits as it takes."""
    for _ in range(3):
        await asyncio.sleep(0.001)
    done.append(what)


async def in_finally(run: Run, done: Done) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await tidy(done, "tidied")


async def in_except(run: Run, done: Done) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await tidy(done, "tidied")
        raise


async def and_goes_on(run: Run, done: Done) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    await tidy(done, "tidied")


@contextlib.asynccontextmanager
async def session(done: Done) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await tidy(done, "tidied")


async def in_async_with(run: Run, done: Done) -> None:
    async with session(done):
        await asyncio.sleep(60)


async def tokens(done: Done) -> AsyncIterator[str]:
    try:
        while True:
            yield "token"
            await asyncio.sleep(60)
    finally:
        await tidy(done, "tidied")


async def in_a_generator(run: Run, done: Done) -> None:
    async for _ in tokens(done):
        pass


async def in_a_task_group(run: Run, done: Done) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(in_finally(run, done))


async def in_anyios_task_group(run: Run, done: Done) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asyncio.sleep, 60)
        async with session(done):
            await asyncio.sleep(60)


async def in_gathered_tasks(run: Run, done: Done) -> None:
    child = asyncio.create_task(in_finally(run, done))
    try:
        await asyncio.gather(child, asyncio.sleep(60))
    finally:
        await asyncio.wait([child])


async def in_a_task_beside(run: Run, done: Done) -> None:
    run.start_soon(in_finally, run, done)
    await asyncio.sleep(60)


async def in_a_loop_that_waits_for_its_tasks(run: Run, done: Done) -> None:
    """As frameworks do: what was begun is cancelled, and waited for."""
    tasks = {asyncio.create_task(in_finally(run, done))}
    try:
        while tasks:
            _, tasks = await asyncio.wait(tasks, timeout=30)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


KINDS: tuple[Work, ...] = (
    in_finally,
    in_except,
    and_goes_on,
    in_async_with,
    in_a_generator,
    in_a_task_group,
    in_anyios_task_group,
    in_gathered_tasks,
    in_a_task_beside,
    in_a_loop_that_waits_for_its_tasks,
)


def tidying(work: Work, **settings: Any) -> tuple[Agent, Done]:
    """Return an agent that works like that, and what it has done to clean up."""
    agent, done = Agent(**settings), Done()

    @agent.on("work")
    async def handle(run: Run, command: UntypedCommand) -> None:
        note(run, "working")
        await work(run, done)

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, "noted")

    return agent, done


@contextlib.asynccontextmanager
async def working(client: TestClient) -> AsyncIterator[None]:
    """Have a run of the thread "t" at work; its response is read to the end, unless it is given up."""
    async with client.stream("POST", "/assistant", json=posted(WORK)) as response:
        await response.read_until(b"working")
        yield


def none_left(client: TestClient) -> bool:
    assert isinstance(client.app, App)
    return client.app.hub.runs == 0


async def cancel(client: TestClient) -> None:
    await client.post("/cancel", json={"threadId": "t"})


async def interrupt(client: TestClient) -> None:
    await client.run(NOTE, thread_id="t", policy="interrupt")


async def roll_back(client: TestClient) -> None:
    await client.run(NOTE, thread_id="t", policy="rollback")


async def delete(client: TestClient) -> None:
    assert (await client.request("DELETE", "/threads/t")).status == 204


async def stop_the_server(client: TestClient) -> None:
    assert isinstance(client.app, App)
    await client.app.hub.aclose()


async def wait(client: TestClient) -> None:
    """Do nothing: its time is over soon."""


@pytest.mark.parametrize("work", KINDS, ids=lambda work: work.__name__)
@pytest.mark.parametrize("stop", [cancel, interrupt, roll_back, delete, stop_the_server, wait])
async def test_whoever_stops_a_run_its_agent_cleans_up(
    stop: Callable[[TestClient], Awaitable[None]], work: Work
) -> None:
    agent, done = tidying(work, **({"policy": "rollback"} if stop is roll_back else {}))
    limits = Limits(run_seconds=0.05) if stop is wait else Limits()
    async with TestClient(listing(agent, limits=limits)) as client, working(client):
        await stop(client)
        await until(lambda: done)
        await until(lambda: none_left(client))
    assert done == ["tidied"]


async def test_a_lost_connection_lets_an_agent_clean_up() -> None:
    agent, done = tidying(in_async_with)
    async with TestClient(create_app(agent, on_disconnect="cancel")) as client:
        async with working(client):
            pass
        await until(lambda: done)
    assert done == ["tidied"]


async def test_what_is_written_while_cleaning_up_is_kept() -> None:
    async def work(run: Run, done: Done) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await tidy(done, "tidied")
            note(run, "tidied")

    agent, _ = tidying(work)
    async with TestClient(agent) as client, client.stream("POST", "/assistant", json=posted(WORK)) as response:
        await response.read_until(b"working")
        await cancel(client)
        assert b"tidied" in await response.read()
        assert (await client.get("/status/t")).json()["status"] == "cancelled"


async def test_what_is_awaited_for_too_long_is_cut_off() -> None:
    async def work(run: Run, done: Done) -> None:
        for _ in range(20):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                done.append("cancelled")

    agent, done = tidying(work, cancel_seconds=0.01)
    async with TestClient(agent) as client, working(client):
        await cancel(client)
        await until(lambda: none_left(client))
        status = (await client.get("/status/t")).json()["status"]
    assert (len(done), status) == (20, "cancelled")


async def test_a_failing_task_lets_the_others_clean_up() -> None:
    async def work(run: Run, done: Done) -> None:
        async def fail() -> None:
            raise LookupError

        run.start_soon(fail)
        await in_finally(run, done)

    agent, done = tidying(work)
    async with TestClient(agent) as client:
        assert (await client.run(WORK)).code == "agent_failed"
    assert done == ["tidied"]


async def test_a_stopped_agent_closes_its_connection_to_the_model() -> None:
    """It is paid for what it streams, as long as anybody listens. Looked at from its side."""
    gone = asyncio.Event()

    async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"data: token\n\n")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.01)
        gone.set()
        writer.close()

    async def stream(url: str, run: Run) -> None:
        async with httpx.AsyncClient() as model, model.stream("GET", url) as response:
            async for line in response.aiter_lines():
                note(run, line)

    async def work(run: Run, done: Done) -> None:
        children = {asyncio.create_task(stream(url, run))}
        try:
            await asyncio.wait(children)
        finally:
            await tidy(done, "tidied")  # telemetry, say, comes first
            for child in children:
                child.cancel()
            await asyncio.wait(children)

    provider = await asyncio.start_server(provide, "127.0.0.1", 0)
    url = "http://{}:{}".format(*provider.sockets[0].getsockname())
    agent, done = tidying(work)
    async with provider, TestClient(agent) as client:
        async with client.stream("POST", "/assistant", json=posted(WORK)) as response:
            await response.read_until(b"token")
            assert not gone.is_set()
            await cancel(client)
            await response.read()
        with anyio.fail_after(10):
            await gone.wait()
    assert done == ["tidied"]
