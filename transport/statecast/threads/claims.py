"""Claims: the state a client posts. It is compared with the thread's own, or adopted by a thread that is new."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from statecast.protocol.errors import Refusal
from statecast.protocol.json_checks import decode, same_json
from statecast_agents import FORBIDDEN_KEYS, MAX_DEPTH, MAX_INTEGER, Agent, Document, StateInvalid, StateTooLarge
from statecast_agents.values import is_javascript_integer

from .failures import first_state, validate
from .offload import offload

if TYPE_CHECKING:
    from .thread import Thread

__all__ = ["Claim", "adopt", "agrees", "prepare"]

#: The posted state as JSON text; UNSET where the request has none.
Claim = bytes | msgspec.Raw | msgspec.UnsetType


async def agrees(claim: Claim, thread: Thread) -> bool:
    """Whether the client's state is the thread's. No claim agrees with nothing, and a broken one neither.

    Nor does one with a state that has changed while the two were compared, which takes a while if they are large.
    """
    if isinstance(claim, msgspec.UnsetType):
        return False
    revision, ours = thread.snapshot()
    if bytes(claim) == ours:
        return True
    same = await offload(len(ours) + len(bytes(claim)), _agree, bytes(claim), ours)
    return same and thread.snapshot()[0] == revision


def _agree(claim: bytes, ours: bytes) -> bool:
    try:
        theirs = msgspec.json.decode(claim)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    state = msgspec.json.decode(ours)  # not the document's own, which may rest
    same = msgspec.json.encode(theirs, order="sorted") == msgspec.json.encode(state, order="sorted")
    return same or same_json(theirs, state)


async def adopt(claim: Claim, agent: Agent, *, limit: int) -> tuple[Document, bool]:
    """Make the document of a new thread: of the claim where the agent allows it, else of the agent's first state.

    Returns the document, and whether it is the claim's. A claim of null is no state yet, so an agent that has a first
    state gives that.

    Raises:
        Refusal: 413 `state_too_large`; 422 `invalid_state`, `too_deep`, `number_out_of_range`, `forbidden_key`; 500
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
        raise Refusal(413, "state_too_large", str(StateTooLarge(len(text), limit)), limit=limit)
    return await offload(len(text), _adopted, text, agent), True


def _adopted(text: bytes, agent: Agent) -> Document:
    value = decode(text)
    _check(value)
    try:
        validate(agent, value)
    except StateInvalid as error:
        raise Refusal(422, error.code, str(error)) from None
    # On one line it can be part of any frame; a client's own JSON is.
    return Document.adopting(value, b"" if b"\n" in text or b"\r" in text else text)


async def prepare(document: Document, size: int) -> None:
    """Have a state tracked that rests, or was adopted, before it is looked at on the event loop.

    Args:
        document: The state.
        size: Bytes of it as JSON, about.
    """
    if not document.tracked:
        await offload(size, document.prepare)


def _check(value: Any) -> None:
    """Check that a decoded value is one that a state can hold, level by level: few steps for many values.

    Raises:
        Refusal: 422 `too_deep`, `number_out_of_range`, `forbidden_key`.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        numbers = [item for item in level if type(item) is int]
        beyond = numbers and (max(numbers) > MAX_INTEGER or min(numbers) < -MAX_INTEGER)
        if beyond and not all(map(is_javascript_integer, numbers)):
            message = "in the state: expected integers that JavaScript can hold, got another one; use a string"
            raise Refusal(422, "number_out_of_range", message)
        dicts = [item for item in level if type(item) is dict]
        if not FORBIDDEN_KEYS.isdisjoint(chain.from_iterable(dicts)):
            (key, *_) = FORBIDDEN_KEYS.intersection(chain.from_iterable(dicts))
            message = f'in the state: expected keys that the clients accept, got the reserved name "{key}"'
            raise Refusal(422, "forbidden_key", message, key=key)
        lists = [item for item in level if type(item) is list]
        level = [*chain.from_iterable(map(dict.values, dicts)), *chain.from_iterable(lists)]
        if not level and not dicts and not lists:
            return
    message = f"in the state: expected at most {MAX_DEPTH} containers within one another, got more"
    raise Refusal(422, "too_deep", message, limit=MAX_DEPTH)
