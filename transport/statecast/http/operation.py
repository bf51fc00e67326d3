"""`Operation`: one row of the table of what the app serves. A row makes a route and its part of the OpenAPI document.

Each module of endpoints returns its rows; `app` joins them; `openapi` describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.routing import Route

from statecast.protocol.errors import ErrorForm, RequestError, plain_form
from statecast.protocol.messages.wire import AgentName

from .response.errors import FormRoute

__all__ = ["ANY_FILE", "DONE", "FILE", "UNCHANGED", "AgentName", "AnyCommand", "Operation", "Reply"]

#: The media type of files, whatever they hold.
ANY_FILE: Final = "*/*"


class AnyCommand(msgspec.Struct):
    """A command of an agent; the document lists those of the app."""


class Reply(msgspec.Struct, frozen=True):
    """A response that is not an error."""

    type: Any = None  #: of its JSON; None: it has none
    meaning: str = "OK"
    media: Mapping[str, str] = {}  #: what its body holds, by each other media type it may have


#: The reply to a request that returns nothing.
DONE: Final = Reply(meaning="Done")

#: The reply to a client that has the file already.
UNCHANGED: Final = Reply(meaning="The client has it already")

#: The replies to a request for a file.
FILE: Final = {
    200: Reply(media={ANY_FILE: "the file"}),
    206: Reply(meaning="The range that was asked for", media={ANY_FILE: "a part of the file"}),
    302: Reply(meaning="It is elsewhere"),
    304: UNCHANGED,
}


class Operation(msgspec.Struct, frozen=True):
    """A method at a path: what answers it, and what it takes and returns."""

    method: str
    path: str  #: as starlette reads it, such as `/threads/{thread_id}`
    endpoint: Callable[..., Any]  #: takes a request and returns a response, or is an ASGI app
    summary: str
    replies: Mapping[int, Reply]  #: by their status; errors are added
    body: Any = None  #: the type of the JSON; `ANY_FILE`: a file; None: the operation reads none
    query: Mapping[str, Any] = {}  #: the type of each parameter
    form: Callable[[RequestError], ErrorForm] = plain_form  #: writes an error as its clients read it

    def to_route(self) -> Route:
        """Return the route."""
        return FormRoute(self.path, self.endpoint, form=self.form, methods=[self.method])
