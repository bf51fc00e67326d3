"""Fixtures of this folder: the published decoders judge what the state's operations amount to."""

from tests.clients.fixtures import accumulator

__all__ = ["accumulator"]
