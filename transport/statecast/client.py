"""`Client`: a server's threads, commanded and followed from Python.

    async with Client("http://127.0.0.1:8000") as client:
        thread = client.thread("t-1")
        answer = await thread.ask("hello")
        assert answer.run.status == "completed"

Rule 1: what is asked for happens once. Every command gets an id before it is sent first, so that it may be sent again.
Rule 2: a connection is nothing. Whatever breaks is taken up where it was, until `patience` is over; a reader that was
away for too long gets a snapshot, and goes on from there.
Rule 3: what was handed out stays as it was. States share what did not change, and are not to be mutated.

    ClientError
    ├── Refused          the server said no, and why
    ├── ConnectionLost   no server answered for as long as `patience` says
    └── RunLost          a run is gone, and how it ended is not known any more
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import anyio
import msgspec

from statecast.protocol import Cursor, RunState
from statecast_agents import Command, Json, Operation, OperationError, Set, StatecastError, new_id, operations

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Accepted",
    "Change",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Refused",
    "RunLost",
    "Snapshot",
    "Thread",
]

FIRST_DELAY: Final = 0.1  #: seconds before the first further try; each wait doubles, less up to half of it by chance
LAST_DELAY: Final = 5.0  #: seconds that no wait exceeds, unless the server asks for more
THREAD_DELAY: Final = 1.0  #: seconds between looks for a thread that is not there yet

#: What may go well on another try: a slow upload, too many runs, a full or stopping server, a proxy without its server.
TRANSIENT: Final = frozenset({408, 429, 502, 503, 504})

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"

_T = TypeVar("_T")
_log: Final = logging.getLogger("statecast.client")


class ClientError(StatecastError):
    """Base of every error of this client."""


class Refused(ClientError):
    """The server refused a request, which had no effect."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Json], retry_after: float) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status  #: the HTTP status
        self.code = code  #: stable, for programs; those of Statecast are listed in docs/protocol.md, "Errors"
        self.message = message  #: for people
        self.details = details  #: further fields of the error, such as a limit
        self.retry_after = retry_after  #: seconds until it is worth trying again; 0 if the server did not say


class ConnectionLost(ClientError):
    """No server answered, or it was gone before its answer. Raised only where the client is told to give up."""

    def __init__(self, url: str, reason: str, *, sent: bool = True) -> None:
        super().__init__(f"no answer from {url}: {reason}")
        self.url = url
        self.reason = reason
        self.sent = sent  #: whether the request may have reached the server, and may have had its effect


class RunLost(ClientError):
    """A run is gone: dropped before it began, or over for so long that the server does not know how it ended."""

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(f'the run "{run_id}" on the thread "{thread_id}" is gone, and how it ended is not known')
        self.thread_id = thread_id
        self.run_id = run_id


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that the server has and keeps: they will be run, whatever becomes of this client."""

    thread_id: str
    run_id: str  #: the run that they led to; the first one, if they were sent before
    cursor: str  #: a place in the log before whatever that run does


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A thread at a place in its log."""

    cursor: str  #: the place; equal ones mean equal states
    revision: int  #: the same as a number, which grows
    state: Json  #: plain JSON, not to be mutated
    run: RunState | None  #: the run that is active, else the last one


class Change(Snapshot, frozen=True, kw_only=True):
    """A thread after a change, and what changed."""

    operations: Sequence[Operation]  #: that made the state; one `Set` at the empty path where it was replaced
    #: of a message, which the run has emitted outside the state: `{"type": "text", "text"}`, …, as far as they came
    parts: Sequence[Mapping[str, Json]]
    chunks: Sequence[Mapping[str, Json]]  #: that made the parts, as in docs/protocol.md, "assistant-transport"


