"""Tests of agents and apps in this process: no port, no thread, no timing.

    async with TestClient(agent) as client, client.thread() as t:
        await t.say("hello")
        assert t.text == "You said: hello"

`statecast_pytest`, which pytest finds by itself, has these as fixtures.
"""

from .asgi import ASGIApp, Response
from .client import Body, TestClient
from .errors import Refused, RunFailed
from .result import Result
from .thread import TestThread

__all__ = ["ASGIApp", "Body", "Refused", "Response", "Result", "RunFailed", "TestClient", "TestThread"]
