"""Agents: handlers for commands, and declarations of their state, messages and commands."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeVar, get_args

from .activity import Activity
from .commands import Answer, AnyCommand, Command, CommandSet
from .document import to_json
from .foreign import LeftOut
from .functions import is_async, yields
from .hooks import Hooks
from .run import Run, StateT
from .schema import StateType
from .settings import (
    check_choice,
    check_function,
    check_list,
    check_name,
    check_number,
    check_path,
    check_pending,
    check_pointers,
    check_suggestions,
    check_switch,
)
from .typed_view import view_of
from .values import Json

__all__ = ["Agent", "Policy"]

#: What happens to a batch that arrives mid-run, unless the run listens for its commands: `enqueue` runs it afterwards;
#: `reject` refuses it; `interrupt` stops the run and runs the batch next; `rollback` does the same and restores the
#: state from before the stopped run; `deliver` refuses it.
Policy = Literal["enqueue", "reject", "interrupt", "rollback", "deliver"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

_UNHEARD: Final = (
    'the agent "%s" has no handler for "answer", so nothing goes on with what the user has answered; '
    'register one with @agent.on("answer"), or one for all commands with @agent.batch'
)

_log: Final = logging.getLogger("statecast")


class _Called(NamedTuple):
    """A handler, or the function over a batch."""

    function: Callable[..., Any]
    is_async: bool  #: whether calling it gives a coroutine; else it is called in a worker thread

    async def call(self, run: Run, *args: Any) -> None:
        """Call it for a run, and wait until its work is done."""
        if self.is_async:
            await self.function(*args)
            return
        result = await run.in_thread(self.function, *args)
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise TypeError(f"expected a handler that returns, got {self.function!r}, which gives a generator")
        if inspect.isawaitable(result):
            await result


class Agent(Generic[StateT]):
    """An agent: handlers for commands that work on a state.

    `Agent[State]("name")` declares the type of the state, like `Agent("name", state=State)`. In addition, its runs are
    `Run[State]` and access the state by the fields of the type: `run.state.topic`.

    Handlers are `async def`, or plain `def`, which runs in a worker thread. An agent has either handlers per command
    (`on`), called one after the other in the order of the batch, or one function for the whole batch (`batch`).

    Args:
        name: The name by which requests choose the agent if an app serves several: `?agent=name`.
        state: The state's type: a msgspec struct, dataclass, TypedDict or pydantic model. The server validates states
            that clients send against it and publishes its JSON Schema. None: any JSON.
        initial: The first state of a thread whose client sends none: a value, or a function that returns one.
            Default: an instance of `state` with its defaults, or None.
        messages: The key of the messages in the state, or the keys that lead there. None: the agent stores messages in
            its own format, and applies `add-message` and `add-tool-result` itself.
        pending: The key of the open questions in the state, or the keys that lead there. The list exists from the first
            `ToolCall.ask` or `Run.ask` on. None: the agent asks no questions. A declared state type may omit the field.
        commands: Further command types. Those with a handler are included automatically.
        adopt: Whether a client may supply the state of a thread that is new to the server.
        allow_assistant: Whether a client may add messages with the role of the assistant.
        accept_base_url: Whether `config.baseUrl` of a request reaches the agent.
        policy: What happens to a batch that arrives mid-run, see `Policy`. A request may choose another policy.
        waiting_policy: What happens instead if a run or the thread waits for its client and the batch contains a
            message that it does not wait for. By default the run is stopped and its questions are dismissed.
        writable: Parts of the state that clients may patch, as JSON Pointers: `/title`, `/settings`. Default: none.
        suggestions: Messages that a page offers the user at the start: texts, or texts with a hint what to watch.
        restartable: Whether a run that was cut off by a crash starts again, rather than being marked as interrupted.
        cancel_grace: Seconds between `run.cancelled` turning true and the handler being cancelled at its next await.
        cancel_seconds: Seconds that a cancelled handler gets for cleanup, with any number of awaits. A handler that has
            not ended by then is cancelled repeatedly, and finally abandoned.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names it.
        NotJson: A state cannot hold `initial`.
    """

    _parameter: ClassVar[Any] = None  #: `State` of `Agent[State]`

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameter: Any) -> Any:
            """Return the class whose agents have states of this type, as `typing` does for parameters of functions."""
            if isinstance(parameter, TypeVar):
                return super().__class_getitem__(parameter)
            return _parametrized(cls, parameter)

    def __init__(
        self,
        name: str = "agent",
        *,
        state: Any = None,
        initial: Json | Callable[[], Json] = None,
        messages: str | Sequence[str] | None = "messages",
        pending: str | Sequence[str] | None = "pending",
        commands: Sequence[type[Command] | str] = (),
        adopt: bool = True,
        allow_assistant: bool = False,
        accept_base_url: bool = False,
        policy: Policy = "enqueue",
        waiting_policy: Policy = "interrupt",
        writable: Sequence[str] = (),
        suggestions: Sequence[str] | Mapping[str, str] = (),
        restartable: bool = False,
        cancel_grace: float = 0.0,
        cancel_seconds: float = 10.0,
    ) -> None:
        if self._parameter is not None:
            if state not in (None, self._parameter):
                raise TypeError(f"expected one type of the state, got {self._parameter!r} and {state!r}")
            state = self._parameter
        check_name(name)
        for what, choice in (("policy", policy), ("waiting_policy", waiting_policy)):
            check_choice(what, choice, get_args(Policy))
        for what, seconds in (("cancel_grace", cancel_grace), ("cancel_seconds", cancel_seconds)):
            check_number(what, seconds, least=0)
        for what, switch in (
            ("adopt", adopt),
            ("allow_assistant", allow_assistant),
            ("accept_base_url", accept_base_url),
            ("restartable", restartable),
        ):
            check_switch(what, switch)
        check_list("commands", commands, "subclasses of Command and names")
        if not callable(initial):
            to_json(initial)
        self.name = name
        self.state_type = StateType(state)
        self.view = None if self._parameter is None else view_of(self._parameter)  #: of the state, for its runs
        self.messages = check_path("messages", messages)
        self.pending = check_pending(pending, self.messages)
        self.commands = CommandSet(commands)
        self.adopt = adopt
        self.allow_assistant = allow_assistant
        self.accept_base_url = accept_base_url
        self.policy: Policy = policy
        self.waiting_policy: Policy = waiting_policy
        self.writable = check_pointers("writable", writable)
        self.suggestions = check_suggestions(suggestions)
        self.restartable = restartable
        self.cancel_grace = cancel_grace
        self.cancel_seconds = cancel_seconds
        self.hooks = Hooks()
        self.left_out = LeftOut(name)  #: what `Run.put` could not convert, so that the log says it once
        self._initial = initial
        self._handlers: dict[str, _Called] = {}
        self._batch: _Called | None = None

    def on(self, *commands: type[Command] | str) -> Callable[[_Handler], _Handler]:
        """Register the decorated `handler(run, command)` for command types, or for names of untyped commands.

        Raises:
            TypeError: No command is given, one already has a handler, the agent has a `batch` function, or the handler
                is not a function or contains a `yield`.
        """
        if not commands:
            raise TypeError("expected commands to handle, such as on(AddMessage), got none")
        if self._batch is not None:
            raise TypeError(f'the agent "{self.name}" has one function over the batch already')
        names = [self.commands.add(kind) for kind in commands]

        def register(handler: _Handler) -> _Handler:
            _check_returns(handler)
            for name in names:
                if name in self._handlers:
                    raise TypeError(f'the command "{name}" has a handler already')
                self._handlers[name] = _Called(handler, is_async(handler))
            return handler

        return register

    def batch(self, function: _Handler) -> _Handler:
        """Register the decorated `function(run)`, which handles all of `run.commands` itself.

        Raises:
            TypeError: The agent already has handlers, or `function` is not a function or contains a `yield`.
        """
        _check_returns(function)
        if self._batch is not None or self._handlers:
            raise TypeError(f'the agent "{self.name}" has handlers already')
        self._batch = _Called(function, is_async(function))
        return function

    def title(self, hook: _Handler) -> _Handler:
        """Register the decorated `hook(about)`, which returns a thread's title, or yields it piece by piece.

        Raises:
            TypeError: The agent already has one.
        """
        return self.hooks.set("title", hook)

    def suggest(self, hook: _Handler) -> _Handler:
        """Register the decorated `hook(about)`, which suggests the user's next messages, as texts or `{"prompt"}`.

        Raises:
            TypeError: The agent already has one.
        """
        return self.hooks.set("suggest", hook)

    def feedback(self, hook: _Handler) -> _Handler:
        """Register the decorated `hook(feedback)`, which receives users' ratings of messages.

        Raises:
            TypeError: The agent already has one.
        """
        return self.hooks.set("feedback", hook)

    def initial_state(self) -> Json:
        """Return the first state of a thread whose client sent none, as plain JSON.

        Raises:
            NotJson: A state cannot hold the declared initial value.
        """
        value = self._initial() if callable(self._initial) else self._initial
        return to_json(self.state_type.initial() if value is None else value)

    def needs_thread(self, commands: Sequence[AnyCommand]) -> bool:
        """Return whether the first handler for these commands is a plain `def`, which needs a worker thread."""
        for command in commands:
            handler = self._batch or self._handlers.get(command.type)
            if handler is not None:
                return not handler.is_async
        return False

    async def perform(self, run: Run) -> None:
        """Call the handlers for the commands of `run`. The engine has already applied the built-in commands."""
        with Activity(run):
            if self._batch is not None:
                await self._batch.call(run, run)
                return
            for command in run.commands:
                handler = self._handlers.get(command.type)
                if handler is not None:
                    await handler.call(run, run, command)
                elif isinstance(command, Answer):
                    _log.warning(_UNHEARD, self.name)


@cache
def _parametrized(kind: type[Agent], parameter: Any) -> type[Agent]:
    """Return the class of agents with a type of their state."""
    name = f"{kind.__name__}[{getattr(parameter, '__name__', parameter)}]"
    return type(name, (kind,), {"_parameter": parameter, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _check_returns(function: Callable[..., Any]) -> None:
    """Check that a handler is a function without `yield`.

    Raises:
        TypeError: It is not; a generator would never run.
    """
    check_function("a handler", function)
    if yields(function):
        name = getattr(function, "__qualname__", repr(function))
        message = f"expected a handler that returns, got {name}, which has a `yield` in it"
        raise TypeError(f"{message}; write its output to `run.state`, `run.messages` or `run.parts` instead")
