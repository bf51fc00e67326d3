"""Several processes that serve one address: a parent starts them, and starts those again that die."""

from .attached import Attached, attached
from .listening import listening_at
from .parent import Parent
from .reloading import Reloading

__all__ = ["Attached", "Parent", "Reloading", "attached", "listening_at"]
