"""A gardener that plans beds, and asks before it orders seeds. The page shows the plan beside the chat.

statecast serve examples.plain.garden:app      from the top of the repository; then open http://127.0.0.1:8000
"""

import asyncio
from pathlib import Path

from statecast import AddMessage, Agent, AgentError, Answer, Command, Run, create_app

PRICES = {"beans": 3, "carrots": 2, "kale": 2, "peas": 4}  # euros a bag


class Remove(Command, frozen=True):
    plant: str


agent = Agent("gardener", initial={"messages": [], "plants": []})


@agent.on(AddMessage)
async def plan(run: Run, command: AddMessage) -> None:
    wanted = [plant for plant in PRICES if plant in command.message.text.lower()]
    if not wanted:
        raise AgentError(f"I only have seeds of {', '.join(PRICES)}.", code="no_seeds")
    message = run.messages.assistant()
    for plant in wanted:
        if not any(planned["name"] == plant for planned in run.state["plants"]):
            run.state["plants"].append({"name": plant, "ordered": False})
        for word in f"The {plant} go into a bed of their own, three centimetres deep.".split():
            message.append_text(word + " ")
            await asyncio.sleep(0.1)  # where a real agent waits for its model
    run.ask(f"Order the seeds for {sum(PRICES[plant] for plant in wanted)} €?")


@agent.on(Answer)
def order(run: Run, command: Answer) -> None:
    message = run.messages.assistant()
    if all(answer["approved"] for answer in run.answers.values()):
        for plant in run.state["plants"]:
            plant["ordered"] = True
        message.append_text("They are on their way.")
    else:
        message.append_text("Then I order nothing.")


@agent.on(Remove)
def remove(run: Run, command: Remove) -> None:
    run.state["plants"] = [plant for plant in run.state["plants"] if plant["name"] != command.plant]


app = create_app(agent, store="sqlite:///garden.db", page=Path(__file__).parent / "page")
