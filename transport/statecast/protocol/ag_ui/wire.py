"""The wire of AG-UI's clients, CopilotKit's and assistant-ui's among them.

Source: docs/protocol/ag-ui-events.md, "POST /ag-ui".
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from statecast.protocol.messages.full_projection import FullProjection
from statecast.protocol.messages.wire import Description, Opening, ThreadView, Wire, WireRequest

from .encoder import AgUiEncoder
from .request import RunAgentInput, RunInput, read_run_input

__all__ = ["AgUiWire"]

THREADS: Final = 1_024  #: for which a wire remembers the messages that clients know


class AgUiWire(Wire[RunInput]):
    """Reads a RunAgentInput and streams events.

    It remembers which user messages its clients know, for the threads that were used last. A client can only drop a
    message by leaving it out if it is among them; one that is forgotten is sent again with the next answer.
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
        self._known_users: OrderedDict[tuple[str | None, str, str], set[str]] = OrderedDict()

    def read(self, request: WireRequest) -> RunInput:
        """Read a request.

        Raises:
            RequestError: As `read_run_input`.
        """
        given = read_run_input(request.body)
        conversation = msgspec.structs.replace(given.conversation, agent=request.query.get("agent"))
        return msgspec.structs.replace(given, conversation=conversation)

    def located(self, exchange: RunInput, thread: ThreadView) -> RunInput:
        """Return the exchange with the user messages that clients know, and the run that waits for an answer."""
        conversation = msgspec.structs.replace(
            exchange.conversation,
            known_users=self._known_users.get(_key(thread), ()),
            answering=thread.active is not None,
            waiting=thread.active if thread.waits else None,
            pending=thread.pending,
        )
        return msgspec.structs.replace(exchange, conversation=conversation)

    def encoder(self, exchange: RunInput, opening: Opening) -> AgUiEncoder:
        """Return the encoder, which records the user messages that it sends."""
        assert isinstance(opening.projection, FullProjection), "it was asked for"
        known = set() if opening.thread is None else self._users_known_in(opening.thread)
        return AgUiEncoder(
            opening.projection, exchange, follows=opening.follows, thread=opening.thread, known_users=known
        )

    def _users_known_in(self, thread: ThreadView) -> set[str]:
        known = self._known_users.setdefault(_key(thread), set())
        self._known_users.move_to_end(_key(thread))
        if len(self._known_users) > THREADS:
            self._known_users.popitem(last=False)
        return known


def _key(thread: ThreadView) -> tuple[str | None, str, str]:
    return thread.owner, thread.id, thread.epoch
