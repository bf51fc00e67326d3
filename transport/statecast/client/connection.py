"""The connection to a server: requests, once or until they succeed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from statecast_agents import Json

from .backoff import Backoff
from .errors import ClientError, ConnectionLost, Refused

if TYPE_CHECKING:
    import httpx

__all__ = ["Connection"]

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"

_T = TypeVar("_T")


class Connection:
    """Sends requests.

    Args:
        url: The server, with the path where it is mounted, if any.
        headers: Sent with every request.
        patience: Seconds without a sign of the server until one gives up; None: never.
        timeout: Seconds for a connection, and for the answer to a request.
        silence: Seconds without a byte after which a stream is taken for dead.
        on_trouble: Called with what went wrong, and with None when it goes well.
        http: Makes the requests; None: one of its own.

    Raises:
        ImportError: httpx is not installed.
        ValueError: `url` is no URL of a server.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        patience: float | None,
        timeout: float,
        silence: float,
        on_trouble: Callable[[ClientError | None], None] | None,
        http: httpx.AsyncClient | None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise ImportError("statecast.client needs httpx: pip install 'statecast[client]'") from None
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL()
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f'expected the URL of a server, as in "http://127.0.0.1:8000", got "{url}"')
        self.url = url.rstrip("/")
        self.patience = patience
        self.on_trouble = on_trouble
        self._headers = dict(headers)
        self._timeout = httpx.Timeout(timeout)
        self._stream_timeout = httpx.Timeout(timeout, read=silence)
        self._own = http is None
        self._http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._own:
            await self._http.aclose()

    def backoff(self) -> Backoff:
        """Return what waits between backoff."""
        return Backoff(self.patience, self.on_trouble)

    async def retrying(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """Try until a request succeeds, or is refused for good."""
        backoff = self.backoff()
        while True:
            try:
                result = await attempt()
            except (Refused, ConnectionLost) as error:
                await backoff.wait(error)
            else:
                backoff.succeeded()
                return result

    async def request(
        self, method: str, path: str, body: Json = msgspec.UNSET, *, key: str | None = None
    ) -> dict[str, Json]:
        """Return the JSON object in the response to a request. Arguments and errors as for `open` and `retrying`."""

        async def attempt() -> dict[str, Json]:
            async with self.open(method, path, body, key=key) as response:
                answer: dict[str, Json] = msgspec.json.decode(await response.aread())
                return answer

        return await self.retrying(attempt)

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: Json = msgspec.UNSET,
        *,
        events: bool = False,
        cursor: str | None = None,
        key: str | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, once. The server recognizes it by its `key` when it is sent again.

        Raises:
            Refused: By the server, or because it is none of ours.
            ConnectionLost: At any time until the `with` ends.
        """
        import httpx

        kind = _EVENTS if events else _JSON
        headers = {"accept": kind, "accept-encoding": "identity", **self._headers}
        content = None
        if body is not msgspec.UNSET:
            headers["content-type"] = _JSON
            content = msgspec.json.encode(body)
        if cursor is not None:
            headers["last-event-id"] = cursor
        if key is not None:
            headers["idempotency-key"] = key
        timeout = self._stream_timeout if events and method == "GET" else self._timeout
        try:
            async with self._http.stream(
                method, self.url + path, content=content, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(response)
                found = response.headers
                if not found.get("content-type", "").startswith(kind) or (
                    events and "statecast-thread-id" not in found
                ):
                    got = found.get("content-type", "no content type")
                    message = f"expected a Statecast server at {self.url}, got {got} from {response.url.path}"
                    raise Refused(response.status_code, "not_statecast", message, {}, 0)
                yield response
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise  # a mistake of the caller's, which no further try mends
        except httpx.TransportError as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise ConnectionLost(self.url, str(error) or type(error).__name__, sent=sent) from error


def _refusal(response: httpx.Response) -> Refused:
    """Return the error that the server, or the proxy in front of it, answered with."""
    try:
        error = dict(msgspec.json.decode(response.content)["error"])
        code, message = str(error.pop("code")), str(error.pop("message"))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        error, code = {}, "http_error"
        message = f"the answer was {response.status_code} {response.reason_phrase}".strip()
    after = response.headers.get("retry-after", "")
    return Refused(response.status_code, code, message, error, float(after) if after.isdecimal() else 0.0)
