"""One socket carries a thread's events and its commands: over a real server, with a real client."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from statecast import Agent, App, Limits, Run, UntypedCommand, create_app
from statecast.server import Server
from statecast.testing import TestClient
from statecast.threads.errors import LeaseLost
from statecast.threads.hub import Hub
from statecast.threads.rules import Posted
from tests.transport.failing_store import Failing
from tests.transport.followers import completed, connected, following, served, state_of, status_of
from tests.transport.held_agent import HOLD, NOTE, held, note, said, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture) -> Any:
    """Let no test leave an error in the server's log, whatever the client did."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not [record.getMessage() for record in errors]


def commands(*given: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "commands", "commands": list(given), **fields}


async def make(server: Server, *given: dict[str, Any], thread_id: str = "t", **fields: Any) -> None:
    """Make a thread by the first commands on a socket."""
    async with connected(server, thread_id) as socket:
        assert (await socket.ask(commands(*given or [NOTE], **fields)))["type"] == "ack"
        await socket.until(completed)


# Commands and their answers


async def test_commands_run_and_are_acknowledged_with_the_revision_they_led_to() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.until(lambda view: view.frames)
            before = socket.revision
            ack = await socket.ask(commands(said("hello"), NOTE, ref="mine"))
            await socket.until(lambda view: "completed" in view.statuses)

    applied = next(frame for frame in socket.frames if "hello" in str(frame.get("operations")))
    assert ack["type"] == "ack"
    assert ack["ref"] == "mine"
    assert ack["runId"] == (socket.run or {})["id"]
    assert before < applied["revision"] <= ack["revision"]
    assert ack["cursor"] == f"{socket.cursor.rpartition('-')[0]}-{ack['revision']}"
    assert socket.state["notes"] == ["noted", "noted"]


async def test_an_answer_without_a_ref_names_none() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.send({"type": "ping"})
            await socket.send(commands(NOTE))
            await socket.until(lambda view: len(view.answers) == 2)
    assert [(answer["type"], answer["ref"]) for answer in socket.answers] == [("pong", None), ("ack", None)]


async def test_a_command_is_applied_once_whatever_is_sent_again() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            acks = [await socket.ask(commands({**NOTE, "id": "n"})) for _ in range(3)]
            refused = await socket.ask(commands({**NOTE, "id": "n", "text": "else"}))
            await socket.ask(commands({**NOTE, "text": "last"}))
            await socket.until(lambda view: "last" in view.state["notes"])
    assert len({ack["runId"] for ack in acks}) == 1
    assert refused["error"]["code"] == "command_id_reused"
    assert socket.state == {"notes": ["noted", "noted", "last"]}


async def test_no_commands_are_acknowledged_without_a_run() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            ack = await socket.ask(commands())
    assert (ack["type"], ack["runId"]) == ("ack", None)


async def test_a_batch_has_the_fields_of_a_request() -> None:
    agent = Agent()

    @agent.on("look")
    async def look(run: Run, command: UntypedCommand) -> None:
        run.state["request"] = [run.request.system, run.request.extra, run.request.config.model_name]

    async with served(create_app(agent)) as server, connected(server) as socket:
        fields = {"system": "be kind", "mine": 1, "config": {"modelName": "m"}, "state": {}}
        await socket.ask(commands({"type": "look"}, ref="r", **fields))
        await socket.until(completed)
    assert socket.state == {"request": ["be kind", {"mine": 1}, "m"]}


async def test_a_batch_may_say_what_it_does_to_a_run() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.ask(commands(HOLD))
            await socket.until(lambda view: "held" in view.state["notes"])
            refused = await socket.ask(commands(NOTE, policy="reject"))
            await socket.ask(commands(NOTE, policy="interrupt"))
            await socket.until(lambda view: "completed" in view.statuses)
    assert refused["error"]["code"] == "run_active"
    assert socket.statuses == ["running", "interrupted", "running", "completed"]


