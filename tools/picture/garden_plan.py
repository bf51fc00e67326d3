"""The agent of the picture in README.md: it plans a garden, and asks one question."""

from __future__ import annotations

import asyncio
import re

from statecast import AddMessage, AddToolResult, Agent, AssistantMessage, Run

PACE = 0.06  # seconds between two words
BEDS = [("Tomatoes", 12), ("Beans", 30), ("Lettuce", 18), ("Carrots", 40)]

agent = Agent(initial={"title": "Garden", "messages": []})


@agent.on(AddMessage)
async def plan(run: Run, command: AddMessage) -> None:
    """Fill the beds one by one, and ask what else to plant."""
    message = run.messages.assistant()
    await _write(message, "I will plan four beds for the spring, and count the plants of each.")
    run.state["beds"] = []
    for name, plants in BEDS:
        run.state["beds"].append({"name": name, "plants": plants})
        await _write(message, f" {name} get {plants} plants, in rows of six, where the sun comes first.")
    message.add_tool_call("ask_user", {"question": "One bed is left. What shall I plant in it?"})


@agent.on(AddToolResult)
async def finish(run: Run, command: AddToolResult) -> None:
    """Fill the last bed with what the user wants."""
    run.state["beds"].append({"name": str(command.result), "plants": 24})
    await _write(run.messages.last_assistant(), f"{command.result} it is: 24 plants, and the plan is complete.")


async def _write(message: AssistantMessage, text: str) -> None:
    for word in re.findall(r"\s*\S+", text):
        message.append_text(word)
        await asyncio.sleep(PACE)
