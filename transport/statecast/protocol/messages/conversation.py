"""Conversations: the full message list that some clients post, and the commands that are new in it.

Such a client sends all of its messages each time, and never says which are new. What is new is found by comparing the
user's messages with the thread's: the assistant's are the thread's own, whatever a client made of them.
Rule: messages that a client has not seen are never replaced, unless the request says so.
Source: docs/protocol/message-protocols.md, "Conversations".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from statecast.protocol.errors import RequestError
from statecast.protocol.lenient import held_part, held_result, holdable
from statecast_agents import AddMessage, AddToolResult, Answer, Json, NewMessage, Request, new_id

from .approvals import answers_call, is_answered, is_asked
from .client_copy import ClientCopy
from .sent import file_data
from .state_messages import id_of, parts_of, role_of
from .turns import Call, calls_in, paired

__all__ = ["Conversation", "NewCommand", "NewTurn", "PostedMessage", "check_last"]


MAX_ID: Final = 128  #: characters of a command's id


class PostedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a client holds it, in the shape that a state has."""

    role: Literal["user", "assistant"]
    parts: list[dict[str, Any]]
    id: str | None = None
    metadata: dict[str, Json] | msgspec.UnsetType = msgspec.UNSET
    #: of the assistant's, tool calls whose result the agent or another client has given
    results_of_others: Collection[str] = ()
    #: of the assistant's, tool calls whose result the client shows only when the thread has it
    unconfirmed: Collection[str] = ()
    problem: RequestError | None = None  #: why something in it could not be read, and was skipped
    approvals: Mapping[str, str] = {}  #: of the assistant's, by tool call: under which id its approval was asked for

    def in_state(self) -> dict[str, Json]:
        """Return the message as a state holds it."""
        given: dict[str, Json] = {} if self.metadata is msgspec.UNSET else {"metadata": holdable(self.metadata)}
        return {"id": self.id or new_id("msg"), "role": self.role, "parts": [*map(held_part, self.parts)], **given}


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a client that holds the messages itself: all of its messages, and the request's other fields."""

    messages: Sequence[PostedMessage]
    thread_id: str | None = None
    request: Request = Request()
    state: Json | msgspec.UnsetType = msgspec.UNSET  #: what it has of the state beside the messages
    keeps_state: bool = True  #: whether it still has that beside the next answer
    edited: str | None = None  #: the user's message that the last one replaces
    #: `say`, the last message is new, and a retry if the thread has it; `again`, it is to be answered again;
    #: `either`, the client does not tell: a message that the thread has is answered again; `cut`, likewise, and
    #: the client has removed what the thread has beyond these messages
    means: Literal["say", "again", "either", "cut"] = "say"
    carries: Collection[str] | None = None  #: types of parts that its messages can have; None: all
    takes_ids: bool = True  #: whether it gives the answer the id that the stream names
    agent: str | None = None

    @property
    def only_reads(self) -> bool:
        """Whether the request has no messages: the client reads what there is, and begins no thread."""
        return not self.messages

    @property
    def cancels(self) -> str | None:
        """The run that the client asks to be stopped; None: it does not."""
        return None

    @property
    def continues_answer(self) -> bool:
        """Whether the client already shows part of the answer: its last message is the assistant's."""
        return bool(self.messages) and self.messages[-1].role == "assistant"

    @property
    def size(self) -> int:
        """About how many bytes it has, if all of its parts are small."""
        return 64 * sum(1 + len(message.parts) for message in self.messages)

    def client_copy(self) -> ClientCopy | None:
        """Return what the client has of the answer to its last message of the user; None if it awaits another one."""
        if not self.continues_answer:
            return None
        last = next((at for at in range(len(self.messages), 0, -1) if self.messages[at - 1].role == "user"), 0)
        answer = self.messages[last:]
        return ClientCopy(
            [part for message in answer for part in message.parts],
            carries=self.carries,
            approvals={call: id for message in answer for call, id in message.approvals.items()},
            unconfirmed={call for message in answer for call in message.unconfirmed},
        )

    def on_written(self, thread_messages: Sequence[Json]) -> Conversation:
        """Return the conversation for a thread that only has messages written by clients, with no answer yet.

        The message to be answered may be among them, under another id: then it takes that id and is answered again.
        """
        users = [message for message in thread_messages if role_of(message) == "user"]
        messages = list(self.messages)
        posted = (at for at, message in enumerate(messages) if message.role == "user")
        for at, message in zip(posted, users, strict=False):
            if _words(messages[at].parts) == _words(parts_of(message)):
                messages[at] = msgspec.structs.replace(messages[at], id=id_of(message))
        means: Any = "again" if self.means == "say" else self.means
        return msgspec.structs.replace(self, messages=messages, means=means)

    def new_turn(
        self, thread_messages: Sequence[Json] | None, beside: Json | msgspec.UnsetType = msgspec.UNSET
    ) -> NewTurn:
        """Return what is new.

        Args:
            thread_messages: The messages that the thread has; None: the agent keeps them in a form of its own.
            beside: What else is in its state, for clients that tell by it how far they are.
        """
        if thread_messages is None:
            return self._new_turn_blindly()
        users = [index for index, message in enumerate(thread_messages) if role_of(message) == "user"]
        posted = [message for message in self.messages if message.role == "user"]
        same = 0
        while same < min(len(users), len(posted)) and _same(posted[same], thread_messages[users[same]]):
            same += 1
        results = self._results(thread_messages, users, posted, same)
        answers = users[same - 1] if same and same == len(posted) else None
        if answers is None and posted and posted[-1].id is not None:  # a stale tab has others before it
            answers = next((index for index in users if _same(posted[-1], thread_messages[index])), None)
        if self.continues_answer or not posted:
            if self.means == "again" and answers is not None and same == len(users) and not results:
                return self._replaces(thread_messages, answers, _posted(thread_messages[answers]))
            return NewTurn(commands=results, answers=answers)
        replaced = self._replaced(thread_messages, users, posted, same, answers)
        if replaced is not None:
            return self._replaces(thread_messages, replaced, posted[-1])
        if answers is not None and self.means == "say":
            return NewTurn(commands=results, answers=answers)
        return NewTurn(commands=[*results, _add(posted[-1], once=self.means == "say")])

    def _replaced(
        self,
        thread_messages: Sequence[Json],
        users: Sequence[int],
        posted: Sequence[PostedMessage],
        same: int,
        answers: int | None,
    ) -> int | None:
        """Return the index of the thread's message that the last one replaces (or edits), or None."""
        new = posted[-1]
        edited = next(
            (index for index in users if self.edited is not None and id_of(thread_messages[index]) == self.edited), None
        )
        if edited is not None and new.parts != parts_of(
            thread_messages[edited]
        ):  # else it is a retry, in the same form
            return edited
        if answers is not None:
            # Words alone may be another message that happens to have the same, if the thread went on behind it.
            sure = new.id is not None or same == len(users)
            replaces = self.means in ("again", "cut") or (self.means == "either" and sure)
            return answers if replaces else None
        if self.means == "cut" and same == len(posted) - 1 and same < len(users):
            return users[same]
        return None

    def first(self) -> tuple[list[dict[str, Json]], NewTurn]:
        """Return the initial messages of a thread that this request creates, and what is new beyond them."""
        if not self.messages:
            return [], NewTurn(commands=[])
        *before, last = self.messages
        earlier = _distinct([message.in_state() for message in before])
        if last.role == "user":
            return earlier, NewTurn(commands=[_add(last, once=self.means == "say")])
        results = self._own_results(last)
        open_calls = {result.tool_call_id for result in results}
        earlier.append({**last.in_state(), "parts": [_without_result(part, open_calls) for part in last.parts]})
        return earlier, NewTurn(commands=results)

    def _new_turn_blindly(self) -> NewTurn:
        """Return every message as a command, for an agent that keeps its own messages and detects duplicates itself."""
        if not self.messages:
            return NewTurn(commands=[])
        last = self.messages[-1]
        if last.role == "assistant":
            return NewTurn(commands=self._own_results(last))
        source = self.edited or (last.id if self.means == "again" else None)
        return NewTurn(commands=[_add(last, source=source, once=source is None)], replaces=source is not None)

    def queued(self, thread_messages: Sequence[Json], waiting: Sequence[PostedMessage]) -> int | None:
        """Return the index of the queued message that equals the last one; None if it is new.

        Args:
            thread_messages: The messages that the thread has.
            waiting: What its user has said that is yet to be applied, in its order.
        """
        posted = [message for message in self.messages if message.role == "user"]
        known = [
            *(message for message in thread_messages if role_of(message) == "user"),
            *(one.in_state() for one in waiting),
        ]
        at = len(posted) - 1
        if self.continues_answer or not len(known) - len(waiting) <= at < len(known):
            return None
        same = all(map(_same, posted, known))
        return at - len(known) + len(waiting) if same else None

    def _results(
        self, thread_messages: Sequence[Json], users: Sequence[int], posted: Sequence[PostedMessage], same: int
    ) -> list[AddToolResult | Answer]:
        """Return the results for calls that have none yet, and the answers to approvals that are open, as commands.

        Each belongs to a call in its own message.
        """
        client_calls = list(calls_in((message.role, message.id, message.parts) for message in self.messages))
        thread_calls = list(
            calls_in((role_of(message), id_of(message), parts_of(message)) for message in thread_messages)
        )
        by_others = {id(part): message.results_of_others for message in self.messages for part in message.parts}
        turns: dict[int, int | None] = {turn: turn for turn in range(same + 1)} if posted else {0: None}
        places = {id_of(thread_messages[index]): turn for turn, index in enumerate(users, 1)}
        answers = {call.message: call.turn for call in thread_calls}
        for turn, message in enumerate(posted, 1):
            if turn > same and message.id is not None and message.id in places:
                turns[turn] = places[message.id]
        for call in client_calls:
            if call.turn not in turns and call.message is not None and call.message in answers:
                turns[call.turn] = answers[call.message]
        results: list[AddToolResult | Answer] = []
        given: dict[str, Json] = {}
        for call, thread_call in reversed(list(paired(client_calls, thread_calls, turns))):
            answer = _answer(call.part, thread_call.part)
            if answer is not None:
                given |= answer
            elif _is_new(call, thread_call) and call.id not in by_others[id(call.part)]:
                results.append(_result(call.part, thread_call.message))
        return [*([Answer(answers=given)] if given else ()), *results]

    def _own_results(self, message: PostedMessage) -> list[AddToolResult]:
        """Return the results that the client produced in a message, when no thread says which calls were open."""
        tools = self.request.tools
        return [
            _result(part)
            for part in message.parts
            if _has_result(part)
            and part.get("toolCallId") not in message.results_of_others
            and (not tools or part.get("toolName") in tools)
        ]

    def _replaces(self, thread_messages: Sequence[Json], index: int, new: PostedMessage) -> NewTurn:
        """Return the command that replaces a message of the thread and everything after it."""
        source, parent = id_of(thread_messages[index]), id_of(thread_messages[index - 1]) if index else None
        if source is None and parent is None and index:
            return NewTurn(commands=[_add(new)])  # nothing names the place
        where = msgspec.UNSET if source is not None else parent
        return NewTurn(commands=[_add(new, source=source or "nameless", parent=where)], replaces=True)


