"""Clients that follow a thread, and stores that fail on demand: what tests of threads across runs need."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import jsonpatch
import msgspec
from wsproto import ConnectionType, WSConnection, events

from statecast import App
from statecast.http.endpoints.events import Format, place_of
from statecast.protocol import Cursor
from statecast.protocol.thread_events.encoder import EventsEncoder
from statecast.protocol.thread_events.patches import PatchEventsEncoder
from statecast.server import Server, config_for
from statecast.stores import MemoryStore, Sharing, SqliteStore, Store
from statecast.testing import Response, TestClient
from statecast.threads import Thread
from statecast_agents import Json, operations

PATH = "/assistant?protocol=assistant-transport"


class View:
    """What a client makes of the frames it has received."""

    def __init__(self, state: Json = None) -> None:
        self.state: Json = state
        self.revision = -1
        self.cursor = ""
        self.run: dict[str, Any] | None = None
        self.statuses: list[str] = []  #: of runs, as they came
        self.parts: dict[tuple[str, int], str] = {}  #: run and number → the text, as far as it has come
        self.frames: list[dict[str, Any]] = []
        self.cursors: list[str] = []

    @property
    def kinds(self) -> list[str]:
        """The types of the frames, as they came."""
        return [frame["type"] for frame in self.frames]

    @property
    def texts(self) -> list[str]:
        """The texts of the parts of the latest run."""
        return [text for (run, _), text in self.parts.items() if self.run is None or run == self.run["id"]]

    def take(self, frame: dict[str, Any], cursor: str) -> None:
        """Apply one frame."""
        self.frames.append(frame)
        self.cursors.append(cursor)
        self.cursor = cursor
        self.revision = frame["revision"]
        match frame["type"]:
            case "snapshot":
                self.state, self.run, self.parts = frame["state"], frame.get("run"), {}
                for part in frame.get("parts", ()):
                    self._part(part)
            case "update-state":
                changed = msgspec.convert(frame["operations"], list[operations.Operation])
                self.state = operations.apply(self.state, changed)
            case "patch":
                self.state = jsonpatch.apply_patch(self.state, frame["patch"])
            case "run":
                self.run = frame["run"]
                self.statuses.append(frame["run"]["status"])
            case _:
                self._part(frame)

    def copy(self) -> View:
        """Return another view of the same, but for its frames."""
        copied = View(self.state)
        copied.revision, copied.cursor, copied.run = self.revision, self.cursor, self.run
        copied.parts = dict(self.parts)
        return copied

    def _part(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "part-start":
            number = sum(run == frame["runId"] for run, _ in self.parts)
            self.parts[frame["runId"], number] = ""
        elif frame["type"] == "text-delta":
            self.parts[frame["runId"], frame["path"][0]] += frame["textDelta"]


class Connection:
    """A reader of a thread in this process, whose connection may be lost again and again."""

    def __init__(self, thread: Thread, *, form: Format = "operations", view: View | None = None) -> None:
        self.thread = thread
        self.view = view or View()
        self.past: list[View] = []  #: what there was after each frame
        self.streams: list[list[int]] = []  #: the revisions of the frames of each connection
        self.form = form
        self.connect()

    def connect(self) -> None:
        """Go on from the cursor that the view has, if that is a place."""
        place = place_of(self.view.cursor, self.thread) if self.form == "operations" else None
        patches = self.form == "json-patch"
        self._encoder = PatchEventsEncoder(self.thread.epoch) if patches else EventsEncoder(self.thread.epoch)
        whole = self.form == "snapshot"
        self.streams.append([])
        self._reader = self.thread.follow(
            self._encoder, revision=place or 0, snapshot=place is None, endless=True, whole=whole
        )

    def leave(self) -> None:
        """Lose the connection."""
        self.thread.leave(self._reader)

    def cut(self, back: int = 0) -> None:
        """Lose the connection, and connect again with a cursor of `back` frames ago."""
        self.leave()
        if back and len(self.past) > back:
            self.view = self.past[-1 - back].copy()
            del self.past[-back:]
        self.connect()

    def read(self) -> None:
        """Take what there is, once."""
        data = self._reader.take()
        if isinstance(self._encoder, PatchEventsEncoder):
            data += self._encoder.release()
        for event in data.split(b"\n\n"):
            if event.startswith(b"id: "):
                cursor, _, frame = event[4:].partition(b"\ndata: ")
                self.view.take(msgspec.json.decode(frame), cursor.decode())
                self.past.append(self.view.copy())
                self.streams[-1].append(self.view.revision)
                assert self.view.cursor == str(Cursor(self.thread.epoch, self.view.revision))

    def read_all(self) -> None:
        """Take what there is until it is at the end of the log."""
        while self.view.revision != self.thread.log.visible:
            frames = len(self.view.frames)
            self.read()
            assert len(self.view.frames) > frames, "there is more, and it does not come"


class Follower(View):
    """A client of `GET /threads/{id}/events`."""

    def __init__(self, response: Response, state: Json = None) -> None:
        super().__init__(state)
        self.response = response
        self._read = 0

    async def until(self, fact: Callable[[Follower], object]) -> Follower:
        """Read until a fact is there.

        Raises:
            EOFError: The stream ended without it.
        """
        while not fact(self):
            if await anext(self.response, None) is None:
                raise EOFError(f"the stream ended, and all there was is {self.frames}")
            self._take_events()
        return self

    async def to_end(self) -> Follower:
        """Read until the stream ends."""
        await self.response.read()
        self._take_events()
        return self

    def _take_events(self) -> None:
        end = self.response.content.rfind(b"\n\n") + 2
        if end < 2:
            return
        for event in self.response.content[self._read : end].split(b"\n\n"):
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if line and not line.startswith(b":"))
            if fields:
                assert list(fields) == [b"id", b"data"]
                self.take(msgspec.json.decode(fields[b"data"]), fields[b"id"].decode())
        self._read = end


@contextlib.asynccontextmanager
async def following(
    client: TestClient, thread_id: str = "t", *, cursor: str | None = None, state: Json = None, query: str = ""
) -> AsyncIterator[Follower]:
    """Follow a thread; with a cursor, `state` is what the client has."""
    headers = {} if cursor is None else {"last-event-id": cursor}
    async with client.stream("GET", f"/threads/{thread_id}/events{query}", headers=headers) as response:
        assert response.status == 200, await response.read()
        yield Follower(response, state)


def completed(view: View) -> bool:
    """Whether the latest run of a view is."""
    return view.run is not None and view.run["status"] == "completed"


def posted(*commands: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body of a request on the thread `t`."""
    return {"commands": list(commands), "threadId": "t", **fields}


