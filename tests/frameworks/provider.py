"""A model provider that every framework's fake model plays: it answers from a script, and notes what reached it.

A script is one sequence of steps per answer. The fake model of a rig turns the steps into its framework's own chunks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = [
    "SECRET",
    "USAGE",
    "CallArgs",
    "CallBegin",
    "Fail",
    "Hang",
    "Provider",
    "ProviderError",
    "Reasoning",
    "Request",
    "Step",
    "Text",
    "call",
]

#: What no client may ever see: it is in the text of every exception that the provider and the tools raise.
SECRET = "sk-secret-4242"

#: Tokens that an answer has read and written, for fake models that say so.
USAGE = (7, 3)

#: Seconds until a test gives up that waits for a fact.
PATIENCE = 60.0


class ProviderError(Exception):
    """What the provider raises."""


@dataclass(frozen=True)
class Text:
    delta: str


@dataclass(frozen=True)
class Reasoning:
    delta: str


@dataclass(frozen=True)
class CallBegin:
    id: str
    name: str
    index: int = 0  #: of the call among those of its answer; the calls of one answer may interleave


@dataclass(frozen=True)
class CallArgs:
    delta: str  #: of the arguments' JSON text
    index: int = 0


@dataclass(frozen=True)
class Hang:
    """The provider says nothing more until it is stopped, or released."""


@dataclass(frozen=True)
class Fail:
    """The provider fails."""


Step = Text | Reasoning | CallBegin | CallArgs | Hang | Fail


def call(id: str, name: str, args: str = "{}", index: int = 0) -> list[Step]:
    """Return the steps of a whole call, its arguments in two pieces."""
    half = len(args) // 2
    return [CallBegin(id, name, index), CallArgs(args[:half], index), CallArgs(args[half:], index)]


@dataclass(frozen=True)
class Request:
    """What the model was asked, as the fake model of a rig read it."""

    #: role ("system", "user", "assistant" or "tool") and text of each message, in order. A message that has calls only
    #: may be left out
    messages: Sequence[tuple[str, str]]
    tools: Sequence[str]  #: the names of the tools that it was offered

    def of(self, role: str) -> list[str]:
        """Return the texts of a role."""
        return [text for name, text in self.messages if name == role]


@dataclass
class Provider:
    """A provider, and what reached it."""

    script: list[Sequence[Step]]
    requests: list[Request] = field(default_factory=list)
    stopped: int = 0  #: how many answers were cut off by whoever asked
    ended: int = 0  #: how many answers came to their end

    def __post_init__(self) -> None:
        self._hangs = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        """Let an answer that hangs go on."""
        self._released.set()

    async def hangs(self) -> None:
        """Wait until an answer hangs."""
        await until(self._hangs)

    async def answer(self, request: Request) -> AsyncIterator[Step]:
        """Play the next answer.

        Raises:
            ProviderError: The script says so.
        """
        whole = False
        try:
            for step in self._begin(request):
                if isinstance(step, Hang):
                    self._hangs.set()
                    await until(self._released)
                elif isinstance(step, Fail):
                    whole = True
                    raise ProviderError(f"the provider at https://{SECRET} failed")
                else:
                    yield step
                    await asyncio.sleep(0)  # as a network does
            whole = True
        finally:
            self._end(whole)

    def answer_in_thread(self, request: Request) -> Iterator[Step]:
        """Play the next answer for a synchronous framework; see `answer`. A `Hang` ends with `release` only."""
        whole = False
        try:
            for step in self._begin(request):
                if isinstance(step, Hang):
                    self._hangs.set()
                    assert self._released.wait(PATIENCE)
                elif isinstance(step, Fail):
                    whole = True
                    raise ProviderError(f"the provider at https://{SECRET} failed")
                else:
                    yield step
            whole = True
        finally:
            self._end(whole)

    def _begin(self, request: Request) -> Sequence[Step]:
        self.requests.append(request)
        assert self.script, f"the script has no answer for {request}"
        return self.script.pop(0)

    def _end(self, whole: bool) -> None:
        if whole:
            self.ended += 1
        else:
            self.stopped += 1


async def until(event: threading.Event) -> None:
    """Wait for an event that any thread may set, for as long as it takes, and at most `PATIENCE` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not event.is_set():  # noqa: ASYNC110  # of a thread, which an event of asyncio cannot be set from
            await asyncio.sleep(0.002)