class Client:
    """A server, as its clients know it. An async context manager; the connections are closed at its end.

    Args:
        url: The server, with the path where it is mounted, if any.
        headers: Sent with every request, such as `Authorization`.
        patience: Seconds without a sign of the server until ConnectionLost, or what it refused last, is raised.
            0: everything is tried once. None: never.
        timeout: Seconds for a connection, and for the answer to a request.
        silence: Seconds without a byte after which a stream is taken for dead. The server's heartbeat comes every 15.
        on_trouble: Called with what went wrong, where something is to be tried again, and with None when it goes well.
        http: Makes the requests: with its proxies, certificates and limits. It stays open; default: one of its own.

    Raises:
        ImportError: httpx is not installed.
        ValueError: `url` is no URL of a server.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        timeout: float = 30.0,
        silence: float = 45.0,
        on_trouble: Callable[[ClientError | None], None] | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise ImportError("statecast.client needs httpx: pip install 'statecast[client]'") from None
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f'expected the URL of a server, as in "http://127.0.0.1:8000", got "{url}"')
        self.url = url.rstrip("/")
        self.patience = patience
        self.on_trouble = on_trouble
        self._headers = dict(headers or {})
        self._timeout = httpx.Timeout(timeout)
        self._stream_timeout = httpx.Timeout(timeout, read=silence)
        self._own = http is None
        self._http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._own:
            await self._http.aclose()

    def thread(self, thread_id: str | None = None, *, agent: str | None = None) -> Thread:
        """Return a thread; nothing is asked of the server yet.

        Args:
            thread_id: Its id; None: a new one.
            agent: Who answers on it, where the server has several agents; None: its first.
        """
        return Thread(self, thread_id or new_id("thr"), agent)

    async def _retrying(self, attempt: Callable[[], Awaitable[_T]], *, once: bool = False) -> _T:
        """Try until it goes well, or is refused for good.

        Args:
            attempt: What to try.
            once: Whether it must not be tried again when it may have had its effect.
        """
        tries = _Tries(self)
        while True:
            try:
                result = await attempt()
            except (Refused, ConnectionLost) as error:
                if once and isinstance(error, ConnectionLost) and error.sent:
                    raise
                await tries.wait(error)
            else:
                tries.succeeded()
                return result

    async def _request(
        self, method: str, path: str, body: Json = msgspec.UNSET, *, once: bool = False
    ) -> dict[str, Json]:
        async def attempt() -> dict[str, Json]:
            async with self._open(method, path, body) as response:
                answer: dict[str, Json] = msgspec.json.decode(await response.aread())
                return answer

        return await self._retrying(attempt, once=once)

    @contextlib.asynccontextmanager
    async def _open(
        self, method: str, path: str, body: Json = msgspec.UNSET, *, kind: str = _JSON, cursor: str | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Make a request, once.

        Raises:
            Refused: By the server, or because it is none of ours.
            ConnectionLost: At any time until the `with` ends.
        """
        import httpx

        headers = {"accept": kind, "accept-encoding": "identity", **self._headers}
        content = None
        if body is not msgspec.UNSET:
            headers["content-type"] = _JSON
            content = msgspec.json.encode(body)
        if cursor is not None:
            headers["last-event-id"] = cursor
        timeout = self._stream_timeout if kind == _EVENTS and method == "GET" else self._timeout
        try:
            async with self._http.stream(
                method, self.url + path, content=content, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                found = response.headers
                if not found.get("content-type", "").startswith(kind) or (
                    kind == _EVENTS and "statecast-thread-id" not in found
                ):
                    raise Refused(response.status_code, "not_statecast", f"{self.url} serves something else", {}, 0)
                yield response
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise  # a mistake of the caller's, which no further try mends
        except httpx.TransportError as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise ConnectionLost(self.url, str(error) or type(error).__name__, sent=sent) from error


class Thread:
    """A thread of a server, as `Client.thread` returns it. Any number of them may be in use at once.

    Every method raises Refused for what the server refuses, and ConnectionLost only where the client has a `patience`.
    """

    def __init__(self, client: Client, thread_id: str, agent: str | None) -> None:
        self.id = thread_id
        self._client = client
        self._agent = agent
        self._path = f"/threads/{quote(thread_id, safe='')}"

    async def send(self, *commands: str | Command | Mapping[str, Json], **fields: Json) -> Accepted:
        """Send a batch of commands, and return as soon as the server has accepted and kept it.

        It is sent again, with the same ids, until that is so: what was lost on the way back is not applied twice. The
        run goes on whether or not anyone follows.

        Args:
            commands: Each as JSON, or as an instance of its class; a text is a message of the user.
            fields: Of the request beside these: `system`, `policy`, …, see docs/protocol.md, "Body".
        """
        if not commands:
            raise ValueError("expected at least one command, got none")
        body = {**fields, "threadId": self.id, "commands": [_command(command) for command in commands]}
        body |= {"onDisconnect": "continue"} | ({} if self._agent is None else {"agent": self._agent})

        async def attempt() -> Accepted:
            path = "/assistant?protocol=assistant-transport"
            async with self._client._open("POST", path, body, kind=_EVENTS) as response:
                headers = response.headers
                run_id, cursor = headers["statecast-run-id"], headers["statecast-cursor"]
                return Accepted(thread_id=self.id, run_id=run_id, cursor=cursor)

        return await self._client._retrying(attempt)

    async def ask(self, *commands: str | Command | Mapping[str, Json], **fields: Json) -> Change:
        """Send a batch of commands, and return how things stand when its run is over or waits for the user.

        A run that failed is returned like any other, with its `error`. Arguments as for `send`.

        Raises:
            RunLost: The run was dropped before it began, or the server has forgotten it.
        """
        last: Change | None = None
        accepted = await self.send(*commands, **fields)
        async with contextlib.aclosing(self.follow(until=accepted)) as changes:
            async for change in changes:
                last = change
        assert last is not None, "a stream ends behind a change"
        return last

    async def follow(
        self, *, since: Snapshot | None = None, until: Accepted | None = None, wait: bool = False
    ) -> AsyncGenerator[Change, None]:
        """Yield the thread as it is, and then each of its changes, for ever; a lost connection is taken up again.

        No cursor comes twice. Who takes long over a change holds up nothing but this stream, and gets a snapshot in
        place of the changes that the server does not keep any more. Leave by `break`; `contextlib.aclosing` closes the
        connection at that very moment.

        Args:
            since: What is known already; only what is newer is yielded.
            until: Commands whose run is followed: the last change is the one with which it is over, or waits. Not with
                `since`, which may be behind that.
            wait: Whether a thread that the server does not know is waited for; else it is refused.

        Raises:
            RunLost: The run of `until` was dropped before it began, or the server has forgotten it.
        """
        if since is not None and until is not None:
            raise ValueError("expected `since` or `until`, got both")
        client, view, tries = self._client, _View(since), _Tries(self._client)
        while True:
            try:
                async with client._open("GET", f"{self._path}/events", kind=_EVENTS, cursor=view.cursor) as response:
                    tries.succeeded()
                    async for cursor, data in _events(response, tries.arrived):
                        change = view.take(cursor, data)
                        if change is None:
                            continue
                        if until is not None:
                            change = await self._looking_for(until, change)
                        yield change
                        if until is not None and _is_over(change.run, until):
                            return
                error: Refused | ConnectionLost = ConnectionLost(client.url, "the stream ended")
            except (Refused, ConnectionLost) as broken:
                error = broken
            except (OperationError, msgspec.DecodeError, UnicodeDecodeError) as broken:
                view.cursor = None  # a snapshot mends whatever it was
                error = ConnectionLost(client.url, f"the stream is damaged: {broken}")
            missing = isinstance(error, Refused) and error.code == "unknown_thread"
            await tries.wait(error, at_most=THREAD_DELAY if wait and missing else None)

    async def state(self) -> Snapshot:
        """Return the thread as it is."""
        answer = await self._client._request("GET", f"{self._path}/state")
        return msgspec.convert(answer, Snapshot)

    async def cancel(self, run_id: str | None = None, *, queued: bool = False) -> bool:
        """Stop the active run; returns whether there was one to stop.

        Args:
            run_id: The run that is meant, refused with `run_mismatch` if another is active; None: the one active now.
            queued: Whether to drop what waits behind it, too.
        """
        wanted = run_id or (await self._status())["runId"]  # by name, or a second try might stop the run after it
        body = {"threadId": self.id, "runId": wanted, "queued": queued}
        try:
            return bool((await self._client._request("POST", "/cancel", body))["cancelled"])
        except Refused as refused:
            if run_id is None and refused.code == "run_mismatch":
                return False  # it ended by itself meanwhile
            raise

    async def patch(self, steps: Sequence[Mapping[str, Json]]) -> str:
        """Apply an RFC 6902 patch to parts of the state that the agent lets clients write; returns the cursor after it.

        Raises:
            ConnectionLost: Whatever the patience, when the connection broke before the answer: the patch may have been
                applied, and must not be twice.
        """
        answer = await self._client._request("PATCH", f"{self._path}/state", list(steps), once=True)
        return str(answer["cursor"])

    async def _status(self) -> dict[str, Json]:
        return await self._client._request("GET", f"/status/{quote(self.id, safe='')}")

    async def _looking_for(self, wanted: Accepted, change: Change) -> Change:
        """Return a change that shows another run with the wanted one in its place, if that one was over by then.

        A snapshot shows only the latest run; and a run that was dropped in the queue is never shown.

        Raises:
            RunLost: It is neither queued nor active, and the log does not say how it ended.
        """
        run = change.run
        replaced = any(operation.path == () for operation in change.operations)
        if (run is not None and run.id == wanted.run_id) or not (replaced or run is None or run.ended):
            return change
        status = await self._status()
        if status["queued"] or status["runId"] == wanted.run_id:
            return change
        revision, end = await self._client._retrying(lambda: self._end_of(wanted, status["revision"]))
        return msgspec.structs.replace(change, run=end) if revision <= change.revision else change

    async def _end_of(self, wanted: Accepted, revision: int) -> tuple[int, RunState]:
        """Look through the log, from where the commands were accepted to `revision`, for the end of their run."""
        async with self._client._open("GET", f"{self._path}/events", kind=_EVENTS, cursor=wanted.cursor) as response:
            async for _, data in _events(response):
                frame = msgspec.json.decode(data, type=_Frame)
                if frame.run is not None and frame.run.id == wanted.run_id and frame.run.ended:
                    return frame.revision, frame.run
                if frame.type == "snapshot" or frame.revision >= revision:
                    raise RunLost(self.id, wanted.run_id)
        raise ConnectionLost(self._client.url, "the stream ended")


class _Tries:
    """Waits between tries, longer each time, until the client's patience is over."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: ClientError | None = None
        self.arrived()

    def arrived(self) -> None:
        """Start over: something came from the server."""
        self._delay = FIRST_DELAY
        self._since = time.monotonic()

    def succeeded(self) -> None:
        """Say that it went well."""
        self._tell(None)

    async def wait(self, error: Refused | ConnectionLost, *, at_most: float | None = None) -> None:
        """Wait before the next try; raises `error` where there is to be none.

        Args:
            error: What went wrong.
            at_most: Seconds, where the server is there, and only what it is asked for is missing.
        """
        delay = self._delay * random.uniform(0.5, 1)  # so that not all clients come back at once
        self._delay = min(2 * self._delay, LAST_DELAY)
        if at_most is not None:
            delay = min(delay, at_most)
            self._since = time.monotonic()
        elif isinstance(error, Refused):
            if error.status not in TRANSIENT:
                raise error
            delay = max(delay, error.retry_after)
        patience = self._client.patience
        if patience is not None and time.monotonic() + delay - self._since > patience:
            raise error
        _log.info("%s; trying again in %.1f s", error, delay)
        self._tell(error)
        await anyio.sleep(delay)

    def _tell(self, error: ClientError | None) -> None:
        if self._client.on_trouble is not None and str(error) != str(self._told):
            self._client.on_trouble(error)
        self._told = error


class _Frame(msgspec.Struct, rename="camel"):
    """One event of a thread. A message part's chunk has further fields."""

    type: str
    revision: int
    state: Json = None
    operations: list[Operation] = []
    run: RunState | None = None
    parts: list[dict[str, Json]] = []


class _View:
    """What a follower knows of a thread, frame by frame, and what of that it has shown."""

    def __init__(self, since: Snapshot | None) -> None:
        self.cursor = None if since is None else since.cursor  #: where the next stream goes on; None: at a snapshot
        self._now = since
        self._parts = tuple(since.parts) if isinstance(since, Change) else ()
        self._shown = None if since is None else Cursor.parse(since.cursor)
        self._behind = False  #: whether a snapshot was older than what was shown, as that of a server that lags

    def take(self, cursor: str, data: bytes) -> Change | None:
        """Return what a frame makes of the thread; None if that was shown already.

        Raises:
            DecodeError: It is damaged, or does not follow what came before.
            OperationError: Likewise.
        """
        frame = msgspec.json.decode(data, type=_Frame)
        now, chunks, done = self._now, frame.parts, frame.operations
        place, shown = Cursor.parse(cursor), self._shown
        if place is None:
            raise msgspec.DecodeError(f'expected a cursor, got "{cursor}"')
        if shown is not None and place.epoch != shown.epoch:
            shown = None
        state, run = (None, None) if now is None else (now.state, now.run)
        if frame.type == "snapshot":
            state, run, done = frame.state, frame.run, [Set((), frame.state)]
            self._parts = ()
        elif now is None or shown is None or self.cursor is None:
            raise msgspec.DecodeError("expected a snapshot first")
        elif frame.revision <= now.revision:
            return None
        elif frame.type == "run":
            run = frame.run
        elif frame.type == "update-state":
            state = operations.apply(state, done)
        else:
            chunks = [msgspec.json.decode(data)]
        if now is None or run is None or now.run is None or run.id != now.run.id:
            self._parts = ()
        for chunk in chunks:
            self._parts = _grown(self._parts, chunk)
        self.cursor = cursor
        self._now = change = Change(
            cursor=cursor,
            revision=frame.revision,
            state=state,
            run=run,
            operations=(Set((), state),) if self._behind else tuple(done),
            parts=self._parts,
            chunks=tuple(chunks),
        )
        if shown is not None and place <= shown:
            self._behind = place < shown
            return None
        self._shown, self._behind = place, False
        return change


def _grown(parts: tuple[Mapping[str, Json], ...], chunk: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """Return a run's parts with one more chunk."""
    kind, path = chunk["type"], chunk["path"]
    if kind == "part-start":
        part = chunk["part"]
        text = {"text": "text", "reasoning": "text", "tool-call": "argsText"}.get(part["type"])
        return (*parts, part if text is None else {**part, text: ""})
    if not path or path[0] >= len(parts):
        return parts
    part = dict(parts[path[0]])
    if kind == "text-delta":
        part["argsText" if part["type"] == "tool-call" else "text"] += chunk["textDelta"]
    elif kind == "result":
        part |= {key: value for key, value in chunk.items() if key not in ("type", "path", "revision", "runId")}
    return (*parts[: path[0]], part, *parts[path[0] + 1 :])


async def _events(
    response: httpx.Response, arrived: Callable[[], None] = lambda: None
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the id and the data of each server-sent event; one that was cut off is none.

    Lines end at line feeds alone here: the JSON may hold every other separator that text functions would cut at.
    """
    cursor, data = "", b""
    pending: list[bytes] = []  #: pieces of a line that has not ended
    async for piece in response.aiter_bytes():
        arrived()
        pending.append(piece)
        if b"\n" not in piece:
            continue
        *lines, rest = b"".join(pending).split(b"\n")
        pending = [rest]
        for line in (ended.removesuffix(b"\r") for ended in lines):
            name, _, value = line.partition(b":")
            if name == b"id":
                cursor = value.strip().decode()
            elif name == b"data":
                data = value
            elif not line and data:
                yield cursor, data
                data = b""


def _command(command: str | Command | Mapping[str, Json]) -> dict[str, Json]:
    """Return a command as it goes on the wire, with an id."""
    if isinstance(command, str):
        command = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": command}]}}
    fields: dict[str, Any] = {**msgspec.to_builtins(command)}
    if fields.get("id") is None:
        fields["id"] = new_id("cmd")
    return fields


def _is_over(run: RunState | None, wanted: Accepted) -> bool:
    """Whether a run is the wanted one, and nothing more comes of it without its user."""
    return run is not None and run.id == wanted.run_id and (run.ended or run.status == "waiting")


def _refusal(response: httpx.Response) -> Refused:
    """Return what the server said, or the proxy before it."""
    try:
        error = dict(msgspec.json.decode(response.content)["error"])
        code, message = str(error.pop("code")), str(error.pop("message"))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        error, code = {}, "http_error"
        message = f"the answer was {response.status_code} {response.reason_phrase}".strip()
    after = response.headers.get("retry-after", "")
    return Refused(response.status_code, code, message, error, float(after) if after.isdecimal() else 0.0)