async def test_a_run_that_waits_is_answered_on_the_socket() -> None:
    agent = Agent(commands=["go"])

    @agent.on("work")
    async def work(run: Run, command: UntypedCommand) -> None:
        note(run, (await run.wait_for("go")).type)

    async with served(create_app(agent)) as server, connected(server) as socket:
        first = await socket.ask(commands({"type": "work"}))
        await socket.until(lambda view: view.run and view.run["status"] == "waiting")
        second = await socket.ask(commands({"type": "go"}))
        await socket.until(completed)
    assert first["runId"] == second["runId"]
    assert socket.state == {"notes": ["go"]}


REFUSED: list[tuple[bytes, str | None]] = [
    (b"", "malformed_json"),
    (b"{", "malformed_json"),
    (b"nonsense", "malformed_json"),
    (b'{"type":"ping"} {"type":"ping"}', "malformed_json"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b'{"type":"\xff"}', "malformed_json"),
    (b"[]", "invalid_request"),
    (b"null", "invalid_request"),
    (b"1", "invalid_request"),
    (b'"ping"', "invalid_request"),
    (b"{}", "unknown_frame"),
    (b'{"type":null}', "unknown_frame"),
    (b'{"type":"Ping"}', "unknown_frame"),
    (b'{"type":"snapshot"}', "unknown_frame"),
    (b'{"type":1}', "invalid_request"),
    (b'{"type":"ping","ref":1}', "invalid_request"),
    (b'{"type":"commands","commands":{}}', "invalid_request"),
    (b'{"type":"commands","commands":[{"type":"nothing"}]}', "unknown_command"),
    (b'{"type":"commands","commands":[{}]}', "invalid_command"),
    (b'{"type":"commands","commands":[],"agent":"nobody"}', "unknown_agent"),
    (b'{"type":"commands","commands":[],"policy":"never"}', "invalid_request"),
    (b'{"type":"commands","commands":[{"type":"note"},{"type":"note","id":1}]}', "invalid_command"),
    (b'{"type":"commands","commands":[{"type":"note"}],"__proto__":1}', "forbidden_key"),
    (b'{"type":"commands","commands":[{"type":"note"}],"constructor":{}}', "forbidden_key"),
    (b'{"type":"commands","commands":[{"type":"note","n":1e999}]}', "number_out_of_range"),
    (b'{"type":"commands","commands":[],"mine":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep"),
    (b"[" * 100_000, "invalid_request"),
    (b'{"type":"cancel","runId":"run_other"}', None),
    (b'{"type":"cancel","runId":7}', "invalid_request"),
    (b'{"type":"cancel","queued":"yes"}', "invalid_request"),
]


async def test_a_frame_that_is_refused_leaves_the_socket_open() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            for count, (frame, _) in enumerate(REFUSED, 1):
                await socket.send(data=frame)
                await socket.until(lambda view, count=count: len(view.answers) == count)  # type: ignore[misc]
            assert (await socket.ask({"type": "ping"}))["type"] == "pong"
            await socket.ask(commands({**NOTE, "text": "last"}))
            await socket.until(lambda view: "last" in view.state["notes"])
    for (frame, code), answer in zip(REFUSED, socket.answers, strict=False):
        assert (frame, answer["type"]) == (frame, "refused" if code else "ack")
        if code:
            assert (frame, answer["error"]["code"]) == (frame, code)
            assert answer["error"]["message"]
    assert socket.state == {"notes": ["noted", "last"]}


async def test_a_refusal_names_its_frame_and_its_status() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            refused = await socket.ask(commands({"type": "nothing"}, ref="mine"))
    assert (refused["type"], refused["ref"], refused["error"]["code"]) == ("refused", "mine", "unknown_command")
    assert refused["status"] == 422
    assert "retryAfter" not in refused


async def test_a_socket_sends_the_status_and_the_delay_of_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)

        async def refuse(hub: Hub, posted: Posted) -> None:
            raise LeaseLost

        monkeypatch.setattr(Hub, "submit", refuse)
        async with connected(server) as socket:
            refused = await socket.ask(commands(NOTE))
    assert (refused["error"]["code"], refused["status"], refused["retryAfter"]) == ("lease_lost", 503, 1)


