"""Exceptions of users' code, as their users want to see them: alone, and from their own first line on."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, TypeAlias

import anyio

import statecast_agents

__all__ = ["ExcInfo", "from_the_users", "is_the_users", "unwrapped"]

#: An exception as `logging` and `traceback` take it.
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

#: Where the code is that calls users' code, or imports it: folders of packages, and files of modules.
_OURS: Final = (
    *(f"{Path(str(package.__file__)).parent}{os.sep}" for package in (statecast_agents, anyio, asyncio, importlib)),
    f"{Path(__file__).parents[1]}{os.sep}",
    str(contextlib.__file__),
    "<frozen ",
)


def unwrapped(failure: BaseException) -> BaseException:
    """Return the exception within groups of one; a group of several as it is."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def from_the_users(failure: BaseException) -> ExcInfo:
    """Return an exception, out of groups of one, without the frames that lead to the first of the users' code."""
    alone = unwrapped(failure)
    if alone.__traceback__ is not None:  # it was raised, and not only put into a group
        failure = alone
    return type(failure), failure, _first(failure) or failure.__traceback__


def is_the_users(failure: BaseException) -> bool:
    """Return whether users' code has part in an exception."""
    return _first(failure) is not None


def _first(failure: BaseException) -> TracebackType | None:
    """Return the first frame of the users' code."""
    frame = failure.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_OURS):
        frame = frame.tb_next
    return frame
