"""`/threads`: the list of an owner's threads.

Source: docs/protocol/thread-requests.md, "The list of threads".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from statecast.history.formats import PageMessages, read_messages
from statecast.http.errors import InvalidCursor, OwnerRequired
from statecast.http.operation import DONE, Operation, Reply
from statecast.http.request.body import read_as, read_json
from statecast.http.request.fields import check_thread_id, thread_key
from statecast.http.request.proxies import passed_on
from statecast.http.response.errors import json_response
from statecast.http.service import Service
from statecast.http.summaries import fitting, limit_of, summary_change, timestamp
from statecast.protocol import RunState
from statecast.protocol.errors import InvalidRequest
from statecast.stores import Key, Summary, SummaryChanged
from statecast.threads import History
from statecast_agents import Json, new_id

from .titles import title_response

__all__ = ["thread_operations"]

#: Threads in an answer, unless the request says otherwise.
PAGE: Final = 50

_STATUSES: Final = ("regular", "archived")
_CURSOR: Final = re.compile(r"(\d{1,15}(?:\.\d{1,12})?):([A-Za-z0-9_.:~-]{1,128})")

Status = Literal["regular", "archived"]


class ThreadChange(msgspec.Struct, rename="camel"):
    """What a page can change of a thread's summary; `null` removes it."""

    title: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET
    custom: dict[str, Json] | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET


class NewThread(ThreadChange, rename="camel"):
    """A thread to make."""

    thread_id: str | None = None


class CreatedThread(msgspec.Struct, rename="camel"):
    """A thread that is there now."""

    remote_id: str
    external_id: str | UnsetType = UNSET


class ThreadSummary(msgspec.Struct, rename="camel"):
    """A thread, as lists of assistant-ui read it."""

    remote_id: str
    status: Status
    last_message_at: str
    created_at: str
    title: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    custom: msgspec.Raw | UnsetType = UNSET
    run: RunState | UnsetType = UNSET  #: the latest run of a thread in memory, if the list is asked for runs


class ThreadList(msgspec.Struct, rename="camel"):
    """Threads, the latest first."""

    threads: list[ThreadSummary]
    next_cursor: str | UnsetType = UNSET  #: where to go on; left out where there are no more


