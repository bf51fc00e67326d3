"""`Client`: a server's threads, commanded and followed from Python.

    async with Client("http://127.0.0.1:8000") as client:
        thread = client.thread("t-1")
        answer = await thread.ask("hello")
        assert answer.run.status == "completed"

Rule 1: what is asked for happens once. Every command gets an id before it is sent first, so that it may be sent again.
Rule 2: a connection is nothing. Whatever breaks is taken up where it was, until `patience` is over; a reader that was
away for too long gets a snapshot, and goes on from there.
Rule 3: what was handed out stays as it was. States share what did not change, and are not to be mutated.

    ClientError
    ├── Refused          the server said no, and why
    ├── ConnectionLost   no server answered for as long as `patience` says
    └── RunLost          a run is gone, and how it ended is not known any more
"""

from __future__ import annotations

from .client import Client
from .errors import ClientError, ConnectionLost, Refused, RunLost
from .thread import Receipt, Thread
from .view import Change, Snapshot

__all__ = [
    "Change",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Receipt",
    "Refused",
    "RunLost",
    "Snapshot",
    "Thread",
]
