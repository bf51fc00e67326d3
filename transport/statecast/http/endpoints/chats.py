"""`GET /chat/{id}`: a thread's messages, for the AI SDK's `useChat`.

Source: docs/protocol/chat.md, "GET /chat/{id}".
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from statecast.history.chat import chat_messages
from statecast.http.operation import Operation, Reply
from statecast.http.request.fields import check_thread_id
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.protocol.messages.state_messages import items_in
from statecast.threads import offload
from statecast_agents import Json

__all__ = ["chat_operations"]


def chat_operations(service: Service) -> list[Operation]:
    """Return the operation that loads a chat."""
    reply = {200: Reply(list[dict[str, Json]])}
    return [Operation("GET", "/chat/{thread_id}", _Chats(service).load, "The messages of a chat", reply)]


class _Chats:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def load(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        check_thread_id(thread_id)
        hub = self._service.hub
        thread = await hub.known(thread_id, owner=await self._service.owner(request.scope))
        if thread is None or thread.agent.messages is None:
            return json_response([])  # so that a page need not tell a new thread from one that it loads
        path = thread.agent.messages
        _, encoded = await hub.registry.snapshot(thread)
        return await offload(
            len(encoded), lambda: json_response(chat_messages(items_in(msgspec.json.decode(encoded), path)))
        )
