"""Limits, with their defaults. Every one is a setting: `create_app(agent, limits=Limits(body=…))`."""

from __future__ import annotations

from typing import Final

import msgspec

from statecast_agents.settings import check_numbers

from .connection_limits import Connections

__all__ = ["Limits"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one server takes on."""

    body: int = 16 * 2**20  #: bytes of a request's body
    values: int = 200_000  #: values in a body: objects, arrays, texts, numbers and the like; and in a patch's copies
    nesting: int = 128  #: containers within one another in a body
    commands: int = 64  #: commands in one request
    state: int = 12 * 2**20  #: bytes of a state as JSON; clients refuse frames of more than 16 Mi characters
    memory: int = 8 * 2**20  #: bytes of what agents keep in `run.memory`, of each thread
    memory_versions: int = 256  #: messages that an edit takes it back to; to one further back, it is empty then
    body_seconds: float = 30.0  #: until the whole body has arrived
    heartbeat_seconds: float = 15.0  #: of silence on a stream until it gets a heartbeat
    runs: int = 1_000  #: queued or under way, on the whole server; hooks count too
    runs_per_owner: int = 16  #: the same, of one owner; where the app knows owners
    waiting: int = 10_000  #: that wait for their user, counted apart; further ones count among `runs`
    waiting_per_owner: int = 64  #: the same, of one owner
    threads: int = 256  #: plain functions of agents at work at a time, each in a thread; further runs are queued
    run_seconds: float = 3_600.0  #: until a run that goes on fails with `run_timeout`
    waiting_seconds: float = 86_400.0  #: until a run that waits for its user fails with `wait_timeout`
    keep_entries: int = 1_024  #: of each log, for readers to catch up on; past them a reader gets a snapshot
    keep_bytes: int = 2**20  #: of each log, likewise
    history_entries: int = 32_768  #: of each thread, kept for readers of its past and for forks; 0: none
    history_bytes: int = 4 * 2**20  #: likewise, as they are stored, compressed; 0: none
    resume_seconds: float = 60.0  #: that a thread without a client's id outlives its last run
    lease_seconds: float = 2.2  #: that a process holds a thread of a shared store unless it renews its claim
    outage_seconds: float = 60.0  #: without the store until a run fails with `store_unavailable`
    unstored: int = 16 * 2**20  #: bytes of entries of a run that the store does not take, until it fails likewise
    idle_seconds: float = 600.0  #: that a thread nobody follows stays in memory; the store has it all the same
    keep_seconds: float | None = None  #: that the store keeps a thread nobody writes to; None: for ever
    state_frames: float = 20.0  #: a second, of changes as JSON Patch: each repeats the texts that have grown
    send_bytes: int = 65_536  #: about how much of what is pending leaves in one send
    bodies: int = 128 * 2**20  #: bytes of bodies in flight, on the whole server
    bodies_per_address: int = 64 * 2**20  #: the same, from one public address
    requests_per_owner: int = 256  #: answered at once, streams and sockets included; where the app knows owners
    requests_per_address: int = 1_024  #: the same, from one public address
    connections: Connections = Connections()  #: what the server takes on before there is a request

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TypeError, ValueError: A limit means nothing.
        """
        check_numbers(self, zero=_ZERO, endless=_ENDLESS, optional=["keep_seconds"])
        if not isinstance(self.connections, Connections):
            raise TypeError(f"expected Limits.connections to be Connections(…), got {self.connections!r}")


#: What may be 0: at once, or nothing.
_ZERO: Final = frozenset({"history_entries", "history_bytes", "resume_seconds", "idle_seconds"})

#: Periods that may have no end.
_ENDLESS: Final = frozenset({"run_seconds", "waiting_seconds", "resume_seconds", "idle_seconds"})