async def test_a_text_and_its_bytes_are_the_same_frame() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.send(text='{"type":"ping","ref":"é"}')
            await socket.send(data='{"type":"ping","ref":"é"}'.encode())
            await socket.until(lambda view: len(view.answers) == 2)
    assert socket.answers == [{"type": "pong", "ref": "é"}] * 2


# Stopping a run


async def test_a_run_is_cancelled_on_the_socket() -> None:
    async with served(create_app(held()[0])) as server, connected(server) as socket:
        ack = await socket.ask(commands(HOLD))
        await socket.until(lambda view: view.state)
        other = await socket.ask({"type": "cancel", "runId": "run_other"})
        cancelled = await socket.ask({"type": "cancel", "runId": ack["runId"]})
        await socket.until(lambda view: "cancelled" in view.statuses)
        again = await socket.ask({"type": "cancel"})
    assert other["error"]["code"] == "run_mismatch"
    assert (cancelled["type"], cancelled["runId"], cancelled["cancelled"]) == ("ack", ack["runId"], True)
    assert (again["runId"], again["cancelled"]) == (ack["runId"], False)


async def test_what_waits_is_dropped_where_asked_for() -> None:
    async with served(create_app(held()[0])) as server, connected(server) as socket:
        await socket.ask(commands(HOLD))
        await socket.ask(commands(NOTE))
        await socket.ask({"type": "cancel", "queued": True})
        await socket.until(lambda view: "cancelled" in view.statuses)
        await socket.ask(commands({**NOTE, "text": "last"}))
        await socket.until(completed)
    assert socket.state == {"notes": ["held", "last"]}


async def test_a_run_outlives_its_socket() -> None:
    agent, release = held()
    app = create_app(agent)
    async with served(app) as server:
        async with connected(server) as first:
            await first.ask(commands(HOLD))
            await first.until(lambda view: view.state)
        await until(lambda: not _readers(app))
        release.set()
        async with connected(server, cursor=first.cursor, state=first.state) as second:
            await second.until(completed)
    assert second.state == {"notes": ["held", "went on"]}


def _readers(app: App) -> int:
    thread = app.hub.loaded("t")
    return 0 if thread is None else thread.readers


# Coming and going


async def test_a_socket_begins_with_a_snapshot() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.until(lambda view: view.frames)
    assert socket.kinds == ["snapshot"]
    assert socket.state == {"notes": ["noted"]}


async def test_a_socket_goes_on_from_a_cursor() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as first:
            await first.until(lambda view: view.frames)
        await make(server)
        async with connected(server, cursor=first.cursor, state=first.state) as second:
            await second.until(completed)
        async with connected(server, cursor="nonsense") as third:
            await third.until(lambda view: view.frames)
    assert second.kinds == ["run", "update-state", "run"]
    assert second.state == third.state == {"notes": ["noted", "noted"]}
    assert third.kinds == ["snapshot"]


async def test_a_socket_reads_a_history_from_its_start_and_goes_on() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        await make(server)
        async with connected(server) as now:
            await now.until(lambda view: view.frames)
        async with connected(server, cursor="start") as socket:
            await socket.until(lambda view: view.revision >= now.revision)
            assert (await socket.ask(commands(NOTE)))["type"] == "ack"
            await socket.until(lambda view: view.statuses.count("completed") == 3)
    assert (socket.frames[0]["type"], socket.frames[0]["revision"]) == ("snapshot", 0)
    assert [frame["revision"] for frame in socket.frames] == list(range(socket.revision + 1))
    assert socket.kinds == ["snapshot", *["run", "update-state", "run"] * 3]
    assert socket.state == {"notes": ["noted"] * 3}


