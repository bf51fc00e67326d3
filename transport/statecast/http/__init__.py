"""HTTP. starlette lives here and nowhere else."""

from .app import App, create_app
from .cloud import Cloud, CloudUser, Issuer

__all__ = ["App", "Cloud", "CloudUser", "Issuer", "create_app"]
