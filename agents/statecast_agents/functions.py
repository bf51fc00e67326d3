"""The kinds of functions that apps register: async functions, generators, plain ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["is_async", "yields"]


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling it gives a coroutine: an `async def`, also a bound, partial or `__call__` one."""
    return inspect.iscoroutinefunction(_innermost(function))


def yields(function: Callable[..., Any]) -> bool:
    """Return whether calling it gives a generator or an async generator."""
    innermost = _innermost(function)
    return inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost)


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the underlying function, without partials and bindings."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        else:
            function = type(function).__call__  # an object that can be called
