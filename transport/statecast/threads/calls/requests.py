"""Calls, in the form in which one process asks another to perform them.

A call is JSON in the store until then, so a process of an earlier or
later version may read it: fields are added with a default, and none is renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from statecast_agents.agent import Policy

__all__ = [
    "Abandon",
    "Assign",
    "Call",
    "Cancel",
    "Delete",
    "Extend",
    "Follow",
    "Move",
    "Patch",
    "Renew",
    "Rewind",
    "Submit",
    "Write",
    "decode_call",
    "encode_call",
]


class Submit(msgspec.Struct, frozen=True, tag="submit"):
    """Accept a batch for a thread that exists. The client's API key is in no store, and does not come along."""

    agent: str
    batch: msgspec.Raw  #: as in the inbox
    epoch: str = ""  #: with `revision`, where the client's state is the thread's; empty: it differs
    revision: int = 0
    policy: Policy | None = None
    says_again: bool = False  #: see `Posted`
    run_id: str | None = None  #: see `Posted`


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Cancel the active run, or dismiss what the thread waits for."""

    run_id: str | None = None  #: the run that is meant; None: whichever is active
    queued: bool = False  #: whether to drop what waits behind it as well


class Abandon(msgspec.Struct, frozen=True, tag="abandon"):
    """Stop a run that a process follows no longer, if its client wants that and nobody else follows it."""

    run_id: str
    process: str = ""


class Follow(msgspec.Struct, frozen=True, tag="follow"):
    """Note that streams of a process wait for a run; not done if the run goes on without any."""

    run_id: str
    process: str


class Patch(msgspec.Struct, frozen=True, tag="patch"):
    """Apply an RFC 6902 patch, once."""

    steps: Sequence[dict[str, Any]]
    key: str | None = None  #: by which it is recognized when it comes again; None: it is another patch then


class Rewind(msgspec.Struct, frozen=True, tag="rewind"):
    """Change the state back to what it was at a revision."""

    revision: int
    cancel: bool = False  #: whether to stop a run that is under way, and drop what is queued; else that is refused
    key: str | None = None  #: as of a patch


class Write(msgspec.Struct, frozen=True, tag="write"):
    """Set the messages, unless an agent has run on the thread."""

    agent: str  #: whose a new thread is to be
    messages: Sequence[Any]


class Extend(msgspec.Struct, frozen=True, tag="extend"):
    """Append a message if its parent is the last one."""

    parent_id: str | None
    message: dict[str, Any]


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """Assign the thread to another agent."""

    agent: str


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Delete the thread."""


class Move(msgspec.Struct, frozen=True, tag="move"):
    """Give the thread to another owner, unless they have one with its id."""

    owner: str | None


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Begin a new epoch if the log ends before a revision that a client has seen: the engine has lost its tail."""

    epoch: str
    revision: int


Call = Submit | Cancel | Abandon | Follow | Patch | Rewind | Write | Extend | Assign | Delete | Move | Renew

encode_call: Final = msgspec.json.Encoder().encode

_decode: Final = msgspec.json.Decoder(Call)


def decode_call(data: bytes) -> Call:
    """Read what `encode_call` wrote.

    Raises:
        msgspec.DecodeError: It is no call that this version knows.
    """
    call: Call = _decode.decode(data)
    return call