async def test_two_sockets_and_a_stream_see_the_same_frames() -> None:
    agent = Agent()

    @agent.on("talk")
    async def talk(run: Run, command: UntypedCommand) -> None:
        for number in range(5):
            run.parts.append_text(f"word {number} ")
            note(run, f"{number}")
            run.flush()
            await anyio.lowlevel.checkpoint()

    app = create_app(agent)
    async with served(app) as server, TestClient(app, lifespan=False) as client, connected(server) as one:
        await one.ask(commands(state={}))
        await one.until(lambda view: view.frames)
        async with connected(server) as two, following(client) as three:
            for view in (two, three):
                await view.until(lambda view: view.frames)
            await one.ask(commands({"type": "talk"}))
            followers: list[Callable[[Any], Awaitable[Any]]] = [one.until, two.until, three.until]
            for read in followers:
                await read(completed)
    assert one.frames == two.frames == three.frames
    assert one.cursors == two.cursors == three.cursors
    assert one.texts == ["word 0 word 1 word 2 word 3 word 4 "]


async def test_a_socket_tells_of_a_thread_that_others_use() -> None:
    app = create_app(held()[0])
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        async with connected(server) as socket:
            await socket.until(lambda view: view.frames)
            await client.run(NOTE, thread_id="t")
            await socket.until(lambda view: "completed" in view.statuses)
            assert socket.state == await state_of(client)


async def test_first_commands_make_the_thread() -> None:
    async with served(create_app(held()[0])) as server, connected(server, "new") as socket:
        ack = await socket.ask(commands(NOTE, state={"a": 1}))
        await socket.until(completed)
    assert ack["type"] == "ack"
    assert socket.state == {"a": 1, "notes": ["noted"]}
    assert socket.kinds[0] == "snapshot"


@pytest.mark.parametrize(
    "frame", [{"type": "ping"}, {"type": "cancel"}, commands({"type": "nothing"}), {"type": "nonsense"}]
)
async def test_an_unknown_thread_that_is_not_made_closes_the_socket(frame: dict[str, Any]) -> None:
    app = create_app(held()[0])
    async with served(app) as server, connected(server, "unknown") as socket:
        await socket.send(frame)
        assert await socket.until_closed() == 4404
        assert len(socket.answers) == 1
        assert app.hub.threads == 0


@pytest.mark.parametrize("thread_id", ["a%20b", "a" * 129, "é".encode().hex("%").join(["%", ""])])
async def test_an_id_that_is_none_is_no_socket(thread_id: str) -> None:
    async with served(create_app(held()[0])) as server, connected(server, thread_id) as socket:
        assert socket.status == 422


async def test_a_quiet_socket_gets_heartbeats() -> None:
    app = create_app(held()[0], limits=Limits(heartbeat_seconds=0.01))
    async with served(app) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.until(lambda view: view.heartbeats >= 2)


# Who may


ORIGINS: list[tuple[list[str], dict[str | None, int]]] = [
    (
        [],
        {
            None: 101,
            "http://evil.example": 403,
            "null": 403,
            "": 403,
            "http://127.0.0.1": 101,
            "https://127.0.0.1": 101,
            "http://127.0.0.1.evil.example": 403,
            "http://127.0.0.1:81": 403,
        },
    ),
    (
        ["https://app.example"],
        {"https://app.example": 101, "http://app.example": 403, "https://app.example.evil.example": 403},
    ),
    (["*"], {"http://evil.example": 101}),
]


@pytest.mark.parametrize(("opened", "origins"), ORIGINS)
async def test_a_page_needs_an_origin_that_is_allowed(opened: list[str], origins: dict[str | None, int]) -> None:
    async with served(create_app(held()[0], cors_origins=opened)) as server:
        await make(server)
        for origin, status in origins.items():
            async with connected(server, headers={} if origin is None else {"origin": origin}) as socket:
                assert (origin, socket.status) == (origin, status)


