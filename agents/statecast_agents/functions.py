"""Functions that an app registers, of whichever kind: what they are, looked at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["is_async", "yields"]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: an `async def`, also one that is bound, partial, or a `__call__`."""
    return inspect.iscoroutinefunction(_innermost(function))


def yields(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a generator, of either kind: there is a `yield` in it."""
    innermost = _innermost(function)
    return inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost)


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that does the work, without what it is bound in."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        else:
            function = type(function).__call__  # an object that can be called
