"""`/v1/runs/stream`: titles, and an assistant's answers."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from statecast.history.formats import read_messages
from statecast.http.endpoints.titles import title_response
from statecast.http.endpoints.wires import WireEndpoint
from statecast.http.operation import Operation, Reply
from statecast.http.request.body import read_as
from statecast.http.request.caller import EXPIRES
from statecast.http.request.fields import check_thread_id, named_agent
from statecast.http.service import Service
from statecast.protocol.ai_sdk.data_stream import DataStreamMessagesEncoder
from statecast.protocol.ai_sdk.request import read_chat
from statecast.protocol.ai_sdk.wire import ChatExchange, ChatWire
from statecast.protocol.errors import InvalidRequest
from statecast.protocol.json_checks import decode
from statecast.protocol.messages.conversation import Conversation
from statecast.threads import History
from statecast_agents import Json

from .authenticator import Authenticator, Principal
from .form import cloud_operation, summary_of

__all__ = ["run_operations"]

#: The assistant that makes titles.
TITLE: Final = "system/thread_title"

#: The form in which other assistants answer.
DATA_STREAM: Final = "vercel-ai-data-stream/v1"

#: What the client calls a thread that it has not got.
NO_THREAD: Final = "unstable_todo"


class RunRequest(msgspec.Struct):
    """Messages, and the assistant that answers them or makes their title."""

    assistant_id: str
    thread_id: str
    messages: list[dict[str, Any]] = []
    response_format: str | None = None


class _StreamEndpoint:
    """Answer a title or an assistant's run. It is an ASGI app because its stream runs after it has returned."""

    def __init__(self, service: Service, authenticator: Authenticator) -> None:
        self._service = service
        self._history = History(service.hub)
        self._authenticator = authenticator
        self._chats = WireEndpoint(service, ChatWire())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hub = self._service.hub
        principal = await self._authenticator.require(scope)
        scope[EXPIRES] = principal.expires_at
        claims = ("messages", "state")
        posted, messages, conversation = await read_as(scope, receive, hub.limits, _read_posted, claims=claims)
        if posted.assistant_id == TITLE:
            await (await self._title(posted, messages, principal))(scope, receive, send)
            return
        if conversation is None:
            message = f'expected the response_format "{DATA_STREAM}", got "{posted.response_format}"'
            raise InvalidRequest(message)
        agent = named_agent(posted.assistant_id, hub)
        thread_id = conversation.thread_id or (None if posted.thread_id == NO_THREAD else posted.thread_id)
        if thread_id is not None:
            check_thread_id(thread_id)
        conversation = msgspec.structs.replace(conversation, thread_id=thread_id, agent=agent.name)
        exchange = ChatExchange(conversation=conversation, protocol=DataStreamMessagesEncoder)
        accepted = await self._chats.accept(exchange, agent, principal)
        await self._chats.respond(accepted, scope, receive, send)

    async def _title(
        self, posted: RunRequest, messages: list[dict[str, Json]] | None, principal: Principal
    ) -> Response:
        summary = await summary_of(self._service.hub, principal.workspace, posted.thread_id)
        agent, about = await self._history.about(summary, messages, user=principal.user)
        return await title_response(self._service.hub, summary, agent, about)


def _read_posted(data: bytes) -> tuple[RunRequest, list[dict[str, Json]] | None, Conversation | None]:
    """Read a body: the messages for a title, or the conversation to answer."""
    posted: RunRequest = decode(data, RunRequest)
    if posted.assistant_id == TITLE:
        return posted, read_messages(data), None
    return posted, None, read_chat(data) if posted.response_format == DATA_STREAM else None


def run_operations(service: Service, authenticator: Authenticator) -> list[Operation]:
    """Return the operation that runs an assistant."""
    run, path = _StreamEndpoint(service, authenticator), "/v1/runs/stream"
    reply = Reply(media={"text/plain": "a title, or lines of a data stream"})
    return [cloud_operation("POST", path, run, "A title, or an assistant's answer", reply, RunRequest)]