@pytest.mark.parametrize(
    ("allowed", "hosts"),
    [
        ([], {"localhost": 101, "evil.example": 403}),
        (["app.example"], {"app.example:8000": 101, "evil.example": 403}),
    ],
)
async def test_a_host_must_be_known(allowed: list[str], hosts: dict[str, int]) -> None:
    async with served(create_app(held()[0], allowed_hosts=allowed)) as server:
        await make(server)
        for host, status in hosts.items():
            async with connected(server, headers={"host": host}) as socket:
                assert (host, socket.status) == (host, status)


async def test_nobody_reads_or_writes_a_thread_of_another_owner() -> None:
    async def who(request: HTTPConnection) -> str | None:
        if "authorization" not in request.headers:
            raise HTTPException(401, "who are you?")
        return request.headers["authorization"]

    app = create_app(held()[0], identify=who)
    async with served(app) as server:
        async with connected(server, headers={"authorization": "ann"}) as ann:
            await ann.ask(commands({**NOTE, "text": "secret"}))
            await ann.until(lambda view: view.state)
            async with connected(server, headers={"authorization": "bob"}, cursor=ann.cursor) as bob:
                await bob.ask(commands({**NOTE, "text": "mine"}))
                await bob.until(lambda view: view.state)
            await ann.ask({"type": "ping"})
        async with connected(server) as nobody:
            assert nobody.status == 401
    assert "secret" not in str(bob.frames)
    assert ann.state == {"notes": ["secret"]}


# Clients that do wrong, or nothing


async def test_invalid_utf_8_closes_the_socket_and_nothing_else() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket, connected(server) as other:
            await socket.until(lambda view: view.frames)
            payload = b"\xff\xfe"
            await socket.send_raw(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)  # a text, masked by nothing
            assert await socket.until_closed() in (1006, 1007)
            assert (await other.ask({"type": "ping"}))["type"] == "pong"


async def test_a_frame_that_breaks_the_protocol_closes_the_socket_and_nothing_else() -> None:
    async with served(create_app(held()[0])) as server:
        await make(server)
        async with connected(server) as socket, connected(server) as other:
            await socket.send_raw(b"\x8f\x80\x00\x00\x00\x00")  # an opcode that there is not
            assert await socket.until_closed() in (1006, 1002)
            assert (await other.ask({"type": "ping"}))["type"] == "pong"


async def test_a_frame_over_the_limit_closes_the_socket() -> None:
    async with served(create_app(held()[0], limits=Limits(body=1_000))) as server:
        await make(server)
        async with connected(server) as socket, connected(server) as other:
            await socket.until(lambda view: view.frames)
            await socket.send(commands({**NOTE, "text": "x" * 1_000}))
            assert await socket.until_closed() == 1009
            assert (await other.ask({"type": "ping"}))["type"] == "pong"
    assert socket.state == {"notes": ["noted"]}


async def test_a_frame_over_the_limit_that_another_server_lets_through_is_refused() -> None:
    async with served(create_app(held()[0], limits=Limits(body=1_000)), ws_max_size=2**20) as server:
        await make(server)
        async with connected(server) as socket:
            refused = await socket.ask(commands({**NOTE, "text": "x" * 1_000}))
            assert (await socket.ask({"type": "ping"}))["type"] == "pong"
    assert (refused["type"], refused["error"]["code"], refused["error"]["limit"]) == ("refused", "body_too_large", 1000)
    assert socket.state == {"notes": ["noted"]}


async def test_a_frame_that_no_server_would_take_in_closes_the_socket_and_nothing_else() -> None:
    async with served(create_app(held()[0]), ws_max_size=10_000) as server:
        await make(server)
        async with connected(server) as socket, connected(server) as other:
            await socket.until(lambda view: view.frames)
            await socket.send(text="x" * 20_000)
            assert await socket.until_closed() == 1009
            assert (await other.ask({"type": "ping"}))["type"] == "pong"


