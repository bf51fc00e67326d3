"""All operations of the cloud API. Needs the extra `cloud`."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from statecast.files import Uploads
from statecast.http.operation import Operation
from statecast.http.response.errors import error_response, request_error
from statecast.http.service import Service
from statecast.protocol.errors import ErrorForm, RequestError, plain_form

from .auth import auth_operations
from .authenticator import Authenticator
from .files import file_operations
from .reports import report_operations
from .runs import run_operations
from .stored_messages import message_operations
from .threads import thread_operations

__all__ = ["UnknownPath", "cloud_operations"]


def cloud_operations(service: Service, authenticator: Authenticator, uploads: Uploads) -> list[Operation]:
    """Return the routes that the npm package `assistant-cloud` uses, below its base URL."""
    return [
        *auth_operations(authenticator, service.hub.limits),
        *thread_operations(service, authenticator),
        *message_operations(service, authenticator),
        *run_operations(service, authenticator),
        *report_operations(service, authenticator),
        *file_operations(service, authenticator, uploads),
    ]


class UnknownPath:
    """Answers 404 below `/v1` in the form of this API and of OpenAI's: the client may be one of either.

    Args:
        app: What answers for all other paths that nothing is served at.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or not path.startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        await error_response(request_error(HTTPException(404), scope), _either_form)(scope, receive, send)


def _either_form(error: RequestError) -> ErrorForm:
    return ErrorForm({**plain_form(error).body, "message": error.message})
