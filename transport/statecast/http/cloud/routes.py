"""All routes of the cloud API. Needs the extra `cloud`."""

from __future__ import annotations

from starlette.routing import Route

from statecast.files import Uploads
from statecast.http.requests import Service

from .auth import auth_routes
from .files import cloud_file_routes
from .identity import Identity
from .messages import message_routes
from .runs import run_routes
from .threads import thread_routes

__all__ = ["cloud_routes"]


def cloud_routes(service: Service, identity: Identity, uploads: Uploads) -> list[Route]:
    """Return what the npm package `assistant-cloud` asks for, below its base URL."""
    return [
        *auth_routes(identity, service.hub.limits),
        *thread_routes(service, identity),
        *message_routes(service, identity),
        *run_routes(service, identity),
        *cloud_file_routes(service, identity, uploads),
    ]
