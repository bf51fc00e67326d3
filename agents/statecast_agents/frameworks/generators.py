"""Generators and callbacks: any function that yields, or emits, items for a page to show.

An item is a text, a part of a message as a dict, or a `State`. Texts are appended: strings, the `text` of a `text` or
`reasoning` part, and the `argsText` of a `tool-call`. A call is identified by its `toolCallId`: yield it again to set
its `args` or its `result`. Every other part is added as is.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from collections.abc import Generator as SyncGenerator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeAlias, cast

from msgspec import UNSET

from statecast_agents.agent import Agent
from statecast_agents.commands import AddMessage
from statecast_agents.errors import RunEnded
from statecast_agents.foreign import to_state
from statecast_agents.functions import is_async, yields
from statecast_agents.ids import new_id
from statecast_agents.message import AssistantMessage, ToolCall
from statecast_agents.run import Run
from statecast_agents.values import Json

from .adapter.checks import check_functions
from .adapter.turn import Turn
from .adapter.work import CLEANUP_SECONDS, foreign

__all__ = ["CallbackAgent", "GeneratorAgent", "Item", "State", "run_callbacks", "run_generator"]

#: How much of an agent's `cancel_seconds` its function gets; the rest is for the run to end in order.
SHARE: Final = 0.8


@dataclass(frozen=True)
class State:
    """A library's whole state, to show in the thread's state. Only the difference is sent.

    Yield it once per step of the library, not once per token: the cost depends on the size of `value`.
    """

    #: a mapping, or an object with fields; values that JSON cannot express are omitted, see `Run.put`
    value: object
    #: its place in the thread's state; (): its keys are keys of the thread's state, and are removed when it drops them
    path: tuple[str | int, ...] = ()


Item: TypeAlias = str | Mapping[str, Json] | State | None
Emit: TypeAlias = Callable[[Item], None]
Generator: TypeAlias = Callable[[Run], Iterable[Item] | AsyncIterable[Item]]
WithCallback: TypeAlias = Callable[[Run, Emit], Any]


class GeneratorAgent(Agent):
    """An agent defined by a generator: `function(run)` yields the items for the page.

    Args:
        function: A generator function, plain or async. A plain one runs in a worker thread, and is closed at its next
            `yield` when the run is stopped.
        name: The agent's name.
        settings: As in `Agent`.

    Raises:
        TypeError: `function` is not a generator function.
    """

    def __init__(self, function: Generator, name: str = "agent", **settings: Any) -> None:
        if not yields(function):
            raise TypeError(f"expected a function with a `yield` in it, got {function!r}; see also CallbackAgent")
        super().__init__(name, **settings)
        self._function = function
        self.batch(self._work)

    async def _work(self, run: Run) -> None:
        await run_generator(run, self._function, bound=SHARE * self.cancel_seconds)


class CallbackAgent(Agent):
    """An agent defined by a function with a callback: `function(run, emit)` calls `emit` with items for the page.

    Args:
        function: A function or a coroutine function. A plain one runs in a worker thread. `emit` may be called from any
            thread. After a stop it raises RunEnded, which ends most libraries at their next output.
        name: The agent's name.
        settings: As in `Agent`.

    Raises:
        TypeError: `function` is not a function.
    """

    def __init__(self, function: WithCallback, name: str = "agent", **settings: Any) -> None:
        super().__init__(name, **settings)
        check_functions("run, emit", function=function)
        self._function = function
        self.batch(self._work)

    async def _work(self, run: Run) -> None:
        await run_callbacks(run, self._function, bound=SHARE * self.cancel_seconds)


async def run_generator(
    run: Run,
    function: Generator,
    *,
    bound: float = CLEANUP_SECONDS,
    stop: Callable[[], object] | None = None,
) -> None:
    """Show the items that `function(run)` yields. Call it in your own handler.

    Args:
        run: The run.
        function: A generator function, plain or async.
        bound: Seconds for cleanup after a stop.
        stop: Called when the run is stopped, for a library with its own way to stop.

    Raises:
        TypeError: The function yields something that is not an `Item`.
        NotJson: The function yields something that a state cannot hold.
        AgentError: The function raised an exception that users may read about, see `explained`.
    """

    async def copy() -> None:
        async with contextlib.aclosing(cast(AsyncGenerator[Item, None], function(run))) as items:
            async for item in items:
                began = monotonic() if isinstance(item, State) else None
                show(item)
                if began is not None:  # comparing costs what a state holds: whatever else the loop has gets as long
                    await asyncio.sleep(monotonic() - began)

    def copy_in_thread() -> None:
        with contextlib.closing(cast(SyncGenerator[Item, None, None], function(run))) as items:
            for item in items:
                if show.stopped:
                    return
                show(item)

    with Turn(run) as turn, _Shown(turn) as show:
        if inspect.isasyncgenfunction(inspect.unwrap(function)):
            await foreign(run, copy, bound=bound, stop=stop)
        else:
            await foreign(run, _in_thread, run, copy_in_thread, bound=bound, stop=show.stopping(stop))


async def run_callbacks(
    run: Run,
    function: WithCallback,
    *,
    bound: float = CLEANUP_SECONDS,
    stop: Callable[[], object] | None = None,
) -> None:
    """Show the items that `function(run, emit)` emits. Arguments and errors are those of `run_generator`."""

    async def call() -> None:
        await function(run, show.emit)

    def call_in_thread() -> None:
        try:
            function(run, show.emit)
        except RunEnded:
            if not show.stopped:
                raise

    with Turn(run) as turn, _Shown(turn) as show:
        if is_async(function):
            await foreign(run, call, bound=bound, stop=show.stopping(stop))
        else:
            await foreign(run, _in_thread, run, call_in_thread, bound=bound, stop=show.stopping(stop))


async def _in_thread(run: Run, function: Callable[[], None]) -> None:
    await run.in_thread(function)


class _Shown:
    """What a function has shown, in one message of the assistant: the last one, where the run goes on from answers."""

    def __init__(self, turn: Turn) -> None:
        self.stopped = False
        self._turn = turn
        self._lock = threading.Lock()  #: of `emit`: a generator yields one item at a time
        self._append: Callable[[str], None] = self._append_first
        self._keys: set[str] = set()  #: of the thread's state, that are the library's
        run = turn.run
        last = run.messages[-1] if len(run.messages) else None
        asked = any(isinstance(command, AddMessage) for command in run.commands)
        self._id = last.id if isinstance(last, AssistantMessage) and not asked else new_id("msg")

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self._finish_arguments()

    def stopping(self, stop: Callable[[], object] | None) -> Callable[[], None]:
        """Return what a stop calls: no more is shown, and the library's own switch is thrown."""

        def stop_both() -> None:
            self.stopped = True
            if stop is not None:
                stop()

        return stop_both

    def emit(self, item: Item) -> None:
        """Show an item.

        Raises:
            RunEnded: The run was stopped.
        """
        if self.stopped:
            raise RunEnded(self._turn.run.id)
        with self._lock:
            self(item)

    def __call__(self, item: Item) -> None:
        match item:
            case str():
                if item:
                    self._append(item)
            case None:
                pass
            case State():
                self._put(item)
            case {"type": "text" | "reasoning" as kind, "text": text}:
                write = self._turn.text if kind == "text" else self._turn.reasoning
                write(self._id, text)
            case {"type": "tool-call"}:
                self._call(item)
            case {"type": str()}:
                self._turn.message(self._id).add_part({**item})
            case _:
                expected = 'a text, a part of a message such as {"type": "text", "text": …}, or a State'
                raise TypeError(f"expected {expected}, got {type(item).__name__}")

    def _append_first(self, text: str) -> None:
        self._append = self._turn.message(self._id).append_text  # a turn would look it up for each token
        self._append(text)

    def _call(self, part: Mapping[str, Json]) -> None:
        id = part.get("toolCallId")
        call = self._turn.find_call(id) if isinstance(id, str) and "toolName" not in part else None
        if call is None:
            call = self._turn.call(self._id, id, str(part.get("toolName", "")), part.get("args", UNSET))
        elif "args" in part:
            call = self._turn.call(self._id, id, call.name, part["args"])
        if part.get("argsText"):
            call.append_args(part["argsText"])
        if "result" in part:
            artifact = part.get("artifact", UNSET)
            self._turn.result(call.id, part["result"], is_error=bool(part.get("isError")), artifact=artifact)

    def _put(self, state: State) -> None:
        run = self._turn.run
        if state.path:
            run.put(state.path, state.value)
            return
        value = to_state(state.value)
        if not isinstance(value, dict):
            raise TypeError(f"expected a State of keys and values, or one with a path, got {type(value).__name__}")
        for key in self._keys - value.keys():
            run.state.pop(key, None)
        for key, item in value.items():
            run.put(key, item)
        self._keys = set(value)

    def _finish_arguments(self) -> None:
        for call in self._turn.open_calls:
            _finish(call)


def _finish(call: ToolCall) -> None:
    if not call.args and call.args_text:
        with contextlib.suppress(Exception):
            call.finish_args()
