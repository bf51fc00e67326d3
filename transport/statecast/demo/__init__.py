"""The demo: an agent that needs no key, for the page that every agent can be shown in."""

from .agent import agent

__all__ = ["agent"]
