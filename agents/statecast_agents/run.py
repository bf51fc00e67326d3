"""Run: what an agent sees of one execution over a batch of commands.

It gives the state and the request, takes what the agent emits, and says when to stop. Who executes it, and where what
it emits goes, is not known here: an engine hands in `emit` and `defer`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVarTuple

import msgspec
from anyio.abc import TaskGroup

from .chunks import Chunk
from .commands import AnyCommand
from .document import Document
from .errors import AgentError, OperationError
from .messages import Messages
from .operations import Operation, Set, apply, list_index
from .parts import Parts
from .tracked import TrackedDict, TrackedList
from .values import Json

__all__ = ["CallSettings", "Config", "Request", "Run"]

_Args = TypeVarTuple("_Args")


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the page would like the model to be called."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = msgspec.field(name="topP", default=None)
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which model the page would like to be used. `repr` never shows the key, and nothing stores it."""

    api_key: str | None = None
    base_url: str | None = None  #: None unless the agent was made with `accept_base_url=True`
    model_name: str | None = None

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        key = None if self.api_key is None else "…"
        return [("api_key", key), ("base_url", self.base_url), ("model_name", self.model_name)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carried beside its commands and its state."""

    system: str | None = None
    tools: dict[str, Json] = {}  #: the frontend's tools: name → `{"description"?, "parameters": JSON Schema}`
    call_settings: CallSettings = CallSettings()
    config: Config = Config()
    parent_id: str | None = None
    extra: dict[str, Json] = {}  #: every other field of the body, as the app's own code in the page added it


class Run:
    """One execution of an agent.

    Args:
        id: The run's id.
        thread_id: The thread's id.
        document: The thread's state.
        commands: The batch, in the order the client sent it.
        request: What else the request carried.
        messages: The path of the messages in the state; None if the agent keeps its own form.
        emit: Takes chunks, in order, from any thread.
        flush: Sends what has changed, from any thread.
    """

    def __init__(
        self,
        *,
        id: str,  # the field's name
        thread_id: str,
        document: Document,
        commands: Sequence[AnyCommand] = (),
        request: Request | None = None,
        messages: Sequence[str] | None = ("messages",),
        emit: Callable[[Chunk], None] = lambda chunk: None,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = id  #: `run_…`
        self.thread_id = thread_id  #: the thread it runs on
        self.commands = list(commands)  #: the batch
        self.request = request or Request()  #: system, tools, call settings, config, and whatever else was sent
        self.parts = Parts(emit)  #: message parts outside the state
        self.cancelled = False  #: whether someone asked the run to stop; see `Agent.cancel_grace`
        self.tasks: TaskGroup | None = None
        self._document = document
        self._flush = flush
        self._messages = None if messages is None else Messages(document, messages)

    @property
    def state(self) -> Json:
        """The thread's state: change it as plain Python. Assigning replaces it whole.

        Raises:
            NotJson: The assigned value is not something a state can hold; the state is unchanged.
        """
        return self._document.root

    @state.setter
    def state(self, value: Json) -> None:
        self._document.root = value

    @property
    def keeps_messages(self) -> bool:
        """Whether the messages are in the state, in the documented shape, and built-in commands apply to them."""
        return self._messages is not None

    @property
    def messages(self) -> Messages:
        """The messages in the state.

        Raises:
            AgentError: The agent was declared with `messages=None` and keeps its own.
        """
        if self._messages is None:
            raise AgentError("this agent keeps its messages in its own form")
        return self._messages

    def append_text(self, path: Sequence[str | int], delta: str) -> None:
        """Grow the text at `path` of the state; costs what `delta` costs, however long the text is.

        Raises:
            OperationError: There is no text there.
            NotJson: `delta` holds a lone surrogate.
        """
        if not path:
            self._document.append_text(delta)
            return
        at = self._document.root
        try:
            for key in path[:-1]:
                at = at[key]
        except (KeyError, IndexError, TypeError) as error:
            raise OperationError(f"expected a text at {'/'.join(map(str, path))!r}, got nothing there") from error
        match at, path[-1]:
            case TrackedDict() as branch, str(key):
                branch.append_text(key, delta)
            case TrackedList() as row, int(index):
                row.append_text(index, delta)
            case _:
                raise OperationError(f"expected a text at {'/'.join(map(str, path))!r}, got nothing there")

    def apply(self, *operations: Operation) -> None:
        """Apply operations that came from elsewhere, such as `operations.diff` of two whole states.

        Raises:
            OperationError: One does not fit; those before it are applied.
            NotJson: A value is not something a state can hold.
        """
        for operation in operations:
            path = operation.path
            if not path:
                self.state = apply(self.state, [operation])
            elif isinstance(operation, Set):
                self._set_at(path, operation.value)
            else:
                self.append_text(self._keys(path), operation.value)

    def flush(self) -> None:
        """Send now what has changed, rather than at the end of the event loop's turn."""
        self._flush()

    def start_soon(self, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args) -> None:
        """Run `function` beside the handler. The run ends when all such tasks have; stopping it stops them.

        Raises:
            RuntimeError: The run is not under way.
        """
        if self.tasks is None:
            raise RuntimeError("expected a run that is under way: start tasks from within a handler")
        self.tasks.start_soon(function, *args)

    def _keys(self, path: Sequence[str]) -> list[str | int]:
        keys: list[str | int] = []
        at = self.state
        for segment in path:
            key: str | int = list_index(segment, len(at), path) if isinstance(at, list) else segment
            keys.append(key)
            at = at[key] if _holds(at, key) else None
        return keys

    def _set_at(self, path: Sequence[str], value: Json) -> None:
        apply(self.state, [Set(tuple(path), None)])  # refuses what a client would refuse
        keys = self._keys(path)
        at, depth = self.state, 0
        while depth < len(keys) - 1 and _holds(at, keys[depth]) and at[keys[depth]] is not None:
            at, depth = at[keys[depth]], depth + 1
        for segment in reversed(path[depth + 1 :]):  # missing parents come with the value, all or none
            value = {segment: value}
        if at is None:
            self.state = {path[0]: value}
        else:
            _put(at, keys[depth], value)


def _holds(container: Json, key: str | int) -> bool:
    if isinstance(container, list):
        return isinstance(key, int) and key < len(container)
    return isinstance(container, dict) and key in container


def _put(container: Json, key: str | int, value: Json) -> None:
    if isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value
