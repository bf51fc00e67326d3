"""`/metrics`: what Prometheus reads.

Who may: whoever sends the token, or, if there is none, whoever reaches the server directly and not through a proxy.

Source: docs/guides/operating.md, "Metrics".
"""

from __future__ import annotations

import hmac
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from statecast.http.metrics import Metrics
from statecast.http.operation import Operation, Reply
from statecast.http.request.headers import header_of
from statecast.http.request.proxies import passed_on
from statecast.protocol.errors import Unauthorized

__all__ = ["metrics_operations"]

TYPE: Final = CONTENT_TYPE_LATEST.partition(";")[0]


def metrics_operations(metrics: Metrics, token: str | None) -> list[Operation]:
    """Return the operation of metrics.

    Args:
        metrics: The app's.
        token: What a scraper sends as its bearer token; None: it has to reach the server directly.
    """

    async def text(request: Request) -> Response:
        _check(request.scope, token)
        return Response(await metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    reply = Reply(media={TYPE: "the metrics"})
    return [Operation("GET", "/metrics", text, "What Prometheus reads", {200: reply})]


def _check(scope: Scope, token: str | None) -> None:
    """Check who asks.

    Raises:
        RequestError: `unauthorized`.
    """
    if token is None:
        if passed_on(scope):
            message = (
                "expected a request that reached this server directly, got one that a proxy passed on; to read metrics "
                "through a proxy, give create_app a token: metrics=…"
            )
            raise Unauthorized(message)
        return
    given = header_of(scope, b"authorization") or ""
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Unauthorized("expected the metrics token as Authorization: Bearer …")
