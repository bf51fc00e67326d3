"""What a page shows whose server is not there, does not know it, or is another; `client.js` then goes on by itself."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from tests.client.network import Serving, http, proxied, scripted, serving, until
from tests.clients.client_module import Module
from tests.clients.node import Json
from tests.clients.test_client_module import app, check, note, state_of

pytestmark = pytest.mark.anyio


async def stopped() -> Serving:
    """Return a server that is not running."""
    server = Serving()
    await server.stop()
    return server


async def test_a_thread_without_an_id_gets_one_and_is_made_by_its_first_commands(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, None, **wire)).subscribe()
        other = await module.thread(server.url, None, name="other", **wire)
        await thread.wait('s.connection === "unknown" && s.error === null')
        await thread.send(note("a"))
        await thread.wait('s.state?.notes.length === 1 && s.run.status === "completed"')
        await check(thread, server.url, thread.id)

    assert thread.id.startswith("thr_")
    assert thread.id != other.id


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
async def test_a_server_that_is_not_running_is_named_and_found_when_it_starts(
    module: Module, wire: Json, is_new: bool
) -> None:
    server = await stopped()
    thread = await (await module.thread(server.url, isNew=is_new, **wire)).subscribe()
    await thread.do("begin", **{"as": "first"}, commands=note("a"))
    seen = await thread.wait('s.connection === "connecting" && s.error !== null && s.pending.length === 1')
    try:
        await server.start(app())
        assert "value" in await thread.do("finish", **{"as": "first"})
        await thread.wait('s.connection === "open" && s.error === null && s.state?.notes.length === 1')
        await check(thread, server.url)
    finally:
        await server.stop()

    assert seen["error"]["message"] == f"expected an answer from {server.url}, got none: is the server running?"


async def test_a_refusal_of_the_first_commands_is_no_trouble_of_the_connection(module: Module) -> None:
    server = await stopped()
    thread = await (await module.thread(server.url, None)).subscribe()
    await thread.do("begin", **{"as": "first"}, commands={"type": "nothing"})
    await thread.wait('s.connection === "connecting" && s.error !== null')
    try:
        await server.start(app())
        refused = await thread.do("finish", **{"as": "first"})
        await thread.wait('s.connection === "unknown" && s.error === null && s.pending.length === 0')
        await thread.send(note("a"))
        await thread.wait("s.state?.notes.length === 1")
    finally:
        await server.stop()

    assert refused["refused"] == "unknown_command"


async def test_who_was_refused_is_followed_again_once_a_command_is_accepted(module: Module) -> None:
    async def identify(connection: HTTPConnection) -> str | None:
        if int(connection.headers["x-asked"]) < 2:
            raise HTTPException(401, "the token has expired")
        return connection.headers["authorization"]

    async with serving(app(identify=identify)) as server:
        thread = await (await module.thread(server.url, headers={"authorization": "me"})).subscribe()
        seen = await thread.wait('s.connection === "refused"')
        await thread.send(note("a"))  # with a new token
        await thread.wait('s.connection === "open" && s.error === null && s.state?.notes.length === 1')

    assert (seen["error"]["status"], seen["error"]["message"]) == (401, "the token has expired")


async def test_a_server_that_is_another_is_named(module: Module) -> None:
    page = http("200 OK", "<html>", content_type="text/html")
    async with scripted(page, http("404 Not Found", "<html>")) as server:
        thread = await (await module.thread(server.url)).subscribe()
        seen = await thread.wait('s.connection === "refused"')
        refused = await thread.send(note("a"))
        await thread.do("close")

    events = f"{server.url}/threads/t/events"
    assert seen["error"]["message"] == f"expected a Statecast server at {server.url}, got text/html from {events}"
    assert refused["message"] == f"expected an answer of Statecast, got 404 Not Found from {server.url}/assistant"


async def test_a_thread_that_is_not_there_is_said_to_be_unknown_and_may_be_made(module: Module, wire: Json) -> None:
    async with serving(app()) as server:
        thread = await (await module.thread(server.url, "gone", **wire)).subscribe()
        seen = await thread.wait('s.connection === "unknown" && s.error !== null')
        await thread.send(note("a"))
        await thread.wait('s.connection === "open" && s.error === null && s.state?.notes.length === 1')
        assert (await state_of(server.url, "gone"))["state"]["notes"] == ["a"]

    assert seen["error"]["message"] == 'expected the id of a thread, got "gone", which this server does not know'


async def test_a_connection_that_died_in_its_sleep_is_left_when_the_browser_is_online(
    module: Module, wire: Json
) -> None:
    silence = 600_000  # ms: nothing else notices it
    async with serving(app()) as server, proxied(server) as proxy:
        thread = await (await module.thread(proxy.url, silence=silence, **wire)).subscribe()
        await thread.send(note("a"))
        await thread.wait('s.state?.notes.length === 1 && s.run.status === "completed"')
        before = proxy.connections
        await thread.do("awake", after=1_000)
        proxy.frozen = True
        await (await module.thread(server.url, name="other")).send(note("b"))
        await thread.do("awake", after=silence)
        await until(lambda: proxy.connections > before)
        proxy.frozen = False
        await thread.wait("s.state.notes.length === 2")
        await check(thread, server.url)
        frames = (await thread.told())["frames"]

    assert frames.count("snapshot") == 1
