"""Messages that clients write into a history; they are the thread's messages until an agent runs on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from statecast.protocol.errors import InvalidRequest, RequestError, StateLimitExceeded
from statecast.protocol.messages.state_messages import items_in
from statecast.threads.errors import LeaseLost
from statecast.threads.offload import offload
from statecast.threads.runs.failures import first_state, validate
from statecast.threads.thread import Thread
from statecast_agents import (
    Agent,
    Document,
    Json,
    Messages,
    NotJson,
    Operation,
    StateInvalid,
    StateTooLarge,
    operations,
)

__all__ = [
    "MAX_ID",
    "append",
    "can_follow",
    "check_names",
    "check_written",
    "follows",
    "has_only",
    "reassigned",
    "rewrite",
    "with_messages",
    "written",
]

MAX_ID: Final = 128  #: characters of a message's id
MAX_EXTERNAL_ID: Final = 255  #: likewise, of one from elsewhere
MAX_FORMAT: Final = 100  #: characters of a form's name


def check_names(*, id: str | None, parent_id: str | None, external_id: str | None, format: str) -> None:
    """Check the names in a message that a client has written.

    Raises:
        RequestError: `invalid_request`.
    """
    for name, most in ((id, MAX_ID), (parent_id, MAX_ID), (external_id, MAX_EXTERNAL_ID)):
        if name is not None and not 0 < len(name) <= most:
            text = f"expected ids of messages of 1 to {most} characters, got {len(name)}"
            raise InvalidRequest(text, limit=most)
    if not 0 < len(format) <= MAX_FORMAT:
        text = f"expected a format's name of 1 to {MAX_FORMAT} characters, got {len(format)}"
        raise InvalidRequest(text, limit=MAX_FORMAT)


def with_messages(state: Json, path: Sequence[str], messages: Sequence[Json]) -> Any:
    """Return a copy of a state with these messages at a path."""
    if not path:
        return list(messages)
    inner = state.get(path[0]) if isinstance(state, dict) else None
    return {**(state if isinstance(state, dict) else {}), path[0]: with_messages(inner, path[1:], messages)}


def written(agent: Agent, messages: Sequence[Json]) -> Document:
    """Return the document of a thread that begins with these messages, if the agent's state can hold them.

    Raises:
        RequestError: `invalid_state`, if nothing can hold them.
    """
    initial = first_state(agent)
    return _document(_holding(agent, initial, messages, initial))


async def rewrite(thread: Thread, messages: Sequence[Json], size: int) -> None:
    """Make messages those of a thread, unless an agent has run on it meanwhile.

    Args:
        thread: The thread.
        messages: All of them, as in a state.
        size: Bytes of them as JSON.

    Raises:
        RequestError: `invalid_state`, if nothing can hold them; `lease_lost`: another process may have the thread.
    """
    changes: Sequence[Operation] = ()
    revision = -1
    while revision != thread.snapshot()[0]:  # others may write meanwhile
        revision, encoded = thread.snapshot()
        changes = await offload(size + len(encoded), _rewritten, thread.agent, encoded, messages)
        if not thread.owned:
            raise LeaseLost()
    if thread.run is None and not thread.inbox:  # afterwards the state is the agent's
        for operation in changes:
            thread.document.apply(operation)
    thread.flush()


def _rewritten(agent: Agent, state: bytes, messages: Sequence[Json]) -> list[Operation]:
    """Return the operations that replace a state's messages with these."""
    before = msgspec.json.decode(state)
    _document(after := _holding(agent, before, messages, before))
    return operations.diff(before, after)


def has_only(thread: Thread, known: Collection[str]) -> bool:
    """Return whether a thread has no messages with other ids than these, and no agent has run on it."""
    if thread.run is not None or thread.inbox:
        return False
    messages = thread.document.list_at(thread.agent.messages)
    return all(isinstance(message, dict) and message.get("id") in known for message in messages)


def follows(thread: Thread, parent_id: str | None) -> bool:
    """Return whether `parent_id` is the thread's last message, so that the new one can be appended."""
    if thread.run is not None or thread.inbox or thread.agent.state_type.declared is not None:
        return False
    messages = thread.document.list_at(thread.agent.messages)
    last = messages[-1] if messages else None
    return isinstance(last, dict) and last.get("id") == parent_id


def append(thread: Thread, parent_id: str | None, message: dict[str, Json]) -> bool:
    """Append the message if its parent is the last one, else return False. O(message)."""
    if not follows(thread, parent_id):
        return False
    Messages(thread.document, thread.agent.messages or ()).items.append(message)
    thread.flush()
    return True


def can_follow(thread: Thread, parent_id: str | None, message: dict[str, Json], *, limit: int) -> bool:
    """Return whether a message can be appended, see `follows`, and the state has room for it.

    Raises:
        RequestError: `state_too_large`: it does, and the state would have more than `limit` bytes.
    """
    if not follows(thread, parent_id):
        return False
    if not thread.has_room(len(msgspec.json.encode(message))):
        raise _outgrown(limit)
    return True


def check_written(agent: Agent, messages: Sequence[Json], *, limit: int) -> None:
    """Check that a state with these messages has at most `limit` bytes.

    Raises:
        RequestError: `state_too_large`; `invalid_state` for messages that no state can hold.
    """
    if len(written(agent, messages).encode()) > limit:
        raise _outgrown(limit)


def reassigned(thread: Thread, agent: Agent) -> list[Operation] | None:
    """Return the operations that hand a thread to another agent.

    None: more has happened than messages written into its history, so it stays with its agent.
    """
    if thread.run is not None or thread.inbox:
        return None
    before = thread.document.root
    messages = items_in(before, thread.agent.messages)
    if operations.diff(before, written(thread.agent, messages).root):
        return None
    return operations.diff(before, written(agent, messages).root)


def _holding(agent: Agent, state: Json, messages: Sequence[Json], otherwise: Json) -> Json:
    if agent.messages is None:
        return otherwise
    after = with_messages(state, agent.messages, messages)
    try:
        validate(agent, after)
    except StateInvalid:  # its messages are of a form that only the agent knows
        return otherwise
    return after


def _outgrown(limit: int) -> RequestError:
    message = f"expected messages that leave a state of at most {limit} bytes as JSON, got more: {StateTooLarge.WHY}"
    return StateLimitExceeded(message, limit=limit)


def _document(state: Json) -> Document:
    try:
        return Document(state)
    except NotJson as error:
        raise StateInvalid(str(error)) from None