class _Threads:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._hub = service.hub
        self._history = History(service.hub)

    async def list(self, request: Request) -> Response:
        query = request.query_params
        status, limit = query.get("status"), limit_of(query.get("limit"), PAGE)
        if status not in (None, *_STATUSES):
            message = f'expected the status "regular" or "archived", got "{status[:20]}"'
            raise InvalidRequest(message)
        owner = await self._service.owner(request.scope)
        if owner is None:
            self._check_open(request)
        summaries = await self._hub.directory.summaries(
            owner,
            archived=None if status is None else status == "archived",
            before=_place(query.get("after")),
            limit=limit + 1,
        )
        page = fitting(summaries[:limit])
        answer = ThreadList([_reply_of(summary) for summary in page])
        if query.get("runs") == "true":
            await self._hub.registry.wait_stored()  # what is said of a run is kept
            for summary, reply in zip(page, answer.threads, strict=True):
                thread = self._hub.registry.get(summary.key)
                if thread is not None and thread.run is not None:
                    reply.run = thread.run
        if len(summaries) > len(page):
            last = page[-1]
            answer.next_cursor = f"{last.last!r}:{last.key.thread_id}"
        return json_response(answer)

    def _check_open(self, request: Request) -> None:
        """Check that threads without an owner may be listed.

        Raises:
            RequestError: `owner_required`.
        """
        if not self._service.open_list:
            message = (
                "expected to know whose threads to list: give create_app an identify, or cloud=True; "
                "or open_list=True, where whoever reaches the server may see all of them"
            )
            raise OwnerRequired(message)
        if passed_on(request.scope):
            message = (
                "expected a request that reached this server directly, got one that a proxy passed on; to list threads "
                "behind a proxy, give create_app an identify, or cloud=True"
            )
            raise OwnerRequired(message)

    async def create(self, request: Request) -> Response:
        new: NewThread = await read_json(request.scope, request.receive, self._hub.limits, NewThread)
        if new.thread_id is not None:
            check_thread_id(new.thread_id)
        key = Key(await self._service.owner(request.scope), new.thread_id or new_id("thr"))
        if new.thread_id is not None:
            await self._hub.check_free(key)
        if new.thread_id is None or await self._hub.directory.find(key) is None:  # else it is a retry
            await self._hub.directory.describe(_change_of(key, new), new=True)
        summary = await self._hub.directory.get(key)
        external = UNSET if summary.external_id is None else summary.external_id
        return json_response(CreatedThread(summary.key.thread_id, external), status=201)

    async def get(self, request: Request) -> Response:
        return json_response(_reply_of(await self._hub.directory.get(await self._key(request))))

    async def update(self, request: Request) -> Response:
        key = await self._key(request)
        fields: ThreadChange = await read_json(request.scope, request.receive, self._hub.limits, ThreadChange)
        await self._hub.directory.get(key)
        await self._hub.directory.describe(_change_of(key, fields))
        return json_response(_reply_of(await self._hub.directory.get(key)))

    async def delete(self, request: Request) -> Response:
        key = await self._key(request)
        await self._hub.delete(key.thread_id, owner=key.owner)
        return Response(status_code=204)

    async def title(self, request: Request) -> Response:
        caller = await self._service.caller(request.scope)
        summary = await self._hub.directory.get(thread_key(request, caller))
        agent, about = await self._history.about(summary, await self._messages(request), user=caller.user)
        return await title_response(self._hub, summary, agent, about)

    async def _key(self, request: Request) -> Key:
        return thread_key(request, await self._service.caller(request.scope))

    async def _messages(self, request: Request) -> Sequence[Json] | None:
        """Return the posted messages; None if there are none."""
        return await read_as(request.scope, request.receive, self._hub.limits, read_messages)


def thread_operations(service: Service) -> list[Operation]:
    """Return the operations of the list of threads."""
    threads, page = _Threads(service), {"after": str, "status": Status, "limit": int, "runs": bool}
    one, title = {200: Reply(ThreadSummary)}, {200: Reply(media={"text/plain": "the title, as it is made"})}
    return [
        Operation("GET", "/threads", threads.list, "The list of threads", {200: Reply(ThreadList)}, query=page),
        Operation("POST", "/threads", threads.create, "Create a thread", {201: Reply(CreatedThread)}, NewThread),
        Operation("GET", "/threads/{thread_id}", threads.get, "A thread's summary", one),
        Operation("PATCH", "/threads/{thread_id}", threads.update, "Change a thread's summary", one, ThreadChange),
        Operation("DELETE", "/threads/{thread_id}", threads.delete, "Delete a thread", {204: DONE}),
        Operation("POST", "/threads/{thread_id}/title", threads.title, "Make a title", title, PageMessages),
    ]


def _change_of(key: Key, fields: ThreadChange) -> SummaryChanged:
    archived = fields.status if isinstance(fields.status, UnsetType) else fields.status == "archived"
    return summary_change(
        key, title=fields.title, external_id=fields.external_id, custom=fields.custom, archived=archived
    )


def _place(cursor: str | None) -> tuple[float, str] | None:
    """Return the position in a list that a cursor names.

    Raises:
        RequestError: `invalid_cursor`.
    """
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidCursor(f'expected a nextCursor of this server, got "{cursor[:60]}"')
    return float(found[1]), found[2]


def _reply_of(summary: Summary) -> ThreadSummary:
    """Return a summary as the pages of assistant-ui read it; what is not known is left out."""
    return ThreadSummary(
        remote_id=summary.key.thread_id,
        status="archived" if summary.archived else "regular",
        last_message_at=timestamp(summary.last),
        created_at=timestamp(summary.created),
        title=UNSET if summary.title is None else summary.title,
        external_id=UNSET if summary.external_id is None else summary.external_id,
        custom=UNSET if summary.custom == b"null" else msgspec.Raw(summary.custom),
    )
