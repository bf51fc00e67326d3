"""Connections of Statecast's own server: uvicorn's protocols, with bounds.

HTTP and WebSockets in another ASGI server have that server's bounds; those of `Limits` itself hold everywhere.
"""

from .http import HttpProtocol
from .settings import ServerConfig
from .sockets import Sockets
from .websocket import SocketProtocol

__all__ = ["HttpProtocol", "ServerConfig", "SocketProtocol", "Sockets"]
