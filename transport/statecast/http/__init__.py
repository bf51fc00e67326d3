"""HTTP. starlette lives here and nowhere else."""

from .app import App, create_app
from .cloud import Cloud, Issuer

__all__ = ["App", "Cloud", "Issuer", "create_app"]
