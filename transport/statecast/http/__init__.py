"""HTTP. starlette lives here and nowhere else."""

from .app import App, AppSettings, create_app
from .cloud import Cloud, CloudReport, CloudUser, Issuer

__all__ = ["App", "AppSettings", "Cloud", "CloudReport", "CloudUser", "Issuer", "create_app"]
