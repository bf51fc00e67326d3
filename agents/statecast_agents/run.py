"""Run: one execution of an agent over a batch of commands, as the agent sees it.

It offers the state and the request, and takes what the agent emits. The engine that executes it passes in where that
goes: `emit` and `flush`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, TypeVarTuple, cast

from anyio import to_thread

from .activity import Activity, current_activity
from .answers import Answers
from .chunks import Chunk
from .commands import AddToolResult, AnyCommand, Command, CommandSet
from .document import Document
from .errors import AgentError, NoRun, ToolFailed
from .foreign import LeftOut, Select, to_state
from .ids import new_id
from .memory import Memory
from .message import AssistantMessage, ToolCall
from .message_list import Messages
from .operations import Operation
from .parts import Parts
from .pending import Pending
from .questions import Kind, Option, question
from .request import Request
from .typed_view import View, unwrapped
from .values import Json
from .waiting import Listener, Waiting

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault  # in `typing` from Python 3.13 on

    StateT = TypeVarWithDefault("StateT", default=Any)
else:
    StateT = TypeVar("StateT")

__all__ = ["Run", "current_run"]

_Args = TypeVarTuple("_Args")
_Command = TypeVar("_Command", bound=Command)


class TaskGroup(Protocol):
    """The task group of a run."""

    def start_soon(self, function: Callable[[*_Args], Coroutine[Any, Any, Any]], /, *args: *_Args) -> Any:
        """Start a task."""


class Run(Generic[StateT]):
    """One execution of an agent. `Run[State]` is one of an agent that was made as `Agent[State](…)`.

    Args:
        id: The run's id.
        thread_id: The thread's id.
        document: The thread's state.
        commands: The batch, in the order the client sent it.
        request: What else the request carried.
        user: Whom it is for, as the app's `identify` returned them.
        messages: The path of the messages in the state; None if the agent keeps its own form.
        pending: The path of the open questions in the state; None if it has no place for any.
        memory: Returns what is kept on the thread, when the run first needs it; default: an empty memory.
        emit: Takes chunks, in order, from any thread.
        flush: Sends what has changed, from any thread.
        waits: Called with whether the run waits for a client, when that changes.
        known: The commands that can come while it goes on; None: any.
        taken: Called with each command that the agent receives from a listener, from any thread.
        in_thread: Calls a function in a worker thread.
        left_out: Takes what `put` leaves out.
        view: Makes the view of the state by the fields of its type; None: the state is read as it is.
    """

    def __init__(
        self,
        *,
        id: str,  # the field's name
        thread_id: str,
        document: Document,
        commands: Sequence[AnyCommand] = (),
        request: Request | None = None,
        user: Any = None,  # the app's own type
        messages: Sequence[str] | None = ("messages",),
        pending: Sequence[str] | None = ("pending",),
        memory: Callable[[], Memory] | None = None,
        emit: Callable[[Chunk], None] = lambda chunk: None,
        flush: Callable[[], None] = lambda: None,
        waits: Callable[[bool], None] = lambda waits: None,
        known: CommandSet | None = None,
        taken: Callable[[AnyCommand], None] = lambda command: None,
        in_thread: Callable[..., Awaitable[Any]] = to_thread.run_sync,
        left_out: LeftOut | None = None,
        view: View | None = None,
    ) -> None:
        self.id = id  #: `run_…`
        self.thread_id = thread_id  #: the thread it runs on
        self.commands = list(commands)  #: the batch
        self.request = request or Request()  #: system, tools, call settings, config, and whatever else was sent
        #: whom it is for: what the app's `identify` returned; None where nobody is known. No client ever gets it
        self.user = user
        self.cancelled = False  #: whether someone asked the run to stop; see `Agent.cancel_grace`
        self.tasks: TaskGroup | None = None  #: while it is under way
        self.waiting = Waiting(waits, known, taken)
        self.in_thread = in_thread
        self.questions = Pending(document, pending)
        self._left_out = left_out or LeftOut(thread_id)
        self._document = document
        self._view = view
        document.questions_at, document.messages_at = pending, messages
        self._flush = flush
        self._messages = None if messages is None else Messages(document, messages)
        self._emit = emit
        self._parts: Parts | None = None
        self._open_memory = memory
        self._memory: Memory | None = None
        self._given: Answers | None = None

    @property
    def state(self) -> StateT:
        """The thread's state: change it as plain Python. Assigning replaces it whole.

        It is made of dicts and lists, or shows them by the fields of their type if the agent was made as
        `Agent[State](…)`.

        Raises:
            NotJson: The assigned value is not something a state can hold; the state is unchanged.
            RunEnded: The run has ended; the state can still be read. So does whatever else changes the state.
        """
        root = self._document.root
        return cast("StateT", root if self._view is None or root is None else self._view(root))

    @state.setter
    def state(self, value: StateT) -> None:
        self._document.root = value if self._view is None else unwrapped(value)

    @property
    def parts(self) -> Parts:
        """Message parts outside the state."""
        with self._document._lock:  # the other one refuses whoever comes after the run, be it to read
            if self._parts is None:
                self._parts = Parts(self._emit)
            return self._parts

    def close_parts(self) -> None:
        """Close the parts that are open, if there are any."""
        if self._parts is not None:
            self._parts.close()

    @property
    def memory(self) -> Memory:
        """What the agent keeps for itself on the thread: JSON values or bytes, under names. No client ever gets it."""
        with self._document._lock:  # as `parts`
            if self._memory is None:
                opens = None if self._document.ended else self._open_memory
                self._memory = Memory(self._document, self._messages) if opens is None else opens()
            return self._memory

    @property
    def given(self) -> Answers:
        """The answers that no run has taken yet, and those that this run took."""
        with self._document._lock:
            if self._given is None:
                self._given = Answers(self.memory.slots)
            return self._given

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

    @property
    def shown_messages(self) -> Sequence[Json]:
        """The messages as part of the state; none if the agent keeps its own."""
        return () if self._messages is None else self._messages._peek()

    @property
    def pending(self) -> list[dict[str, Json]]:
        """The open questions: `{"id", "callId"?, "kind", "prompt"?, …}`, the oldest first.

        If there are any when the handler returns, the run ends, and the thread waits for their answers.
        """
        return self.questions.questions

    @property
    def answers(self) -> Mapping[str, dict[str, Json]]:
        """The answers that questions of the thread have got, by the question's id. Reading them takes them.

        An answer is `{"approved", "optionId"?, "text"?, "reason"?, "value"?, "dismissed"?}`. `approved` is true only if
        the user gave what the question accepts. A question that was left for a message, or stopped, is `dismissed`.

        The next run finds those that none has taken. A run that a message or an answer began takes them all when it has
        completed, nothing is asked any more, and no call is open. One that needs all answers at once returns while
        `pending` is not empty, without reading them.
        """
        return self.given.take(self.id)

    def ask(
        self,
        prompt: str,
        *,
        kind: Kind = "approval",
        schema: Json = None,
        options: Sequence[Option] | None = None,
        details: Json = None,
        call: ToolCall | None = None,
        id: str | None = None,  # the field's name
    ) -> str:
        """Ask the user something, and return the question's id. The answer comes to a later run, see `answers`.

        Args:
            prompt: What the user is asked.
            kind: What is asked for: `approval`, `choice`, `text`, or `input`, a value that fits `schema`.
            schema: JSON Schema of the value that the answer carries.
            options: What the user may choose, as texts or as `{"id", "kind"?, "label"?, …}`.
            details: Whatever else the page needs to ask, as it is in the question in the state.
            call: The tool call that it is about; None: none.
            id: The question's id; default: a new one. A question that is open under it already is replaced.

        Raises:
            ValueError: The kind or the options make no sense; the text names them.
            AgentError: `no_pending`: the agent's state has no place for questions.
            RunEnded: The run has ended.
        """
        if call is not None:
            return call.ask(prompt, kind=kind, schema=schema, options=options, details=details, id=id)
        name = id or new_id("ask")
        self.questions.ask(question(name, kind=kind, prompt=prompt, options=options, schema=schema, details=details))
        return name

    def append_text(self, path: Sequence[str | int], delta: str) -> None:
        """Append `delta` to the text at `path` of the state. O(delta), however long the text is.

        Raises:
            OperationError: There is no text there.
            NotJson: `delta` holds a lone surrogate; a high one at its end waits for the low one.
            TypeError: `delta` is not a str.
        """
        self._document.append_text(delta, path)

    def apply(self, *operations: Operation) -> None:
        """Apply operations, such as those of `operations.diff` of two whole states.

        Raises:
            OperationError: One does not fit; those before it are applied.
            NotJson: A value is not something a state can hold.
        """
        for operation in operations:
            self._document.apply(operation)

    def put(self, path: str | Sequence[str | int], value: object, select: Select | None = None) -> None:
        """Make what is at `path` of the state equal to `value`, and send only what differs.

        For the states of agent frameworks. `value` may be any object: it is converted as `to_state` says, and what JSON
        cannot express is left out, which the log says once. Text that has grown is appended to. It costs what `value`
        holds, whatever has changed: call it once per step of a framework, not once per token.

        Args:
            path: A key, or the keys and indexes that lead to the place; parents that are missing are made.
            value: What is to be there.
            select: Which keys of `value` are taken: these, or those for which a function returns true; None: all.

        Raises:
            OperationError: Something else than a dict or list is above `path`; the state is unchanged.
            StateTooLarge: The value, or the state with it, would be too large; the state is unchanged.
            TypeError: `select` is given for a value that has no keys.
            RunEnded: The run has ended.
        """
        keys = (path,) if isinstance(path, str) else tuple(map(str, path))
        limit = {} if self._document.limit is None else {"limit": self._document.limit}
        self._document.put(keys, to_state(value, select=select, path=keys, left_out=self._left_out.report, **limit))

    def flush(self) -> None:
        """Send changes now, rather than at the end of the event loop's turn.

        Raises:
            RunEnded: The run has ended.
        """
        with self._document.lock:
            self._flush()

    def start_soon(self, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args) -> None:
        """Run `function` as a task next to the handler. The run ends after all of its tasks; stopping it stops them.

        Raises:
            RuntimeError: The run is not under way.
        """
        if self.tasks is None:
            raise RuntimeError("expected a run that is under way: start tasks from within a handler")
        self.tasks.start_soon(self._run_task, Activity(self).begin(), function, *args)

    async def wait_for(self, *kinds: type[_Command] | str, where: Callable[[_Command], bool] | None = None) -> _Command:
        """Wait for a command of one of these kinds. The client's response ends meanwhile, so that it can send one.

        Args:
            kinds: Command types, or names of untyped commands.
            where: Which of them; default: any.

        Raises:
            RuntimeError: The run is not under way.
            ValueError: The agent does not understand commands of such a kind, so none could come.
        """
        if self.tasks is None:
            raise RuntimeError("expected a run that is under way: wait from within a handler")
        listener = self.waiting.listen(kinds, where, once=True)
        try:
            return await listener.receive()  # type: ignore[no-any-return]  # of one of `kinds`
        finally:
            listener.close()

    def listen(self, *kinds: type[Command] | str, where: Callable[[Any], bool] | None = None) -> Listener:
        """Return a listener that receives commands of these kinds while the run goes on.

        Args:
            kinds: Command types, or names of untyped commands.
            where: Which of them; default: any.

        Raises:
            ValueError: The agent does not understand commands of such a kind, so none could come.
            RunEnded: The run has ended.
        """
        with self._document.lock:
            return self.waiting.listen(kinds, where)

    async def call_tool(self, name: str, args: Json = None, *, message: AssistantMessage | None = None) -> Json:
        """Call a tool of the frontend, and return its result.

        Args:
            name: The tool's name in the page.
            args: Its arguments, a dict.
            message: The message of the assistant to show the call in; default: the last one, or a new one.

        Raises:
            ToolFailed: The tool answered with an error.
        """
        call = (message or self.messages.last_assistant()).add_tool_call(name, {} if args is None else args)
        answer = await self.wait_for(AddToolResult, where=lambda command: command.tool_call_id == call.id)
        if answer.is_error:
            raise ToolFailed(name, answer.result)
        return answer.result

    async def approval(self, question: str, **details: Json) -> bool:
        """Ask the user for approval by calling the frontend tool `approval`; return whether it was given.

        The answer `true`, or an object whose `approved` is `true`, gives it. Anything else denies it: the text "true",
        too.

        Args:
            question: What the user is asked.
            details: Further arguments of the call.
        """
        try:
            result = await self.call_tool("approval", {"question": question, **details})
        except ToolFailed:
            return False
        return (result.get("approved") if isinstance(result, dict) else result) is True

    def activity(self) -> Activity:
        """Return an activity, for one of several tools that work at the same time: `with run.activity(): …`.

        The run waits for its client when all of its activities do. Without this, all tools that a handler calls are
        one activity, and the run waits as soon as one of them does. Enter it in the task or the thread in which the
        tool works. The code that began it is assumed to wait for it.
        """
        return Activity(self, self.waiting.activities.current())

    async def _run_task(
        self, activity: Activity, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args
    ) -> None:
        with activity:
            await function(*args)


def current_run() -> Run:
    """Return the run that the caller works for: in a handler, its tasks and threads, and the tools that they call.

    It follows Python's context variables, which `asyncio` tasks, `asyncio.to_thread`, `run.in_thread` and the executors
    of agent frameworks copy.

    Raises:
        NoRun: The caller works for none.
    """
    activity = current_activity()
    if activity is None:
        raise NoRun
    run: Run = activity.run
    return run
