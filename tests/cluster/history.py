"""A history: what happened to a cluster, line by line, so that a checker can judge it afterwards, and again.

Times are seconds of one clock, that of the process which records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

__all__ = [
    "Acked",
    "Answer",
    "Ended",
    "Entry",
    "Event",
    "Executed",
    "Fault",
    "History",
    "Measured",
    "Saw",
    "Sent",
    "digest",
    "load",
    "save",
]

_canonical = msgspec.json.Encoder(order="sorted").encode


class Sent(msgspec.Struct, frozen=True, tag=True):
    """A client sent a command for the first time."""

    at: float
    thread: str
    command: str


class Acked(msgspec.Struct, frozen=True, tag=True):
    """A command was answered with success."""

    at: float
    thread: str
    command: str
    run: str | None = None


class Saw(msgspec.Struct, frozen=True, tag=True):
    """A reader arrived at a cursor."""

    at: float
    reader: str
    thread: str
    epoch: str
    revision: int
    digest: str  #: of the state and the run there
    told: bool  #: whether it was told both whole, as a snapshot


class Executed(msgspec.Struct, frozen=True, tag=True):
    """An agent began to work in a process; once for each time that a run was started."""

    at: float  #: when somebody saw it first
    thread: str
    run: str
    execution: str
    process: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A run ended."""

    at: float  #: when somebody saw it first
    thread: str
    run: str
    how: str  #: its status; `unseen` if that was written between two epochs, and compacted since


class Entry(msgspec.Struct, frozen=True, tag=True):
    """An entry of the log that the engine has when all is quiet, in the order stored."""

    thread: str
    epoch: str
    revision: int
    digest: str  #: of the state and the run that the log leads to here
    writers: list[str] = []  #: the executions that wrote in it, in order
    token: int | None = None  #: the owner's, where the engine stores it
    snapshot: bool = False  #: whether this is the snapshot that the log begins after


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What a process answers for a thread when all is quiet."""

    process: str
    thread: str
    epoch: str
    revision: int
    digest: str
    counts: dict[str, int]  #: command → how often it was begun
    done: Sequence[str]  #: the commands that were carried out, each time
    restartable: bool = False  #: whether the agent's runs are started again when they are cut off


class Fault(msgspec.Struct, frozen=True, tag=True):
    """Something was done to a process, to the engine, to the way between them, or to the whole machine."""

    begin: float
    end: float
    kind: Literal["killed", "paused", "stopped", "cut", "delayed", "held", "engine", "starved"]
    process: str | None = None  #: None: all of them


class Measured(msgspec.Struct, frozen=True, tag=True):
    """What a process held of the machine, before there was load or when all was quiet again."""

    process: str
    when: Literal["before", "after"]
    memory: int  #: bytes
    sockets: int


Event = Sent | Acked | Saw | Executed | Ended | Entry | Answer | Fault | Measured
History = Sequence[Event]


def digest(state: Any, run: Any) -> str:
    """Return a short text that is equal for equal states and runs."""
    return hashlib.blake2b(_canonical([state, run]), digest_size=12).hexdigest()


def save(history: Iterable[Event], file: Path) -> None:
    """Write a history, a line of JSON for each event."""
    file.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in history))


def load(file: Path) -> list[Event]:
    """Read a history that was written."""
    return msgspec.json.decode(b"[" + b",".join(file.read_bytes().splitlines()) + b"]", type=list[Event])
