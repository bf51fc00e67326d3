"""The app that stories are told of: agents that do as they should, and one that does whatever it is asked to.

`statecast serve tests.stories.cast:app`. Whoever sends no `x-user` is `CONTROL`, whom nothing may harm. `STORIES_STORE`
is the URL of the store.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from starlette.requests import HTTPConnection

from statecast import About, AddMessage, Agent, Feedback, Limits, Run, UntypedCommand, create_app
from tests.chaos.echo_agents import again, once
from tests.stories.agent_deeds import DEEDS, SYNC_DEEDS

CONTROL: Final = "control"


def _first_state() -> dict[str, Any]:
    return {"list": [], "text": "", "messages": []}


steady = Agent("steady", initial={"messages": [], "runs": 0})


def heard(text: str) -> str:
    """Return what `steady` answers."""
    return f"heard: {text}."


@steady.on(AddMessage)
async def say(run: Run, command: AddMessage) -> None:
    """Answer in one piece, whatever the protocol, and count."""
    run.state["runs"] += 1
    await asyncio.sleep(0.01)
    run.messages.assistant().append_text(heard(command.message.text))


rough = Agent("rough", initial=_first_state, writable=["/list", "/text"])


@rough.on("do")
async def do(run: Run, command: UntypedCommand) -> None:
    """Do an async deed."""
    await DEEDS[command.body["deed"]](run)


@rough.on("do-in-a-thread")
def do_in_a_thread(run: Run, command: UntypedCommand) -> None:
    """Do one that holds a thread."""
    SYNC_DEEDS[command.body["deed"]](run)


@rough.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    """Do the deed that the message names, and answer otherwise: so that every protocol can ask for any."""
    await DEEDS.get(command.message.text, DEEDS["answers"])(run)


@rough.title
async def title(about: About) -> str:
    """Leave where others give a title."""
    raise SystemExit(8)


@rough.suggest
def suggest(about: About) -> list[str]:
    """Interrupt where others suggest something."""
    raise KeyboardInterrupt


@rough.feedback
async def feedback(feedback: Feedback) -> None:
    """Raise half a character where others take note."""
    raise BaseExceptionGroup("several", [SystemExit(9), ValueError("\ud800")])


async def identify(connection: HTTPConnection) -> str:
    """Return whose a request says it is."""
    return connection.headers.get("x-user", CONTROL)


if "STORIES_STORE" in os.environ:
    app = create_app(
        [once, again, steady, rough],
        store=os.environ["STORIES_STORE"],
        identify=identify,
        limits=Limits(body=2**21, state=2**21, body_seconds=3, run_seconds=20),
    )
