"""The endpoint of every message protocol: it reads, checks, accepts and answers the requests of a wire."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_as
from statecast.http.request.caller import EXPIRES, Caller, seconds_left
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.response.answer import Answer, converse, headers_of, join
from statecast.http.response.buffered import failed, hold
from statecast.http.response.stream import Stream, begin_stream
from statecast.http.response.subscription import Subscription
from statecast.http.service import Service
from statecast.protocol import WIRES, MessageEncoder, Wire
from statecast.protocol.errors import InvalidRequest
from statecast.protocol.messages.wire import Delivery, Exchange, Opening, ThreadView, WireRequest
from statecast.threads import OnDisconnect, Submission, Thread
from statecast.threads.errors import ServerStopping, UnknownThread
from statecast_agents import Agent

__all__ = ["WireEndpoint", "wire_operations"]

_ON_DISCONNECT: Final[tuple[OnDisconnect, ...]] = get_args(OnDisconnect)


def wire_operations(service: Service) -> list[Operation]:
    """Return the operations of all wires, of which this makes one each for the app."""
    return [operation for make in WIRES for operation in _operations_of(WireEndpoint(service, make()))]


def _operations_of(endpoint: WireEndpoint) -> Iterator[Operation]:
    wire, form = endpoint.wire, endpoint.wire.error
    description = wire.description
    reply = Reply(description.reply, media=description.media)
    query = {**description.query, "onDisconnect": OnDisconnect}
    yield Operation("POST", wire.path, endpoint, description.summary, {200: reply}, description.body, query, form)
    if wire.stream_path is not None:
        again, replies = _StreamEndpoint(endpoint), {200: reply, 204: Reply(meaning="No run is active")}
        summary = "The answer that is being made, from its start"
        yield Operation("GET", wire.stream_path, again, summary, replies, query=description.query, form=form)


class AcceptedExchange(msgspec.Struct, frozen=True):
    """An exchange that was accepted: what to follow, and how to send it."""

    submission: Submission | None  #: None: there is nothing to follow, since the thread does not exist
    encoder: MessageEncoder
    delivery: Delivery


class WireEndpoint:
    """Answers the requests of a wire.

    Args:
        service: What every endpoint needs.
        wire: The protocol.
    """

    def __init__(self, service: Service, wire: Wire[Any]) -> None:
        self.service = service
        self.wire = wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = await self._accept_request(scope, receive)  # what was posted is not held while the run goes on
        await self.respond(accepted, scope, receive, send)

    async def _accept_request(self, scope: Scope, receive: Receive) -> AcceptedExchange:
        service, wire = self.service, self.wire
        query, headers = QueryParams(scope["query_string"]), Headers(scope=scope)
        lost = _on_disconnect(query)

        def read(text: bytes) -> Exchange:
            exchange: Exchange = wire.read(WireRequest(body=text, query=query, headers=headers))
            return exchange

        exchange = await read_as(scope, receive, service.hub.limits, read, claims=wire.claims)
        conversation = exchange.conversation
        if conversation.thread_id is not None:
            check_thread_id(conversation.thread_id)
        elif wire.cancels_unnamed:
            lost = lost or "cancel"
        agent = named_agent(conversation.agent, service.hub)
        caller = await service.caller(scope, key_alone=wire.key_alone)
        return await self.accept(exchange, agent, caller, on_disconnect=lost)

    async def accept(
        self, exchange: Exchange, agent: Agent, caller: Caller, *, on_disconnect: OnDisconnect | None = None
    ) -> AcceptedExchange:
        """Accept what is new in a conversation.

        Args:
            exchange: The request, read.
            agent: Of a thread that is new.
            caller: Who sends it.
            on_disconnect: What a lost connection does to the run; None: what the app says.

        Raises:
            RequestError: As `converse`; `unknown_thread`.
        """
        hub, wire, conversation = self.service.hub, self.wire, exchange.conversation
        thread_id = conversation.thread_id
        thread = None if thread_id is None else await hub.known(thread_id, owner=caller.owner)
        if thread is not None:
            exchange = wire.located(exchange, _view_of(thread))
            conversation = exchange.conversation
        elif thread_id is not None and conversation.only_reads:  # it asks for nothing that would make one
            if not wire.joins_unknown:
                raise UnknownThread(thread_id)
            return AcceptedExchange(None, wire.encoder(exchange, _opening_of_nothing(wire, agent)), exchange.delivery)
        answer = await converse(
            self.service, conversation, agent, caller, thread, on_disconnect=on_disconnect, kind=wire.projection
        )
        if thread is not None and conversation.cancels is not None:
            await hub.cancel(thread.id, owner=caller.owner, run_id=conversation.cancels)
        return self.answered(exchange, answer)

    def answered(self, exchange: Exchange, answer: Answer) -> AcceptedExchange:
        """Return an exchange with its answer, which is yet to be sent."""
        encoder = self.wire.encoder(exchange, _opening_of(answer))
        return AcceptedExchange(answer.accepted, encoder, exchange.delivery)

    async def respond(self, accepted: AcceptedExchange, scope: Scope, receive: Receive, send: Send) -> None:
        """Follow the answer, and send the response or begin its stream.

        Raises:
            RequestError: Of an answer that is held back, why its run failed, or the server stops.
        """
        encoder, submission = accepted.encoder, accepted.submission
        begin = encoder.begin()
        if submission is None:
            await send({"type": "http.response.start", "status": 200, "headers": list(encoder.headers)})
            await send({"type": "http.response.body", "body": begin + encoder.finish()})
            return
        subscription = Subscription(self.service.hub, submission, encoder)
        whole = accepted.delivery == "whole"
        if accepted.delivery != "stream":
            held = await hold(subscription, receive, seconds=seconds_left(scope.get(EXPIRES)), whole=whole)
            if held is None:
                return  # the client has disconnected
            if subscription.source.finished and encoder.error is not None:
                raise failed(encoder.error)
            if subscription.source.finished and (encoder.cut or (whole and not held)):
                raise ServerStopping()
            begin += held
        headers = [*encoder.headers, *headers_of(submission)]
        if whole:
            response = Response(begin)
            response.raw_headers += headers
            await response(scope, receive, send)
        else:
            await begin_stream(scope, send, headers, Stream(subscription, first=begin))


class _StreamEndpoint:
    """Streams the answer of the active run from its start; the status is 204 if no run is active."""

    def __init__(self, endpoint: WireEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, wire = self._endpoint.service, self._endpoint.wire
        thread_id = scope["path_params"]["thread_id"]
        check_thread_id(thread_id)
        exchange = wire.join(thread_id, QueryParams(scope["query_string"]))
        thread = await service.hub.known(thread_id, owner=await service.owner(scope))
        if thread is None or thread.active is None:
            await Response(status_code=204)(scope, receive, send)
            return
        accepted = self._endpoint.answered(exchange, join(thread, kind=wire.projection))
        await self._endpoint.respond(accepted, scope, receive, send)


def _on_disconnect(query: Mapping[str, str]) -> OnDisconnect | None:
    """Return what a lost connection does to the run, as the query says; None if it does not.

    Raises:
        RequestError: `invalid_request`.
    """
    given = query.get("onDisconnect")
    if given is None:
        return None
    for known in _ON_DISCONNECT:
        if given == known:
            return known
    raise InvalidRequest(f'expected onDisconnect to be "continue" or "cancel", got "{given[:40]}"')


def _view_of(thread: Thread) -> ThreadView:
    active = thread.active
    return ThreadView(
        owner=thread.owner,
        id=thread.id,
        epoch=thread.epoch,
        active=None if active is None else active.id,
        waits=thread.waits,
        pending=thread.agent.pending,
    )


def _opening_of(answer: Answer) -> Opening:
    accepted = answer.accepted
    return Opening(
        projection=answer.projection,
        thread=_view_of(accepted.thread),
        agent=accepted.thread.agent.name,
        run_id=accepted.run_id,
        follows=accepted.run is not None,
        at=int(time.time()),
    )


def _opening_of_nothing(wire: Wire[Any], agent: Agent) -> Opening:
    """Return the opening for a client that joins a thread that does not exist, and is not made."""
    return Opening(
        projection=wire.projection(None), thread=None, agent=agent.name, run_id=None, follows=False, at=int(time.time())
    )
