"""The calls to a writer, and its replies, as MessagePack.

A call is `(number, method, arguments)`, and its reply `(number, problem, result)`. What has the number 0 gets no reply:
hints in both directions, and the topics that a process follows.

An entry is an array, and names its thread by its place in the list of threads, because almost everything is entries.
All other changes are as the engine has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from statecast.stores import base
from statecast.stores.errors import ChangeRefused, Damaged, Fenced, StoreUnavailable
from statecast.stores.key import Key
from statecast.stores.log import Appended, Created, Kind, SavedThread
from statecast.stores.records import File, Summary
from statecast.stores.shared import Durability, Place, Post, PostTaken, SharedChange, Tail

__all__ = [
    "ARGUMENTS",
    "RESULTS",
    "VERSION",
    "Written",
    "decode_call",
    "decode_reply",
    "encode",
    "error_of",
    "packed",
    "problem_of",
    "unpacked",
]

#: Of this protocol. Processes of one server have the same, unless it was upgraded under them.
VERSION: Final = 1

_Entry = tuple[int, int, Kind, bytes, bool | None]  #: place of the thread, revision, kind, data, open
_Other = Created | base.Other | PostTaken
_Problem = tuple[Literal["away", "refused", "fenced", "damaged", "failed"], str]


class Written(msgspec.Struct, frozen=True, array_like=True):
    """Changes, with the tokens under which they are written."""

    threads: list[tuple[Key, int | None]]  #: each with its token
    changes: list[_Entry | _Other]


#: The arguments of each method.
ARGUMENTS: Final[Mapping[str, Any]] = {
    "hello": tuple[int],
    "probe": tuple[()],
    "identity": tuple[()],
    "durability": tuple[()],
    "commit": tuple[Written],
    "write": tuple[Written],
    "load": tuple[Key],
    "unfinished": tuple[()],
    "idle_for": tuple[float, bool],
    "claim": tuple[Key, str, float],
    "renew": tuple[list[tuple[Key, int]], float],
    "release": tuple[list[tuple[Key, int]]],
    "tails": tuple[list[tuple[Key, Place]]],
    "post": tuple[Post],
    "posts": tuple[list[Key]],
    "replies": tuple[str],
    "summary": tuple[Key],
    "summaries": tuple[str | None, bool | None, tuple[float, str] | None, int],
    "summary_named": tuple[str | None, str],
    "is_owned": tuple[str],
    "records": tuple[Key, str],
    "secret": tuple[str, bytes],
    "begin_file": tuple[str, str, str | None],
    "add_piece": tuple[int, bytes],
    "finish_file": tuple[int],
    "drop_file": tuple[int],
    "file": tuple[str],
    "read_file": tuple[str, int, int],
    "delete_file": tuple[str],
    "hints": tuple[list[str]],
    "follow": tuple[list[str]],
    "unfollow": tuple[list[str]],
}

#: What each method returns, where it returns anything.
RESULTS: Final[Mapping[str, Any]] = {
    "hello": int,
    "identity": str,
    "durability": Durability,
    "write": list[tuple[Key, _Problem]],
    "load": SavedThread | None,
    "unfinished": list[Key],
    "idle_for": list[Key],
    "claim": tuple[int, str | None, int] | str,
    "renew": list[Key],
    "tails": list[Tail],
    "posts": list[Post],
    "replies": dict[str, bytes],
    "summary": Summary | None,
    "summaries": list[Summary],
    "summary_named": Summary | None,
    "is_owned": bool,
    "records": list[tuple[str, bytes]],
    "secret": bytes,
    "begin_file": int,
    "finish_file": int,
    "file": File | None,
    "read_file": bytes,
}

encode: Final = msgspec.msgpack.Encoder().encode

_call: Final = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw])
_reply: Final = msgspec.msgpack.Decoder(tuple[int, _Problem | None, msgspec.Raw])
_arguments: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in ARGUMENTS.items()}
_results: Final = {name: msgspec.msgpack.Decoder(RESULTS.get(name, type(None))) for name in ARGUMENTS}
_topics: Final = msgspec.msgpack.Decoder(list[str])


def decode_call(frame: bytes) -> tuple[int, str, Sequence[Any]]:
    """Return the number, the method and the arguments of a call.

    Raises:
        msgspec.DecodeError: It is none.
    """
    number, name, arguments = _call.decode(frame)
    if name not in _arguments:
        raise msgspec.ValidationError(f"expected a call of a store, got {name!r}")
    return number, name, _arguments[name].decode(arguments)


def decode_reply(frame: bytes, methods: Mapping[int, str]) -> tuple[int, Exception | None, Any]:
    """Return the number of a reply, and what the call raises or returns; with the number 0, topics.

    Args:
        frame: The reply.
        methods: The methods of the calls that wait for a reply, by number.

    Raises:
        msgspec.DecodeError: It is none.
    """
    number, problem, result = _reply.decode(frame)
    if problem is not None:
        return number, error_of(problem), None
    if number == 0:
        return 0, None, _topics.decode(result)
    return number, None, _results[methods[number]].decode(result) if number in methods else None


def packed(changes: Sequence[SharedChange], tokens: Mapping[Key, int]) -> Written:
    """Return changes as they are sent."""
    places: dict[Key, int] = {key: place for place, key in enumerate(tokens)}
    threads: list[tuple[Key, int | None]] = list(tokens.items())
    sent: list[_Entry | _Other] = []
    for change in changes:
        if not isinstance(change, Appended):
            sent.append(change)
            continue
        place = places.get(change.key)
        if place is None:
            place = places[change.key] = len(threads)
            threads.append((change.key, None))
        sent.append((place, change.revision, change.kind, change.data, change.open))
    return Written(threads, sent)


def unpacked(written: Written) -> tuple[list[SharedChange], dict[Key, int]]:
    """Return changes and tokens as they were before `packed`."""
    threads = written.threads
    changes: list[SharedChange] = [
        Appended(threads[change[0]][0], *change[1:]) if isinstance(change, tuple) else change
        for change in written.changes
    ]
    return changes, {key: token for key, token in threads if token is not None}


def problem_of(error: Exception) -> _Problem:
    """Return an error of a store as it is sent."""
    match error:
        case StoreUnavailable():
            return "away", str(error)
        case ChangeRefused():
            return "refused", str(error)
        case Fenced():
            return "fenced", str(error)
        case Damaged():
            return "damaged", str(error)
        case _:
            return "failed", f"{type(error).__name__}: {error}"


def error_of(problem: _Problem) -> Exception:
    """Return the error that was sent."""
    kind, text = problem
    match kind:
        case "away":
            return StoreUnavailable(text)
        case "refused":
            return ChangeRefused(text)
        case "fenced":
            return Fenced(text)
        case "damaged":
            return Damaged(text)
        case "failed":
            return RuntimeError(text)
