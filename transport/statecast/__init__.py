"""Stream the state of AI agents to user interfaces: `from statecast import Agent, Run, create_app, serve`."""

from statecast_agents import *  # noqa: F403  # the one door to both sides
from statecast_agents import __all__ as _agents_all

from .files import Uploads
from .http import App, Cloud, CloudReport, CloudUser, Issuer, create_app
from .server import serve
from .threads import Connections, Limits

__all__ = [  # noqa: PLE0604  # strings, all of them
    *_agents_all,
    "App",
    "Cloud",
    "CloudReport",
    "CloudUser",
    "Connections",
    "Issuer",
    "Limits",
    "Uploads",
    "create_app",
    "serve",
]
