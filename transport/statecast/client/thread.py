"""`Thread`: sends commands to a thread of a server, and follows it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from statecast.protocol import RunState
from statecast_agents import Command, Json, OperationError, new_id

from .errors import ConnectionLost, Refused, RunLost
from .view import Change, Frame, Snapshot, View

if TYPE_CHECKING:
    import httpx

    from .connection import Connection

__all__ = ["Receipt", "Thread"]

THREAD_DELAY: Final = 1.0  #: seconds between looks for a thread that is not there yet


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that the server has stored and will run, whatever happens to this client."""

    thread_id: str
    run_id: str  #: the run that handles them; the first one, if they were sent before
    cursor: str  #: a place in the log before whatever that run does


class Thread:
    """A thread of a server, as `Client.thread` returns it. Any number of them may be in use at once.

    Every method raises Refused for what the server refuses, and ConnectionLost only where the client has a `patience`.
    """

    def __init__(self, connection: Connection, thread_id: str, agent: str | None) -> None:
        self.id = thread_id
        self._connection = connection
        self._agent = agent
        self._path = f"/threads/{quote(thread_id, safe='')}"

    async def send(self, *commands: str | Command | Mapping[str, Json], **fields: Json) -> Receipt:
        """Send a batch of commands, and return when the server has accepted and stored it.

        It is sent again, with the same ids, until that is so: what was lost on the way back is not applied twice. The
        run goes on whether or not anyone follows.

        Args:
            commands: Each as JSON, or as an instance of its class; a text is a message of the user.
            fields: Further fields of the request: `system`, `policy`, …; docs/protocol/assistant-transport.md, "Body".
        """
        if not commands:
            raise ValueError("expected at least one command, got none")
        body = {**fields, "threadId": self.id, "commands": [_command(command) for command in commands]}
        body |= {"onDisconnect": "continue"} | ({} if self._agent is None else {"agent": self._agent})

        async def attempt() -> Receipt:
            path = "/assistant?protocol=assistant-transport"
            async with self._connection.open("POST", path, body, events=True) as response:
                headers = response.headers
                run_id, cursor = headers["statecast-run-id"], headers["statecast-cursor"]
                return Receipt(thread_id=self.id, run_id=run_id, cursor=cursor)

        return await self._connection.retrying(attempt)

    async def ask(self, *commands: str | Command | Mapping[str, Json], **fields: Json) -> Change:
        """Send a batch of commands, and return the thread when its run has ended or waits for the user.

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
        self, *, since: Snapshot | None = None, until: Receipt | None = None, wait: bool = False
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
        connection, view, backoff = self._connection, View(since), self._connection.backoff()
        while True:
            try:
                async with connection.open("GET", f"{self._path}/events", events=True, cursor=view.cursor) as response:
                    backoff.succeeded()
                    async for cursor, data in _events(response, backoff.reset):
                        change = view.take(cursor, data)
                        if change is None:
                            continue
                        if until is not None:
                            change = await self._looking_for(until, change)
                        yield change
                        if until is not None and _is_over(change.run, until):
                            return
                error: Refused | ConnectionLost = ConnectionLost(connection.url, "the stream ended")
            except (Refused, ConnectionLost) as broken:
                error = broken
            except (OperationError, msgspec.DecodeError, UnicodeDecodeError) as broken:
                view.cursor = None  # a snapshot mends whatever it was
                error = ConnectionLost(connection.url, f"the stream is damaged: {broken}")
            missing = isinstance(error, Refused) and error.code == "unknown_thread"
            await backoff.wait(error, at_most=THREAD_DELAY if wait and missing else None)

    async def state(self) -> Snapshot:
        """Return the thread as it is now."""
        answer = await self._connection.request("GET", f"{self._path}/state")
        return msgspec.convert(answer, Snapshot)

    async def cancel(self, run_id: str | None = None, *, queued: bool = False) -> bool:
        """Cancel the active run; return whether there was one.

        Args:
            run_id: The run that is meant, refused with `run_mismatch` if another is active; None: the one active now.
            queued: Whether to drop what waits behind it, too.
        """
        wanted = run_id or (await self._status())["runId"]  # by name, or a second try might stop the run after it
        body = {"threadId": self.id, "runId": wanted, "queued": queued}
        try:
            return bool((await self._connection.request("POST", "/cancel", body))["cancelled"])
        except Refused as refused:
            if run_id is None and refused.code == "run_mismatch":
                return False  # it ended by itself meanwhile
            raise

    async def runs(self) -> list[dict[str, Json]]:
        """Return the runs of the thread, the newest first, with their times in milliseconds since 1970."""
        found: list[dict[str, Json]] = (await self._connection.request("GET", f"{self._path}/runs"))["runs"]
        return found

    async def retry(self, run_id: str | None = None) -> str:
        """Run the commands of a run again that failed or was stopped; return the id of the new run.

        Args:
            run_id: The run, refused with `run_not_retryable` once it was tried again; None: the last one.
        """
        if run_id is None:  # by name, or a second try might run what the first one has begun
            run_id = next((str(run["id"]) for run in await self.runs()), None)
        return str((await self._connection.request("POST", f"{self._path}/retry", {"runId": run_id}))["runId"])

    async def patch(self, steps: Sequence[Mapping[str, Json]]) -> str:
        """Apply an RFC 6902 patch to writable parts of the state, once; return the cursor after it."""
        answer = await self._connection.request("PATCH", f"{self._path}/state", list(steps), key=new_id("patch"))
        return str(answer["cursor"])

    async def fork(self, revision: int, thread_id: str | None = None) -> Thread:
        """Make a new thread of what this one was at a revision, and return it.

        Args:
            revision: The revision.
            thread_id: The id of the new one, refused with `thread_exists` if there is one already; None: any.
        """
        made = thread_id or new_id("thr")
        try:
            await self._connection.request("POST", f"{self._path}/fork", {"revision": revision, "threadId": made})
        except Refused as refused:
            if thread_id is not None or refused.code != "thread_exists":
                raise  # else an earlier try has made it: nobody else knows its id
        return Thread(self._connection, made, self._agent)

    async def export(self) -> dict[str, Json]:
        """Return the thread as a document, which `Client.import_thread` makes another thread of."""
        return await self._connection.request("GET", f"{self._path}/export")

    async def rewind(self, revision: int, *, cancel: bool = False) -> str:
        """Change the state back to what it was at a revision, once; return the cursor after it.

        Args:
            revision: The revision.
            cancel: Whether to stop a run that is under way, and drop what is queued; else that is refused.
        """
        body = {"revision": revision, "cancel": cancel}
        answer = await self._connection.request("POST", f"{self._path}/rewind", body, key=new_id("rewind"))
        return str(answer["cursor"])

    async def _status(self) -> dict[str, Json]:
        return await self._connection.request("GET", f"/status/{quote(self.id, safe='')}")

    async def _looking_for(self, wanted: Receipt, change: Change) -> Change:
        """Return a change that shows another run with the wanted one in its place, if that one was over by then.

        A snapshot shows only the latest run; and one that was dropped in the queue is not shown before the one in front
        of it has ended.

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
        revision, end = await self._connection.retrying(lambda: self._end_of(wanted, status["revision"]))
        return msgspec.structs.replace(change, run=end) if revision <= change.revision else change

    async def _end_of(self, wanted: Receipt, revision: int) -> tuple[int, RunState]:
        """Look through the log, from where the commands were accepted to `revision`, for the end of their run."""
        async with self._connection.open("GET", f"{self._path}/events", events=True, cursor=wanted.cursor) as response:
            async for _, data in _events(response):
                frame = msgspec.json.decode(data, type=Frame)
                if frame.run is not None and frame.run.id == wanted.run_id and frame.run.ended:
                    return frame.revision, frame.run
                if frame.type == "snapshot" or frame.revision >= revision:
                    raise RunLost(self.id, wanted.run_id)
        raise ConnectionLost(self._connection.url, "the stream ended")


async def _events(
    response: httpx.Response, arrived: Callable[[], None] = lambda: None
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the id and the data of each server-sent event without a name; one that was cut off is none.

    Lines end at line feeds alone here: the JSON may hold every other separator that text functions would cut at.
    """
    cursor, data, named = "", b"", False
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
            elif name == b"event":
                named = True  # says why the stream ends, which does as well
            elif not line and data:
                if not named:
                    yield cursor, data
                data, named = b"", False


def _command(command: str | Command | Mapping[str, Json]) -> dict[str, Json]:
    """Return a command as it goes on the wire, with an id."""
    if isinstance(command, str):
        command = {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": command}]}}
    fields: dict[str, Any] = {**msgspec.to_builtins(command)}
    if fields.get("id") is None:
        fields["id"] = new_id("cmd")
    return fields


def _is_over(run: RunState | None, wanted: Receipt) -> bool:
    """Return whether a run is the wanted one, and has ended or waits for its user."""
    return run is not None and run.id == wanted.run_id and (run.ended or run.status == "waiting")
