"""HTTP: endpoints, middleware, requests and responses. Only this package imports starlette."""

from .app import App, AppSettings, create_app
from .cloud import Cloud, CloudReport, CloudUser, Issuer
from .developing import add_restart, unloaded_app
from .lifespan import GRACE
from .traces import Traces

__all__ = [
    "GRACE",
    "App",
    "AppSettings",
    "Cloud",
    "CloudReport",
    "CloudUser",
    "Issuer",
    "Traces",
    "add_restart",
    "create_app",
    "unloaded_app",
]
