"""HTTP. starlette lives here and nowhere else."""

from .app import App, create_app

__all__ = ["App", "create_app"]
