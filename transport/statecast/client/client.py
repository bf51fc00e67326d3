"""`Client`: a server, as its clients know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from statecast_agents import Json, new_id

from .connection import Connection
from .errors import ClientError, Refused
from .thread import Thread

if TYPE_CHECKING:
    import httpx

__all__ = ["Client"]


class Client:
    """A server, as its clients know it. An async context manager; the connections are closed at its end.

    Args:
        url: The server, with the path where it is mounted, if any.
        headers: Sent with every request, such as `Authorization`.
        patience: Seconds without a sign of the server until ConnectionLost, or what it refused last, is raised.
            0: everything is tried once. None: never.
        timeout: Seconds for a connection, and for the answer to a request.
        silence: Seconds without a byte after which a stream is taken for dead. The server's heartbeat comes every 15.
        on_trouble: Called with what went wrong, where something is to be tried again, and with None when it goes well.
            Without it, each new error is a warning in the log `statecast.client`.
        http: Makes the requests: with its proxies, certificates and limits. It stays open; default: one of its own.

    Raises:
        ImportError: httpx is not installed.
        ValueError: `url` is no URL of a server.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        timeout: float = 30.0,
        silence: float = 45.0,
        on_trouble: Callable[[ClientError | None], None] | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            headers=headers or {},
            patience=patience,
            timeout=timeout,
            silence=silence,
            on_trouble=on_trouble,
            http=http,
        )
        self.url = self._connection.url  #: without a slash at its end

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._connection.aclose()

    def thread(self, thread_id: str | None = None, *, agent: str | None = None) -> Thread:
        """Return a thread; nothing is asked of the server yet.

        Args:
            thread_id: Its id; None: a new one.
            agent: Who answers on it, where the server has several agents; None: its first.
        """
        return Thread(self._connection, thread_id or new_id("thr"), agent)

    async def import_thread(self, document: Mapping[str, Json], thread_id: str | None = None) -> Thread:
        """Make a new thread of a document that `Thread.export` has returned, and return it.

        It has the state, its history and its runs, the title, the agent, and what pages have written of messages.

        Args:
            document: The document.
            thread_id: The id of the new thread, refused with `thread_exists` if there is one already; None: any.
        """
        made = thread_id or new_id("thr")
        known = {
            name: document[name]
            for name in ("statecast", "state", "title", "agent", "messages", "deleted", "runs", "history")
            if name in document
        }
        try:
            await self._connection.request("POST", "/threads/import", {**known, "threadId": made})
        except Refused as refused:
            if thread_id is not None or refused.code != "thread_exists":
                raise  # else an earlier try has made it: nobody else knows its id
        return Thread(self._connection, made, known.get("agent"))
