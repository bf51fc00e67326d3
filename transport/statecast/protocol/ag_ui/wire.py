"""The wire of AG-UI's clients, CopilotKit's and assistant-ui's among them. Source: docs/protocol.md, "POST /ag-ui"."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from statecast.protocol.messages.full_projection import FullProjection
from statecast.protocol.messages.wire import Description, Opening, ThreadView, Wire, WireRequest

from .encoder import AgUiEncoder
from .request import RunAgentInput, RunInput, read_run_input

__all__ = ["AgUiWire"]

THREADS: Final = 1_024  #: whose messages are remembered as told


class AgUiWire(Wire[RunInput]):
    """Takes a RunAgentInput, and streams events.

    It remembers which messages of the user such clients have been told of, in the threads that they used lately. What
    is forgotten, nobody may drop by leaving it out: the next answer tells it again.
    """

    path = "/ag-ui"
    description = Description(
        summary="AG-UI: post a RunAgentInput, get events",
        body=RunAgentInput,
        media={"text/event-stream": "events of AG-UI"},
    )
    claims = ("messages", "state")
    projection = FullProjection
    joins_unknown = True

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str | None, str, str], set[str]] = OrderedDict()

    def read(self, request: WireRequest) -> RunInput:
        """Read a request.

        Raises:
            RequestError: As `read_run_input`.
        """
        given = read_run_input(request.body)
        conversation = msgspec.structs.replace(given.conversation, agent=request.query.get("agent"))
        return msgspec.structs.replace(given, conversation=conversation)

    def located(self, exchange: RunInput, thread: ThreadView) -> RunInput:
        """Return an exchange with what such clients have been told of the thread, and the run that they may answer."""
        conversation = msgspec.structs.replace(
            exchange.conversation,
            told=self._told.get(_key(thread), ()),
            answering=thread.active is not None,
            waiting=thread.active if thread.waits else None,
        )
        return msgspec.structs.replace(exchange, conversation=conversation)

    def encoder(self, exchange: RunInput, opening: Opening) -> AgUiEncoder:
        """Return the encoder, which goes on to note what the client is told."""
        assert isinstance(opening.projection, FullProjection), "it was asked for"
        told = set() if opening.thread is None else self._told_of(opening.thread)
        return AgUiEncoder(opening.projection, exchange, follows=opening.follows, told=told)

    def _told_of(self, thread: ThreadView) -> set[str]:
        told = self._told.setdefault(_key(thread), set())
        self._told.move_to_end(_key(thread))
        if len(self._told) > THREADS:
            self._told.popitem(last=False)
        return told


def _key(thread: ThreadView) -> tuple[str | None, str, str]:
    return thread.owner, thread.id, thread.epoch
