"""Bounds of connections, on real sockets: what comes before a request, how long it takes, and how many there are."""

from __future__ import annotations

import contextlib
import resource
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anyio
import pytest
from starlette.requests import HTTPConnection

from statecast import Agent, App, Connections, Limits, create_app
from statecast.connections.sockets import LINGERING, Sockets
from statecast.http.request.addresses import public_address
from statecast.protocol.errors import RequestError
from statecast.server import Server
from statecast.testing import TestClient
from tests.transport.failing_store import Failing
from tests.transport.followers import connected, served
from tests.transport.held_agent import HOLD, NOTE, held, until
from tests.transport.http.test_socket import commands, flooding
from tests.transport.raw_connection import Raw, Reply, connection

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GET: Final = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED: Final = (
    b"POST /cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
HOLDING: Final = b'{"commands":[{"type":"hold"}]}'
UPGRADE: Final = (
    b"GET /threads/t/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def bounded(**limits: Any) -> Limits:
    return Limits(connections=Connections(**limits))


def posting(path: str, size: int, type: str = "application/json") -> bytes:
    """Return the head of a POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {type}\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def count(server: Server) -> int:
    """Return how many sockets a server has."""
    return len(server.config.sockets)  # type: ignore[attr-defined]  # `config_for` made it


@contextlib.asynccontextmanager
async def serving(limits: Limits, agent: Agent | None = None, **options: Any) -> AsyncIterator[tuple[Server, App]]:
    app = create_app(agent or held()[0], limits=limits)
    async with served(app, **options) as server:
        yield server, app


# Before there is a request


@pytest.mark.parametrize(
    ("begin", "more", "status", "code"),
    [
        (GET + b"X-A: ", b"a" * 500, 431, "headers_too_large"),
        (GET, b"a" * 500, 431, "headers_too_large"),
        (GET, b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 5, 431, "headers_too_large"),
        (GET, b"a: 1\r\n" * 5, 431, "too_many_headers"),
        (b"GET /", b"a" * 500, 414, "target_too_long"),
        (b"GET /?", b"a" * 500, 414, "target_too_long"),
        (UPGRADE + b"X-A: ", b"a" * 500, 431, "headers_too_large"),
        (UPGRADE, b"a: 1\r\n" * 5, 431, "too_many_headers"),
        (b"\r\n" * 50, b"\r\n" * 50, 431, "headers_too_large"),
    ],
    ids=["value", "name", "bytes", "number", "path", "query", "upgrade", "upgrade's number", "empty lines"],
)
async def test_a_head_without_end_is_refused(begin: bytes, more: bytes, status: int, code: str) -> None:
    async with serving(bounded(header_bytes=1_000, headers=20)) as (server, _), connection(server) as raw:
        await raw.send(begin)
        for _ in range(20):
            await raw.send(more)
        reply = await raw.reply()
        assert (reply.status, reply.code, reply.headers["connection"]) == (status, code, "close")
        assert await raw.until_closed() == b""
        await until(lambda: count(server) == 0)


@pytest.mark.parametrize(
    "more",
    [b"0\r\nX-A: " + b"a" * 3_000, b"0\r\n" + b"a: 1\r\n" * 50, b"5;" + b"a" * 3_000],
    ids=["trailer", "trailers", "extension"],
)
async def test_what_hangs_on_to_a_chunked_body_without_end_closes_the_connection(more: bytes) -> None:
    async with serving(bounded(header_bytes=1_000, headers=20)) as (server, _), connection(server) as raw:
        await raw.send(CHUNKED)
        await raw.send(more)
        for _ in range(10):  # more than the server reads at once
            await raw.send(b"a" * 100_000)
        assert await raw.until_closed() == b""


async def test_a_trailer_is_no_header() -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def look(asked: HTTPConnection) -> str:
        seen.append(list(asked.scope["headers"]))
        return "ada"

    app = create_app(held()[0], identify=look)
    async with served(app) as server, connection(server) as raw:
        await raw.send(CHUNKED + b'e\r\n{"threadId":1}\r\n0\r\nX-User: eve\r\n\r\n')
        await raw.reply("POST")
        await raw.send(CHUNKED + b'10\r\n{"threadId":"t"}\r\n0\r\nX-User: eve\r\n\r\n')
        assert (await raw.reply("POST")).code == "unknown_thread"
    assert seen
    assert not any(name == b"x-user" for headers in seen for name, _ in headers)


async def test_the_largest_head_is_taken_and_the_next_request_counts_anew() -> None:
    async with serving(bounded(header_bytes=1_000, headers=20)) as (server, _), connection(server) as raw:
        for _ in range(3):
            assert (await raw.ask("/health?" + "a" * 800, "Host: 127.0.0.1")).status == 200
            assert (await raw.ask("/health", "Host: 127.0.0.1", *[f"X-{n}: 1" for n in range(19)])).status == 200


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"CONNECT a:1 HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_has_the_shape_of_every_error(data: bytes) -> None:
    async with serving(Limits()) as (server, _), connection(server) as raw:
        await raw.send(data)
        reply = await raw.reply()
        assert (reply.status, reply.code) == (400, "malformed_http")
        assert await raw.until_closed() == b""


async def test_what_is_no_http_behind_a_request_never_stands_in_its_response() -> None:
    agent, release = held()
    async with serving(Limits(), agent) as (server, _), connection(server) as raw:
        await raw.send(posting("/assistant", len(HOLDING)) + HOLDING)
        await raw.send(b"nonsense\r\n\r\n")
        assert b"malformed" not in await raw.until_closed()
        release.set()


# Time


async def test_headers_that_do_not_arrive_in_time_are_refused() -> None:
    async with serving(bounded(header_seconds=0.05)) as (server, _), connection(server) as raw:
        await raw.send(GET)
        reply = await raw.reply()
        assert (reply.status, reply.code) == (408, "header_timeout")
        assert await raw.until_closed() == b""


@pytest.mark.parametrize("before", [b"", b"\r\n", b"G"], ids=["nothing", "an empty line", "a letter"])
async def test_a_connection_on_which_no_request_begins_is_closed(before: bytes) -> None:
    async with serving(bounded(header_seconds=0.05)) as (server, _), connection(server) as raw:
        await raw.send(before)
        await raw.until_closed()
        await until(lambda: count(server) == 0)


async def test_the_next_request_has_as_much_time_as_the_first() -> None:
    async with serving(bounded(header_seconds=0.2, idle_seconds=60)) as (server, _), connection(server) as raw:
        assert (await raw.ask("/health")).status == 200
        await raw.send(GET)
        assert (await raw.reply()).code == "header_timeout"


async def test_an_idle_connection_is_closed_and_a_stream_is_not_idle() -> None:
    limits = Limits(heartbeat_seconds=0.02, connections=Connections(idle_seconds=0.05, header_seconds=0.05))
    app = create_app(held()[0], limits=limits)
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        async with connection(server) as raw, connection(server) as stream:
            await stream.send(b"GET /threads/t/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await raw.ask("/health")).status == 200
            assert await raw.until_closed() == b""
            await until(lambda: count(server) == 1)
            thread = app.hub.loaded("t")
            assert thread is not None
            assert thread.readers == 1


async def test_a_body_that_goes_on_behind_its_refusal_is_not_read_for_ever() -> None:
    async with serving(bounded(header_seconds=0.05)) as (server, _), connection(server) as raw:
        await raw.send(b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nabc")
        assert (await raw.reply("POST")).status == 404
        assert await raw.until_closed() == b""


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    limits = Limits(keep_bytes=2**25, keep_entries=1_000, connections=Connections(stall_seconds=0.05))
    app = create_app(flooding(), limits=limits)
    async with served(app, buffer=4_096) as server, TestClient(app, lifespan=False) as client:
        await client.run(thread_id="t", state={"text": ""})
        async with connection(server) as raw:
            await raw.send(b"GET /threads/t/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            thread = app.hub.loaded("t")
            assert thread is not None
            await until(lambda: thread.readers == 1)
            for _ in range(3):
                await client.run({"type": "flood"}, thread_id="t")
            await until(lambda: count(server) == 0)
            await until(lambda: thread.readers == 0)


# How many


async def test_a_socket_without_a_request_makes_room_for_the_next() -> None:
    async with serving(bounded(sockets=2)) as (server, _):
        async with connection(server) as first, connection(server) as second:
            assert (await first.ask("/health")).status == 200
            assert (await second.ask("/health")).status == 200
            async with connection(server) as third:
                assert (await third.ask("/health")).status == 200
                assert await first.until_closed() == b""
                assert (await second.ask("/health")).status == 200


async def test_a_request_that_does_not_end_makes_room_for_the_next() -> None:
    async with serving(bounded(sockets=2)) as (server, app):
        async with connection(server) as first, connection(server) as second:
            await begin_post(first, 5_000, 3_000)
            await until(lambda: app.open_requests.bodies.total == 3_000)
            await begin_post(second, 5_000, 1_000)
            await until(lambda: app.open_requests.bodies.total == 4_000)
            async with connection(server) as third:
                assert (await third.ask("/health")).status == 200
                assert await first.until_closed() == b""
            await until(lambda: app.open_requests.bodies.total == 1_000)


async def test_a_server_whose_sockets_are_all_at_work_is_full() -> None:
    app = create_app(held()[0], limits=bounded(sockets=1))
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        async with connected(server) as socket:
            await socket.until(lambda view: view.frames)
            async with connection(server) as one_too_many:
                reply = await one_too_many.ask("/health")
                assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "server_full", "5")
                assert await one_too_many.until_closed() == b""
            assert (await socket.ask({"type": "ping"}))["type"] == "pong"
        await until(lambda: count(server) == 0)
        async with connection(server) as raw:
            assert (await raw.ask("/health")).status == 200


async def test_requests_that_wait_behind_one_another_are_bounded() -> None:
    agent, release = held()
    async with serving(Limits(), agent) as (server, _), connection(server) as raw:
        for _ in range(3):
            await raw.send((GET + b"\r\n") * 8)
            for _ in range(8):
                assert (await raw.reply()).status == 200
        await raw.send(posting("/assistant", len(HOLDING)) + HOLDING + (GET + b"\r\n") * 100)
        assert b'"status":"ok"' not in await raw.until_closed()
        release.set()


async def test_a_client_that_leaves_while_a_request_waits_behind_its_stream_is_noticed() -> None:
    app = create_app(held()[0], limits=Limits(heartbeat_seconds=0.02))
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        thread = app.hub.loaded("t")
        assert thread is not None
        async with connection(server) as raw:
            await raw.send(b"GET /threads/t/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + GET + b"\r\n")
            await until(lambda: thread.readers == 1)
        await until(lambda: thread.readers == 0)
        await until(lambda: not server.server_state.tasks)


def test_only_so_many_refused_sockets_linger() -> None:
    sockets = Sockets(Connections())
    transports: list[Any] = [object() for _ in range(100)]
    assert sum(sockets.linger(transport) for transport in transports) == LINGERING
    sockets.release(transports[0])
    assert [sockets.linger(transport) for transport in transports[:2]] == [True, False]


def test_sockets_are_counted_by_public_address() -> None:
    sockets = Sockets(Connections(sockets_per_address=2), ["9.9.9.0/24"])

    def admit(host: str, times: int) -> list[Any]:
        transports: list[Any] = [object() for _ in range(times)]
        for transport in transports:
            sockets.admit(transport, (host, 1))
        return transports

    for host in ("127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "9.9.9.9"):
        admit(host, 5)
    one, _ = admit("8.8.8.8", 2)
    admit("8.8.4.4", 2)
    with pytest.raises(RequestError, match="at most 2 open sockets"):
        admit("8.8.8.8", 1)
    sockets.release(one)
    admit("8.8.8.8", 1)


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2606:4700::1111", "2606:4700::/64"),
        ("2606:4700::1:2:3:4", "2606:4700::/64"),
        ("192.168.1.1", None),
        ("::ffff:10.0.0.1", None),
        ("127.0.0.1", None),
        ("testclient", None),
    ],
)
def test_addresses_that_tell_clients_apart(host: str, counted: str | None) -> None:
    assert public_address((host, 1)) == counted


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "most"),
    [
        (20_000, 20_000, 20_000, 10_000),
        (1_024, 2**20, 2**20, 10_000),
        (1_024, 1_024, 1_024, 768),
        (256, resource.RLIM_INFINITY, 10_240, 9_984),
        (256, 4_096, 4_096, 3_840),
        (64, 64, 64, 32),
    ],
)
def test_there_are_no_more_sockets_than_the_system_allows_files(
    soft: int, hard: int, allowed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allow(which: int, limits: tuple[int, int]) -> None:
        if limits[0] > allowed:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr("resource.getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr("resource.setrlimit", allow)
    sockets = Sockets(Connections())
    sockets.fit()
    for _ in range(most):
        sockets.admit(object(), None)  # type: ignore[arg-type]  # only told apart
    with pytest.raises(RequestError, match=f"{most} open sockets"):
        sockets.admit(object(), None)  # type: ignore[arg-type]  # likewise


# By owner, and by address


async def by_header(asked: HTTPConnection) -> str | None:
    return asked.headers.get("x-user")


async def test_an_owner_has_so_many_requests_at_once_and_others_have_theirs() -> None:
    app = create_app(held()[0], identify=by_header, limits=Limits(requests_per_owner=2))
    ada, ben = {"x-user": "ada"}, {"x-user": "ben"}
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        for user in (ada, ben):
            await client.post("/assistant", json={"commands": [NOTE], "threadId": "t"}, headers=user)
        async with client.stream("GET", "/threads/t/events", headers=ada), connected(server, headers=ada) as socket:
            await socket.until(lambda view: view.frames)
            refused = await client.get("/threads/t/state", headers=ada)
            assert (refused.status, refused.json()["error"]["code"]) == (429, "too_many_requests")
            assert (refused.headers["retry-after"], refused.json()["error"]["limit"]) == ("5", 2)
            async with connected(server, headers=ada) as other:
                assert other.status == 429
            assert (await client.get("/threads/t/state", headers=ben)).status == 200
            assert (await client.get("/health", headers=ada)).status == 200  # nobody's
        await until(lambda: not app.open_requests.owners)
        assert (await client.get("/threads/t/state", headers=ada)).status == 200


async def test_an_address_has_so_many_requests_at_once_as_a_trusted_proxy_tells_it() -> None:
    app = create_app(held()[0], limits=Limits(requests_per_address=1))
    async with served(app, proxies=["127.0.0.1"]) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        one, other = {"x-forwarded-for": "8.8.8.8"}, {"x-forwarded-for": "8.8.4.4"}
        async with connected(server, headers=one) as socket, connection(server) as raw:
            await socket.until(lambda view: view.frames)
            reply = await raw.ask("/health", "Host: 127.0.0.1", "X-Forwarded-For: 8.8.8.8")
            assert (reply.status, reply.code) == (429, "too_many_requests")
            async with connected(server, headers=one) as second:
                assert second.status == 429
            async with connected(server, headers=other) as third:
                await third.until(lambda view: view.frames)
        await until(lambda: not app.open_requests.addresses)


async def test_nobody_else_is_believed_about_addresses() -> None:
    app = create_app(held()[0], limits=Limits(requests_per_address=1))
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        said = {"x-forwarded-for": "8.8.8.8"}
        async with connected(server, headers=said) as one, connected(server, headers=said) as two:
            await one.until(lambda view: view.frames)
            await two.until(lambda view: view.frames)
            assert not app.open_requests.addresses


# Bodies in flight


async def begin_post(raw: Raw, size: int, sent: int) -> bytes:
    """Begin to send a body, and return the rest of it."""
    body = b'{"filling":"' + b"x" * (size - 27) + b'","commands":[]}'
    await raw.send(posting("/assistant", len(body)))
    await raw.send(body[:sent])
    return body[sent:]


async def test_the_largest_of_too_many_bodies_makes_room_for_the_others() -> None:
    async with serving(Limits(bodies=10_000)) as (server, app):
        async with connection(server) as large, connection(server) as small:
            await begin_post(large, 9_000, 8_000)
            await until(lambda: app.open_requests.bodies.total == 8_000)
            rest = await begin_post(small, 5_000, 3_000)
            reply = await large.reply("POST")
            assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "server_full", "2")
            await small.send(rest)
            assert (await small.reply("POST")).status == 200
        await until(lambda: app.open_requests.bodies.total == 0)
        assert not app.open_requests.bodies.arriving


async def test_a_file_that_is_held_in_memory_counts_as_a_body() -> None:
    async with serving(Limits(bodies=10_000)) as (server, app):
        async with connection(server) as file, connection(server) as small:
            await file.send(posting("/attachments?name=a.txt", 9_000, "text/plain") + b"x" * 8_000)
            await until(lambda: app.open_requests.bodies.total == 8_000)
            rest = await begin_post(small, 5_000, 3_000)
            assert (await file.reply("POST")).code == "server_full"
            await small.send(rest)
            assert (await small.reply("POST")).status == 200
        await until(lambda: app.open_requests.bodies.total == 0)


async def test_an_address_has_so_many_bytes_in_flight() -> None:
    app = create_app(held()[0], limits=Limits(bodies_per_address=4_000))
    async with served(app, proxies=["*"]) as server, connection(server) as raw, connection(server) as other:
        body = b'{"filling":"%b"}' % (b"x" * 5_000)
        head = ("Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(body)}")
        refused = await raw.ask("/assistant", *head, "X-Forwarded-For: 8.8.8.8", method="POST", body=body)
        assert (refused.status, refused.code) == (429, "too_many_bytes")
        taken: Reply = await other.ask("/assistant", *head, "X-Forwarded-For: 10.0.0.1", method="POST", body=body)
        assert taken.status == 200
        await until(lambda: app.open_requests.bodies.total == 0)


# WebSockets


def frame(data: bytes, *, first: bool = True, last: bool = True, compressed: bool = False) -> bytes:
    """Return a frame of a text, masked by nothing."""
    head = bytes([(0x80 if last else 0) | (0x40 if compressed else 0) | (1 if first else 0)])
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    return head + length + b"\0\0\0\0" + data


async def upgraded(server: Server, raw: Raw) -> bytes:
    """Make a connection a WebSocket, and return the response's head."""
    await raw.send(UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    said = b""
    while b"\r\n\r\n" not in said:
        said += await raw.read()
    return said


async def closed_with(raw: Raw, code: int) -> bool:
    """Read to the end, and say whether the last there is is a close frame with that code."""
    return struct.pack("!H", code) in await raw.until_closed()


def pieces() -> dict[str, Callable[[int], bytes]]:
    def deflated(size: int) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return frame((packer.compress(b" " * size) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], compressed=True)

    def fragments(size: int) -> bytes:
        return b"".join(frame(b" " * 100, first=n == 0, last=False) for n in range(size // 100))

    def deflated_fragments(size: int) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        pieces = [packer.compress(b" " * 1_000) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(size // 1_000)]
        return b"".join(frame(piece, first=n == 0, last=False, compressed=n == 0) for n, piece in enumerate(pieces))

    return {"deflated": deflated, "fragments": fragments, "deflated fragments": deflated_fragments}


@pytest.mark.parametrize("kind", pieces())
@pytest.mark.parametrize("compress", [False, True])
async def test_a_message_is_no_larger_than_a_body_however_it_comes(kind: str, compress: bool) -> None:
    limits = Limits(body=10_000, connections=Connections(compress=compress))
    app = create_app(held()[0], limits=limits)
    async with served(app) as server, TestClient(app, lifespan=False) as client, connection(server) as raw:
        await client.run(NOTE, thread_id="t")
        assert (b"permessage-deflate" in await upgraded(server, raw)) is compress
        await raw.send(pieces()[kind](60_000))
        assert await closed_with(raw, 1009 if compress or kind == "fragments" else 1002)
        await until(lambda: count(server) == 0)
        assert app.open_requests.bodies.total == 0


async def test_a_compressed_message_within_the_limit_is_taken() -> None:
    app = create_app(held()[0], limits=Limits(body=10_000, connections=Connections(compress=True)))
    async with served(app) as server, TestClient(app, lifespan=False) as client, connection(server) as raw:
        await client.run(NOTE, thread_id="t")
        await upgraded(server, raw)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        text = b'{"type":"cancel","threadId":"t"}' + b" " * 9_000
        await raw.send(frame((packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4], compressed=True))
        await until(lambda: app.open_requests.bodies.total == 0)
        await raw.send(b"\x88\x80\0\0\0\0")
        assert not await closed_with(raw, 1009)


async def test_a_message_that_does_not_arrive_in_time_closes_the_socket() -> None:
    app = create_app(held()[0], limits=Limits(body_seconds=0.05))
    async with served(app) as server, TestClient(app, lifespan=False) as client, connection(server) as raw:
        await client.run(NOTE, thread_id="t")
        await upgraded(server, raw)
        await raw.send(frame(b"{", last=False))
        assert await closed_with(raw, 1008)
        assert not app.open_requests.bodies.arriving


async def test_messages_that_arrive_count_among_the_bodies_in_flight() -> None:
    app = create_app(held()[0], limits=Limits(bodies=10_000))
    async with served(app) as server, TestClient(app, lifespan=False) as client:
        await client.run(NOTE, thread_id="t")
        async with connection(server) as large, connection(server) as small:
            await upgraded(server, large)
            await large.send(frame(b" " * 8_000, last=False))
            await until(lambda: app.open_requests.bodies.total == 8_000)
            rest = await begin_post(small, 5_000, 3_000)
            assert await closed_with(large, 1013)
            await small.send(rest)
            assert (await small.reply("POST")).status == 200
        await until(lambda: app.open_requests.bodies.total == 0)


async def test_a_message_counts_until_it_is_dealt_with() -> None:
    store = Failing()
    app = create_app(held()[0], store=store)
    async with served(app) as server, connected(server) as socket:
        await socket.send(commands({**NOTE, "text": "a"}))
        await socket.until(lambda view: view.answers)
        store.go = anyio.Event()
        await socket.send(commands({**NOTE, "text": "x" * 5_000}))
        await until(lambda: app.open_requests.bodies.total > 5_000)
        assert not app.open_requests.bodies.arriving
        store.go.set()
        await until(lambda: app.open_requests.bodies.total == 0)


async def test_what_is_one_too_many_has_no_effect() -> None:
    agent, release = held()
    app = create_app(agent, limits=Limits(requests_per_owner=1), identify=by_header)
    async with TestClient(app, headers={"x-user": "ada"}) as client:
        async with client.stream("POST", "/assistant", json={"commands": [HOLD], "threadId": "t"}) as running:
            await running.read_until(b"held")
            assert (await client.post("/assistant", json={"commands": [NOTE], "threadId": "t"})).status == 429
            release.set()
            await running.read()
        assert (await client.get("/status/t")).json()["queued"] == []