async def test_a_client_that_vanishes_is_forgotten() -> None:
    app = create_app(held()[0])
    async with served(app) as server:
        await make(server)
        async with connected(server) as socket:
            await socket.until(lambda view: view.frames)
        await until(lambda: not _readers(app))


def flooding(pieces: int = 200, size: int = 50_000) -> Agent:
    """Return an agent that replaces a large text again and again."""
    agent = Agent()

    @agent.on("flood")
    async def flood(run: Run, command: UntypedCommand) -> None:
        for number in range(pieces):
            run.state["text"] = f"{number}".rjust(size)
            run.flush()
            await anyio.lowlevel.checkpoint()

    return agent


async def test_a_client_that_stalls_slows_nobody_and_costs_nothing() -> None:
    app = create_app(flooding(), limits=Limits(keep_entries=8, keep_bytes=200_000))
    async with served(app, buffer=4_096, ws_ping_interval=None) as server, connected(server) as steady:
        await steady.ask(commands(state={"text": ""}))
        async with connected(server, buffer=4_096) as stalled:
            await stalled.until(lambda view: view.frames)
            ack = await steady.ask(commands({"type": "flood"}))
            await steady.until(completed)
            assert ack["type"] == "ack"
            thread = app.hub.loaded("t")
            assert thread
            assert thread.log.revision - thread.log.start <= 16
            await stalled.until(completed)
    assert stalled.state == steady.state
    assert "snapshot" in stalled.kinds[1:]
    assert len(stalled.frames) < 200


async def test_a_client_that_stalls_for_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statecast.http.endpoints.socket.PATIENCE", 0.02)
    app = create_app(flooding(), limits=Limits(keep_bytes=2**25, keep_entries=1_000))
    async with served(app, buffer=4_096, ws_ping_interval=None) as server, TestClient(app, lifespan=False) as client:
        await client.run(thread_id="t", state={"text": ""})
        async with connected(server, buffer=4_096) as stalled:
            await stalled.until(lambda view: view.frames)
            await client.run({"type": "flood"}, thread_id="t")
            await until(lambda: not _readers(app))  # nothing of the thread is held for it any more
            assert await stalled.until_closed() == 4408


# The end of the server, and of its store


async def test_the_end_of_the_server_closes_the_socket_behind_what_there_is() -> None:
    app = create_app(held()[0])
    async with served(app) as server, connected(server) as socket:
        await socket.ask(commands(HOLD))
        await socket.until(lambda view: view.state)
        server.should_exit = True
        assert await socket.until_closed() == 1012
    assert socket.statuses[-1] == "interrupted"


async def test_while_the_store_is_away_commands_are_refused_and_the_socket_stays() -> None:
    store = Failing()
    app = create_app(held()[0], store=store)
    logging.disable()
    try:
        async with served(app) as server, connected(server) as socket:
            await socket.ask(commands({**NOTE, "text": "before"}))
            await socket.until(completed)
            store.broken = True
            refused = await socket.ask(commands({**NOTE, "text": "lost"}))
            async with connected(server, "other") as other:
                assert await other.until_closed() == 1013
            store.broken = False
            await until(lambda: app.hub.registry.journal.failing is None)
            await socket.ask(commands({**NOTE, "text": "after"}))
            await socket.until(lambda view: view.state == {"notes": ["before", "after"]})
    finally:
        logging.disable(logging.NOTSET)
    assert refused["error"]["code"] == "store_unavailable"


async def test_a_socket_is_no_page() -> None:
    async with TestClient(held()[0]) as client:
        assert (await client.get("/threads/t/ws")).status in (404, 426)
        await client.run(NOTE, thread_id="t")
        assert await status_of(client) == "completed"
