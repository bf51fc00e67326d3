"""An agent for pages, held where a test wants it: `statecast serve tests.cluster.paged_agents:agents`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import anyio

from statecast import AddMessage, Agent, Answer, Run

__all__ = ["GATE", "agents"]

#: The variable that names a file, for which the agent waits in the middle of an answer.
GATE: Final = "CLUSTER_GATE"

paged = Agent("paged")


@paged.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    """Do what the user's message is the name of."""
    message = run.messages.assistant()
    match command.message.text:
        case "slow":
            message.append_text("half")
            while not Path(os.environ[GATE]).exists():  # noqa: ASYNC110  # another process makes it
                await anyio.sleep(0.01)
            message.append_text(" and half")
        case "delete":
            message.add_tool_call("delete", {"file": "a"}).ask("Delete a?", id="ask-a")
        case "stay":
            message.append_text("I begin")
            await anyio.sleep_forever()


@paged.on(Answer)
async def act(run: Run, command: Answer) -> None:
    """Do what was asked about, if it was approved."""
    message = run.messages.last_assistant()
    for call in message.tool_calls:
        call.set_result("gone" if run.answers["ask-a"]["approved"] else "kept")
    message.append_text("Done.")


agents = [paged]
