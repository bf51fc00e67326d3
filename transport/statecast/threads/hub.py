"""Hub: all threads of a server, and the tasks of their runs.

It accepts batches, starts runs one after the other on each thread, and owns what they run in, so that nothing a request
began dies with the request.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from statecast.protocol import Cursor
from statecast.protocol.json_text import check_nesting
from statecast.protocol.refusal import Refusal
from statecast_agents import MAX_DEPTH, AddMessage, AddToolResult, Agent, CommandError, Messages, Request, new_id
from statecast_agents.commands import AnyCommand
from statecast_agents.errors import MessageConflict

from .claims import Claim, adopt, agrees
from .limits import Limits
from .run import Execution, OnDisconnect
from .thread import Thread

__all__ = ["Accepted", "Hub", "Posted"]

#: Containers around a tool's result in the state, beyond those that lead to the messages and those of its command.
DEEPER: Final = 3


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as far as it concerns a thread."""

    agent: Agent
    commands: Sequence[bytes | msgspec.Raw] = ()
    thread_id: str | None = None  #: None: a thread of its own that nobody can name
    claim: Claim = msgspec.UNSET
    owner: str | None = None
    request: Request = Request()
    on_disconnect: OnDisconnect = "continue"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted request: which run it led to, and where its stream starts."""

    thread: Thread
    run: Execution | None  #: None where there is nothing to run, or the run is over
    run_id: str | None
    revision: int
    snapshot: bool

    @property
    def cursor(self) -> Cursor:
        """Where the stream starts."""
        return Cursor(self.thread.epoch, self.revision)


class Hub:
    """All threads of a server.

    Args:
        agents: The agents by name.
        limits: What it takes on.
        debug: Whether errors of an agent's code are shown to clients.
    """

    def __init__(self, agents: Mapping[str, Agent], *, limits: Limits | None = None, debug: bool = False) -> None:
        self.agents = dict(agents)
        self.limits = limits or Limits()
        self.debug = debug
        self._threads: dict[tuple[str | None, str], Thread] = {}
        self._live: dict[str, Execution] = {}
        self._tasks: TaskGroup | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()  #: set once runs can be started
        self._stop = asyncio.Event()
        self._closing = False
        self._idle = asyncio.Event()  #: set while no run is queued or under way
        self._idle.set()

    @property
    def threads(self) -> int:
        """How many threads are in memory."""
        return len(self._threads)

    @property
    def runs(self) -> int:
        """How many runs are queued or under way."""
        return len(self._live)

    async def start(self) -> None:
        """Start what runs live in, if it is not there yet. Requests do so themselves."""
        loop = asyncio.get_running_loop()
        if self._supervisor is not None and not self._supervisor.done() and self._supervisor.get_loop() is loop:
            await self._ready.wait()
            return
        self._stop = asyncio.Event()
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._ready = asyncio.Event()
        self._supervisor = loop.create_task(self._supervise(), name="statecast hub")
        await self._ready.wait()

    async def aclose(self, *, grace: float = 0.0) -> None:
        """Accept nothing more, give runs `grace` seconds to end, interrupt the others, and end all streams."""
        self._closing = True
        with anyio.move_on_after(grace):
            await self._idle.wait()
        for thread in self._threads.values():
            while thread.inbox:
                self._forget(thread.inbox.pop())
        for execution in list(self._live.values()):
            execution.cancel("interrupted")
        if self._supervisor is not None and not self._supervisor.done():
            self._stop.set()
            await self._supervisor
        for thread in self._threads.values():
            thread.close_readers()

    def find(self, thread_id: str, *, owner: str | None = None) -> Thread:
        """Return a thread by its id.

        Raises:
            Refusal: 404 `unknown_thread`; also for one that belongs to another owner.
        """
        thread = self._threads.get((owner, thread_id))
        if thread is None:
            message = f'expected the id of a thread, got "{thread_id[:128]}", which this server does not know'
            raise Refusal(404, "unknown_thread", message)
        return thread

    async def submit(self, posted: Posted) -> Accepted:
        """Accept a batch: all of its commands are valid, and will be run after whatever waits already.

        Raises:
            Refusal: Nothing was applied.
        """
        if not self._closing:
            await self.start()
        if self._closing:
            raise Refusal(503, "server_stopping", "the server is stopping; try again soon", retry_after=2)
        commands = self._decode(posted)
        thread = self._threads.get((posted.owner, posted.thread_id)) if posted.thread_id is not None else None
        if thread is None:
            return self._open(posted, commands)
        if thread.agent is not posted.agent:
            message = f'the thread belongs to the agent "{thread.agent.name}", not to "{posted.agent.name}"'
            raise Refusal(409, "agent_mismatch", message)
        thread.used = time.monotonic()
        thread.flush()
        agreed = agrees(posted.claim, thread.document)
        fresh, original = _unapplied(thread, commands)
        if not fresh:
            run = self._live.get(original or "")
            if run is not None:
                return Accepted(thread=thread, run=run, run_id=run.id, revision=run.start, snapshot=True)
            revision = thread.log.revision
            return Accepted(thread=thread, run=None, run_id=original, revision=revision, snapshot=not agreed)
        self._check_room(posted.owner)
        if thread.active is None:
            _check_messages(thread, fresh, agrees=agreed)
        return self._enqueue(thread, fresh, posted, agreed=agreed)

    def resume(
        self, thread_id: str, claim: Claim, *, owner: str | None = None, run_id: str | None = None
    ) -> Accepted | None:
        """Return where a client that lost a thread's stream goes on; None for a thread that is not known.

        Raises:
            Refusal: 409 `run_mismatch` when another run than `run_id` is active.
        """
        thread = self._threads.get((owner, thread_id))
        if thread is None:
            return None
        active = thread.active
        thread.flush()
        if active is None:
            last = thread.last_run.id if thread.last_run else None
            snapshot = not agrees(claim, thread.document)
            return Accepted(thread=thread, run=None, run_id=last, revision=thread.log.revision, snapshot=snapshot)
        _check_run(active, run_id, headers={"x-stream-status": "run_mismatch"})
        return Accepted(thread=thread, run=active, run_id=active.id, revision=active.start, snapshot=True)

    def cancel(
        self, thread_id: str, *, owner: str | None = None, run_id: str | None = None, queued: bool = False
    ) -> tuple[str | None, bool]:
        """Ask the active run of a thread to stop; returns its id, and whether there was one to stop.

        Args:
            thread_id: The thread.
            owner: Whose it is.
            run_id: The run that is meant; None: whichever is active.
            queued: Also drop what waits behind it.

        Raises:
            Refusal: 404 `unknown_thread`; 409 `run_mismatch` when another run is active.
        """
        thread = self.find(thread_id, owner=owner)
        active = thread.active
        if active is not None:
            _check_run(active, run_id)
        if queued:
            while thread.inbox:
                dropped = thread.inbox.pop()
                self._forget(dropped)
            thread.wake_readers()
        if active is None:
            return (thread.last_run.id if thread.last_run else None), False
        active.cancel()
        return active.id, True

    def left(self, accepted: Accepted) -> None:
        """Note that a stream was lost before its run had ended."""
        run = accepted.run
        if run is None or run.on_disconnect != "cancel" or run.thread.followers_of(run.id):
            return
        if run is run.thread.active:
            run.cancel()
        elif run in run.thread.inbox:
            run.thread.inbox.remove(run)
            self._forget(run)

    def _decode(self, posted: Posted) -> list[AnyCommand]:
        limit = self.limits.commands
        if len(posted.commands) > limit:
            message = f"expected at most {limit} commands, got {len(posted.commands)}"
            raise Refusal(422, "too_many_commands", message, limit=limit)
        try:
            commands = posted.agent.commands.decode(posted.commands)
        except CommandError as error:
            raise Refusal(422, error.code, str(error)) from None
        for command, text in zip(commands, posted.commands, strict=True):
            if isinstance(command, AddMessage | AddToolResult) and posted.agent.messages is not None:
                check_nesting(bytes(text), MAX_DEPTH - len(posted.agent.messages) - DEEPER)
            if isinstance(command, AddMessage) and command.message.role != "user" and not posted.agent.allow_assistant:
                message = f'expected a message of the user, got one of the "{command.message.role}"'
                raise Refusal(422, "role_not_allowed", message)
        return commands

    def _open(self, posted: Posted, commands: list[AnyCommand]) -> Accepted:
        self._check_room(posted.owner)
        document = adopt(posted.claim, posted.agent, limit=self.limits.state)
        lasting = posted.thread_id is not None
        thread = Thread(
            posted.thread_id or new_id("thr"),
            posted.agent,
            document,
            owner=posted.owner,
            lasting=lasting,
            limits=self.limits,
        )
        agreed = agrees(posted.claim, document)
        _check_messages(thread, commands, agrees=agreed)
        fresh, _ = _unapplied(thread, commands)
        self._threads[posted.owner, thread.id] = thread
        return self._enqueue(thread, fresh, posted, agreed=agreed)

    def _enqueue(self, thread: Thread, commands: list[AnyCommand], posted: Posted, *, agreed: bool) -> Accepted:
        revision = thread.log.revision
        if not commands:
            return Accepted(thread=thread, run=None, run_id=None, revision=revision, snapshot=not agreed)
        execution = Execution(
            thread,
            commands,
            posted.request,
            agrees=agreed,
            on_disconnect=posted.on_disconnect,
            limits=self.limits,
            debug=self.debug,
        )
        for command in commands:
            if command.id is not None:
                thread.applied[command.id] = (_digest(command), execution.id)
        self._live[execution.id] = execution
        self._idle.clear()
        thread.inbox.append(execution)
        self._start_next(thread)
        return Accepted(thread=thread, run=execution, run_id=execution.id, revision=revision, snapshot=not agreed)

    def _check_room(self, owner: str | None) -> None:
        limits = self.limits
        if len(self._live) >= limits.runs:
            message = f"the server runs {limits.runs} agents already; try again soon"
            raise Refusal(503, "server_full", message, retry_after=5, limit=limits.runs)
        if owner is None:
            return
        theirs = sum(execution.thread.owner == owner for execution in self._live.values())
        if theirs >= limits.runs_per_owner:
            message = f"you have {theirs} runs under way; wait for one to end, or stop it"
            raise Refusal(429, "too_many_runs", message, retry_after=5, limit=limits.runs_per_owner)

    def _forget(self, execution: Execution) -> None:
        self._live.pop(execution.id, None)
        if not self._live:
            self._idle.set()

    def _start_next(self, thread: Thread) -> None:
        if thread.active is None and thread.inbox and self._tasks is not None:
            execution = thread.active = thread.inbox.popleft()
            execution.begin()
            self._tasks.start_soon(self._execute, execution)

    async def _execute(self, execution: Execution) -> None:
        thread = execution.thread
        try:
            await execution.execute()
        finally:
            thread.active = None
            thread.used = time.monotonic()
            self._forget(execution)
            self._start_next(thread)
            thread.wake_readers()

    async def _supervise(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._tend)
            self._ready.set()
            await self._stop.wait()
            await self._idle.wait()
            tasks.cancel_scope.cancel()
        self._tasks = None

    async def _tend(self) -> None:
        """Send heartbeats, and let go of threads that nobody needs."""
        while True:
            await asyncio.sleep(self.limits.heartbeat_seconds / 2)
            now = time.monotonic()
            for key, thread in list(self._threads.items()):
                thread.beat()
                stays = self.limits.idle_seconds if thread.lasting else self.limits.resume_seconds
                if thread.active is None and not thread.readers and now - thread.used > stays:
                    del self._threads[key]


def _check_run(active: Execution, run_id: str | None, *, headers: Mapping[str, str] | None = None) -> None:
    if run_id not in (None, active.id):
        message = f'expected the id of the active run, "{active.id}", got "{run_id}"'
        raise Refusal(409, "run_mismatch", message, headers=headers, runId=active.id)


def _check_messages(thread: Thread, commands: Sequence[AnyCommand], *, agrees: bool) -> None:
    if thread.agent.messages is None:
        return
    try:
        Messages(thread.document, thread.agent.messages).check(commands, agrees=agrees)
    except MessageConflict as error:
        raise Refusal(409, error.code, str(error)) from None


def _unapplied(thread: Thread, commands: Sequence[AnyCommand]) -> tuple[list[AnyCommand], str | None]:
    """Return the commands that are new to the thread, and the run that the others led to.

    Raises:
        Refusal: 409 `command_id_reused`: an id that stands for another command.
    """
    fresh: list[AnyCommand] = []
    original: str | None = None
    seen: dict[str, bytes] = {}
    for command in commands:
        if command.id is None:
            fresh.append(command)
            continue
        digest = _digest(command)
        known, run_id = thread.applied.get(command.id, (seen.get(command.id), None))
        if known is None:
            fresh.append(command)
            seen[command.id] = digest
        elif known != digest:
            raise Refusal(409, "command_id_reused", f'the command id "{command.id}" stands for another command already')
        else:
            original = run_id or original
    return fresh, original


def _digest(command: AnyCommand) -> bytes:
    return hashlib.sha256(msgspec.json.encode(command, order="sorted")).digest()
