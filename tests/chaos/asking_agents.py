"""An agent that asks before it does what it is told: `statecast serve tests.chaos.asking_agents:agents`."""

from __future__ import annotations

from statecast import AddMessage, Agent, Answer, Run

__all__ = ["agents"]

asking = Agent("asking")


@asking.on(AddMessage)
async def ask(run: Run, command: AddMessage) -> None:
    """Ask about each word of a message."""
    message = run.messages.assistant()
    for word in command.message.text.split():
        message.add_tool_call("delete", {"file": word}, id=word).ask(f"Delete {word}?", id=f"ask-{word}")
    run.memory["asked"] = command.message.text


@asking.on(Answer)
async def act(run: Run, command: Answer) -> None:
    """Act on all answers once there are all."""
    if run.pending:
        return
    for id, answer in run.answers.items():
        call = run.messages.find_tool_call(id.removeprefix("ask-"))
        if call is not None:
            call.set_result(f"deleted, as {run.memory['asked']} asked" if answer["approved"] else "kept")


agents = [asking]
