"""`TestClient`: talk to an ASGI app in this process, streams that never end included."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import TypedDict, Unpack

import msgspec

from statecast.http import App, create_app
from statecast.protocol.assistant_transport import events as assistant_transport
from statecast.threads import ObservedRun, Observer
from statecast.threads.tracebacks import unwrapped
from statecast_agents import Agent, Command, Json, new_id, operations

from .asgi import ASGIApp, Response, in_pieces, lifespan_of, scope_of
from .result import Result
from .thread import TestThread

__all__ = ["Body", "TestClient"]


class Body(TypedDict, total=False):
    """The options of a request."""

    json: Json  #: the body; sent with its content type, unless `headers` has another
    content: bytes | AsyncIterable[bytes]  #: the body, if it is not JSON; in pieces, if it is to arrive so
    headers: Mapping[str, str]  #: beside those of the client


class TestClient:
    """A client of an ASGI app in this process: an async context manager that runs the app's lifespan.

    Args:
        app: The app; or an agent, to be served with all defaults.
        headers: Sent with every request.
        lifespan: Whether the app is told of its start and its end; many apps do not tell what they mount.
        raise_app_exceptions: Whether what the app raises is raised here too, beside the 500 that answers it.
    """

    __test__ = False  #: for pytest: it is no class of tests, whatever its name

    def __init__(
        self,
        app: ASGIApp | Agent,
        *,
        headers: Mapping[str, str] | None = None,
        lifespan: bool = True,
        raise_app_exceptions: bool = True,
    ) -> None:
        self.app: ASGIApp = create_app(app) if isinstance(app, Agent) else app
        self._headers: dict[str, str] = {"host": "127.0.0.1", **(headers or {})}
        self._raise = raise_app_exceptions
        self._user: object = None
        self._failures = _Failures()
        if isinstance(self.app, App):
            self.app.hub.observer.add(self._failures)
        self._life = lifespan_of(self.app) if lifespan else contextlib.nullcontext()

    async def __aenter__(self) -> TestClient:
        await self._life.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._life.__aexit__(kind, error, where)

    def as_user(self, user: object) -> TestClient:
        """Return a client whose requests are this user's, whatever the app's `identify` would say of them.

        Args:
            user: As `identify` returns them: a text, or any object with an `id`.
        """
        client = copy.copy(self)
        client._user = user
        return client

    @contextlib.asynccontextmanager
    async def thread(
        self, thread_id: str | None = None, *, user: object = None, agent: str | None = None, **fields: Json
    ) -> AsyncIterator[TestThread]:
        """Open a conversation; leaving it cancels a run that is still under way, or waits.

        Args:
            thread_id: The thread; None: a new one.
            user: Whose it is, as the app's `identify` returns them; None: as the request is identified.
            agent: Who answers; None: the app's first agent.
            fields: Of every request: `system`, `config`, ….

        Raises:
            KeyError: The app has no such agent.
        """
        client = self if user is None else self.as_user(user)
        messages: Sequence[str] | None = ("messages",)
        pending: Sequence[str] | None = ("pending",)
        if isinstance(self.app, App):
            agents = self.app.hub.agents
            found = agents[agent] if agent is not None else next(iter(agents.values()))
            messages, pending = found.messages, found.pending
        thread = TestThread(
            client,
            thread_id or new_id("thread"),
            fields if agent is None else {"agent": agent, **fields},
            failures=self._failures.take,
            messages=messages,
            pending=pending,
        )
        try:
            yield thread
        finally:
            await client.post("/cancel", json={"threadId": thread.id, "queued": True})

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, **body: Unpack[Body]) -> AsyncIterator[Response]:
        """Send a request, and read the response while it arrives. Leaving early loses the connection.

        Raises:
            EOFError: The app returned without a response.
            TimeoutError: It said nothing for ten seconds, or went on for ten seconds after its client had left.
        """
        content = msgspec.json.encode(body["json"]) if "json" in body else body.get("content", b"")
        headers = {"content-type": "application/json"} if "json" in body else {}
        headers |= self._headers | {name.lower(): value for name, value in body.get("headers", {}).items()}
        response = Response(in_pieces(content))
        task = asyncio.create_task(response.perform(self.app, scope_of(method, path, headers, self._user)))
        try:
            await response.head()
            yield response
        finally:
            await response.leave(task)
        if self._raise and response.failure is not None:
            raise response.failure

    async def request(self, method: str, path: str, **body: Unpack[Body]) -> Response:
        """Send a request, and read the whole response."""
        async with self.stream(method, path, **body) as response:
            await response.read()
        return response

    async def get(self, path: str, **body: Unpack[Body]) -> Response:
        """Send a GET, and read the whole response."""
        return await self.request("GET", path, **body)

    async def post(self, path: str, **body: Unpack[Body]) -> Response:
        """Send a POST, and read the whole response."""
        return await self.request("POST", path, **body)

    async def run(
        self,
        *commands: str | Command | Mapping[str, Json],
        state: Json = msgspec.UNSET,
        thread_id: str | None = None,
        path: str = "/assistant",
        **fields: Json,
    ) -> Result:
        """Send a batch of commands, and return what a client knows when the response has ended.

        Args:
            commands: Each as JSON, or as an instance of its class; a text is a message of the user.
            state: The state that the client has; left out: none.
            thread_id: The thread; None: a new one.
            path: Where to.
            fields: Of the body, beside these: `system`, `config`, …
        """
        body = {"commands": [_command(command) for command in commands], **fields}
        body |= {} if state is msgspec.UNSET else {"state": state}
        body |= {} if thread_id is None else {"threadId": thread_id}
        response = await self.post(f"{path}{'&' if '?' in path else '?'}protocol=assistant-transport", json=body)
        state = None if state is msgspec.UNSET else state
        if response.status != 200:
            return Result(response.status, response.headers, state, [], response.json()["error"])
        chunks, complete = assistant_transport.decode(response.content)
        error: dict[str, Json] | None = None
        if not complete:
            error = {"code": "cut_off", "message": "the stream ended without its end marker"}
        for chunk in chunks:
            if chunk["type"] == "update-state":
                state = operations.apply(state, msgspec.convert(chunk["operations"], list[operations.Operation]))
            elif chunk["type"] == "error":
                error = {"code": chunk.get("code"), "message": chunk["error"]}
        return Result(response.status, response.headers, state, chunks, error)


class _Failures(Observer):
    """Keeps what agents raised, until it is raised in a test."""

    def __init__(self) -> None:
        self._by_run: dict[str, BaseException] = {}

    def run_ended(self, run: ObservedRun) -> None:
        if run.failure is not None:
            self._by_run[run.id] = run.failure

    def take(self, run_id: str) -> BaseException | None:
        """Return what the agent raised in a run, once."""
        failure = self._by_run.pop(run_id, None)
        return None if failure is None else unwrapped(failure)


def _command(command: str | Command | Mapping[str, Json]) -> Json:
    if isinstance(command, str):
        message = {"role": "user", "parts": [{"type": "text", "text": command}]}
        return {"type": "add-message", "message": message, "parentId": None, "sourceId": None}
    return msgspec.to_builtins(command)
