"""An agent that can be held in the middle of a run, and what tests say to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from statecast import Agent, Run, UntypedCommand

HOLD = {"type": "hold"}
NOTE = {"type": "note"}


def held(**settings: Any) -> tuple[Agent, anyio.Event]:
    """Return an agent, and what lets its runs go on: `hold` notes "held", waits for it, and notes "went on"."""
    agent = Agent(**settings)
    release = anyio.Event()

    @agent.on("hold")
    async def hold(run: Run, command: UntypedCommand) -> None:
        note(run, "held")
        await release.wait()
        note(run, "went on")

    @agent.on("note")
    async def noted(run: Run, command: UntypedCommand) -> None:
        note(run, command.body.get("text", "noted"))

    return agent, release


def note(run: Run, text: str) -> None:
    """Note a text in the state."""
    if run.state is None:
        run.state = {}
    run.state.setdefault("notes", []).append(text)


def said(text: str, **fields: Any) -> dict[str, Any]:
    """Return an `add-message` of the user; `fields` are parentId, sourceId, id."""
    return {"type": "add-message", "message": {"role": "user", "parts": [{"type": "text", "text": text}]}, **fields}


async def until(fact: Callable[[], object]) -> None:
    """Let the event loop turn until a fact is there."""
    with anyio.fail_after(10):
        while not fact():  # noqa: ASYNC110  # not every fact has an event
            await anyio.sleep(0.001)
