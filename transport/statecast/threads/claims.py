"""Claims: the state that a client posts. It is compared with the thread's state, or adopted by a new thread."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from statecast.protocol import Cursor
from statecast.protocol.errors import ForbiddenKey, NumberOutOfRange, StateLimitExceeded, TooDeep
from statecast.protocol.json_checks import decode, same_json
from statecast.protocol.messages.state_messages import list_in, without
from statecast_agents import FORBIDDEN_KEYS, MAX_DEPTH, MAX_INTEGER, Agent, Document, Json, StateTooLarge
from statecast_agents.values import is_javascript_integer

from .offload import offload
from .runs.failures import first_state, validate
from .thread import Thread

__all__ = ["Claim", "adopt", "agrees"]

#: The posted state as JSON text; UNSET where the request has none.
Claim = bytes | msgspec.Raw | msgspec.UnsetType


async def agrees(claim: Claim, thread: Thread, *, runs: bool = False) -> bool:
    """Return whether the client's state is the thread's. No claim agrees with nothing, and a broken one neither.

    Nor does one with a state that has changed while the two were compared, which takes a while if they are large.

    Args:
        claim: The client's state.
        thread: The thread.
        runs: Whether a run follows, which needs the state's nodes: they are made of what is decoded here.
    """
    document = thread.document if runs and thread.document.rests else None
    if isinstance(claim, msgspec.UnsetType):
        if document is not None:
            await offload(thread.size, document.prepare)
        return False
    claimed = bytes(claim)
    revision, actual = thread.snapshot()
    if claimed == actual:
        same = True
        if document is not None:
            await offload(len(actual), document.prepare)
    else:
        same = await offload(len(actual) + len(claimed), _agree, claimed, actual, document)
    return same and thread.is_unchanged(Cursor(thread.epoch, revision))


def _agree(claim: bytes, actual: bytes, document: Document | None) -> bool:
    state: Json = None
    if document is not None:
        state = msgspec.json.decode(actual)
        document.prepare(actual, state)
    try:
        claimed = msgspec.json.decode(claim)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if msgspec.json.encode(claimed) == actual:
        return True
    if document is None:
        state = msgspec.json.decode(actual)
    return _sorted(claimed) == _sorted(state) or same_json(claimed, state)


def _sorted(value: Json) -> bytes:
    return msgspec.json.encode(value, order="sorted")


async def adopt(claim: Claim, agent: Agent, *, limit: int, runs: bool) -> tuple[Document, bool]:
    """Create the document of a new thread from the claim, if the agent allows it, else from the agent's initial state.

    Returns the document, and whether it is the claim. A claim of null counts as no state if the agent has an
    initial one.

    Args:
        claim: The client's state.
        agent: The thread's.
        limit: Bytes that a state may have.
        runs: Whether a run follows, as in `agrees`.

    Raises:
        RequestError: `state_too_large`; `invalid_state`, `too_deep`, `number_out_of_range`, `forbidden_key`;
            `agent_failed`.
    """
    if isinstance(claim, msgspec.UnsetType) or not agent.adopt:
        return Document(first_state(agent)), False
    text = bytes(claim)
    if text == b"null":
        initial = first_state(agent)
        if initial is not None:
            return Document(initial), False
    if len(text) > limit:
        raise StateLimitExceeded(str(StateTooLarge(len(text), limit)), limit=limit)
    return await offload(len(text), _adopted, text, agent, runs)


def _adopted(text: bytes, agent: Agent, runs: bool) -> tuple[Document, bool]:
    """Return the document of a claim, and whether it has all of it: not the questions, which nobody has asked here."""
    value = decode(text)
    _check(value)
    validate(agent, value)
    if list_in(value, agent.pending):
        return Document.adopting(without(value, agent.pending)), False
    # On one line it can be part of any frame; a client's own JSON is.
    document = Document.adopting(value, b"" if b"\n" in text or b"\r" in text else text)
    if runs:
        document.prepare(text, value)
    return document, True


def _check(value: Any) -> None:
    """Check that a state can hold a decoded value, level by level: few steps for many values.

    Raises:
        RequestError: `too_deep`, `number_out_of_range`, `forbidden_key`.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        numbers = [item for item in level if type(item) is int]
        beyond = numbers and (max(numbers) > MAX_INTEGER or min(numbers) < -MAX_INTEGER)
        if beyond and not all(map(is_javascript_integer, numbers)):
            message = "in the state: expected integers that JavaScript can hold, got another one; use a string"
            raise NumberOutOfRange(message)
        dicts = [item for item in level if type(item) is dict]
        if not FORBIDDEN_KEYS.isdisjoint(chain.from_iterable(dicts)):
            (key, *_) = FORBIDDEN_KEYS.intersection(chain.from_iterable(dicts))
            raise ForbiddenKey(key).within("the state")
        lists = [item for item in level if type(item) is list]
        level = [*chain.from_iterable(map(dict.values, dicts)), *chain.from_iterable(lists)]
        if not level and not dicts and not lists:
            return
    raise TooDeep(MAX_DEPTH).within("the state")
