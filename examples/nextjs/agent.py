import asyncio
from dataclasses import dataclass, field
from typing import Literal

from statecast import AddMessage, AddToolResult, Agent, AgentError, Command, Run
from statecast.state import Json


@dataclass
class Guest:
    name: str
    status: Literal["listed", "invited"] = "listed"


@dataclass
class Party:
    messages: list[dict[str, Json]] = field(default_factory=list)
    guests: list[Guest] = field(default_factory=list)


class AddGuest(Command, frozen=True):
    name: str


agent = Agent("party", state=Party)


@agent.on(AddGuest)
def add_guest(run: Run, command: AddGuest) -> None:
    if any(guest["name"] == command.name for guest in run.state["guests"]):
        raise AgentError(f"{command.name} is on the list already.", code="duplicate_guest")
    run.state["guests"].append(Guest(command.name))


@agent.on(AddMessage)
async def invite(run: Run, command: AddMessage) -> None:
    names = names_of(run)
    message = run.messages.assistant()
    for word in f"Dear {names}, you are invited: {command.message.text}. Please answer soon.".split():
        message.append_text(f"{word} ")
        await asyncio.sleep(0.1)
    await finish(run, approved=await run.approval(f"Send this to {names}?"))


@agent.on(AddToolResult)
async def answered(run: Run, command: AddToolResult) -> None:
    """Continue after a restart of the server: the run that asked is gone, and its question is still open."""
    await finish(run, approved=command.result == {"approved": True})


async def finish(run: Run, *, approved: bool) -> None:
    message = run.messages.last_assistant()
    if not approved:
        message.append_text("I did not send it.")
        return
    for guest in run.state["guests"]:
        guest["status"] = "invited"
        await asyncio.sleep(0.3)
    message.append_text(f"It is sent to {names_of(run)}.")


def names_of(run: Run) -> str:
    return " and ".join(guest["name"] for guest in run.state["guests"]) or "all"