def check_last(messages: Sequence[PostedMessage]) -> None:
    """Check the last message, which is what the request is about, or the tool results in it.

    Raises:
        RequestError: Why something in it could not be read.
    """
    last = messages[-1] if messages else None
    if last is not None and last.problem is not None and not any(map(_has_result, last.parts)):
        raise last.problem


#: What a conversation asks for: a built-in command; or another one as JSON, which the agent's set is to read.
NewCommand = AddMessage | AddToolResult | Answer | bytes


class NewTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What is new in a conversation: the commands to submit, or the message whose answer the client wants."""

    commands: Sequence[NewCommand]
    replaces: bool = False  #: whether it replaces what the thread has from some message on
    answers: int | None = None  #: where the thread has the last message of the user, if nothing is new


def _add(
    message: PostedMessage,
    *,
    source: str | None = None,
    parent: str | msgspec.UnsetType | None = msgspec.UNSET,
    once: bool = False,
) -> AddMessage:
    """Return a message as a command; `once`: a retry, from whichever tab, is to have no effect."""
    id = msgspec.UNSET if message.id is None else message.id
    new = NewMessage(role="user", parts=message.parts, metadata=message.metadata, id=id)
    name = message.id if once and message.id is not None and len(message.id) <= MAX_ID else None
    return AddMessage(id=name, message=new, parent_id=parent, source_id=source)


def _result(part: Mapping[str, Any], message: Json = None) -> AddToolResult:
    """Return the result of a call as a command; `message` is the id of the one that has the call."""
    return AddToolResult(
        tool_call_id=part["toolCallId"],
        tool_name=part.get("toolName") or "",
        message_id=message if isinstance(message, str) else msgspec.UNSET,
        result=held_result(part["result"]),
        is_error=part.get("isError") is True,
    )


def _answer(part: Mapping[str, Any], thread_part: Mapping[str, Any]) -> dict[str, Json] | None:
    """Return the answer that a client's call has to the approval that is open on the thread's; None if it has none."""
    asked, given = thread_part.get("approval"), part.get("approval")
    if not is_asked(asked) or not is_answered(given) or given.get("id") != asked["id"]:
        return None
    if "approved" not in given:
        return None
    fields = {name: given[name] for name in ("optionId", "text", "reason") if name in given}
    return {asked["id"]: {"approved": given["approved"] is True, **fields}}


def _is_new(call: Call, thread_call: Call) -> bool:
    """Return whether a client has a result for an open call that says more than what its approval was answered with."""
    if not thread_call.open or "result" not in call.part:
        return False
    approval = thread_call.part.get("approval")
    if not is_answered(approval):
        return True
    return approval.get("approved") is True and not answers_call(approval, call.part["result"])


def _distinct(messages: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Return the messages without duplicate ids: the first message with an id keeps it."""
    ids: set[Json] = set()
    for message in messages:
        if message["id"] in ids:
            message["id"] = new_id("msg")
        ids.add(message["id"])
    return messages


