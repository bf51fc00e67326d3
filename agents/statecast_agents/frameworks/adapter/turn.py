"""A turn: what a framework's run shows in the thread, written as its events arrive.

Writers are found by namespace, message id and part. The namespace "" is the conversation. Any other is the id of the
tool call that a sub-agent works for, whose messages are in that call's `messages`, or a name given to a list of
messages elsewhere in the state (`Turn.show_in`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal, Self

from msgspec import UNSET

from statecast_agents.arguments import arguments_text, state_arguments
from statecast_agents.errors import NotJson, OperationError, RunEnded
from statecast_agents.foreign import to_state
from statecast_agents.message import COMPLETE, RUNNING, AssistantMessage, MessageList, ToolCall
from statecast_agents.run import Run
from statecast_agents.tracked import TrackedList
from statecast_agents.values import Json

from .commit import commit, has_open_call, write_parts
from .explain import explained
from .shown import Part, Shown
from .under_way import UnderWay

__all__ = ["Turn"]

#: The part of a message that deltas without a part go to: the last one, or a new one.
_LAST: Final = None


class Turn:
    """The messages that a framework's run shows. Run the framework's work inside the block `with Turn(run)`.

    If an exception leaves the block, unfinished messages are marked as incomplete, with the `reason` "cancelled" or
    "error" in their `status`. An exception of a framework or a provider becomes an `AgentError` with a message for the
    user (`explain.py`). After a crash, the next turn of the thread marks unfinished messages, with the reason "other".

    Message ids come from the framework and are used in the state, so they must be unique within the thread. A message
    that is already in the state is continued.

    Args:
        run: The run.
    """

    __slots__ = ("_calls", "_committed", "_given", "_lists", "_shown", "_under_way", "run")

    def __init__(self, run: Run) -> None:
        self.run = run
        self._shown: dict[tuple[str, str], Shown] = {}
        self._calls: dict[str, tuple[Shown, ToolCall]] = {}
        self._committed: dict[str, set[str]] = {}  #: ids by namespace
        self._given: dict[str, dict[str, Mapping[str, Json]]] = {}  #: what was committed last, by namespace and id
        self._lists: dict[str, MessageList] = {}  #: those that have been given a namespace
        self._under_way = UnderWay(run)

    def __enter__(self) -> Self:
        for ns, id in self._under_way.take_interrupted():
            messages = self._find_messages(ns)
            message = None if messages is None else messages.find(id)
            if isinstance(message, AssistantMessage) and message.message.get("status") in (None, RUNNING):
                message.message["status"] = {"type": "incomplete", "reason": "other"}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            self._under_way.note([])
            return
        cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
        try:
            self._mark_incomplete("cancelled" if cancelled else "error")
            self._under_way.note([])
        except RunEnded:  # the thread has a newer run, or is gone
            pass
        known = explained(error)
        if known is not None:
            raise known from error

    @property
    def open_calls(self) -> list[ToolCall]:
        """The tool calls of this turn without a result, in the order in which they began."""
        return [call for shown, call in self._calls.values() if shown.listed and call.open]

    def show_in(self, ns: str, messages: MessageList) -> None:
        """Show a namespace in a list of messages in the state, for sub-agents that no tool call has started."""
        self._lists[ns] = messages

    def message(self, id: str, ns: str = "") -> AssistantMessage:  # the field's name
        """Return the message with an id for writing; add it if the namespace has none.

        Raises:
            OperationError: No tool call has the id `ns`.
            MessageConflict: The message with that id is not the assistant's.
        """
        return self._open(id, ns).message

    def text(self, id: str, delta: str | None, part: Part | None = None, ns: str = "") -> None:  # the field's name
        """Append to a text. An empty delta changes nothing.

        Args:
            id: The message's id.
            delta: The text to append.
            part: The part's key within the message, for frameworks that number parts; None: the last part if it is a
                text, else a new one.
            ns: The namespace.

        Raises:
            OperationError: No tool call has the id `ns`.
            NotJson: `delta` contains a lone surrogate.
        """
        if delta:
            shown = self._open(id, ns)
            if part is _LAST:
                shown.message.append_text(delta)
            else:
                shown.part(part, "text").append_text("text", delta)

    def reasoning(self, id: str, delta: str | None, part: Part | None = None, ns: str = "") -> None:  # field
        """Append to reasoning, as `text` does to a text."""
        if delta:
            shown = self._open(id, ns)
            if part is _LAST:
                shown.message.append_reasoning(delta)
            else:
                shown.part(part, "reasoning").append_text("text", delta)

    def call(
        self,
        id: str,  # the field's name
        call_id: str | None,
        name: str,
        args: Json = UNSET,
        part: Part | None = None,
        ns: str = "",
    ) -> ToolCall:
        """Add a tool call to a message, and return it. If the message already has the call, return that one.

        Args:
            id: The message's id.
            call_id: The call's id; None: a new one.
            name: The tool's name.
            args: The whole arguments; omitted: stream them with `args`.
            part: The part's key within the message, for `args`.
            ns: The namespace.

        Raises:
            OperationError: No tool call has the id `ns`.
            NotJson: JSON cannot express `args`.
        """
        shown = self._open(id, ns)
        call = self._known_call(shown, call_id)
        if call is None:
            call = shown.message.add_tool_call(name, args, id=call_id)
            self._calls[call.id] = shown, call
        elif args is not UNSET:
            _set_args(call, args)
        if part is not _LAST:
            shown.parts[part] = call.part
        shown.last_call = call
        return call

    def args(self, id: str, delta: str | None, part: Part | None = None, ns: str = "") -> None:  # the field's name
        """Append to the arguments of a call; with None as `part`, to those of the message's latest call.

        Raises:
            OperationError: There is no such call.
        """
        if delta:
            self._call_of(id, part, ns).append_args(delta)

    def finish_args(self, id: str, part: Part | None = None, ns: str = "") -> Json:  # the field's name
        """Decode the streamed arguments of a call, and return them. If the model did not write JSON, they stay text.

        Raises:
            OperationError: There is no such call.
        """
        return _finish_args(self._call_of(id, part, ns))

    def result(
        self, call_id: str, result: object, *, is_error: bool = False, artifact: Json = UNSET, ns: str = ""
    ) -> None:
        """Set the result of a call of this turn or an earlier one. Do nothing if the call is not shown.

        Args:
            call_id: The call's id.
            result: The tool's return value: any object. Parts that a state cannot hold are omitted, see `Run.put`.
            is_error: Whether the tool failed.
            artifact: A value for the UI, not for the model.
            ns: The namespace of the call.

        Raises:
            StateTooLarge: The state has no room for the result.
            NotJson: A state cannot hold the artifact.
        """
        call = self.find_call(call_id, ns)
        if call is None:
            return
        if not call.args:
            _finish_args(call)
        result = to_state(result)
        given = {"result": result, "isError": is_error} | ({} if artifact is UNSET else {"artifact": artifact})
        if any(key not in call.part or call.part[key] != value for key, value in given.items()):
            call.set_result(result, is_error=is_error, artifact=artifact)

    def find_call(self, call_id: str, ns: str = "") -> ToolCall | None:
        """Return the call with an id, of this turn or an earlier one; None if it is not shown."""
        known = self._calls.get(call_id)
        if known is not None and known[0].ns == ns:
            return known[1]
        return self._messages(ns).find_tool_call(call_id)

    def replace(self, id: str, parts: Sequence[Mapping[str, Json]], ns: str = "") -> None:  # the field's name
        """Make `parts` the content of a message. Only the difference is sent.

        Raises:
            OperationError: No tool call has the id `ns`.
            NotJson: A state cannot hold one of the parts.
        """
        shown = self._open(id, ns)
        write_parts(shown.message.message[shown.message.field], parts)
        shown.parts.clear()
        for call in shown.message.tool_calls:
            self._calls[call.id] = shown, call

    def rename(self, old: str, new: str, ns: str = "") -> None:
        """Give a message another id. If the namespace already has a message with that id, remove the old one."""
        shown = self._shown.get((ns, old))
        if shown is None or old == new:
            return
        del self._shown[ns, old]
        if shown.message.rename(new):
            self._shown[ns, new] = shown
            self._note()
        else:
            _remove(self._messages(ns).items, shown)

    def finish(self, id: str, ns: str = "") -> None:  # the field's name
        """Mark a message as complete, for frameworks that do not `commit`."""
        shown = self._shown.get((ns, id))
        if shown is not None:
            shown.complete = True
            self._note()
            if ns:
                shown.message.message["status"] = COMPLETE

    def commit(self, messages: Sequence[Mapping[str, Json]], ns: str = "") -> None:
        """Make the conversation match the framework's own messages, see `commit.py`.

        A message of this turn that is not among them is removed from the state, unless it has an open call. It returns
        if the framework continues to write it. Messages of earlier runs stay where they were, unless this turn has seen
        them committed.

        Args:
            messages: All of the framework's messages, in order. A message is not compared again if it is the same
                object as in the previous commit and the turn has not written it itself.
            ns: The namespace.

        Raises:
            OperationError: No tool call has the id `ns`.
            NotJson: A state cannot hold one of the messages.
        """
        shown = {id: each for (namespace, id), each in self._shown.items() if namespace == ns}
        ids = {message["id"] for message in messages}
        committed = self._committed.setdefault(ns, set())
        before = self._given.get(ns, {})
        same = {id for message in messages if before.get(id := message["id"]) is message and id not in shown}
        commit(self._messages(ns), messages, committed | {id for id, each in shown.items() if each.begun}, same)
        self._given[ns] = {message["id"]: message for message in messages}
        for id, each in shown.items():
            each.complete = id in ids
            each.listed = each.complete or not each.begun or has_open_call(each.message)
        self._committed[ns] = ids
        self._note()

    def take_over(self, ids: Iterable[str], ns: str = "") -> None:
        """Treat messages shown by an earlier attempt at the run as this turn's: a commit without them removes them."""
        self._committed.setdefault(ns, set()).update(ids)

    def suspend(self) -> None:
        """Mark uncommitted messages as incomplete, because the framework waits and may write them again.

        Messages with open calls stay unchanged, because the framework waits for their results.
        """
        for shown in self._shown.values():
            if shown.listed and not shown.complete and not has_open_call(shown.message):
                shown.message.message["status"] = {"type": "incomplete", "reason": "other"}

    def _open(self, id: str, ns: str) -> Shown:
        """Return the message for writing, in its list."""
        shown = self._shown.get((ns, id))
        if shown is not None and shown.listed:
            return shown
        messages = self._messages(ns)
        if shown is not None:
            messages.items.append(shown.message.message)
            shown.listed = True
        else:
            begun = messages.find(id) is None
            shown = self._shown[ns, id] = Shown(messages.open(id), ns, begun=begun)
        self._note()
        return shown

    def _note(self) -> None:
        self._under_way.note([[*key] for key, shown in self._shown.items() if shown.listed and not shown.complete])

    def _messages(self, ns: str) -> MessageList:
        """Return the messages of a namespace.

        Raises:
            OperationError: No tool call has the id `ns`.
        """
        found = self._find_messages(ns)
        if found is None:
            raise OperationError(f'expected a namespace that is "" or the id of a tool call, got "{ns}"')
        return found

    def _find_messages(self, ns: str) -> MessageList | None:
        if not ns:
            return self.run.messages
        if ns in self._lists:
            return self._lists[ns]
        known = self._calls.get(ns)
        call = known[1] if known is not None else self.run.messages.find_tool_call(ns)
        return None if call is None else call.messages

    def _known_call(self, shown: Shown, call_id: str | None) -> ToolCall | None:
        known = self._calls.get(call_id or "")
        if known is not None and known[0] is shown:
            return known[1]
        if shown.begun or not call_id:
            return None
        found = next((call for call in shown.message.tool_calls if call.id == call_id), None)
        if found is not None:
            self._calls[call_id] = shown, found
        return found

    def _call_of(self, id: str, part: Part | None, ns: str) -> ToolCall:
        shown = self._shown.get((ns, id))
        if shown is not None:
            node = shown.parts.get(part) if part is not _LAST else None
            call = shown.last_call if part is _LAST else None if node is None else ToolCall(node)
            if call is not None:
                return call
        raise OperationError(f'expected a call that the message "{id}" has, got arguments of part {part!r}')

    def _mark_incomplete(self, reason: Literal["cancelled", "error"]) -> None:
        for (ns, _), shown in self._shown.items():
            ended = shown.complete or (ns and shown.message.message.get("status") != RUNNING)
            if shown.listed and not ended:
                shown.message.message["status"] = {"type": "incomplete", "reason": reason}
            if ns:
                for call in shown.message.tool_calls:
                    if call.open:
                        call.cut_off()


def _set_args(call: ToolCall, args: Json) -> None:
    given = {"args": state_arguments(args), "argsText": arguments_text(args)}
    if call.args != given["args"]:
        call.part.update(given)


def _finish_args(call: ToolCall) -> Json:
    try:
        return call.finish_args()
    except (OperationError, NotJson):  # a model may write anything, and the run goes on
        return call.args


def _remove(items: TrackedList, shown: Shown) -> None:
    for index in range(len(items) - 1, -1, -1):
        if items[index] is shown.message.message:
            del items[index]
            shown.listed = False
            return
