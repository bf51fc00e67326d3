"""What of a thread goes back with its state: the agent's memory, and what clients have written into its history.

Neither has revisions. Both follow the conversation, so they are what they were at the last message that the earlier
state and the state now have in common. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from statecast.history.client_message import ClientMessage
from statecast.history.matching import match
from statecast.protocol import RunState
from statecast.protocol.messages.state_messages import id_of, items_in
from statecast_agents import Agent, Json, new_id
from statecast_agents.memory_versions import Record, kept

from .log.stretch import Point

__all__ = ["asked_then", "memory_then", "shared_messages", "written_then"]


def shared_messages(path: Sequence[str] | None, now: Json, then: Json) -> tuple[list[str | None], int]:
    """Return the ids of the messages of a state, and how many of them an earlier state begins with.

    Args:
        path: Where a state has them.
        now: The state.
        then: The earlier state.
    """
    ids, before = ([id_of(item) for item in items_in(state, path)] for state in (now, then))
    same = next((at for at, id in enumerate(ids) if before[at : at + 1] != [id]), len(ids))
    return ids, same


def memory_then(records: Sequence[Record], path: Sequence[str] | None, now: Json, then: Json) -> list[Record]:
    """Return the versions of a memory that an earlier state goes with. Arguments as for `shared_messages`."""
    ids, same = shared_messages(path, now, then)
    if same == len(ids):
        return list(records)
    return list(records[: kept([record.version for record in records], ids, same)])


def written_then(
    written: Sequence[ClientMessage], path: Sequence[str] | None, now: Json, then: Json
) -> Collection[str]:
    """Return the ids of what clients have written, without what followed the earlier state in its own branch.

    Other branches stay: nobody knows when they were written.
    """
    messages = items_in(now, path)
    there = {id_of(item) for item in items_in(then, path)}
    counterparts = match(written, messages, format=None).counterparts
    gone = {counterparts.get(id, id) for id in map(id_of, messages) if id is not None and id not in there}
    below: dict[str | None, list[str]] = {}
    for message in written:
        below.setdefault(message.parent_id, []).append(message.id)
    left = list(gone)
    while left:
        children = [id for id in below.get(left.pop(), ()) if id not in gone]
        gone.update(children)
        left += children
    return [message.id for message in written if message.id not in gone]


def asked_then(point: Point, state: Json, agent: Agent) -> RunState | None:
    """Return the run that a thread has where it is to be as at a point: one that asks what was open; None: it has none.

    Args:
        point: What the thread was.
        state: The state there, decoded.
        agent: Whose the thread is.
    """
    if not items_in(state, agent.pending):
        return None
    return RunState(new_id("run") if point.run is None else point.run.id, "waiting", asks=True)
