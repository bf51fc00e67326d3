"""`create_app`: agents as an ASGI app, to run alone or to mount in another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from statecast.files import Uploads
from statecast.stores import Store
from statecast.threads import Hub, Limits, Observer, OnDisconnect
from statecast_agents import Agent
from statecast_agents.settings import check_number

from .attachments import Attachments
from .cloud import Cloud
from .endpoints.assistant import assistant_operations
from .endpoints.attachments import file_operations
from .endpoints.chats import chat_operations
from .endpoints.client_module import module_operations
from .endpoints.control import control_operations
from .endpoints.documents import document_operations
from .endpoints.events import event_operations
from .endpoints.health import health_operations
from .endpoints.histories import message_operations
from .endpoints.models import model_operations
from .endpoints.patch import patch_operations
from .endpoints.runs import run_operations
from .endpoints.socket import SocketEndpoint
from .endpoints.threads import thread_operations
from .endpoints.travel import travel_operations
from .endpoints.wires import wire_operations
from .lifespan import GRACE, serving
from .middleware.caching import Caching
from .middleware.cors import Cors
from .middleware.hosts import HostCheck
from .middleware.request_limits import RequestLimits
from .mounting import InFrontOf, MountedResponse, WithPrefix, checked_prefix
from .openapi import AgentList, describe_agents, openapi
from .operation import Operation, Reply
from .request.caller import AppUsers, Authenticate, Identify
from .request.open_requests import OpenRequests
from .response.errors import Errors, json_response
from .response.static import PAGE, Page
from .response.stream import STREAM, Stream
from .service import Service
from .settings import check_hosts, check_kinds, check_origins, check_page, named_agents, opened_store
from .traces import Traces

if TYPE_CHECKING:
    from .cloud.authenticator import Authenticator

__all__ = ["App", "AppSettings", "create_app"]


class App:
    """The ASGI app that `create_app` makes.

    It is not a `Starlette`, which would wrap every `send` of a stream twice to turn errors into responses. A stream
    that has begun cannot have those.

    Args:
        hub: Its threads and runs.
        router: What is served.
        open_requests: Counts its requests.
        authenticator: Makes the tokens of the cloud API, where that is served.
        cors_origins: Origins whose pages may use it.
        allowed_hosts: Names under which it may be reached.
    """

    def __init__(
        self,
        hub: Hub,
        router: Router,
        open_requests: OpenRequests,
        *,
        authenticator: Authenticator | None = None,
        cors_origins: Sequence[str] = (),
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        self.hub = hub
        self.router = router
        self.chain_signals = (
            True  #: whether its lifespan closes it at a signal; a server that does so itself sets False
        )
        self._authenticator = authenticator
        self.open_requests = open_requests
        self._app = Caching(HostCheck(Cors(Errors(RequestLimits(router)), cors_origins), allowed_hosts))

    def lifespan(self, app: object = None, *, grace: float = GRACE) -> AbstractAsyncContextManager[None]:
        """Return a context manager that starts this app and ends it, for the lifespan of the app that it is mounted in.

        Inside, SIGINT and SIGTERM close this app first, and its streams end; then the server's own handler is called.

        Args:
            app: The other app, which frameworks pass; it is not used.
            grace: Seconds that runs get to end after the signal.

        Raises:
            ValueError: `grace` is negative.
            StoreUnavailable: On entry: the store cannot be opened.
        """
        check_number("grace", grace, least=0)
        return serving(self.hub, grace=grace, chain_signals=self.chain_signals)

    def with_prefix(self, prefix: str) -> ASGIApp:
        """Return this app for frameworks that cut the prefix off the path and set no `root_path`, as Litestar does.

        Args:
            prefix: Where the framework mounts it, such as `/agents`.

        Raises:
            ValueError: The prefix does not begin with a slash, or ends with one.
        """
        return WithPrefix(self, checked_prefix(prefix))

    def in_front_of(self, other: ASGIApp, prefix: str) -> ASGIApp:
        """Return an ASGI app that sends requests below the prefix to this app, and all others to `other`.

        It runs the lifespan of both; `other` need not have one. What `other` does for its requests, such as sessions
        and sign-in, does not happen for those below the prefix.

        Args:
            other: The ASGI app of a framework that mounts no others, such as Django or Quart.
            prefix: The part of the path that is not this app's own, such as `/agents`.

        Raises:
            ValueError: The prefix does not begin with a slash, or ends with one.
        """
        return InFrontOf(other, self, checked_prefix(prefix), self.lifespan)

    def response(self, prefix: str, *, user: object = None) -> Response:
        """Return the response of this app to the request of a route of another app, which has done what comes first.

        Args:
            prefix: The part of the route's path that is not this app's own, such as `/agents`.
            user: Who sends the request, for `identify` to find in `connection.scope["user"]`; None: the scope stays.

        Raises:
            ValueError: The prefix does not begin with a slash, or ends with one.
        """
        return MountedResponse(self, checked_prefix(prefix), user)

    def add_page(self) -> None:
        """Serve the page for every agent at `/`, unless something is served there."""
        if self.router.default == self.router.not_found:
            self.router.default = Page(PAGE)

    async def revoke(self, workspace: str) -> None:
        """Revoke all tokens of the cloud API for a workspace, and end its streams.

        Raises:
            RuntimeError: The app does not serve the cloud API.
            RequestError: `store_unavailable`.
        """
        if self._authenticator is None:
            raise RuntimeError("expected an app that serves the cloud API: create_app(…, cloud=True)")
        await self._authenticator.revoke(workspace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        visit = self.open_requests.begin(scope)
        try:
            await self._app(scope, receive, send)
            visit.release()
            stream: Stream | None = scope.pop(STREAM, None)
            if stream is None:
                return
            if scope["method"] == "HEAD":
                await stream.skip(send)
            else:
                await stream.run(receive, send)
        finally:
            visit.end()


class AppSettings(TypedDict, total=False):
    """The settings of `create_app`, for whoever passes them on."""

    cors_origins: Sequence[str]
    allowed_hosts: Sequence[str]
    store: Store | str
    limits: Limits | None
    on_disconnect: OnDisconnect
    identify: Identify | None
    open_list: bool
    cloud: Cloud | bool
    uploads: Uploads | None
    page: bool | str | PathLike[str] | None
    metrics: bool | str
    traces: Traces | bool
    debug: bool


def create_app(
    agents: Agent | Sequence[Agent],
    *,
    cors_origins: Sequence[str] = (),
    allowed_hosts: Sequence[str] = (),
    store: Store | str = "memory",
    limits: Limits | None = None,
    on_disconnect: OnDisconnect = "continue",
    identify: Identify | None = None,
    open_list: bool = False,
    cloud: Cloud | bool = False,
    uploads: Uploads | None = None,
    page: bool | str | PathLike[str] | None = None,
    metrics: bool | str = False,
    traces: Traces | bool = False,
    debug: bool = False,
) -> App:
    """Make an ASGI app that serves agents.

    Args:
        agents: One agent, or several with different names; the first answers requests that name none.
        cors_origins: Origins whose pages may use this server; `*` for any. Closed by default.
        allowed_hosts: Host names under which it may be reached, beside localhost and addresses; `*` for any.
        store: Where threads are kept: a store, or the URL of one, such as `sqlite:///statecast.db`.
        limits: What it takes on.
        on_disconnect: What a lost connection does to its run: `continue`, or `cancel`. A request may say otherwise.
        identify: Returns whose a request is: a text, or any object with an `id`, which runs then have as `run.user`.
            Threads belong to who made them, and are unknown to everyone else. It may raise starlette's HTTPException
            to refuse.
        open_list: Whether `GET /threads` lists threads that are nobody's in particular, to whoever asks directly and
            not through a proxy. Without it, one has to know their ids.
        cloud: Whether to serve the cloud API, and how it knows its users: `True`, or `Cloud(…)`. Then its tokens say
            whose a request is at every endpoint. Needs `pip install "statecast[cloud]"`.
        uploads: Which files may be attached, and where they are kept; default: in the store.
        page: What is served at `/`: `True` for the page that Statecast has for every agent, or a folder with an
            `index.html`.
        metrics: Whether to serve `/metrics` for Prometheus, to whoever asks directly and not through a proxy; or the
            token that a scraper has to send. Needs `pip install "statecast[metrics]"`.
        traces: Whether to trace runs with OpenTelemetry, and how: `True`, or `Traces(…)`. Needs
            `pip install "statecast[otel]"`.
        debug: Whether errors of the agent's code reach the client, traceback and all.

    Raises:
        ImportError: What the cloud API, the metrics or the traces need is not installed.
        TypeError: An argument is of the wrong kind.
        ValueError: No agent was given, two have the same name, the URL names no store, or another argument makes no
            sense; the text names it.
    """
    named = named_agents(agents)
    check_origins(cors_origins)
    check_hosts(allowed_hosts)
    check_page(page)
    check_kinds(
        limits=limits,
        on_disconnect=on_disconnect,
        identify=identify,
        open_list=open_list,
        cloud=cloud,
        uploads=uploads,
        metrics=metrics,
        traces=traces,
        debug=debug,
    )
    opened = opened_store(store)
    knows_owners = identify is not None or cloud is not False
    hub = Hub(named, store=opened, limits=limits, debug=debug, knows_owners=knows_owners)
    authenticator = _opened_cloud(Cloud() if cloud is True else cloud, hub) if cloud else None
    service = Service(
        hub=hub, authenticate=_authentication(authenticator, identify), on_disconnect=on_disconnect, open_list=open_list
    )
    uploads = uploads or Uploads()
    hub.cascade.delete_named = Attachments(service, uploads).delete_named
    origins = frozenset(cors_origins)
    if traces:
        hub.observer.add(_run_spans(Traces() if traces is True else traces))
    open_requests = OpenRequests(hub.limits)
    more = _metrics_operations(metrics, hub, open_requests) if metrics else []
    operations = _operations(service, origins, uploads, authenticator, more)
    routes: list[BaseRoute] = [operation.to_route() for operation in operations]
    routes.append(WebSocketRoute("/threads/{thread_id}/ws", SocketEndpoint(service, origins)))
    router = Router(routes, redirect_slashes=False, lifespan=App.lifespan)  # a redirect is wrong behind a proxy
    if page is not None and page is not False:
        router.default = Page(PAGE if page is True else page)
    if authenticator is not None:
        from .cloud.operations import UnknownPath  # an extra

        router.default = UnknownPath(router.default)
    return App(
        hub, router, open_requests, authenticator=authenticator, cors_origins=cors_origins, allowed_hosts=allowed_hosts
    )


def _opened_cloud(cloud: Cloud, hub: Hub) -> Authenticator:
    try:
        from .cloud.authenticator import Authenticator  # an extra
    except ImportError as error:
        raise ImportError('the cloud API needs PyJWT: pip install "statecast[cloud]"') from error
    return Authenticator(cloud, hub)


def _run_spans(traces: Traces) -> Observer:
    try:
        from .run_spans import RunSpans  # an extra
    except ImportError as error:
        raise ImportError('traces need OpenTelemetry: pip install "statecast[otel]"') from error
    return RunSpans(traces)


def _metrics_operations(token: bool | str, hub: Hub, open_requests: OpenRequests) -> list[Operation]:
    try:
        from .endpoints.metrics import metrics_operations  # an extra
        from .metrics import Metrics
    except ImportError as error:
        raise ImportError('metrics need prometheus-client: pip install "statecast[metrics]"') from error
    return metrics_operations(Metrics(hub, open_requests), token if isinstance(token, str) else None)


def _authentication(authenticator: Authenticator | None, identify: Identify | None) -> list[Authenticate]:
    """Return how callers are known: by the cloud's tokens first, then by the app's `identify`."""
    known: list[Authenticate] = []
    if authenticator is not None:
        known.append(authenticator)
    if identify is not None:
        known.append(AppUsers(identify))
    elif authenticator is not None and not authenticator.cloud.anonymous:
        from .cloud.authenticator import sign_in_required  # an extra

        known.append(sign_in_required)
    return known


def _operations(
    service: Service,
    origins: frozenset[str],
    uploads: Uploads,
    authenticator: Authenticator | None,
    more: Sequence[Operation],
) -> list[Operation]:
    """Return the table of what is served; the OpenAPI document, which describes it, is its last row."""
    hub = service.hub
    cloud: Sequence[Operation] = ()
    if authenticator is not None:
        from .cloud.operations import cloud_operations  # an extra

        cloud = cloud_operations(service, authenticator, uploads)

    async def agents(request: Request) -> Response:
        return json_response(AgentList(describe_agents(hub.agents)))

    async def document(request: Request) -> Response:
        return json_response(openapi(operations, hub.agents))

    operations = [
        *cloud,
        *assistant_operations(service),
        *wire_operations(service),
        *chat_operations(service),
        *model_operations(hub),
        *control_operations(service),
        *patch_operations(service),
        *travel_operations(service),
        *document_operations(service),
        *event_operations(service),
        *thread_operations(service),
        *run_operations(service),
        *message_operations(service),
        *file_operations(service, uploads, origins),
        *module_operations(),
        *health_operations(hub),
        *more,
        Operation("GET", "/agents", agents, "The agents, their commands and states", {200: Reply(AgentList)}),
        Operation("GET", "/openapi.json", document, "This document", {200: Reply(dict[str, Any])}),
    ]
    return operations