async def state_of(client: TestClient, thread_id: str = "t") -> Json:
    """Return a thread's state."""
    return (await client.get(f"/threads/{thread_id}/state")).json()["state"]


async def status_of(client: TestClient, thread_id: str = "t") -> str:
    """Return what a thread is doing."""
    return str((await client.get(f"/status/{thread_id}")).json()["status"])


async def until_status(client: TestClient, *statuses: str, thread_id: str = "t") -> None:
    """Wait until a thread has come to one of these."""
    with anyio.fail_after(10):
        while await status_of(client, thread_id) not in statuses:  # noqa: ASYNC110  # asked over HTTP
            await anyio.sleep(0.001)


def crashed(store: SqliteStore, folder: Path) -> SqliteStore:
    """Return what another process finds when this one is killed now: the file, its log, and its segments."""
    path = folder / f"crashed {time.monotonic_ns()}.db"
    for file in store.path.parent.glob(f"{store.path.name}*"):
        if not file.name.endswith(("-lock", "-shm")):
            shutil.copy(file, path.parent / file.name.replace(store.path.name, path.name))
    return SqliteStore(path)


def store_of(kind: str, folder: Path) -> Store:
    """Return a store of a kind: `memory`, `shared`, which is in memory too, or `sqlite` in a folder."""
    if kind == "shared":
        return Sharing(MemoryStore())
    return MemoryStore() if kind == "memory" else SqliteStore(folder / "threads.db")


def reopened(store: Store) -> Store:
    """Return what a new process finds of a store that was closed."""
    return SqliteStore(store.path) if isinstance(store, SqliteStore) else store


@contextlib.asynccontextmanager
async def served(app: App, *, buffer: int | None = None, **options: Any) -> AsyncIterator[Server]:
    """Serve an app on a real port, `server.port`, in this process; `buffer` bounds what the system takes to send."""
    listening = socket.create_server(("127.0.0.1", 0))
    if buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    bound = anyio.Event()
    ports: list[int] = []

    def started(port: int) -> None:
        ports.append(port)
        bound.set()

    server = Server(config_for(app, port=0, log_level="error", **options), app, grace=0, on_started=started)
    task = asyncio.create_task(server.serve([listening]))
    try:
        with anyio.fail_after(10):
            await bound.wait()
        server.port = ports[0]  # type: ignore[attr-defined]  # for the tests
        yield server
    finally:
        server.should_exit = True
        with anyio.fail_after(20, shield=True):
            await task


