"""Fixtures of this folder; other folders name the plugin themselves."""

from tests.clients.fixtures import accumulator, chromium, node

__all__ = ["accumulator", "chromium", "node"]
