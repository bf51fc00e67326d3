"""Hooks: optional functions of an agent for a thread's title, for suggestions and for feedback.

A hook may be plain or `async`. It returns its answer, or yields it piece by piece.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Literal, TypeVar

import msgspec
from anyio import to_thread

from .functions import is_async, yields
from .settings import check_function
from .values import Json

__all__ = ["About", "Feedback", "Hooks"]

#: Characters of a title that is made of a message's first words.
TITLE: Final = 60

#: Calls a plain function in a worker thread.
InThread = Callable[..., Awaitable[Any]]

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The thread for which a hook is called. Changes to it have no effect."""

    thread_id: str
    messages: Sequence[Json]  #: as in a state, the oldest first
    state: Json = None  #: None also where the thread has none yet
    user: Any = None  #: who asks, as in `Run.user`

    @property
    def first_words(self) -> str:
        """The first words of the user's first message, for a title; "" if there are none."""
        for message in self.messages:
            if isinstance(message, Mapping) and message.get("role") == "user":
                parts = message.get("parts")
                found = (
                    [part.get("text") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
                )
                words = " ".join(" ".join(text for text in found if isinstance(text, str)).split())
                if words:
                    return words if len(words) <= TITLE else f"{words[:TITLE].rsplit(' ', 1)[0].rstrip()}…"
        return ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A user's rating of a message."""

    thread_id: str
    message_id: str
    type: Literal["positive", "negative"]
    comment: str | None = None
    message: Json = None  #: as in a state; None where the thread has no message of that id
    user: Any = None  #: who says it, as in `Run.user`


class Hooks:
    """An agent's hooks, and their defaults."""

    def __init__(self) -> None:
        self._title: Callable[..., Any] | None = None
        self._suggest: Callable[..., Any] | None = None
        self._feedback: Callable[..., Any] | None = None

    def set(self, name: Literal["title", "suggest", "feedback"], hook: _Hook) -> _Hook:
        """Register a hook.

        Raises:
            TypeError: The hook is not a function, or is already registered.
        """
        check_function(f'the hook for "{name}"', hook)
        if getattr(self, f"_{name}") is not None:
            raise TypeError(f'the agent has a hook for "{name}" already')
        setattr(self, f"_{name}", hook)
        return hook

    def has(self, name: Literal["title", "suggest", "feedback"]) -> bool:
        """Return whether there is such a hook."""
        return getattr(self, f"_{name}") is not None

    async def title(self, about: About, in_thread: InThread = to_thread.run_sync) -> AsyncGenerator[str, None]:
        """Yield pieces of a title; by default the first words of the user's first message.

        Raises:
            Exception: Whatever the hook raises. TypeError where it gives anything but text.
        """
        if self._title is None:
            yield about.first_words
            return
        async with aclosing(_pieces(self._title, about, in_thread)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, str):
                    raise TypeError(f"expected text from the hook for titles, got {type(piece).__name__}")
                yield piece

    async def suggestions(
        self, about: About, in_thread: InThread = to_thread.run_sync
    ) -> AsyncGenerator[list[dict[str, Json]], None]:
        """Yield lists of suggestions, each with all so far; without a hook, one empty list.

        A hook that returns gives a list; one that yields gives a further suggestion each time, or a list of all. A
        suggestion is text, or an object with a `prompt`.

        Raises:
            Exception: Whatever the hook raises. TypeError where it gives anything else.
        """
        found: list[dict[str, Json]] = []
        yielded = False
        if self._suggest is not None:
            async with aclosing(_pieces(self._suggest, about, in_thread)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, list | tuple):
                        found = [_suggestion(item) for item in piece]
                    else:
                        found = [*found, _suggestion(piece)]
                    yield found
                    yielded = True
        if not yielded:
            yield found

    async def feedback(self, feedback: Feedback, in_thread: InThread = to_thread.run_sync) -> None:
        """Call the hook for feedback, if there is one. The engine stores feedback in any case.

        Raises:
            Exception: Whatever the hook raises.
        """
        if self._feedback is not None:
            async with aclosing(_pieces(self._feedback, feedback, in_thread)) as pieces:
                async for _ in pieces:
                    pass


async def _pieces(hook: Callable[..., Any], argument: object, in_thread: InThread) -> AsyncGenerator[Any, None]:
    """Yield what a hook returns or yields, whichever kind of function it is."""
    answer = hook(argument) if is_async(hook) or yields(hook) else await in_thread(hook, argument)
    if isinstance(answer, Awaitable):
        answer = await answer
    if isinstance(answer, AsyncIterator):
        try:
            async for piece in answer:
                yield piece
        finally:
            if isinstance(answer, AsyncGenerator):
                await answer.aclose()
    elif isinstance(answer, Iterator):
        done = object()
        while (piece := await in_thread(next, answer, done)) is not done:
            yield piece
    else:
        yield answer


def _suggestion(value: Any) -> dict[str, Json]:
    if isinstance(value, str):
        return {"prompt": value}
    if isinstance(value, Mapping) and isinstance(value.get("prompt"), str):
        return dict(value)
    raise TypeError(f'expected a suggestion, as text or an object with a "prompt", got {value!r:.80}')
