"""Run: one execution of an agent over a batch of commands, as the agent sees it.

A run gives the agent its state and its request, and accepts what the agent emits. The engine passes in the functions
that receive it: `emit` and `flush`.
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
    """One execution of an agent. `Run[State]` belongs to an agent created as `Agent[State](…)`.

    Args:
        id: The run's id.
        thread_id: The thread's id.
        document: The thread's state.
        commands: The batch, in the order the client sent it.
        request: The rest of the request.
        user: The user that the app's `identify` returned.
        messages: The path of the messages in the state; None if the agent uses its own format.
        pending: The path of the open questions in the state; None if the agent asks none.
        memory: Returns the thread's memory when the run first needs it; default: an empty memory.
        emit: Accepts chunks, in order, from any thread.
        flush: Sends pending changes, from any thread.
        waits: Called with whether the run waits for a client, whenever that changes.
        known: The commands that can arrive during the run; None: any.
        taken: Called with each command that the agent receives from a listener, from any thread.
        in_thread: Calls a function in a worker thread.
        left_out: Accepts reports of values that `put` omits.
        view: Creates the view of the state by the fields of its type; None: the state is used directly.
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
        self.request = request or Request()  #: system, tools, call settings, config, and further fields of the request
        #: the user that the app's `identify` returned; None if there is none. It is never sent to a client
        self.user = user
        self.cancelled = False  #: whether someone asked the run to stop; see `Agent.cancel_grace`
        self.tasks: TaskGroup | None = None  #: set while the run is active
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
        """The thread's state. Change it like any Python value; an assignment replaces the whole state.

        It consists of dicts and lists. If the agent was created as `Agent[State](…)`, it has the fields of the type.

        Raises:
            NotJson: A state cannot hold the assigned value; the state is unchanged.
            RunEnded: The run has ended; the state can still be read. Every other change to the state raises it too.
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
        """Close all open parts."""
        if self._parts is not None:
            self._parts.close()

    @property
    def memory(self) -> Memory:
        """The agent's private data on the thread: JSON values or bytes, under names. It is never sent to a client."""
        with self._document._lock:  # as `parts`
            if self._memory is None:
                opens = None if self._document.ended else self._open_memory
                self._memory = Memory(self._document, self._messages) if opens is None else opens()
            return self._memory

    @property
    def given(self) -> Answers:
        """The answers that no run has taken yet, and those that this run has taken."""
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
            AgentError: The agent was created with `messages=None`.
        """
        if self._messages is None:
            raise AgentError("expected an agent with messages in its state, got one with messages=None")
        return self._messages

    @property
    def shown_messages(self) -> Sequence[Json]:
        """The messages as part of the state; empty if the agent uses its own format."""
        return () if self._messages is None else self._messages._peek()

    @property
    def pending(self) -> list[dict[str, Json]]:
        """The open questions: `{"id", "callId"?, "kind", "prompt"?, …}`, oldest first.

        If questions are open when the handler returns, the run ends and the thread waits for their answers.
        """
        return self.questions.questions

    @property
    def answers(self) -> Mapping[str, dict[str, Json]]:
        """The answers to the thread's questions, by the question's id. Reading them takes them.

        An answer is `{"approved", "optionId"?, "text"?, "reason"?, "value"?, "dismissed"?}`. `approved` is true only if
        the user gave an answer that the question accepts. If the user sent a message instead, or stopped the thread,
        the answer is `dismissed`.

        Answers that no run has taken stay for the next run. A run started by a message or an answer takes all of them
        when it completes without open questions or calls. If you need all answers at once, return while `pending` is
        not empty, without reading them.
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
        """Ask the user a question, and return its id. A later run gets the answer, see `answers`.

        Args:
            prompt: The text of the question.
            kind: The kind of answer: `approval`, `choice`, `text`, or `input`, a value that fits `schema`.
            schema: JSON Schema of the answer's value.
            options: The choices, as texts or as `{"id", "kind"?, "label"?, …}`.
            details: Further data for the page, stored in the question unchanged.
            call: The tool call that the question is about; None: none.
            id: The question's id; default: a new one. An open question with this id is replaced.

        Raises:
            ValueError: The kind or the options are invalid; the message names them.
            AgentError: `no_pending`: the agent has no place for questions in its state.
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
            OperationError: The value at `path` is not a text.
            NotJson: `delta` contains a lone surrogate. A high surrogate at its end waits for the low one.
            TypeError: `delta` is not a str.
        """
        self._document.append_text(delta, path)

    def apply(self, *operations: Operation) -> None:
        """Apply operations, such as the difference of two whole states from `operations.diff`.

        Raises:
            OperationError: An operation does not fit the state; those before it are applied.
            NotJson: A state cannot hold one of the values.
        """
        for operation in operations:
            self._document.apply(operation)

    def put(self, path: str | Sequence[str | int], value: object, select: Select | None = None) -> None:
        """Make the value at `path` of the state equal to `value`, and send only the difference.

        Use it for the states of agent frameworks. `value` may be any object: `to_state` converts it. Parts that JSON
        cannot express are omitted, and the log reports them once. Text that has grown is appended to. The cost depends
        on the size of `value`, not on what has changed: call it once per step of a framework, not once per token.

        Args:
            path: A key, or the keys and indexes that lead to the place; missing parents are created.
            value: The new value.
            select: The keys of `value` to use, or a function that returns true for them; None: all.

        Raises:
            OperationError: A parent of `path` is neither a dict nor a list; the state is unchanged.
            StateTooLarge: The value, or the state with it, would be too large; the state is unchanged.
            TypeError: `select` is given for a value without keys.
            RunEnded: The run has ended.
        """
        keys = (path,) if isinstance(path, str) else tuple(map(str, path))
        limit = {} if self._document.limit is None else {"limit": self._document.limit}
        self._document.put(keys, to_state(value, select=select, path=keys, left_out=self._left_out.report, **limit))

    def flush(self) -> None:
        """Send changes now, rather than at the end of the turn of the event loop.

        Raises:
            RunEnded: The run has ended.
        """
        with self._document.lock:
            self._flush()

    def start_soon(self, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args) -> None:
        """Run `function` as a task beside the handler. The run ends when its tasks end; cancelling it cancels them.

        Raises:
            RuntimeError: The run is not active.
        """
        if self.tasks is None:
            raise RuntimeError("expected an active run: start tasks in a handler")
        self.tasks.start_soon(self._run_task, Activity(self).begin(), function, *args)

    async def wait_for(self, *kinds: type[_Command] | str, where: Callable[[_Command], bool] | None = None) -> _Command:
        """Wait for a command of one of these kinds. The client's response ends first, so that the client can send one.

        Args:
            kinds: Command types, or names of untyped commands.
            where: Returns true for the commands to accept; default: all.

        Raises:
            RuntimeError: The run is not active.
            ValueError: The agent does not know commands of such a kind, so none could arrive.
        """
        if self.tasks is None:
            raise RuntimeError("expected an active run: wait in a handler")
        listener = self.waiting.listen(kinds, where, once=True)
        try:
            return await listener.receive()  # type: ignore[no-any-return]  # of one of `kinds`
        finally:
            listener.close()

    def listen(self, *kinds: type[Command] | str, where: Callable[[Any], bool] | None = None) -> Listener:
        """Return a listener that receives commands of these kinds during the run.

        Args:
            kinds: Command types, or names of untyped commands.
            where: Returns true for the commands to accept; default: all.

        Raises:
            ValueError: The agent does not know commands of such a kind, so none could arrive.
            RunEnded: The run has ended.
        """
        with self._document.lock:
            return self.waiting.listen(kinds, where)

    async def call_tool(self, name: str, args: Json = None, *, message: AssistantMessage | None = None) -> Json:
        """Call a frontend tool, and return its result.

        Args:
            name: The tool's name in the page.
            args: Its arguments, a dict.
            message: The assistant's message that shows the call; default: the last one, or a new one.

        Raises:
            ToolFailed: The tool returned an error.
        """
        call = (message or self.messages.last_assistant()).add_tool_call(name, {} if args is None else args)
        answer = await self.wait_for(AddToolResult, where=lambda command: command.tool_call_id == call.id)
        if answer.is_error:
            raise ToolFailed(name, answer.result)
        return answer.result

    async def approval(self, question: str, **details: Json) -> bool:
        """Ask the user for approval by calling the frontend tool `approval`; return whether the user approved.

        The answer `true`, or an object whose `approved` is `true`, approves. Anything else denies, including the text
        "true".

        Args:
            question: The text of the question.
            details: Further arguments of the call.
        """
        try:
            result = await self.call_tool("approval", {"question": question, **details})
        except ToolFailed:
            return False
        return (result.get("approved") if isinstance(result, dict) else result) is True

    def activity(self) -> Activity:
        """Return an activity, for one of several tools that work concurrently: `with run.activity(): …`.

        The run waits for its client when all of its activities wait. Without this method, all tools that a handler
        calls are one activity, and the run waits as soon as one of them does. Enter the activity in the task or thread
        in which the tool works. The code that started it is assumed to wait for it.
        """
        return Activity(self, self.waiting.activities.current())

    async def _run_task(
        self, activity: Activity, function: Callable[[*_Args], Coroutine[Any, Any, Any]], *args: *_Args
    ) -> None:
        with activity:
            await function(*args)


def current_run() -> Run:
    """Return the current run. Works in a handler, in its tasks and threads, and in the tools that they call.

    It uses Python's context variables, which `asyncio` tasks, `asyncio.to_thread`, `run.in_thread` and the executors of
    agent frameworks copy.

    Raises:
        NoRun: The caller does not work for a run.
    """
    activity = current_activity()
    if activity is None:
        raise NoRun
    run: Run = activity.run
    return run