def _has_result(part: dict[str, Any]) -> bool:
    return part.get("type") == "tool-call" and "result" in part


def _without_result(part: dict[str, Any], calls: Collection[Json]) -> dict[str, Any]:
    if part.get("type") != "tool-call" or part.get("toolCallId") not in calls:
        return part
    return {key: value for key, value in part.items() if key not in ("result", "isError")}


def _posted(message: Any) -> PostedMessage:
    metadata = message.get("metadata", msgspec.UNSET)
    return PostedMessage(role="user", parts=message.get("parts") or [], id=id_of(message), metadata=metadata)


def _same(posted: PostedMessage, thread_message: Json) -> bool:
    """Return whether a user's message is one of the thread: by its id if it has one, and by its text."""
    return posted.id in (None, id_of(thread_message)) and _words(posted.parts) == _words(parts_of(thread_message))


def _words(parts: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the text of a message's parts, which every client's own form of them keeps."""
    return [(str(part.get("type")), _word(part)) for part in parts if isinstance(part, dict)]


def _word(part: Mapping[str, Any]) -> Json:
    match part.get("type"):
        case "text":
            return part.get("text")
        case "image" | "file" as kind:
            return file_data(str(part.get("image" if kind == "image" else "data")))
        case _:
            return None

    return id if isinstance(id, str) else None
