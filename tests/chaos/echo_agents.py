"""The agents that are served here: their state says what was done to them, so that anyone can check it.

`statecast serve tests.chaos.echo_agents:agents`; or `:short`, an app with a log so short that it is always compacted;
or `:slow`, an app on a disk so slow that a crash mostly finds something that is not written yet, and whose entries are
moved all the time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio

from statecast import Agent, Limits, Run, UntypedCommand, create_app
from statecast.stores import Change, SqliteStore
from statecast.threads.runs import tries
from tests.stores.committing_store import CommittingStore
from tests.stores.disk import Recorder
from tests.stores.small_store import little

#: Of so many pieces, one is noted in the memory before it is said.
KEPT: Final = 4


def _first_state() -> dict[str, Any]:
    return {"counts": {}, "order": [], "done": [], "runs": {}, "text": "", "messages": []}


async def echo(run: Run, command: UntypedCommand) -> None:
    """Count a command by its name, say it in pieces, and note that it is done."""
    name = command.body["name"]
    counts = run.state["counts"]
    counts[name] = counts.get(name, 0) + 1
    run.state["order"].append(name)
    run.state["runs"][name] = run.id
    for piece in range(command.body["pieces"]):
        if piece % KEPT == 0:
            run.memory["piece"] = f"{name}.{piece}"
        run.state["text"] += f"{name}.{piece} "
        run.parts.append_text(f"{piece} ")
        await anyio.sleep(command.body["pause"])
    run.state["done"].append(name)


once = Agent("once", initial=_first_state)
again = Agent("again", initial=_first_state, restartable=True)
for agent in (once, again):
    agent.on("echo")(echo)

agents = [once, again]


class SlowStore(CommittingStore):
    """Takes its time, before and after it has written, and moves entries after a few."""

    async def commit(self, changes: Sequence[Change]) -> None:
        await anyio.sleep(random.random() * 0.05)
        with little():
            await super().commit(changes)
        await anyio.sleep(random.random() * 0.01)


if "ECHOING_FILE" in os.environ:  # in a process that serves these agents, not in one that only imports them
    if "ECHOING_RECORD" in os.environ:
        Recorder(Path(os.environ["ECHOING_FILE"]), Path(os.environ["ECHOING_RECORD"])).install()
    # A run is given up once its process has ended a few times. These processes end by no fault of their runs.
    tries.TRIES = 1_000  # type: ignore[misc]  # a constant of the server's
    short = create_app(
        agents, store=SqliteStore(os.environ["ECHOING_FILE"]), limits=Limits(keep_entries=20, keep_bytes=4_000)
    )
    slow = create_app(agents, store=SlowStore(os.environ["ECHOING_FILE"]))
