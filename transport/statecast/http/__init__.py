"""HTTP. starlette lives here and nowhere else."""

from .app import App, create_app
from .cloud import Cloud, CloudReport, CloudUser, Issuer

__all__ = ["App", "Cloud", "CloudReport", "CloudUser", "Issuer", "create_app"]
