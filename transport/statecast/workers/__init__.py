"""Several processes that serve one address: a parent starts them, and starts those again that die."""

from .attached import Attached, attached
from .listening import listening_at
from .parent import Parent

__all__ = ["Attached", "Parent", "attached", "listening_at"]
