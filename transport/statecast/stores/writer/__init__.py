"""A store in another process: the writer has its file open, and the processes of a server reach it on a socket."""

from .client import WriterStore
from .process import Settings, command
from .server import Writer

__all__ = ["Settings", "Writer", "WriterStore", "command"]
