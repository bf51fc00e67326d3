"""A run that another process executes or has queued, as far as the store shows it."""

from __future__ import annotations

from statecast.protocol import RunState
from statecast.threads.log.logged_state import LoggedState
from statecast_agents import Messages, Request

from .batch import Batch

__all__ = ["RunElsewhere"]

_UNKNOWN = Batch(commands=(), request=Request())


class RunElsewhere:
    """What readers and endpoints need of a run whose execution is in another process.

    Args:
        thread: The thread, which this process mirrors.
        id: The run's id.
        data: Its batch, as it is stored; empty if the store has it no longer.
        start: The revision it began at, or was found at.
        state: Its status; None: it is queued.
        waits_since: The revision at which it began to wait for its client; None while it does not.
    """

    __slots__ = ("_batch", "_thread", "begun", "data", "id", "start", "state", "stops", "waits_since")

    def __init__(
        self,
        thread: LoggedState,
        id: str,
        data: bytes = b"",
        *,
        start: int,
        state: RunState | None = None,
        waits_since: int | None = None,
    ) -> None:
        self.id = id
        self.start = start
        self.state = state or RunState(id, "queued")
        self.begun = state is not None  #: whether its first entries are in the log
        self.waits_since = waits_since
        self._thread = thread
        self.data = data  #: its batch, as it is stored
        self.stops: bool | None = None  #: whether it stops when no stream waits for it; None: not known
        self._batch: Batch | None = None

    @property
    def asks(self) -> bool:
        """Whether the client must act for the run, as far as the state shows it: a call or a question is open."""
        thread = self._thread
        if self.waits_since is not None:
            return True
        messages = thread.agent.messages
        is_called = messages is not None and bool(Messages(thread.document, messages).open_calls())
        return is_called or bool(thread.document.list_at(thread.agent.pending))

    @property
    def batch(self) -> Batch:
        """Its commands and its request; an empty batch where the store has none, or the agent cannot read it."""
        if self._batch is None:
            self._batch = _UNKNOWN
            if self.data:
                try:
                    self._batch = Batch.decode(self.data, self._thread.agent.commands)
                except Exception:  # the process that executes the run says so, and fails it
                    self._batch = _UNKNOWN
        return self._batch

    @property
    def held(self) -> bool:
        """Whether it stays queued until the thread's questions are answered: it says something else."""
        return self._thread.asks and not self.batch.next_up and self.batch.says_instead

    def commands(self) -> bytes:
        """Return its batch's commands as JSON."""
        return self.batch.commands_json()

    def begin(self, start: int, state: RunState) -> None:
        """Record that it began after a revision."""
        self.start, self.state, self.begun = start, state, True
