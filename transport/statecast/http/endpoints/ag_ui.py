"""`POST /ag-ui`: AG-UI's clients, CopilotKit's and assistant-ui's among them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from statecast.http.request.body import read_as
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.answer import converse, follow, headers_of
from statecast.http.response.stream import Stream, begin_stream
from statecast.http.response.throttle import ThrottledReader
from statecast.http.service import Service
from statecast.protocol.ag_ui.encoder import AgUiEncoder
from statecast.protocol.ag_ui.request import RunInput, read_run_input
from statecast.protocol.messages.full_projection import FullProjection
from statecast.threads import Thread

from .chat import on_disconnect

__all__ = ["AgUiEndpoint"]

THREADS: Final = 1_024  #: whose messages are remembered as told


class AgUiEndpoint:
    """Takes a RunAgentInput, and streams events. Source: docs/protocol.md, "POST /ag-ui"."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._told = _Told()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, hub = self._service, self._service.hub
        query = QueryParams(scope["query_string"])
        when_lost = on_disconnect(query)
        asked = await read_as(scope, receive, hub.limits, read_run_input, claims=("messages", "state"))
        check_thread_id(asked.thread_id)
        agent = named_agent(query.get("agent"), hub)
        caller = await service.caller(scope)
        thread = await hub.known(asked.thread_id, owner=caller.owner)
        if thread is None and asked.joins:
            await _say_nothing(asked, send)
            return
        said = msgspec.structs.replace(asked.said, agent=query.get("agent"))
        active = None
        if thread is not None:
            active = thread.active
            said = msgspec.structs.replace(said, told=self._told.of(thread), answering=active is not None)
        if active is not None and active.waits_since is not None:
            said = msgspec.structs.replace(said, waiting=active.id)
        answer = await converse(service, said, agent, caller, on_disconnect=when_lost, kind=FullProjection)
        if active is not None and said.gives_up:
            await hub.cancel(asked.thread_id, owner=caller.owner, run_id=active.id)
        accepted = answer.accepted
        assert isinstance(answer.projection, FullProjection), "it was asked for"
        encoder = AgUiEncoder(answer.projection, asked, follows=accepted.run is not None)
        self._told.note(accepted.thread, encoder.view.users)
        reader = follow(answer, encoder)

        def closed(left: bool) -> None:
            accepted.thread.leave(reader)
            self._told.note(accepted.thread, encoder.view.users)
            if left:
                hub.left(accepted)

        paced = ThrottledReader(reader, encoder, 1 / hub.limits.state_frames)
        stream = Stream(paced, closed, first=encoder.begin(), cut=lambda: encoder.cut)
        await begin_stream(scope, send, [*encoder.headers, *headers_of(answer)], stream)


class _Told:
    """Which messages of the user AG-UI's clients have been told of, in the threads that they used lately.

    What is forgotten, nobody may drop by leaving it out: the next answer tells it again.
    """

    def __init__(self) -> None:
        self._threads: OrderedDict[tuple[str | None, str, str], set[str]] = OrderedDict()

    def of(self, thread: Thread) -> Collection[str]:
        """Return their ids."""
        return self._threads.get((thread.owner, thread.id, thread.epoch), ())

    def note(self, thread: Thread, ids: Iterable[str | None]) -> None:
        """Add some."""
        key = thread.owner, thread.id, thread.epoch
        self._threads.setdefault(key, set()).update(id for id in ids if id is not None)
        self._threads.move_to_end(key)
        if len(self._threads) > THREADS:
            self._threads.popitem(last=False)


async def _say_nothing(asked: RunInput, send: Send) -> None:
    """Answer who joins a thread that is not there yet: nothing has happened, and nothing is made."""
    encoder = AgUiEncoder(FullProjection(None), asked, follows=False)
    await send({"type": "http.response.start", "status": 200, "headers": list(encoder.headers)})
    await send({"type": "http.response.body", "body": encoder.begin() + encoder.finish()})
