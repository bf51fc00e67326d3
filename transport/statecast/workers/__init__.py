"""Several processes that serve one address: a parent starts them, and starts those again that die."""

from .attached import Attached, attached
from .listening import listening_at
from .parent import WORKER_TIMEOUT, Parent
from .reloading import Reloading

__all__ = ["WORKER_TIMEOUT", "Attached", "Parent", "Reloading", "attached", "listening_at"]
