"""The agents of a cluster: their state says which process carried out what, so that anyone can check it.

`statecast serve tests.cluster.counting_agents:agents`, with the process's name in `CLUSTER_PROCESS`.
"""

from __future__ import annotations

import os
import secrets
from typing import Any, Final

import anyio

from statecast import Agent, Run, UntypedCommand
from statecast.threads.runs import tries

__all__ = ["agents"]

PROCESS: Final = os.environ.get("CLUSTER_PROCESS", "")


def _first_state() -> dict[str, Any]:
    return {"counts": {}, "done": [], "executions": [], "text": "", "messages": []}


async def count(run: Run, command: UntypedCommand) -> None:
    """Count a command by its name, and write in pieces whose names tell who wrote them."""
    name = command.body["name"]
    execution = f"{PROCESS}/{secrets.token_hex(4)}"
    run.state["executions"].append({"id": execution, "process": PROCESS, "run": run.id})
    counts = run.state["counts"]
    counts[name] = counts.get(name, 0) + 1
    for piece in range(command.body["pieces"]):
        run.state["text"] += f"{execution}.{piece} "
        run.parts.append_text(f"{piece} ")
        await anyio.sleep(command.body["pause"])
    run.state["done"].append(name)


once = Agent("once", initial=_first_state)
again = Agent("again", initial=_first_state, restartable=True)
for agent in (once, again):
    agent.on("echo")(count)

agents = [once, again]

if PROCESS:  # in a process that serves these agents, not in one that only imports them
    # A run is given up once its process has ended a few times. These processes end by no fault of their runs.
    tries.TRIES = 1_000  # type: ignore[misc]  # a constant of the server's
