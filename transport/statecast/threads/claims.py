"""Claims: the state a client posts. It is compared with the thread's own, or adopted by a thread that is new."""

from __future__ import annotations

from typing import Any

import msgspec

from statecast.protocol.json_text import check_values, decode
from statecast.protocol.refusal import Refusal
from statecast_agents import Agent, Document, NotJson, StateInvalid
from statecast_agents.values import MAX_DEPTH

__all__ = ["Claim", "adopt", "agrees"]

#: The posted state as JSON text; UNSET where the request has none.
Claim = bytes | msgspec.Raw | msgspec.UnsetType


def agrees(claim: Claim, document: Document) -> bool:
    """Whether the client's state is the thread's. No claim agrees with nothing, and a broken one neither."""
    if isinstance(claim, msgspec.UnsetType):
        return False
    ours = document.encode()
    if bytes(claim) == ours:
        return True
    try:
        theirs = msgspec.json.decode(claim)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    state = msgspec.json.decode(ours)  # not the document's own, which may rest
    return msgspec.json.encode(theirs, order="sorted") == msgspec.json.encode(state, order="sorted") or _same(
        theirs, state
    )


def adopt(claim: Claim, agent: Agent, *, limit: int) -> tuple[Document, bool]:
    """Make the document of a new thread: of the claim where the agent allows it, else of the agent's first state.

    Returns the document, and whether it is the claim's.

    A claim of null is no state yet, so an agent that has a first state gives that.

    Raises:
        Refusal: 413 `state_too_large`; 422 `invalid_state`, `too_deep`, `number_out_of_range`, `forbidden_key`.
    """
    if isinstance(claim, msgspec.UnsetType) or not agent.adopt:
        return Document(agent.initial_state()), False
    if bytes(claim) == b"null":
        initial = agent.initial_state()
        if initial is not None:
            return Document(initial), False
    if len(bytes(claim)) > limit:
        message = f"expected a state of at most {limit} bytes as JSON, got {len(bytes(claim))}"
        raise Refusal(413, "state_too_large", message, limit=limit)
    check_values(claim)
    value = decode(claim)
    try:
        agent.state_type.validate(value)
        return Document.adopting(value), True
    except StateInvalid as error:
        raise Refusal(422, error.code, str(error)) from None
    except NotJson as error:
        raise Refusal(422, "too_deep", f"in the state: {error}", limit=MAX_DEPTH) from None


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, and neither is True."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
