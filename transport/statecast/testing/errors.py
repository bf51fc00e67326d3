"""Errors of a turn that no exception of the agent stands for.

Exception
├── Refused
└── RunFailed
"""

from __future__ import annotations

from collections.abc import Mapping

from statecast_agents import Json

__all__ = ["Refused", "RunFailed"]


class Refused(Exception):
    """The server refused a request."""

    def __init__(self, status: int, error: Mapping[str, Json]) -> None:
        super().__init__(f"{status} {error['code']}: {error['message']}")
        self.status = status
        self.code: str = error["code"]
        self.message: str = error["message"]


class RunFailed(Exception):
    """A run failed, and not by an exception that its agent raised in this process: it took too long, for one."""

    def __init__(self, error: Mapping[str, Json]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: str = error["code"]
        self.message: str = error["message"]