class Socket(View):
    """A client of `WS /threads/{id}/ws` on a real connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: Json = None) -> None:
        super().__init__(state)
        self.status = 101  #: of the handshake
        self.closed: int | None = None  #: the code that the server closed with; 1006 where it gave none
        self.answers: list[dict[str, Any]] = []  #: all that is no event of the thread
        self.heartbeats = 0
        self._reader, self._writer = reader, writer
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._text = ""

    async def shake_hands(self, path: str, headers: Mapping[str, str]) -> None:
        """Ask to be a socket; `status` says whether it is one."""
        named = {name.lower(): value for name, value in headers.items()}
        host = named.pop("host", "127.0.0.1")
        extra = [(name.encode(), value.encode()) for name, value in named.items()]
        await self._send(events.Request(host=host, target=path, extra_headers=extra))
        self._shaken = False
        await self._read_until(lambda: self._shaken or self.closed is not None)

    async def send(self, frame: Json = None, *, text: str | None = None, data: bytes | None = None) -> None:
        """Send a frame as JSON; or a text, or bytes, as they are."""
        if data is None:
            await self._send(events.TextMessage(msgspec.json.encode(frame).decode() if text is None else text))
        else:
            await self._send(events.BytesMessage(data))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes below the protocol."""
        self._writer.write(data)
        await self._writer.drain()

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a frame, and return the answer to it."""
        count = len(self.answers)
        await self.send({"ref": f"ref {count}", **frame})
        await self.until(lambda socket: len(socket.answers) > count)
        return self.answers[count]

    async def until(self, fact: Callable[[Socket], object]) -> Socket:
        """Read until a fact is there.

        Raises:
            EOFError: The socket was closed without it.
        """
        await self._read_until(lambda: fact(self) or self.closed is not None)
        if not fact(self):
            raise EOFError(f"closed with {self.closed}, and all there was is {self.frames} {self.answers}")
        return self

    async def until_closed(self) -> int:
        """Read until the server closes, and return its code."""
        await self._read_until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    async def _send(self, event: events.Event) -> None:
        await self.send_raw(self._protocol.send(event))

    async def _read_until(self, fact: Callable[[], object]) -> None:
        with anyio.fail_after(10):
            while not fact():
                data = await self._reader.read(65_536)
                if not data:
                    self.closed = self.closed or 1006
                    return
                self._protocol.receive_data(data)
                for event in self._protocol.events():
                    await self._on(event)

    async def _on(self, event: events.Event) -> None:
        match event:
            case events.AcceptConnection():
                self._shaken = True
            case events.RejectConnection():
                self.status, self.closed = event.status_code, 1006
            case events.TextMessage():
                self._text += event.data
                if event.message_finished:
                    for line in self._text.splitlines():
                        self._on_frame(msgspec.json.decode(line))
                    self._text = ""
            case events.CloseConnection():
                self.closed = event.code
                await self._send(event.response())
            case events.Ping():
                await self._send(event.response())

    def _on_frame(self, frame: dict[str, Any]) -> None:
        cursor = frame.pop("cursor", "") if frame["type"] not in ("ack", "refused") else ""
        if cursor:
            self.take(frame, cursor)
        elif frame["type"] == "heartbeat":
            self.heartbeats += 1
        else:
            self.answers.append(frame)


@contextlib.asynccontextmanager
async def connected(
    server: Server,
    thread_id: str = "t",
    *,
    cursor: str | None = None,
    state: Json = None,
    headers: Mapping[str, str] | None = None,
    buffer: int | None = None,
) -> AsyncIterator[Socket]:
    """Connect to a thread's socket; with a cursor, `state` is what the client has; `buffer` bounds what it takes in."""
    bare = socket.socket()
    if buffer is not None:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    bare.setblocking(False)
    port = server.port  # type: ignore[attr-defined]  # of `served`
    await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=bare, limit=buffer or 2**16)
    made = Socket(reader, writer, state)
    try:
        path = f"/threads/{thread_id}/ws" + ("" if cursor is None else f"?cursor={cursor}")
        await made.shake_hands(path, headers or {})
        yield made
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
