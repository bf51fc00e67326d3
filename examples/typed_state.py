"""A state with a declared type, commands of its own, and a plan that the page can watch.

statecast serve examples.typed_state:agent      from the folder above
python examples/typed_state.py                  the same

Then `curl http://127.0.0.1:8000/agents` shows the JSON Schema of the state and of each command.
"""

import asyncio
from typing import Annotated, Literal

import msgspec

from statecast import AddMessage, Agent, AgentError, Command, Run, serve
from statecast.state import Json


class Step(msgspec.Struct):
    title: str
    status: Literal["pending", "running", "done"] = "pending"


class Progress(msgspec.Struct):
    done: int = 0
    total: int = 0


class State(msgspec.Struct):
    """Every field has a default, so a new thread starts from `State()`."""

    messages: list[dict[str, Json]] = []
    topic: str = ""
    plan: list[Step] = []
    progress: Progress = msgspec.field(default_factory=Progress)


class SetTopic(Command, frozen=True):
    """On the wire: `{"type": "set-topic", "topic": "…"}`. A topic that is too long is refused."""

    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class StartWork(Command, frozen=True):
    """On the wire: `{"type": "start-work", "steps": […], "pauseSeconds": 0.3}`."""

    steps: Annotated[list[str], msgspec.Meta(min_length=1, max_length=20)]
    pause_seconds: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.3


agent = Agent("typed", state=State)


@agent.on(SetTopic)
def set_topic(run: Run, command: SetTopic) -> None:
    run.state["topic"] = command.topic


@agent.on(StartWork)
async def work(run: Run, command: StartWork) -> None:
    if not run.state["topic"]:
        raise AgentError("Set a topic first.", code="no_topic")  # the page shows this text
    run.state["plan"] = [Step(title) for title in command.steps]  # structs become dicts on their way in
    run.state["progress"] = Progress(total=len(command.steps))
    for step in run.state["plan"]:  # the state itself: what is changed here is sent
        step["status"] = "running"
        await asyncio.sleep(command.pause_seconds)
        step["status"] = "done"
        run.state["progress"]["done"] += 1


@agent.on(AddMessage)
async def answer(run: Run, command: AddMessage) -> None:
    topic = run.state["topic"] or "nothing yet"
    run.messages.assistant().append_text(f"The topic is {topic}. You said: {command.message.text}")


if __name__ == "__main__":
    serve(agent)
