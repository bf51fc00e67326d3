"""The web frameworks that agents are mounted in: an app of each, with a page and a sign-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from statecast import AddMessage, Agent, App, Run, create_app

__all__ = ["HOSTS", "Host", "Signed", "agents"]

#: Makes the outer app of a framework around an app, which it mounts at `/agents`, with the page "home" at `/`.
Host = Callable[[App], ASGIApp]


class Signed:
    """Middleware that signs in the user whom a header names, as frameworks' own do: in `scope["user"]`.

    Args:
        app: What it signs in to.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            name = dict(scope["headers"]).get(b"x-user", b"nobody").decode()
            scope["user"] = SimpleNamespace(id=name, name=name.title())
        await self._app(scope, receive, send)


def agents() -> App:
    """Return an app whose agent greets the user by the name that the outer app knows."""
    agent = Agent()

    @agent.on(AddMessage)
    async def greet(run: Run, command: AddMessage) -> None:
        run.messages.assistant().append_text(f"Hello {run.user.name}")

    async def identify(connection: Any) -> object:
        return connection.scope["user"]

    return create_app(agent, identify=identify)


def starlette(agents: App) -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    routes = [Route("/", lambda request: PlainTextResponse("home")), Mount("/agents", agents)]
    return Starlette(routes=routes, middleware=[Middleware(Signed)], lifespan=agents.lifespan)


def fastapi(agents: App) -> ASGIApp:
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI(lifespan=agents.lifespan)
    app.add_middleware(Signed)
    app.mount("/agents", agents)

    @app.get("/", response_class=PlainTextResponse)
    async def home() -> str:
        return "home"

    return app


def fastapi_route(agents: App) -> ASGIApp:
    from fastapi import APIRouter, Depends, FastAPI
    from fastapi.responses import PlainTextResponse

    async def current_user(request: Request) -> SimpleNamespace:
        name = request.headers.get("x-user", "nobody")
        return SimpleNamespace(id=name, name=name.title())

    router = APIRouter(prefix="/agents")

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def serve(user: SimpleNamespace = Depends(current_user)) -> Response:  # noqa: B008  # FastAPI's way
        return agents.response("/agents", user=user)

    app = FastAPI(lifespan=agents.lifespan)
    app.include_router(router)

    @app.get("/", response_class=PlainTextResponse)
    async def home() -> str:
        return "home"

    return app


def litestar(agents: App) -> ASGIApp:
    from litestar import Litestar, asgi, get

    mounted: Any = agents.with_prefix("/agents")

    @asgi("/agents", is_mount=True, copy_scope=True)
    async def mount(scope: Scope, receive: Receive, send: Send) -> None:
        await mounted(scope, receive, send)

    @get("/", media_type="text/plain", sync_to_thread=False)
    def home() -> str:
        return "home"

    signed: Any = Signed
    app: Any = Litestar([mount, home], middleware=[signed], lifespan=[agents.lifespan])
    return app


@cache
def _django() -> ASGIApp:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import clear_url_caches, path

    urls = ModuleType("urls")
    urls.urlpatterns = [path("", lambda request: HttpResponse("home"))]  # type: ignore[attr-defined]  # made here
    if not settings.configured:
        settings.configure(SECRET_KEY="a key of the tests")
    settings.ROOT_URLCONF, settings.ALLOWED_HOSTS = urls, ["*"]
    clear_url_caches()
    django.setup()
    app: ASGIApp = get_asgi_application()
    return app


def django(agents: App) -> ASGIApp:
    return Signed(agents.in_front_of(_django(), "/agents"))


def quart(agents: App) -> ASGIApp:
    from quart import Quart

    app: Any = Quart(__name__)

    @app.get("/")
    async def home() -> str:
        return "home"

    app.asgi_app = Signed(agents.in_front_of(app.asgi_app, "/agents"))
    outer: ASGIApp = app
    return outer


HOSTS: dict[str, Host] = {
    "starlette": starlette,
    "fastapi": fastapi,
    "fastapi-route": fastapi_route,
    "litestar": litestar,
    "django": django,
    "quart": quart,
}
