"""Claims: the state that a client posts. It is compared with the thread's state, or adopted by a new thread."""

from __future__ import annotations

import msgspec

from statecast.protocol import Cursor
from statecast.protocol.errors import RequestError, StateLimitExceeded
from statecast.protocol.json_checks import decode
from statecast.protocol.json_compare import same_text
from statecast.protocol.json_shape import check_nesting
from statecast.protocol.json_values import check_values
from statecast.protocol.messages.state_messages import without
from statecast_agents import MAX_DEPTH, Agent, Document, StateTooLarge

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
        runs: Whether a run follows, which looks at the state: a large one is made ready for that.
    """
    same = False
    revision = thread.log.revision
    if not isinstance(claim, msgspec.UnsetType):
        claimed = bytes(claim)
        revision, actual = thread.snapshot()
        same = claimed == actual or await offload(len(actual) + len(claimed), _agree, claimed, actual)
    if runs and thread.document.rests:
        await offload(thread.size, thread.document.prepare)
    return same and thread.is_unchanged(Cursor(thread.epoch, revision))


def _agree(claim: bytes, actual: bytes) -> bool:
    try:
        if len(claim) > len(actual):  # with spaces that ours does not have, perhaps
            claim = msgspec.json.format(claim, indent=-1)
        return same_text(claim, actual)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


async def adopt(claim: Claim, agent: Agent, *, limit: int) -> tuple[Document, bool]:
    """Create the document of a new thread from the claim, if the agent allows it, else from the agent's initial state.

    Returns the document, and whether it is the claim. A claim of null counts as no state if the agent has an
    initial one.

    Args:
        claim: The client's state.
        agent: The thread's.
        limit: Bytes that a state may have.

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
    return await offload(len(text), _adopted, text, agent)


def _adopted(text: bytes, agent: Agent) -> tuple[Document, bool]:
    """Return the document of a claim, and whether it has all of it: not the questions, which nobody has asked here."""
    _check(text)
    if agent.state_type.declared is not None:
        validate(agent, decode(text))
    # On one line it can be part of any frame; a client's own JSON is.
    has_lines = b"\n" in text or b"\r" in text
    document = Document.adopting(decode(text)) if has_lines else Document.adopting(None, text)
    if document.list_at(agent.pending):
        return Document.adopting(without(document.plain(), agent.pending)), False
    return document, True


def _check(text: bytes) -> None:
    """Check that a state can hold the value of a JSON text.

    Raises:
        RequestError: `too_deep`, `number_out_of_range`, `forbidden_key`.
    """
    try:
        check_nesting(text, MAX_DEPTH)
        check_values(text)
    except RequestError as error:
        raise error.within("the state") from None
